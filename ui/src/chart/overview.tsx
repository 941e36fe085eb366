import { Select } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { fieldOf, type Known } from '../api/desks';
import { allQuery, type Filter } from '../api/records';
import type { Field } from '../api/types';
import { t, tOr } from '../i18n';
import { compact, day, number } from '../i18n/time';
import { areaName } from '../map/area';
import { loadBase } from '../map/base';
import { Failure, Notice, Waiting } from '../part/notice';
import { levelOf, show, valueAt } from '../record/body';
import { AreaMap } from './area-map';
import './chart.css';
import { headline, seriesOf, shapeOf, type Series } from './series';
import { Spark } from './spark';

interface Props {
  known: Known;
  filter: Filter;
  area?: string;
  choose?: (area: string | undefined) => void;
  tabbed?: boolean;
}

const halfYear = 26 * 7 * 86_400_000;
const today = () => Math.floor(Date.now() / 86_400_000) * 86_400_000;

// Overview is for those who would rather look than read: every charted number
// over time, by area, and the areas coloured by what the kind says fills them.
export default function Overview({ known, filter, area, choose, tabbed }: Props) {
  const { kind, words } = known;
  const shape = useMemo(() => shapeOf(kind), [kind]);
  // What has been replaced is still part of the story over time.
  const asked: Filter = { ...filter, open: undefined, bbox: undefined, from: filter.from ?? new Date(today() - halfYear).toISOString() };
  if (shape.area) delete asked[`f.${shape.area.path}`];
  const { data, error, refetch } = useQuery(allQuery(kind.name, asked));
  const { data: base } = useQuery({ queryKey: ['base'], queryFn: loadBase, staleTime: Infinity });
  const [measure, setMeasure] = useState(shape.charts[0]?.path ?? '');
  const series = useMemo(() => (data?.length ? seriesOf(kind, shape, data) : undefined), [data, kind, shape]);

  if (error && !data) return <Failure error={error} again={() => void refetch()} />;
  if (!data) return <Waiting lines={8} />;
  if (!series)
    return (
      <div className={`overview${tabbed ? ' tabbed' : ''}`}>
        <Notice icon="wave" title={t('charts.empty')}>
          {t('empty.filtered.next')}
        </Notice>
      </div>
    );
  const field = fieldOf(kind, measure);
  return (
    <div className={`overview${tabbed ? ' tabbed' : ''}`}>
      <div className="measures">
        {shape.charts.map((f) => (
          <Measure key={f.path} known={known} field={f} series={series} area={area} on={f.path === measure} choose={() => setMeasure(f.path)} />
        ))}
      </div>
      <div className="two">
        {base && series.areas.length > 0 && <Fills known={known} fills={shape.fills} series={series} base={base} area={area} choose={choose} />}
        {field && series.areas.length > 1 && (
          <section className="card">
            <h2>{t('charts.byArea', { what: words.field(measure) })}</h2>
            <Multiples series={series} path={measure} area={area} choose={choose} />
          </section>
        )}
      </div>
      <p className="mut" style={{ fontSize: 12 }}>
        {t('charts.span', { n: number(data.length), from: day(new Date(series.times[0]!).toISOString()), to: day(new Date(series.times.at(-1)!).toISOString()) })}
      </p>
    </div>
  );
}

function Measure({ known, field, series, area, on, choose }: { known: Known; field: Field; series: Series; area?: string; on: boolean; choose: () => void }) {
  const values = series.of(field.path, area);
  const known_ = values.filter((v) => v !== undefined);
  const last = headline(series, values);
  const before = known_.at(-2);
  const name = known.words.field(field.path);
  const change = series.reports && last !== undefined && before !== undefined ? last - before : undefined;
  return (
    <button className="measure" aria-pressed={on} onClick={choose}>
      <span className="mut">
        {name}
        {area ? ` · ${areaName(area)}` : ''}
      </span>
      <b title={last === undefined ? undefined : number(last)}>{last === undefined ? '–' : compact(last)}</b>
      <span className="delta">
        {change === undefined ? tOr(`unit.${field.chart}`, '') : `${change > 0 ? '▲ +' : change < 0 ? '▼ −' : '= '}${compact(Math.abs(change))} ${t('charts.before')}`}
      </span>
      <Spark times={series.times} values={values} label={`${name}: ${known_.map((v) => number(v)).join(', ')}`} />
    </button>
  );
}

