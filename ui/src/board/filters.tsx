import { Popover } from '@mantine/core';
import { useEffect, useState } from 'react';
import { fieldOf, type Known } from '../api/desks';
import type { Count } from '../api/types';
import { t } from '../i18n';
import { number } from '../i18n/time';
import { areaName } from '../map/area';
import { Icon } from '../part/icon';
import { openOnly, spans, toggled, type Span } from './filter';

interface Props {
  known: Known;
  q: URLSearchParams;
  set: (params: Record<string, string | undefined>) => void;
  count?: Count;
}

export function Chips({ known, q, set, count }: Props) {
  const { kind, words } = known;
  const by = fieldOf(kind, kind.symbol?.by);
  const span = q.get('w');
  const min = q.get('min');
  const own = q.get('own');
  const levels = by?.enum?.slice(1) ?? [];
  return (
    <div className="chips" role="group" aria-label={t('filters')}>
      {!!kind.open?.length && (
        <Chip on={openOnly(kind, q)} flip={() => set({ open: openOnly(kind, q) ? '0' : undefined, state: undefined })}>
          {t('filter.open')}
        </Chip>
      )}
      {(Object.keys(spans) as Span[]).map((s) => (
        <Chip key={s} on={span === s} flip={() => set({ w: span === s ? undefined : s, day: undefined })}>
          {t(`filter.${s}`)}
        </Chip>
      ))}
      {by && levels.length > 0 && levels.length < 6 && (
        <Pick
          label={min ? `${words.field(by.path)} ≥ ${words.value(by.path, min)}` : `${words.field(by.path)} ≥`}
          on={!!min}
          options={levels.map((v) => ({ key: v, label: words.value(by.path, v), on: v === min, n: undefined }))}
          flip={(v) => set({ min: v === min ? undefined : v, [`f.${by.path}`]: undefined })}
        />
      )}
      {kind.placed && kind.symbol?.shape !== 'area' && (
        <Chip on={!!q.get('map')} flip={() => set({ map: q.get('map') ? undefined : '1' })}>
          {t('filter.map')}
        </Chip>
      )}
      <Chip on={own === 'mine'} flip={() => set({ own: own === 'mine' ? undefined : 'mine' })}>
        {t('filter.mine')}
      </Chip>
      <Chip on={own === 'others'} flip={() => set({ own: own === 'others' ? undefined : 'others' })}>
        {t('filter.others')}
      </Chip>
      <More known={known} q={q} set={set} count={count} />
    </div>
  );
}

function Chip({ on, flip, children }: { on: boolean; flip: () => void; children: React.ReactNode }) {
  return (
    <button className="chip" aria-pressed={on} onClick={flip}>
      {children}
    </button>
  );
}

interface Option {
  key: string;
  label: string;
  on: boolean;
  n?: number;
}

