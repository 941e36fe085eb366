import { fieldOf, type Known, type Words } from '../api/desks';
import type { Body, Field, Kind, Rec } from '../api/types';
import { t } from '../i18n';
import { dayTime, number, span } from '../i18n/time';
import { areaName } from '../map/area';

// A body's field is found by its dotted path.
export function valueAt(body: Body | undefined, path: string): unknown {
  return path.split('.').reduce<unknown>((at, k) => (at as Body | undefined)?.[k], body);
}

export function withValue(body: Body, path: string, value: unknown): Body {
  const [head, ...rest] = path.split('.') as [string, ...string[]];
  const copy = { ...body };
  const next = rest.length ? withValue((copy[head] as Body | undefined) ?? {}, rest.join('.'), value) : value;
  const empty = next === undefined || (rest.length > 0 && Object.keys(next as Body).length === 0);
  if (empty) delete copy[head];
  else copy[head] = next;
  return copy;
}

export const isEmpty = (v: unknown): boolean => v === undefined || v === null || v === '' || (Array.isArray(v) && v.length === 0);

// show writes a field's value as a person reads it.
export function show(field: Field, value: unknown, words: Words): string {
  if (isEmpty(value)) return '';
  switch (field.type) {
    case 'flag':
      return value ? t('yes') : t('no');
    case 'integer':
    case 'number':
      return typeof value === 'number' ? number(value) : String(value);
    case 'time':
      return dayTime(String(value));
    case 'interval': {
      const i = value as { from?: string; to?: string };
      return i.from && i.to ? span(i.from, i.to) : '';
    }
    case 'pcode':
      return areaName(String(value));
    case 'list':
      return (value as string[]).map((v) => (field.enum ? words.value(field.path, v) : v)).join(', ');
    case 'rows':
      return String((value as unknown[]).length);
    default:
      return field.enum ? words.value(field.path, String(value)) : String(value);
  }
}

// titleField is the field that names the record: the first that may and says something.
export const titleField = ({ kind }: Known, r: Rec): Field | undefined => kind.fields.find((f) => f.search === 'title' && !isEmpty(valueAt(r.body, f.path)));

// A text of many lines may name a record; a title is its beginning.
const clip = (s: string) => {
  const line = s.trim().replace(/\s+/g, ' ');
  return line.length > 140 ? line.slice(0, 139).trimEnd() + '…' : line;
};

// saidWhole reports whether a title says the whole of the field that it is from.
export const saidWhole = (text: string) => clip(text) === text;

// isAsked reports whether a body makes a field needed or, with none of the
// values on which it depends, leaves it out.
export function isAsked(f: Field, body: Body | undefined): boolean | undefined {
  const [path, values] = f.when?.split('=') ?? [];
  return path ? values!.split('|').includes(String(valueAt(body, path))) : undefined;
}

// titleOf is one line that names the record: its title field, else the first
// columns that say something in words.
export function titleOf(known: Known, r: Rec): string {
  const { kind, words } = known;
  const title = titleField(known, r);
  const named = title && clip(show(title, valueAt(r.body, title.path), words));
  if (named) return named;
  const parts = (kind.columns ?? []).flatMap((c) => {
    const f = fieldOf(kind, c);
    const s = f && f.type !== 'integer' && f.type !== 'number' ? show(f, valueAt(r.body, c), words) : '';
    return s ? [s] : [];
  });
  return parts.slice(0, 2).join(' · ') || words.one;
}

// How many values share out the five levels.
const ladders: Record<number, number[]> = { 1: [1], 2: [1, 4], 3: [1, 3, 5], 4: [1, 3, 4, 5] };

// levelOf ranks the value that colours a symbol: 1 (least) to 5 (most), 0 when
// it says nothing.
export function levelOf(field: Field | undefined, value: unknown): number {
  const values = field?.enum;
  const at = values?.indexOf(String(value)) ?? -1;
  if (!values || at < 0) return 0;
  return ladders[values.length]?.[at] ?? 1 + Math.round((at * 4) / (values.length - 1));
}

export const symbolLevel = (kind: Kind, r: Rec): number => {
  const by = kind.symbol?.by;
  return by ? levelOf(fieldOf(kind, by), valueAt(r.body, by)) : 0;
};
