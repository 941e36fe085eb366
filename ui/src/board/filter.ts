import { fieldOf } from '../api/desks';
import type { Filter } from '../api/records';
import type { Kind } from '../api/types';

// A board's filters live in its address. This turns them into what the node is
// asked, and says which are set.

export const spans = { '24h': 1, '7d': 7, '30d': 30 } as const;
export type Span = keyof typeof spans;

const tenMinutes = 600_000;

export function filterOf(kind: Kind, q: URLSearchParams, window: string): Filter {
  const f: Filter = {};
  const span = q.get('w') as Span | null;
  // Rounded, so that the same question is asked for a while and can be kept.
  if (span && spans[span]) f.from = new Date(Math.floor(Date.now() / tenMinutes) * tenMinutes - spans[span] * 86_400_000).toISOString();
  const day = q.get('day');
  if (day) {
    f.from = `${day}T00:00:00Z`;
    f.to = `${day}T23:59:59Z`;
  }
  if (openOnly(kind, q)) f.open = 'true';
  if (q.get('own') === 'mine') f.mine = 'true';
  if (q.get('own') === 'others') f.others = 'true';
  if (q.get('map') && window) f.bbox = window;
  for (const name of ['q', 'state', 'owner', 'flag'] as const) f[name] = q.get(name) || undefined;
  for (const [k, v] of q) if (k.startsWith('f.')) f[k] = v;
  const min = q.get('min');
  const by = fieldOf(kind, kind.symbol?.by);
  if (min && by?.enum && !f[`f.${by.path}`]) f[`f.${by.path}`] = by.enum.slice(by.enum.indexOf(min)).join(',');
  return f;
}

// A board opens on the work that is not yet done; any choice of states says otherwise.
export const openOnly = (kind: Kind, q: URLSearchParams): boolean => !!kind.open?.length && q.get('open') !== '0' && !q.get('state');

const kept = ['w', 'day', 'own', 'map', 'q', 'state', 'owner', 'flag', 'min', 'open'];

export const isFiltered = (q: URLSearchParams): boolean => [...q.keys()].some((k) => kept.includes(k) || k.startsWith('f.'));

export function withParam(q: URLSearchParams, set: Record<string, string | undefined>): string {
  const next = new URLSearchParams(q);
  for (const [k, v] of Object.entries(set)) {
    if (v) next.set(k, v);
    else next.delete(k);
  }
  const s = next.toString();
  return s ? '?' + s : '';
}

export function toggled(list: string | null, value: string): string {
  const all = list ? list.split(',') : [];
  return (all.includes(value) ? all.filter((v) => v !== value) : [...all, value]).join(',');
}
