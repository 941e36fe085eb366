import { FocusTrap } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useMemo, useState, type ReactNode } from 'react';
import { inboxPath } from '../answer/model';
import { firstKind, may, useDesks, wordsOf } from '../api/desks';
import { searchQuery } from '../api/records';
import { holds, useMe, useSessionActs } from '../api/session';
import { lang, langNames, langs, t } from '../i18n';
import { loadBase, type Town } from '../map/base';
import { flyTo } from '../map/fly';
import { Icon, Path } from '../part/icon';
import { TlpChip } from '../part/marking';
import { said } from '../part/notice';
import { Ago } from '../part/time';
import { toast } from '../part/toast';
import { boardPath, go, useWhere } from '../router';
import './palette.css';
import { useChoose } from './top-bar';

interface Item {
  key: string;
  group: string;
  label: string;
  icon: ReactNode;
  end?: ReactNode;
  run: () => void;
}

// fold makes words comparable whatever accents were typed.
const fold = (s: string) =>
  s
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .toLowerCase();

export default function Palette({ close, keys }: { close: () => void; keys: () => void }) {
  const [typed, setTyped] = useState('');
  const [words, setWords] = useState('');
  const [at, setAt] = useState(0);
  useEffect(() => {
    const timer = window.setTimeout(() => setWords(typed.trim()), 180);
    return () => window.clearTimeout(timer);
  }, [typed]);
  useEffect(() => setAt(0), [typed]);

  const records = useRecords(words);
  const towns = useTowns(typed);
  const commands = useCommands(typed, keys);
  const items = typed.trim().length > 1 ? [...records, ...towns, ...commands] : commands;
  const chosen = items[Math.min(at, items.length - 1)];
  useEffect(() => {
    document.getElementById(`pal-${chosen?.key}`)?.scrollIntoView({ block: 'nearest' });
  }, [chosen?.key]);

  const take = (i: Item | undefined) => {
    if (!i) return;
    close();
    i.run();
  };

  return (
    <div className="palette" role="presentation" onMouseDown={(e) => e.target === e.currentTarget && close()}>
      <FocusTrap active>
        <div className="palette-box" role="dialog" aria-modal="true" aria-label={t('keys.search')}>
          <div className="palette-in">
            <Icon name="search" />
            <input
              autoFocus
              data-autofocus
              role="combobox"
              aria-expanded="true"
              aria-controls="pal-list"
              aria-activedescendant={chosen && `pal-${chosen.key}`}
              aria-label={t('search.hint')}
              placeholder={t('search.hint')}
              value={typed}
              onChange={(e) => setTyped(e.currentTarget.value)}
              onKeyDown={(e) => {
                if (e.key === 'Escape') close();
                else if (e.key === 'Enter') take(chosen);
                else if (e.key === 'ArrowDown') setAt(Math.min(items.length - 1, at + 1));
                else if (e.key === 'ArrowUp') setAt(Math.max(0, at - 1));
                else return;
                e.preventDefault();
              }}
            />
            <kbd>Esc</kbd>
          </div>
          <div className="palette-list" id="pal-list" role="listbox">
            {items.map((i, n) => (
              <div key={i.key} role="presentation">
                {i.group !== items[n - 1]?.group && <h3 className="eyebrow">{i.group}</h3>}
                <button id={`pal-${i.key}`} className="plain palette-item" role="option" tabIndex={-1} aria-selected={i === chosen} onMouseMove={() => n !== at && setAt(n)} onClick={() => take(i)}>
                  {i.icon}
                  <span className="grow">{i.label}</span>
                  {i.end}
                </button>
              </div>
            ))}
            {!items.length && <p className="mut" style={{ padding: 14 }}>{t('nothing')}</p>}
          </div>
        </div>
      </FocusTrap>
    </div>
  );
}

function useRecords(words: string): Item[] {
  const { of } = useDesks();
  const { data } = useQuery(searchQuery(words));
  if (words.length < 2) return [];
  return (data?.items ?? []).flatMap((f): Item[] => {
    const known = of(f.kind);
    if (!known) return [];
    return [
      {
        key: f.id,
        group: known.words.many,
        label: f.title,
        icon: <Path d={known.desk.icon} />,
        end: (
          <>
            <span className="mut" style={{ fontSize: 12, whiteSpace: 'nowrap' }}>
              {known.words.state(f.state)} · {f.owner} · <Ago iso={f.observed} />
            </span>
            <TlpChip tlp={f.tlp} />
          </>
        ),
        run: () => go(boardPath(f.kind, f.id)),
      },
    ];
  });
}

