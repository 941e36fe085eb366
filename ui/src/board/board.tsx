import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useCallback, useEffect, useMemo, useState } from 'react';
import { may, wordsOf, type Known } from '../api/desks';
import { countQuery } from '../api/records';
import type { Place } from '../api/types';
import { t } from '../i18n';
import { number } from '../i18n/time';
import { Boundary } from '../part/boundary';
import { Icon } from '../part/icon';
import { Waiting } from '../part/notice';
import { A, boardPath, go, useWhere } from '../router';
import './board.css';
import { filterOf, isFiltered, openOnly, withParam } from './filter';
import { Chips, WordSearch } from './filters';
import { Hist } from './hist';
import { useKeys } from './keys';
import { List } from './list';

const MapPane = lazy(() => import('../map/map-pane'));
const Overview = lazy(() => import('../chart/overview'));
const Drawer = lazy(() => import('../record/drawer'));
const Form = lazy(() => import('../form/form'));

export interface Picking {
  place: Place;
  set: (p: Place) => void;
}

// A board is a kind's list, beside what can be seen of it: a map, or charts.
// The address names the record in the drawer ("new" is the form).
export default function Board({ known, id }: { known: Known; id?: string }) {
  const { kind, words } = known;
  const { query: q } = useWhere();
  const [window_, setWindow] = useState('');
  const [wide, setWide] = useState<'list' | 'map'>();
  const [phone, setPhone] = useState<'list' | 'map'>('list');
  const [ids, setIds] = useState<string[]>([]);
  const [at, setAt] = useState<string>();
  const [picking, setPicking] = useState<Picking>();

  const sides = sidesOf(known);
  const [side, setSide] = useState<'map' | 'charts' | 'none'>(sides[0] ?? 'none');
  const areaField = kind.fields.find((f) => f.type === 'pcode' && f.facet)?.path;
  const editing = id === 'new' || q.get('edit') === '1';
  const openId = id === 'new' ? undefined : id;

  const qs = q.toString();
  const filter = useMemo(() => filterOf(kind, new URLSearchParams(qs), window_), [kind, qs, window_]);
  const search = withParam(q, { edit: undefined });
  const { data: count } = useQuery(countQuery(kind.name, filter));
  const set = useCallback((params: Record<string, string | undefined>) => go(boardPath(kind.name, id === 'new' ? undefined : id, withParam(new URLSearchParams(qs), params)), true), [kind.name, id, qs]);
  // What must answer something is begun beside that.
  const create = may(kind, 'create') && (!kind.answers || kind.answers.alone) ? () => go(boardPath(kind.name, 'new', search)) : undefined;
  const show = useCallback((r: string) => go(boardPath(kind.name, r, search)), [kind.name, search]);
  const close = useCallback(() => {
    setAt(openId);
    go(boardPath(kind.name, undefined, search));
  }, [kind.name, search, openId]);

  useEffect(() => {
    if (openId) setAt(openId);
  }, [openId]);
  useEffect(() => {
    if (!editing) setPicking(undefined);
  }, [editing]);

  useKeys({
    active: !editing,
    move: (by) => {
      const i = at ? ids.indexOf(at) : -1;
      const next = ids[Math.max(0, Math.min(ids.length - 1, i + by))];
      if (!next) return;
      setAt(next);
      if (openId) go(boardPath(kind.name, next, search), true);
    },
    open: () => at && show(at),
    close: () => (openId ? close() : setAt(undefined)),
    create: () => create?.(),
    edit: () => openId && go(boardPath(kind.name, openId, withParam(q, { edit: '1' }))),
    map: () => side !== 'none' && setWide(wide === 'map' ? undefined : 'map'),
    list: () => side !== 'none' && setWide(wide === 'list' ? undefined : 'list'),
  });

  return (
    <div className="board" data-wide={editing ? undefined : wide} data-phone={phone} data-side={side} data-form={(editing && side !== 'none') || undefined}>
      <section className="work" aria-label={words.many}>
        {editing ? (
          <Suspense fallback={<Waiting />}>
            <Form known={known} id={openId} done={(r) => go(boardPath(kind.name, r, search), true)} cancel={() => go(boardPath(kind.name, openId, search))} setPicking={setPicking} showMap={() => setPhone('map')} />
          </Suspense>
        ) : (
          <>
            <div className="board-head">
              <h1>{words.many}</h1>
              <span className="n" aria-live="off">
                {count && headCount(known, count.count, count.capped, openOnly(kind, q), count.facets?.state?.[kind.start] ?? 0)}
              </span>
              <span className="end">
                {create && (
                  <Button size="xs" onClick={create}>
                    {t('new')}
                    <kbd>N</kbd>
                  </Button>
                )}
              </span>
            </div>
            <KindTabs known={known} />
            <WordSearch q={q} set={set} placeholder={t('search.in', { what: words.many })} />
            <Chips known={known} q={q} set={set} count={count} />
            {count?.perDay && side !== 'charts' && <Hist known={known} perDay={count.perDay} chosen={q.get('day')} choose={(day) => set({ day, w: undefined })} />}
            <List known={known} filter={filter} filtered={isFiltered(q) || openOnly(kind, q)} search={search} openId={openId} at={at} setIds={setIds} clear={() => go(boardPath(kind.name, openId, '?open=0'))} create={create} />
          </>
        )}
      </section>
      {side !== 'none' && (
        <section className="side" aria-label={side === 'map' ? t('map') : t('charts')}>
          <Boundary key={side}>
            <Suspense fallback={<Waiting />}>
              {side === 'map' || picking ? (
                <MapPane known={known} filter={filter} openId={openId} at={at} show={show} moved={setWindow} picking={picking} back={() => setPhone('list')} />
              ) : (
                <Overview
                  known={known}
                  filter={filter}
                  tabbed={sides.length > 1}
                  area={areaField && (q.get(`f.${areaField}`) ?? undefined)}
                  choose={areaField ? (a) => set({ [`f.${areaField}`]: a }) : undefined}
                />
              )}
            </Suspense>
          </Boundary>
          {sides.length > 1 && !picking && (
            <div className="side-tabs" role="group">
              {sides.map((s) => (
                <button key={s} className="plain" aria-pressed={s === side} onClick={() => setSide(s)}>
                  {s === 'map' ? t('map') : t('charts')}
                </button>
              ))}
            </div>
          )}
        </section>
      )}
      {openId && !editing && (
        <Boundary key={openId} className="drawer">
          <Suspense fallback={null}>
            <Drawer known={known} id={openId} close={close} edit={() => go(boardPath(kind.name, openId, withParam(q, { edit: '1' })))} setPicking={setPicking} />
          </Suspense>
        </Boundary>
      )}
      {side !== 'none' && !openId && !editing && (
        <button className="phone-toggle" onClick={() => setPhone(phone === 'list' ? 'map' : 'list')}>
          <Icon name={phone === 'map' ? 'list' : side === 'map' ? 'map' : 'wave'} />
          {phone === 'map' ? t('list') : side === 'map' ? t('map') : t('charts')}
        </button>
      )}
    </div>
  );
}

