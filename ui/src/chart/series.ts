import type { Field, Kind, Rec } from '../api/types';
import { valueAt } from '../record/body';

// What a kind's declaration says can be drawn: numbers over time (chart), areas
// by colour (map "fill"), and by which field a record belongs to an area.

export interface Shape {
  charts: Field[];
  fills: Field[];
  area?: Field;
  period?: Field;
}

export function shapeOf(kind: Kind): Shape {
  const number = (f: Field) => f.type === 'integer' || f.type === 'number';
  const charts = kind.fields.filter((f) => f.chart && number(f));
  const fills = kind.fields.filter((f) => f.map === 'fill');
  return {
    charts,
    fills: [...fills, ...charts.filter((c) => !fills.includes(c))],
    area: kind.fields.find((f) => f.type === 'pcode'),
    period: kind.fields.find((f) => f.type === 'interval'),
  };
}

// areaOf is the province of a record: finer codes begin with it.
export function areaOf(shape: Shape, r: Rec): string {
  const code = String((shape.area ? valueAt(r.body, shape.area.path) : r.place?.pcode) ?? '');
  return code.slice(code.indexOf(':') + 1).slice(0, 4);
}

const dayMs = 86_400_000;

function endOf(shape: Shape, r: Rec): number {
  const i = shape.period && (valueAt(r.body, shape.period.path) as { to?: string } | undefined);
  return Date.parse(i?.to ?? r.observed);
}

export interface Series {
  reports: boolean; // periods that were reported on, not events that are counted
  times: number[]; // the end of each period
  of: (path: string, area?: string) => (number | undefined)[];
  latest: Map<string, Rec>; // by area
  areas: string[];
}

// seriesOf adds up over areas per period. Where the same area was reported twice
// for one period, the report that is in force counts, else the newest.
export function seriesOf(kind: Kind, shape: Shape, records: Rec[]): Series {
  const reports = !!shape.period;
  const ends = records.map((r) => endOf(shape, r));
  const first = Math.min(...ends);
  const last = Math.max(...ends);
  const step = reports || last - first <= 45 * dayMs ? dayMs : 7 * dayMs;
  const bucket = (t: number) => Math.floor(t / step) * step;

  const chosen = new Map<string, Rec>();
  const rank = (r: Rec) => (kind.open?.includes(r.state) ? 1 + (kind.path?.indexOf(r.state) ?? 0) : 0);
  const cells = new Map<string, Rec[]>();
  const latest = new Map<string, Rec>();
  records.forEach((r, i) => {
    const key = `${bucket(ends[i]!)} ${areaOf(shape, r)}`;
    if (reports) {
      const old = chosen.get(key);
      if (!old || rank(r) > rank(old) || (rank(r) === rank(old) && r.recorded > old.recorded)) chosen.set(key, r);
    } else cells.set(key, [...(cells.get(key) ?? []), r]);
  });
  for (const [key, r] of chosen) cells.set(key, [r]);
  for (const list of cells.values())
    for (const r of list) {
      const area = areaOf(shape, r);
      const old = latest.get(area);
      if (area && (!old || endOf(shape, r) > endOf(shape, old))) latest.set(area, r);
    }

  const seen = new Set(ends.map(bucket));
  const times = reports ? [...seen].sort((a, b) => a - b) : range(bucket(first), bucket(last), step);
  const areas = [...new Set([...cells.keys()].map((k) => k.split(' ')[1]!))].filter(Boolean).sort();
  const of = (path: string, area?: string) =>
    times.map((at) => {
      const list = (area ? [area] : ['', ...areas]).flatMap((a) => cells.get(`${at} ${a}`) ?? []);
      const known = list.map((r) => valueAt(r.body, path)).filter((v): v is number => typeof v === 'number');
      return known.length ? known.reduce((a, b) => a + b, 0) : reports ? undefined : 0;
    });
  return { reports, times, of, latest, areas };
}

// headline is the number that stands for a series: what the last report said, or
// how much there was in all.
export function headline(s: Series, values: (number | undefined)[]): number | undefined {
  const known = values.filter((v) => v !== undefined);
  return s.reports ? known.at(-1) : known.reduce((a, b) => a + b, 0);
}

function range(from: number, to: number, step: number): number[] {
  const out: number[] = [];
  for (let t = from; t <= to && out.length < 400; t += step) out.push(t);
  return out;
}
