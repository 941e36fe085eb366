import type { Wrong } from './types';

// Problem is an answer of the node that is not what was asked for (RFC 9457).
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly hint: string,
    readonly fields: Wrong[],
    readonly retryAfter: number,
  ) {
    super(detail || code);
  }
}

// Offline means that no answer came: the request may or may not have arrived.
export class Offline extends Error {}

interface Standing {
  csrf: string;
  purpose: string;
}

// What every request carries; set by the session and by the purpose dialog.
export const standing: Standing = { csrf: '', purpose: '' };

// onReach hears after every request whether the node answered at all.
const reaches = new Set<(answered: boolean) => void>();

export function onReach(f: (answered: boolean) => void) {
  reaches.add(f);
}

const reached = (answered: boolean) => reaches.forEach((f) => f(answered));

export interface Ask {
  method?: string;
  json?: unknown;
  body?: BodyInit;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  purpose?: string;
}

export function headersFor(ask: Ask): Record<string, string> {
  const h: Record<string, string> = { ...ask.headers };
  const method = ask.method ?? 'GET';
  if (method !== 'GET' && standing.csrf) h['X-CSRF-Token'] = standing.csrf;
  if (ask.json !== undefined) h['Content-Type'] = 'application/json';
  const purpose = ask.purpose ?? standing.purpose;
  if (purpose) h['Konbit-Purpose'] = encodeURIComponent(purpose);
  return h;
}

export async function send(path: string, ask: Ask = {}): Promise<Response> {
  let res: Response;
  try {
    res = await fetch(path, {
      method: ask.method ?? 'GET',
      headers: headersFor(ask),
      body: ask.json !== undefined ? JSON.stringify(ask.json) : ask.body,
      signal: ask.signal,
      credentials: 'same-origin',
    });
  } catch (e) {
    if (e instanceof DOMException && e.name === 'AbortError') throw e;
    reached(false);
    throw new Offline();
  }
  // A proxy in front of a node that is gone answers for it.
  const answered = res.status !== 502 && res.status !== 504;
  reached(answered);
  if (!answered) throw new Offline();
  if (!res.ok) throw await problemOf(res);
  return res;
}

export async function api<T>(path: string, ask: Ask = {}): Promise<T> {
  const res = await send('/api/v1' + path, ask);
  if (res.status === 204) return undefined as T;
  const type = res.headers.get('Content-Type') ?? '';
  return (type.includes('json') ? res.json() : res.text()) as Promise<T>;
}

export async function problemOf(res: Response): Promise<Problem> {
  const retry = Number(res.headers.get('Retry-After') ?? 0);
  const p = await res.json().catch(() => ({}));
  return new Problem(res.status, p.code ?? fallbackCode(res.status), p.detail ?? '', p.hint ?? '', p.fields ?? [], retry);
}

function fallbackCode(status: number): string {
  const codes: Record<number, string> = { 401: 'unsigned', 403: 'denied', 404: 'not-found', 409: 'stale', 412: 'conflict', 413: 'too-large', 422: 'invalid', 429: 'too-many', 503: 'unavailable' };
  return codes[status] ?? 'internal';
}

export function query(params: Record<string, string | number | boolean | undefined>): string {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(params)) if (v !== undefined && v !== '' && v !== false) q.set(k, String(v));
  const s = q.toString();
  return s ? '?' + s : '';
}
