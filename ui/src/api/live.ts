import { useQueryClient, type QueryClient } from '@tanstack/react-query';
import { useEffect, useSyncExternalStore } from 'react';
import { onReach } from './client';
import { openFeed, type FeedEvent, type FeedState } from './feed';
import { flush } from './outbox';
import { mergeDots } from './peers';
import type { Page, Rec } from './types';

// What arrived is told to whoever listens; a screen decides how to show it
// without moving what is being read.

// A stream can hang where a request fails: the link is only as good as both.
let feed: FeedState = 'connecting';
let answered = true;
let state: FeedState = 'connecting';
const stateListeners = new Set<() => void>();
const arrivals = new Set<(e: FeedEvent) => void>();

function setState() {
  const next = answered ? feed : 'cut';
  if (next === state) return;
  state = next;
  stateListeners.forEach((l) => l());
  if (state === 'live') void flush();
}

onReach((yes) => {
  answered = yes;
  setState();
});

export function useFeedState(): FeedState {
  return useSyncExternalStore(
    (l) => {
      stateListeners.add(l);
      return () => stateListeners.delete(l);
    },
    () => state,
  );
}

export function onArrival(f: (e: FeedEvent) => void): () => void {
  arrivals.add(f);
  return () => {
    arrivals.delete(f);
  };
}

// useFeed runs the one connection of the console. Who may read no kind hears of
// the other nodes only; undefined is not known yet.
export function useFeed(kinds: string[] | undefined) {
  const client = useQueryClient();
  const key = kinds?.join(',');
  useEffect(() => {
    if (key === undefined) return;
    const stale = throttled((kind) => {
      void client.invalidateQueries({ queryKey: ['map', kind] });
      void client.invalidateQueries({ queryKey: ['count', kind] });
      void client.invalidateQueries({ queryKey: ['all', kind] });
    }, 2500);
    let wasCut = false;
    return openFeed(key ? key.split(',') : [], {
      record(e) {
        if (e.record) {
          patch(client, e.record);
          // Whoever looks at what it links to sees it come.
          for (const l of e.record.links ?? []) void client.invalidateQueries({ queryKey: ['record', l.kind, l.id, 'links'] });
        } else void client.invalidateQueries({ queryKey: ['record', e.kind, e.id] });
        stale(e.kind);
        arrivals.forEach((f) => f(e));
      },
      gone(e) {
        drop(client, e);
        void client.invalidateQueries({ predicate: (q) => q.queryKey[0] === 'record' && q.queryKey[3] === 'links' });
        stale(e.kind);
        arrivals.forEach((f) => f(e));
      },
      reset: () => void client.invalidateQueries(),
      peers: (dots) => mergeDots(client, dots),
      state(s) {
        feed = s;
        // The stream that opens is itself an answer.
        if (s === 'live') answered = true;
        setState();
        if (s === 'live' && wasCut) void client.invalidateQueries({ predicate: (q) => q.state.status === 'error' || q.queryKey[0] === 'session' });
        wasCut = s === 'cut';
      },
    });
  }, [client, key]);
}

interface Pages {
  pages: Page[];
  pageParams: unknown[];
}

// patch replaces a record where it is shown; it never adds or moves one.
export function patch(client: QueryClient, r: Rec) {
  const key = ['record', r.kind, r.id];
  const old = client.getQueryData<Rec>(key);
  if (old && old.version < r.version) {
    client.setQueryData(key, r);
    void client.invalidateQueries({ queryKey: key, predicate: (q) => q.queryKey.length > 3 });
  }
  client.setQueriesData<Pages>({ queryKey: ['list', r.kind] }, (data) => {
    if (!data?.pages.some((p) => p.items.some((i) => i.id === r.id && i.version < r.version))) return data;
    return { ...data, pages: data.pages.map((p) => ({ ...p, items: p.items.map((i) => (i.id === r.id ? r : i)) })) };
  });
}

function drop(client: QueryClient, e: FeedEvent) {
  client.setQueriesData<Pages>({ queryKey: ['list', e.kind] }, (data) =>
    data && { ...data, pages: data.pages.map((p) => ({ ...p, items: p.items.filter((i) => i.id !== e.id) })) },
  );
  void client.invalidateQueries({ queryKey: ['record', e.kind, e.id] });
}

// throttled calls f once per key and span, at its end.
function throttled(f: (key: string) => void, ms: number) {
  const waiting = new Set<string>();
  return (key: string) => {
    if (waiting.has(key)) return;
    waiting.add(key);
    window.setTimeout(() => {
      waiting.delete(key);
      f(key);
    }, ms);
  };
}
