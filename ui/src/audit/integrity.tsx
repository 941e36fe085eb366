import { Button } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../api/client';
import type { Verify } from '../api/types';
import { t } from '../i18n';
import { number } from '../i18n/time';
import { copy } from '../part/copy';
import { Banner, Failure, said } from '../part/notice';

// Integrity runs the check that anybody can run offline, and shows what it needs.
export function Integrity() {
  return (
    <div className="stack">
      <Run />
      <Note title={t('audit.checkpoint')} words={t('audit.checkpoint.words')} path="/audit/checkpoint" />
      <Note title={t('audit.key')} words={t('audit.key.words')} path="/audit/key" />
    </div>
  );
}

function Run() {
  const client = useQueryClient();
  const { data } = useQuery({ queryKey: ['verify'], queryFn: () => api<Verify>('/audit/verify'), refetchInterval: (q) => (q.state.data?.running ? 700 : false) });
  const [error, setError] = useState<unknown>();
  const start = () => {
    setError(undefined);
    api<Verify>('/audit/verify', { method: 'POST', json: {} })
      .then((v) => client.setQueryData(['verify'], v))
      .catch(setError);
  };
  const share = data?.total ? Math.round((data.done / data.total) * 100) : 0;
  const ended = data && !data.running && data.total > 0;
  return (
    <section className="card stack">
      <div>
        <h2>{t('verify')}</h2>
        <p className="mut">{t('verify.words')}</p>
      </div>
      {data?.running && (
        <div className="stack" style={{ gap: 6 }} role="status">
          <div className="meter">
            <i style={{ width: `${share}%` }} />
          </div>
          <span className="mut">
            {number(data.done)} / {number(data.total)}
          </span>
        </div>
      )}
      {ended && data.ok && <Banner tone="ok">{t('verify.ok', { n: number(data.total) })}</Banner>}
      {ended && data.error && <Banner tone="bad">{data.error}</Banner>}
      {ended && data.fault && (
        <Banner tone="bad">
          <b>{t('verify.fault')}</b>
          <div>{data.fault}</div>
        </Banner>
      )}
      {error !== undefined && <Banner tone="bad">{said(error)}</Banner>}
      <div>
        <Button onClick={start} loading={data?.running}>
          {t('verify.run')}
        </Button>
      </div>
    </section>
  );
}

function Note({ title, words, path }: { title: string; words: string; path: string }) {
  const { data, error, refetch } = useQuery({ queryKey: [path], queryFn: () => api<string>(path) });
  return (
    <section className="card stack">
      <div>
        <h2>{title}</h2>
        <p className="mut">{words}</p>
      </div>
      {error ? <Failure error={error} again={() => void refetch()} /> : <pre className="mono">{data}</pre>}
      {data && (
        <div>
          <Button size="xs" variant="default" onClick={() => void copy(data)}>
            {t('copy')}
          </Button>
        </div>
      )}
    </section>
  );
}
