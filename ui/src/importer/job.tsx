import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { api } from '../api/client';
import type { Known } from '../api/desks';
import type { Job } from '../api/types';
import { t } from '../i18n';
import { number } from '../i18n/time';
import { Banner, Failure, said, Waiting } from '../part/notice';
import { toast } from '../part/toast';
import { A, boardPath } from '../router';

// JobView follows an import to its end and says what was done and what was not.
export function JobView({ job, known, again }: { job: string; known: Known; again: () => void }) {
  const path = `/import/jobs/${encodeURIComponent(job)}`;
  const { data: j, error, refetch } = useQuery({ queryKey: ['job', job], queryFn: () => api<Job>(path), refetchInterval: (q) => (q.state.data && q.state.data.state !== 'running' ? false : 600) });
  if (error && !j) return <Failure error={error} again={() => void refetch()} />;
  if (!j) return <Waiting />;
  const share = j.total ? Math.round((j.done / j.total) * 100) : 0;
  const stop = () => api(path, { method: 'DELETE' }).then(() => refetch()).catch((e) => toast(said(e)));
  const counts: [string, number][] = [
    [t('import.created'), j.created],
    [t('import.updated'), j.updated],
    [t('import.unchanged'), j.unchanged],
    [t('import.refused'), j.refused],
  ];
  return (
    <section className="card stack">
      <h2>{t(`job.${j.state}`)}</h2>
      <div role="status" className="stack" style={{ gap: 6 }}>
        <div className="meter">
          <i style={{ width: `${j.state === 'done' ? 100 : share}%` }} />
        </div>
        <span className="mut">
          {number(j.done)}
          {j.total ? ` / ${number(j.total)}` : ''}
        </span>
      </div>
      {j.error && <Banner tone="bad">{j.error}</Banner>}
      <div className="counts">
        {counts.map(([word, n]) => (
          <div key={word}>
            <b>{number(n)}</b>
            <span className="mut">{word}</span>
          </div>
        ))}
      </div>
      <div className="row-flex wrap">
        {j.state === 'running' && (
          <Button variant="default" onClick={() => void stop()}>
            {t('import.stop')}
          </Button>
        )}
        {j.refused > 0 && (
          <Button variant="default" component="a" href={`/api/v1${path}/refused`} download={`refused-${job}.csv`}>
            {t('import.getRefused')}
          </Button>
        )}
        {j.state !== 'running' && (
          <>
            <Button component={A} href={boardPath(known.kind.name)}>
              {known.words.many}
            </Button>
            <Button variant="default" onClick={again}>
              {t('import.another')}
            </Button>
          </>
        )}
      </div>
    </section>
  );
}
