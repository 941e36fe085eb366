import { Button, Tabs } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { may, type Known } from '../api/desks';
import { countQuery, inboxQuery, type Filter } from '../api/records';
import { useMe } from '../api/session';
import type { Rec } from '../api/types';
import '../board/board.css';
import { withParam } from '../board/filter';
import { useKeys } from '../board/keys';
import { t } from '../i18n';
import { number } from '../i18n/time';
import { Boundary } from '../part/boundary';
import { isLate } from '../part/due';
import { Icon } from '../part/icon';
import { Failure, Notice, Waiting } from '../part/notice';
import { useNow } from '../part/time';
import { levelOf, titleOf, valueAt } from '../record/body';
import { PurposeBar } from '../record/purpose-bar';
import { A, boardPath, go, useWhere } from '../router';
import './answer.css';
import { InboxRow } from './inbox-row';
import { inboxPath, isOpen } from './model';

const Drawer = lazy(() => import('../record/drawer'));

// Inbox shows what is addressed to the agency, and what it has addressed to
// others: what presses most first. The address names the record in the drawer.
export default function Inbox({ known, id }: { known: Known; id?: string }) {
  const { kind, words } = known;
  const me = useMe();
  const { query: q } = useWhere();
  const tab = q.get('tab') === 'ours' ? 'ours' : 'us';
  const all = q.get('all') === '1';
  const filters: Record<'us' | 'ours', Filter> = {
    us: { others: 'true', [`f.${kind.address!.to}`]: me.hat.agency, open: all ? undefined : 'true' },
    ours: { mine: 'true', open: all ? undefined : 'true' },
  };
  const { data, error, isPending, refetch } = useQuery(inboxQuery(kind.name, filters[tab]));
  const now = useNow();
  const late = (r: Rec) => isOpen(known, r) && isLate(kind.address!.due && valueAt(r.body, kind.address!.due), now);
  const lateIds = (data?.items ?? []).filter(late).map((r) => r.id).join();
  const { rows, held, fresh, heard, admit, box, moved } = useAdmitted(useSorted(known, data?.items, late, lateIds), `${tab} ${all} ${me.hat.agency}`);
  const onlyLate = q.get('late') === '1';
  const lateRows = rows.filter(late);
  const shown = onlyLate ? lateRows : rows;

  const search = withParam(q, {});
  const set = (params: Record<string, string | undefined>) => go(inboxPath(kind.name, id, withParam(q, params)), true);
  const show = useCallback((r: string) => go(inboxPath(kind.name, r, search)), [kind.name, search]);
  const close = useCallback(() => go(inboxPath(kind.name, undefined, search)), [kind.name, search]);
  const create = may(kind, 'create') ? () => go(boardPath(kind.name, 'new')) : undefined;
  const edit = () => id && go(boardPath(kind.name, id, '?edit=1'));

  const [at, setAt] = useState<string>();
  useEffect(() => {
    if (id) setAt(id);
  }, [id]);
  useEffect(() => {
    if (at) document.getElementById(`r-${at}`)?.scrollIntoView({ block: 'nearest' });
  }, [at]);
  useKeys({
    active: true,
    move: (by) => {
      const next = shown[Math.max(0, Math.min(shown.length - 1, shown.findIndex((r) => r.id === at) + by))];
      if (!next) return;
      setAt(next.id);
      if (id) go(inboxPath(kind.name, next.id, search), true);
    },
    open: () => at && show(at),
    close: () => (id ? close() : setAt(undefined)),
    create: () => create?.(),
    edit: () => void edit(),
    map: () => undefined,
    list: () => undefined,
  });

  return (
    <div className="board inbox" data-side="none" data-open={!!id || undefined}>
      <section className="work" aria-label={t('answer.inbox')}>
        <div className="board-head">
          <h1>{t('answer.inbox')}</h1>
          <A className="n" href={boardPath(kind.name)}>
            {t('answer.all')}
          </A>
          <span className="end">
            {create && (
              <Button size="xs" onClick={create}>
                {t('new')}
                <kbd>N</kbd>
              </Button>
            )}
          </span>
        </div>
        <Tabs value={tab} onChange={(v) => go(inboxPath(kind.name, undefined, withParam(q, { tab: v === 'ours' ? 'ours' : undefined, late: undefined })), true)}>
          <Tabs.List>
            {(['us', 'ours'] as const).map((v) => (
              <Tabs.Tab key={v} value={v}>
                {t(`answer.${v}`)} <Open kind={kind.name} filter={{ ...filters[v], open: 'true' }} />
              </Tabs.Tab>
            ))}
          </Tabs.List>
        </Tabs>
        <div className="chips inbox-chips">
          <button className="chip" aria-pressed={onlyLate} onClick={() => set({ late: onlyLate ? undefined : '1' })}>
            <Icon name="flag" />
            {t('answer.overdue')} {lateRows.length > 0 && number(lateRows.length)}
          </button>
          <button className="chip" aria-pressed={all} onClick={() => set({ all: all ? undefined : '1' })}>
            {t('answer.closed')}
          </button>
        </div>
        <div className="sr" aria-live="polite">
          {heard && t('heard', { what: titleOf(known, heard) })}
        </div>
        {held > 0 && (
          <div style={{ position: 'relative', zIndex: 6 }}>
            <button className="pill-new" onClick={admit}>
              {t('new.n', { n: held })}
            </button>
          </div>
        )}
        {data?.purposeNeeded && <PurposeBar />}
        <div className="rows" ref={box} onPointerMove={moved}>
          {shown.length > 0 && (
            <div className="options" role="listbox" tabIndex={0} aria-label={words.many} aria-activedescendant={at ? `r-${at}` : undefined}>
              {shown.map((r) => (
                <InboxRow key={r.id} known={known} record={r} ours={tab === 'ours'} href={inboxPath(kind.name, r.id, search)} at={r.id === at} open={r.id === id} fresh={fresh.has(r.id)} />
              ))}
            </div>
          )}
          {isPending ? (
            <Waiting lines={6} />
          ) : error && !data ? (
            <Failure error={error} again={() => void refetch()} />
          ) : (
            shown.length === 0 && <Empty tab={tab} filtered={onlyLate} clear={() => set({ late: undefined })} create={create} />
          )}
        </div>
      </section>
      {id && (
        <Boundary key={id} className="drawer">
          <Suspense fallback={null}>
            <Drawer known={known} id={id} close={close} edit={() => void edit()} />
          </Suspense>
        </Boundary>
      )}
    </div>
  );
}

