import { useSyncExternalStore } from 'react';
import { api, Offline, Problem } from './client';
import type { Rec, Wrong } from './types';

// The outbox sends what a person did, once. Each item carries an identifier made
// here, so that the node knows a repeat for what it is; an item leaves the
// outbox only when the node has answered.

export interface Item {
  key: string; // of this act
  kind: string;
  id: string; // of the record
  path: string;
  method: 'POST' | 'PUT';
  body: unknown;
  etag?: string;
  label: string;
  person: string;
  at: string;
  refused?: { code: string; detail: string; fields: Wrong[] };
}

const store = 'konbit.outbox';
const listeners = new Set<() => void>();
const landed = new Set<(item: Item, r: Rec) => void>();
let items: Item[] = read();
let busy = false;
let wait = 2000;
let sender = '';

// sendAs names who is signed in: one person's waiting acts are never sent in the
// name of the next one at the same machine.
export function sendAs(person: string) {
  sender = person;
  void flush();
}

const ready = (i: Item) => !i.refused && i.person === sender;

function read(): Item[] {
  try {
    return JSON.parse(localStorage.getItem(store) ?? '[]') as Item[];
  } catch {
    return [];
  }
}

function write(next: Item[]) {
  items = next;
  localStorage.setItem(store, JSON.stringify(items));
  listeners.forEach((l) => l());
}

// Another tab of the same browser may have sent or added items.
window.addEventListener('storage', (e) => {
  if (e.key !== store) return;
  items = read();
  listeners.forEach((l) => l());
});

export function useOutbox(): Item[] {
  return useSyncExternalStore(
    (l) => {
      listeners.add(l);
      return () => listeners.delete(l);
    },
    () => items,
  );
}

// onLanded tells of items that went out later than they were given.
export function onLanded(f: (item: Item, r: Rec) => void): () => void {
  landed.add(f);
  return () => {
    landed.delete(f);
  };
}

async function deliver(i: Item): Promise<Rec> {
  try {
    return await api<Rec>(i.path, { method: i.method, json: i.body, headers: i.etag ? { 'If-Match': i.etag } : undefined });
  } catch (e) {
    // A change whose answer was lost meets its own version when it is sent again.
    if (!(e instanceof Problem && e.code === 'conflict' && i.method === 'PUT')) throw e;
    const now = await api<Rec>(i.path);
    if (now.author === i.person && `"${now.version - 1}"` === i.etag && same(now.body, (i.body as { body: unknown }).body)) return now;
    throw e;
  }
}

// same compares JSON values whatever the order of their members.
function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || !a || !b) return false;
  const [x, y] = [Object.entries(a), b as Record<string, unknown>];
  return x.length === Object.keys(y).length && x.every(([k, v]) => same(v, y[k]));
}

// submit sends now. With the node out of reach it keeps the item and answers
// undefined; a refusal is thrown, for the form to show.
export async function submit(item: Omit<Item, 'at'>): Promise<Rec | undefined> {
  const full: Item = { ...item, at: new Date().toISOString() };
  write([...items.filter((i) => i.key !== full.key), full]);
  try {
    const r = await deliver(full);
    forget(full.key);
    return r;
  } catch (e) {
    if (keepable(e)) {
      window.setTimeout(() => void flush(), wait);
      return undefined;
    }
    forget(full.key);
    throw e;
  }
}

const keepable = (e: unknown) => e instanceof Offline || (e instanceof Problem && (e.status === 503 || e.status === 429));

export function forget(key: string) {
  write(items.filter((i) => i.key !== key));
}

export function again(key: string) {
  write(items.map((i) => (i.key === key ? { ...i, refused: undefined } : i)));
  void flush();
}

// flush sends what waits, in the order in which it was done. Only one tab sends
// at a time.
export async function flush(): Promise<void> {
  if (busy || !items.some(ready)) return;
  busy = true;
  try {
    if (navigator.locks) await navigator.locks.request('konbit.outbox', run);
    else await run();
  } finally {
    busy = false;
  }
}

async function run() {
  items = read();
  for (const item of items.filter(ready)) {
    try {
      const r = await deliver(item);
      forget(item.key);
      wait = 2000;
      landed.forEach((f) => f(item, r));
    } catch (e) {
      if (keepable(e) || (e instanceof Problem && e.status === 401)) {
        wait = Math.min(wait * 2, 30_000);
        window.setTimeout(() => void flush(), wait);
        return;
      }
      const p = e instanceof Problem ? e : undefined;
      write(items.map((i) => (i.key === item.key ? { ...i, refused: { code: p?.code ?? 'internal', detail: p?.detail ?? '', fields: p?.fields ?? [] } } : i)));
    }
  }
}