function Pick({ label, on, options, flip }: { label: string; on: boolean; options: Option[]; flip: (v: string) => void }) {
  const [open, setOpen] = useState(false);
  return (
    <Popover opened={open} onChange={setOpen} position="bottom-start" shadow="md" trapFocus>
      <Popover.Target>
        <button className={`chip${on ? ' on' : ''}`} aria-haspopup="true" aria-expanded={open} onClick={() => setOpen(!open)}>
          {label}
          <Icon name="down" />
        </button>
      </Popover.Target>
      <Popover.Dropdown p={6}>
        <div className="facets">
          {options.map((o) => (
            <Tick
              key={o.key}
              option={o}
              role="menuitemradio"
              flip={() => {
                flip(o.key);
                setOpen(false);
              }}
            />
          ))}
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}

function Tick({ option: o, flip, role = 'menuitemcheckbox' }: { option: Option; flip: () => void; role?: 'menuitemcheckbox' | 'menuitemradio' }) {
  return (
    <button className="plain facet" role={role} aria-checked={o.on} onClick={flip}>
      <i>{o.on && <Icon name="check" />}</i>
      {o.label}
      {o.n !== undefined && <span className="num">{number(o.n)}</span>}
    </button>
  );
}

// More holds every facet with its counts; what is chosen there is shown as chips.
function More({ known, q, set, count }: Props) {
  const [open, setOpen] = useState(false);
  const facets = facetsOf(known, count, q);
  const flag = q.get('flag');
  const flags = [...(known.kind.flags ?? []), ...(known.kind.placed ? ['outside-region'] : [])];
  const flip = (f: { param: string }, v: string) => set({ [f.param]: toggled(q.get(f.param), v) || undefined });
  return (
    <>
      {facets.flatMap((f) =>
        f.options
          .filter((o) => o.on)
          .map((o) => (
            <Chip key={f.param + o.key} on flip={() => flip(f, o.key)}>
              {o.label}
              <Icon name="close" />
            </Chip>
          )),
      )}
      {flag && (
        <Chip on flip={() => set({ flag: undefined })}>
          {known.words.flag(flag)}
          <Icon name="close" />
        </Chip>
      )}
      <Popover opened={open} onChange={setOpen} position="bottom-end" shadow="md" trapFocus>
        <Popover.Target>
          <button className="chip" aria-haspopup="true" aria-expanded={open} aria-label={t('filters')} onClick={() => setOpen(!open)}>
            <Icon name="plus" />
          </button>
        </Popover.Target>
        <Popover.Dropdown p={6}>
          <div className="facets">
            {facets.map((f) => (
              <div key={f.param} role="group" aria-label={f.label}>
                <div className="eyebrow facet-name">{f.label}</div>
                {f.options.map((o) => (
                  <Tick key={o.key} option={o} flip={() => flip(f, o.key)} />
                ))}
              </div>
            ))}
            {flags.length > 0 && (
              <div role="group" aria-label={t('flags')}>
                <div className="eyebrow facet-name">{t('flags')}</div>
                {flags.map((f) => (
                  <Tick key={f} option={{ key: f, label: known.words.flag(f), on: flag === f, n: count?.facets?.flag?.[f] ?? 0 }} flip={() => set({ flag: flag === f ? undefined : f })} />
                ))}
              </div>
            )}
          </div>
        </Popover.Dropdown>
      </Popover>
    </>
  );
}

function facetsOf({ kind, words }: Known, count: Count | undefined, q: URLSearchParams) {
  const source: [string, string, (v: string) => string][] = [
    ['state', t('state'), words.state],
    ['owner', t('owner'), (v) => v],
    ...kind.fields
      .filter((f) => f.facet && f.path !== kind.symbol?.by)
      .map((f): [string, string, (v: string) => string] => [
        `f.${f.path}`,
        words.field(f.path),
        f.type === 'flag' ? (v) => (v === 'true' ? t('yes') : t('no')) : f.type === 'pcode' ? areaName : f.enum ? (v) => words.value(f.path, v) : (v) => v,
      ]),
  ];
  return source.flatMap(([param, label, word]) => {
    const chosen = q.get(param)?.split(',') ?? [];
    const counts = count?.facets?.[param.replace(/^f\./, '')] ?? {};
    const values = [...new Set([...Object.keys(counts), ...chosen])].sort((a, b) => (counts[b] ?? 0) - (counts[a] ?? 0));
    if (values.length < 2 && !chosen.length) return [];
    return [{ param, label, options: values.slice(0, 40).map((v) => ({ key: v, label: word(v), on: chosen.includes(v), n: counts[v] ?? 0 })) }];
  });
}

// WordSearch waits until the typing pauses.
export function WordSearch({ q, set, placeholder }: { q: URLSearchParams; set: Props['set']; placeholder: string }) {
  const given = q.get('q') ?? '';
  const [typed, setTyped] = useState(given);
  useEffect(() => setTyped(given), [given]);
  useEffect(() => {
    if (typed === given) return;
    const timer = window.setTimeout(() => set({ q: typed || undefined }), 280);
    return () => window.clearTimeout(timer);
  }, [typed, given, set]);
  return (
    <div className="words">
      <Icon name="search" />
      <input type="search" aria-label={placeholder} placeholder={placeholder} value={typed} onChange={(e) => setTyped(e.currentTarget.value)} />
      {typed && (
        <button className="plain" aria-label={t('clear')} onClick={() => setTyped('')}>
          <Icon name="close" />
        </button>
      )}
    </div>
  );
}