function Open({ kind, filter }: { kind: string; filter: Filter }) {
  const { data } = useQuery(countQuery(kind, filter));
  return data?.count ? <b className="inbox-n">{number(data.count)}</b> : null;
}

function Empty({ tab, filtered, clear, create }: { tab: 'us' | 'ours'; filtered: boolean; clear: () => void; create?: () => void }) {
  if (filtered)
    return (
      <Notice
        icon="check"
        title={t('answer.late.none')}
        action={
          <Button size="xs" variant="default" onClick={clear}>
            {t('filters.clear')}
          </Button>
        }
      />
    );
  return (
    <Notice
      icon={tab === 'us' ? 'check' : 'list'}
      title={t(`answer.${tab}.none`)}
      action={
        tab === 'ours' &&
        create && (
          <Button size="xs" onClick={create}>
            {t('new')}
          </Button>
        )
      }
    >
      {t(`answer.${tab}.next`)}
    </Notice>
  );
}

// useSorted puts open ones before settled ones, and what presses most first: what
// is late, then by rank, then what is due first, then the newest.
function useSorted(known: Known, items: Rec[] | undefined, late: (r: Rec) => boolean, lateIds: string): Rec[] | undefined {
  return useMemo(() => {
    const { due, rank } = known.kind.address!;
    const field = known.kind.fields.find((f) => f.path === rank);
    const key = (r: Rec): (number | string)[] => [isOpen(known, r) ? 0 : 1, late(r) ? 0 : 1, -levelOf(field, rank && valueAt(r.body, rank)), String((due && valueAt(r.body, due)) || '~')];
    return items
      ?.map((r) => ({ r, k: key(r) }))
      .sort((a, b) => {
        for (let i = 0; i < a.k.length; i++) if (a.k[i]! !== b.k[i]!) return a.k[i]! < b.k[i]! ? -1 : 1;
        return a.r.created < b.r.created ? 1 : -1;
      })
      .map((x) => x.r);
    // Time alone changes the order only when something becomes late.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [known, items, lateIds]);
}

// useAdmitted lets new rows in at once while nobody is about to click, else when
// they are asked for: what is being read does not move.
function useAdmitted(sorted: Rec[] | undefined, view: string) {
  const [known, setKnown] = useState<{ view: string; ids: ReadonlySet<string>; first: boolean }>();
  const [fresh, setFresh] = useState<ReadonlySet<string>>(new Set());
  const [heard, setHeard] = useState<Rec>();
  const box = useRef<HTMLDivElement>(null);
  const touched = useRef(0);
  const mine = known?.view === view ? known.ids : undefined;
  const waits = mine && sorted ? sorted.filter((r) => !mine.has(r.id)) : [];
  const ids = waits.map((r) => r.id).join();

  const admit = useCallback(() => {
    if (!sorted) return;
    const added = sorted.filter((r) => mine && !mine.has(r.id)).map((r) => r.id);
    setKnown({ view, ids: new Set([...(mine ?? []), ...sorted.map((r) => r.id)]), first: false });
    setFresh((f) => new Set([...f, ...added]));
  }, [sorted, mine, view]);

  useEffect(() => {
    if (sorted && !mine) admit();
    if (!ids) return;
    setHeard(waits[0]);
    if ((box.current?.scrollTop ?? 0) <= 8 && Date.now() - touched.current > 4000) admit();
    // Once for each set of new rows.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [ids, !!sorted, !!mine]);

  return { rows: mine && sorted ? sorted.filter((r) => mine.has(r.id)) : [], held: waits.length, fresh, heard, admit, box, moved: () => (touched.current = Date.now()) };
}
