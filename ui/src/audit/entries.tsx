import { Button, Modal } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, query } from '../api/client';
import { useDesks } from '../api/desks';
import type { Entry } from '../api/types';
import { t, tOr } from '../i18n';
import { dayTime, whole } from '../i18n/time';
import { copy } from '../part/copy';
import { Failure, Notice, Waiting } from '../part/notice';
import { A, boardPath } from '../router';

type Filter = Record<string, string | undefined>;

// Entries lists the ledger, newest first, with a proof for each.
export function Entries({ filter }: { filter: Filter }) {
  const { data, error, isPending, hasNextPage, fetchNextPage, isFetchingNextPage, refetch } = useInfiniteQuery({
    queryKey: ['audit', filter],
    queryFn: ({ pageParam }) => api<{ entries: Entry[]; next?: string }>('/audit/entries' + query({ ...filter, cursor: pageParam })),
    initialPageParam: '',
    getNextPageParam: (p) => p.next || undefined,
  });
  const [proof, setProof] = useState<Entry>();
  if (isPending) return <Waiting lines={8} />;
  if (error && !data) return <Failure error={error} again={() => void refetch()} />;
  const entries = data?.pages.flatMap((p) => p.entries ?? []) ?? [];
  if (!entries.length) return <Notice icon="audit" title={t('audit.none')} />;
  return (
    <>
      <div>
        {entries.map((e) => (
          <Line key={e.seq} entry={e} prove={() => setProof(e)} />
        ))}
      </div>
      {hasNextPage && (
        <Button variant="default" size="xs" mt="sm" loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          {t('more')}
        </Button>
      )}
      {proof && <ProofDialog entry={proof} close={() => setProof(undefined)} />}
    </>
  );
}

function Line({ entry: e, prove }: { entry: Entry; prove: () => void }) {
  const known = useDesks().of(e.kind ?? '');
  const verb = e.what?.split('.').at(-1) ?? '';
  const act = known && e.type === 'change' ? known.words.done(verb) : tOr(`what.${e.what}`, e.what ?? '');
  return (
    <div className="entry">
      <span className="mono">#{e.seq}</span>
      <time className="mut" dateTime={e.at} title={whole(e.at)}>
        {dayTime(e.at)}
      </time>
      <span className="what">
        <b style={{ fontWeight: 600 }}>{e.actor || e.agency || t('audit.node')}</b> · {tOr(`entry.${e.type}`, e.type)}
        {act && act !== e.type ? ` · ${act}` : ''}
        {e.purpose && <> · “{e.purpose}”</>}
        {e.erased && <span className="mut"> · {t('erased')}</span>}
        {e.record && e.kind && (
          <div>
            {known?.kind.canRead ? <A href={boardPath(e.kind, e.record)}>{known.words.one}</A> : <span>{known?.words.one ?? e.kind}</span>} <span className="mono">{e.record}</span>
            {e.version ? <span className="mut"> v{e.version}</span> : null}
          </div>
        )}
      </span>
      <Button size="compact-xs" variant="default" onClick={prove}>
        {t('proof')}
      </Button>
    </div>
  );
}

function ProofDialog({ entry, close }: { entry: Entry; close: () => void }) {
  const file = `konbit-proof-${entry.seq}.json`;
  const line = `konbit proof check ${file} --key VKEY`;
  return (
    <Modal opened onClose={close} title={`${t('proof')} #${entry.seq}`}>
      <div className="stack">
        <p className="mut">{t('proof.words')}</p>
        <div>
          <Button component="a" href={`/api/v1/audit/entries/${entry.seq}/proof`} download={file}>
            {t('proof.get')}
          </Button>
        </div>
        <p className="mut">{t('proof.offline')}</p>
        <div className="cmdline mono">
          {line}
          <Button size="compact-xs" variant="default" onClick={() => void copy(line)}>
            {t('copy')}
          </Button>
        </div>
      </div>
    </Modal>
  );
}
