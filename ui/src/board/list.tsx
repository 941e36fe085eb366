import { Button } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useCallback, useEffect, useMemo, useRef, type ReactNode } from 'react';
import type { Known } from '../api/desks';
import type { Match } from '../api/types';
import { useOutbox } from '../api/outbox';
import { listQuery, namesQuery, type Filter } from '../api/records';
import { useMe } from '../api/session';
import { t, tOr } from '../i18n';
import { loadBase } from '../map/base';
import { Failure, Notice, Waiting } from '../part/notice';
import { titleOf } from '../record/body';
import { PurposeBar } from '../record/purpose-bar';
import { boardPath } from '../router';
import { useArrivals } from './arrivals';
import { Row, WaitingRow } from './row';

interface Props {
  known: Known;
  filter: Filter;
  filtered: boolean;
  search: string;
  openId?: string;
  at?: string;
  setIds: (ids: string[]) => void;
  clear: () => void;
  create?: () => void;
}

export function List({ known, filter, filtered, search, openId, at, setIds, clear, create }: Props) {
  const me = useMe();
  const kind = known.kind.name;
  const { data, error, isPending, isPlaceholderData, hasNextPage, fetchNextPage, isFetchingNextPage, refetch } = useInfiniteQuery(listQuery(kind, filter));
  const items = useMemo(() => data?.pages.flatMap((p) => p.items) ?? [], [data]);
  const box = useRef<HTMLDivElement>(null);
  const moved = useRef(0);
  const holding = useCallback(() => (box.current?.scrollTop ?? 0) > 8 || Date.now() - moved.current < 4000, []);
  const { held, fresh, heard, release } = useArrivals(kind, filter, items, holding);
  const waiting = useOutbox().filter((i) => i.kind === kind && i.method === 'POST' && i.id === i.key && i.person === me.person.id);

  const areas = known.kind.placed || known.kind.fields.some((f) => f.type === 'pcode');
  const named = useQuery({ queryKey: ['base'], queryFn: loadBase, staleTime: Infinity, enabled: areas }).isSuccess;

  useEffect(() => setIds(items.map((i) => i.id)), [items, setIds]);

  const end = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!end.current || !hasNextPage) return;
    const watch = new IntersectionObserver((e) => e[0]?.isIntersecting && !isFetchingNextPage && void fetchNextPage(), { root: box.current, rootMargin: '600px' });
    watch.observe(end.current);
    return () => watch.disconnect();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage, items.length]);

  useEffect(() => {
    if (at) document.getElementById(`r-${at}`)?.scrollIntoView({ block: 'nearest' });
  }, [at]);

  const newest = heard && items.concat(held).find((r) => r.id === heard);
  return (
    <>
      <div className="sr" aria-live="polite">
        {newest && t('heard', { what: titleOf(known, newest) })}
      </div>
      {held.length > 0 && (
        <div style={{ position: 'relative', zIndex: 6 }}>
          <button
            className="pill-new"
            onClick={() => {
              release();
              box.current?.scrollTo({ top: 0, behavior: 'smooth' });
            }}
          >
            {t('new.n', { n: held.length })} ↑
          </button>
        </div>
      )}
      {data?.pages[0]?.purposeNeeded && <PurposeBar />}
      <div className="rows" ref={box} aria-busy={isPlaceholderData} style={{ opacity: isPlaceholderData ? 0.6 : 1 }} onPointerMove={() => (moved.current = Date.now())}>
        {(items.length > 0 || waiting.length > 0) && (
          <div className="options" role="listbox" tabIndex={0} aria-label={known.words.many} aria-activedescendant={at ? `r-${at}` : undefined}>
            {waiting.map((i) => (
              <WaitingRow key={i.key} known={known} item={i} />
            ))}
            {items.map((r) => (
              <Row key={r.id} known={known} record={r} href={boardPath(kind, r.id, search)} at={r.id === at} open={r.id === openId} fresh={fresh.has(r.id)} named={named} />
            ))}
          </div>
        )}
        {isPending ? (
          <Waiting lines={8} />
        ) : error && !items.length ? (
          <Failure error={error} again={() => void refetch()} />
        ) : (
          items.length === 0 &&
          !waiting.length && (
            <Alike known={known} filter={filter} search={search} openId={openId} at={at}>
              <Empty known={known} filtered={filtered} clear={clear} create={create} />
            </Alike>
          )
        )}
        {items.length > 0 && (
          <div className="more" ref={end}>
            {hasNextPage ? (
              isFetchingNextPage ? t('loading') : <Button variant="subtle" size="compact-xs" onClick={() => void fetchNextPage()}>{t('more')}</Button>
            ) : (
              t('list.end')
            )}
          </div>
        )}
      </div>
    </>
  );
}

// Alike shows whose names are like what was searched for in vain, and what is alike.
function Alike({ known, filter, search, openId, at, children }: Pick<Props, 'known' | 'filter' | 'search' | 'openId' | 'at'> & { children: ReactNode }) {
  const kind = known.kind.name;
  const asked = !!filter.q && known.kind.fields.some((f) => f.names);
  const { data, isPending } = useQuery({ ...namesQuery(kind, filter), enabled: asked });
  if (!asked || (data && !data.items.length)) return children;
  if (isPending || !data) return <Waiting lines={3} />;
  const why = new Map(data.matches?.map((m) => [m.id, m]));
  return (
    <>
      <div className="alike">{t('alike')}</div>
      <div className="options" role="listbox" tabIndex={0} aria-label={t('alike')}>
        {data.items.map((r) => (
          <Row key={r.id} known={known} record={r} href={boardPath(kind, r.id, search)} at={r.id === at} open={r.id === openId} fresh={false} named alike={likeness(why.get(r.id), titleOf(known, r))} />
        ))}
      </div>
    </>
  );
}

// likeness says what is alike, and of which name, when it is not the one in the title.
const likeness = (m: Match | undefined, title: string) => m && (m.name === title ? '' : `${m.name}: `) + m.why.map((w) => tOr(`alike.${w}`, w)).join(', ');

function Empty({ known, filtered, clear, create }: { known: Known; filtered: boolean; clear: () => void; create?: () => void }) {
  if (filtered)
    return (
      <Notice
        icon="search"
        title={t('empty.filtered')}
        action={
          <Button size="xs" variant="default" onClick={clear}>
            {t('filters.clear')}
          </Button>
        }
      >
        {t('empty.filtered.next')}
      </Notice>
    );
  return (
    <Notice icon="list" title={t('empty', { what: known.words.many })} action={create && <Button size="xs" onClick={create}>{t('new.kind', { what: known.words.one })}</Button>}>
      {t('empty.next')}
    </Notice>
  );
}
