import { query, standing } from './client';
import type { Dot } from './peers';
import type { Rec } from './types';

export interface FeedEvent {
  cursor: string;
  kind: string;
  id: string;
  version?: number;
  title?: string;
  record?: Rec;
}

export type FeedState = 'connecting' | 'live' | 'cut';

interface Handlers {
  record(e: FeedEvent): void;
  gone(e: FeedEvent): void;
  reset(): void;
  peers(dots: Dot[]): void;
  state(s: FeedState): void;
}

// openFeed follows what changes, from where it was cut. It returns what ends it.
export function openFeed(kinds: string[], on: Handlers): () => void {
  let source: EventSource | undefined;
  let cursor = '';
  let wait = 1000;
  let timer = 0;
  let ended = false;

  function open() {
    on.state('connecting');
    source = new EventSource('/api/v1/feed' + query({ kind: kinds.join(','), cursor, purpose: standing.purpose || undefined }));
    const take = (f: (e: FeedEvent) => void) => (m: MessageEvent<string>) => {
      const e = JSON.parse(m.data) as FeedEvent;
      cursor = m.lastEventId || e.cursor || cursor;
      f(e);
    };
    source.onopen = () => {
      wait = 1000;
      on.state('live');
    };
    source.addEventListener('hello', take(() => on.state('live')));
    source.addEventListener('record', take((e) => on.record(e)));
    source.addEventListener('gone', take((e) => on.gone(e)));
    source.addEventListener('peers', (m: MessageEvent<string>) => on.peers((JSON.parse(m.data) as { peers: Dot[] | null }).peers ?? []));
    source.addEventListener('reset', () => {
      cursor = '';
      on.reset();
    });
    // EventSource gives up on an error answer; the console never does.
    source.onerror = () => {
      source?.close();
      if (ended) return;
      on.state('cut');
      timer = window.setTimeout(open, wait);
      wait = Math.min(wait * 2, 15_000);
    };
  }

  const back = () => {
    window.clearTimeout(timer);
    source?.close();
    open();
  };
  window.addEventListener('online', back);
  open();
  return () => {
    ended = true;
    window.removeEventListener('online', back);
    window.clearTimeout(timer);
    source?.close();
  };
}