function useTowns(typed: string): Item[] {
  const { parts } = useWhere();
  const { readable, of } = useDesks();
  const { data } = useQuery({ queryKey: ['base'], queryFn: loadBase, staleTime: Infinity, enabled: typed.trim().length > 1 });
  const w = fold(typed.trim());
  if (w.length < 2 || !data) return [];
  const onMap = (k: ReturnType<typeof of>) => k?.kind.placed && k.kind.symbol?.shape !== 'area';
  const name = (x: Town) => (lang() === 'ht' && x.ht) || x.name;
  return data.towns
    .filter((x) => fold(x.name).startsWith(w) || (x.ht && fold(x.ht).startsWith(w)))
    .slice(0, 6)
    .map((x) => ({
      key: `town-${x.name}-${x.lon}`,
      group: t('places'),
      label: `${name(x)}, ${x.country}`,
      icon: <Icon name="pin" />,
      run: () => {
        // A desk without a map cannot show a place: go to the first that can.
        const to = onMap(of(parts[1] ?? '')) ? undefined : readable.find(onMap);
        if (to) go(boardPath(to.kind.name));
        flyTo({ lon: x.lon, lat: x.lat, zoom: 11 });
      },
    }));
}

function useCommands(typed: string, keys: () => void): Item[] {
  const me = useMe();
  const acts = useSessionActs();
  const { desks, readable } = useDesks();
  const choose = useChoose();
  const all = useMemo(() => {
    const list: Omit<Item, 'key'>[] = [];
    const add = (group: string, label: string, icon: ReactNode, run: () => void) => list.push({ group, label, icon, run });
    for (const k of readable) if (may(k.kind, 'create') && (!k.kind.answers || k.kind.answers.alone)) add(t('commands'), t('new.kind', { what: k.words.one }), <Icon name="plus" />, () => go(boardPath(k.kind.name, 'new')));
    if (holds(me, 'operator') || holds(me, 'supervisor')) add(t('commands'), t('ask.title'), <Icon name="ask" />, () => go('/ask'));
    if (holds(me, 'administrator')) {
      add(t('commands'), t('peers.invite'), <Icon name="peers" />, () => go('/peers?tab=join'));
      add(t('commands'), t('peers.stick.take'), <Icon name="stick" />, () => go('/peers?tab=stick'));
    }
    for (const d of desks) {
      const k = firstKind(d);
      if (k) add(t('goTo'), k.address ? t('answer.inbox') : wordsOf(d, k.name).desk, <Path d={d.icon} />, () => go(k.address ? inboxPath(k.name) : boardPath(k.name)));
    }
    if (holds(me, 'auditor')) add(t('goTo'), t('audit'), <Icon name="audit" />, () => go('/audit'));
    if (holds(me, 'administrator')) add(t('goTo'), t('people'), <Icon name="people" />, () => go('/people'));
    add(t('goTo'), t('peers'), <Icon name="peers" />, () => go('/peers'));
    if (holds(me, 'administrator')) add(t('goTo'), t('peers.region'), <Icon name="peers" />, () => go('/peers?tab=region'));
    if (holds(me, 'operator') || holds(me, 'supervisor')) add(t('goTo'), t('import'), <Icon name="import" />, () => go('/import'));
    add(t('goTo'), t('settings'), <Icon name="settings" />, () => go('/settings'));
    for (const h of me.hats) if (h.agency !== me.hat.agency) add(t('hat'), `${t('hat')}: ${h.name}`, <Icon name="hat" />, () => void acts.change({ hat: h.agency }).catch((e) => toast(said(e))));
    for (const l of langs) if (l !== lang()) add(t('language'), langNames[l], <Icon name="globe" />, () => choose.language(l));
    for (const v of ['light', 'dark', 'auto'] as const) add(t('theme'), `${t('theme')}: ${t(`theme.${v}`)}`, <Icon name={v === 'dark' ? 'moon' : 'sun'} />, () => choose.theme(v));
    add(t('commands'), t('keys'), <Icon name="keyboard" />, keys);
    add(t('commands'), t('signOut'), <Icon name="out" />, () => void acts.signOut().catch((e) => toast(said(e))));
    return list.map((i, n) => ({ ...i, key: `c${n}` }));
  }, [me, acts, desks, readable, choose, keys]);
  const w = fold(typed.trim());
  return w ? all.filter((i) => fold(i.label).includes(w)) : all.slice(0, 16);
}