// A kind whose records are areas is seen best in charts; one with points, on the map.
function sidesOf({ kind }: Known): ('map' | 'charts')[] {
  const charts = kind.fields.some((f) => f.chart);
  const points = kind.placed && kind.symbol?.shape !== 'area';
  return [...(points ? (['map'] as const) : []), ...(charts ? (['charts'] as const) : []), ...(kind.placed && !points && !charts ? (['map'] as const) : [])];
}

function headCount({ kind, words }: Known, n: number, capped: boolean, open: boolean, first: number): string {
  const all = number(n) + (capped ? '+' : '');
  const parts = [open ? t('open.n', { n: all }) : all];
  if (first > 0 && first < n && kind.states.length > 2) parts.push(`${number(first)} ${words.state(kind.start).toLowerCase()}`);
  return parts.join(' · ');
}

// KindTabs leads to the desk's other kinds.
function KindTabs({ known }: { known: Known }) {
  const kinds = known.desk.kinds.filter((k) => k.canRead);
  if (kinds.length < 2) return null;
  return (
    <nav className="kind-tabs" aria-label={known.words.desk}>
      {kinds.map((k) => (
        <A key={k.name} href={boardPath(k.name)} aria-current={k.name === known.kind.name ? 'page' : undefined}>
          {wordsOf(known.desk, k.name).many}
        </A>
      ))}
    </nav>
  );
}
