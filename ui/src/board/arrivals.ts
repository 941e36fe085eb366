import { useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useRef, useState } from 'react';
import { onArrival } from '../api/live';
import { listQuery, newerThan, type Filter } from '../api/records';
import type { Rec } from '../api/types';

// useArrivals shows what is new on a board: at once when its top is in view and
// nobody is about to click there, else behind a pill.
export function useArrivals(kind: string, filter: Filter, items: Rec[], holding: () => boolean) {
  const client = useQueryClient();
  const [held, setHeld] = useState<Rec[]>([]);
  const [fresh, setFresh] = useState<ReadonlySet<string>>(new Set());
  const [heard, setHeard] = useState('');
  const latest = useRef({ items, held, holding });
  latest.current = { items, held, holding };
  const key = JSON.stringify(filter);

  const put = useCallback(
    (list: Rec[]) => {
      client.setQueryData(listQuery(kind, JSON.parse(key) as Filter).queryKey, (data) => {
        const first = data?.pages[0];
        if (!data || !first) return data;
        const known = new Set(data.pages.flatMap((p) => p.items.map((i) => i.id)));
        return { ...data, pages: [{ ...first, items: [...list.filter((r) => !known.has(r.id)), ...first.items] }, ...data.pages.slice(1)] };
      });
      setFresh((f) => new Set([...f, ...list.map((r) => r.id)]));
    },
    [client, kind, key],
  );

  useEffect(() => {
    setHeld([]);
    let timer = 0;
    let running = true;
    // What was heard of since the last look: when it was recorded, '' for what is
    // protected. What another node sends late was recorded before what is shown.
    let coming = new Map<string, string>();
    const look = async () => {
      timer = 0;
      const heardOf = coming;
      coming = new Map();
      const newest = latest.current.items.reduce((max, r) => (r.recorded > max ? r.recorded : max), '') || new Date(Date.now() - 60_000).toISOString();
      const since = [...heardOf.values()].reduce((min, r) => (r < min ? r : min), newest);
      const page = await newerThan(kind, JSON.parse(key) as Filter, since).catch(() => undefined);
      if (!running || !page) return;
      const now = latest.current;
      const known = new Set([...now.items, ...now.held].map((r) => r.id));
      const list = page.items.filter((r) => !known.has(r.id) && (heardOf.has(r.id) || r.recorded >= newest));
      if (!list.length) return;
      setHeard(list[0]!.id);
      if (now.holding()) setHeld((h) => [...list, ...h]);
      else put(list);
    };
    const stop = onArrival((e) => {
      if (e.kind !== kind || latest.current.items.some((i) => i.id === e.id)) return;
      coming.set(e.id ?? '', e.record?.recorded ?? '');
      timer ||= window.setTimeout(() => void look(), 350);
    });
    return () => {
      running = false;
      window.clearTimeout(timer);
      stop();
    };
  }, [kind, key, put]);

  const release = useCallback(() => {
    put(latest.current.held);
    setHeld([]);
  }, [put]);

  return { held, fresh, heard, release };
}