function Multiples({ series, path, area, choose }: { series: Series; path: string; area?: string; choose?: Props['choose'] }) {
  const sum = (v: (number | undefined)[]) => v.reduce<number>((n, x) => n + (x ?? 0), 0);
  const all = series.areas.map((a) => ({ a, values: series.of(path, a) })).filter((m) => series.reports || sum(m.values) > 0);
  // One scale for all, so that they can be compared.
  const max = Math.max(1, ...all.flatMap((m) => m.values.map((v) => v ?? 0)));
  return (
    <div className="multiples">
      {all
        .sort((x, y) => sum(y.values) - sum(x.values))
        .map(({ a, values }) => (
          <button key={a} className="plain multiple" aria-pressed={a === area} onClick={() => choose?.(a === area ? undefined : a)}>
            <span className="line">
              <span>{areaName(a)}</span>
              <b>{compact(headline(series, values) ?? 0)}</b>
            </span>
            <Spark times={series.times} values={values} max={max} height={34} label={`${areaName(a)}: ${values.map((v) => (v === undefined ? '–' : number(v))).join(', ')}`} />
          </button>
        ))}
    </div>
  );
}

const ranks = ['var(--line)', 'var(--ok)', 'var(--l2)', 'var(--l3)', 'var(--l4)', 'var(--l5)'];
const amounts = ['var(--line)', 'var(--fill0)', 'var(--fill1)', 'var(--fill2)', 'var(--fill3)', 'var(--fill4)'];

function Fills({ known, fills, series, base, area, choose }: { known: Known; fills: Field[]; series: Series; base: Parameters<typeof AreaMap>[0]['base']; area?: string; choose?: Props['choose'] }) {
  const { kind, words } = known;
  const start = fills.find((f) => f.path === kind.symbol?.by) ?? fills[0];
  const [path, setPath] = useState(start?.path ?? '');
  const field = fieldOf(kind, path);
  if (!field) return null;
  const total = new Map(series.areas.map((a) => [a, headline(series, series.of(path, a))]));
  const cuts = quarters([...total.values()].filter((v) => v !== undefined && v > 0) as number[]);
  const value = (a: string) => (field.enum ? valueAt(series.latest.get(a)?.body, path) : total.get(a));
  const level = (a: string) => {
    const v = value(a);
    if (v === undefined || v === '') return 0;
    return field.enum ? levelOf(field, v) : v === 0 ? 1 : 2 + cuts.filter((c) => Number(v) > c).length;
  };
  const palette = field.enum ? ranks : amounts;
  return (
    <section className="card">
      <div className="card-head">
        <h2>{t(series.reports ? 'charts.map' : 'charts.sum')}</h2>
        <Select size="xs" aria-label={t('charts.colour')} allowDeselect={false} data={fills.map((f) => ({ value: f.path, label: words.field(f.path) }))} value={path} onChange={(v) => v && setPath(v)} w={180} />
      </div>
      <AreaMap
        base={base}
        areas={series.areas}
        colour={(a) => palette[level(a)]}
        words={(a) => `${areaName(a)}: ${show(field, value(a), words) || t('charts.unknown')}`}
        chosen={area}
        choose={(a) => choose?.(a === area ? undefined : a)}
      />
      <div className="scale">
        {field.enum
          ? field.enum.map((v) => (
              <span key={v}>
                <i style={{ background: ranks[levelOf(field, v)] }} />
                {words.value(path, v)}
              </span>
            ))
          : bands(cuts).map((word, i) => (
              <span key={word}>
                <i style={{ background: amounts[i + 1] }} />
                {word}
              </span>
            ))}
        <span>
          <i style={{ background: 'var(--line)' }} />
          {t('charts.unknown')}
        </span>
      </div>
    </section>
  );
}

// quarters are the bounds between up to four bands of about equal numbers of
// areas, of those that have any.
function quarters(values: number[]): number[] {
  const s = [...values].sort((a, b) => a - b);
  const cuts = [0.25, 0.5, 0.75].map((q) => s[Math.floor(q * (s.length - 1))] ?? 0);
  return [...new Set(cuts)].filter((c) => c < (s.at(-1) ?? 0));
}

// bands say none, then each band in words, least first.
function bands(cuts: number[]): string[] {
  const last = cuts.at(-1);
  return ['0', ...cuts.map((c) => `≤ ${compact(c)}`), last === undefined ? '> 0' : `> ${compact(last)}`];
}
