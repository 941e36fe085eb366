import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';
import { api, Problem, query, standing } from './client';
import type { Attachment, Audience, Count, Found, LinkAnswer, Look, MapAnswer, Marking, Page, Rec, SimilarItem, Version } from './types';

export type Filter = Record<string, string | undefined>;

const kindPath = (kind: string) => `/records/${encodeURIComponent(kind)}`;
const recordPath = (kind: string, id: string) => `${kindPath(kind)}/${id}`;

export const listQuery = (kind: string, filter: Filter) =>
  infiniteQueryOptions({
    queryKey: ['list', kind, filter],
    queryFn: ({ pageParam, signal }) => api<Page>(kindPath(kind) + query({ ...filter, limit: 50, cursor: pageParam }), { signal }),
    initialPageParam: '',
    getNextPageParam: (last) => last.next,
    staleTime: 30_000,
    placeholderData: keepPreviousData,
  });

// namesQuery lists those whose names are the most like the words of a search.
export const namesQuery = (kind: string, filter: Filter) =>
  queryOptions({
    queryKey: ['names', kind, filter],
    queryFn: ({ signal }) => api<Page>(kindPath(kind) + query({ ...filter, q: undefined, name: filter.q, limit: 20 }), { signal }),
    staleTime: 30_000,
  });

// newerThan asks for what was recorded since, with the board's filters; '' for what arrived last, whenever it was recorded.
export const newerThan = (kind: string, filter: Filter, since: string) => api<Page>(kindPath(kind) + query({ ...filter, ...(since && { since }), limit: 100 }));

export const countQuery = (kind: string, filter: Filter) =>
  queryOptions({
    queryKey: ['count', kind, filter],
    queryFn: ({ signal }) => api<Count>(`${kindPath(kind)}/count` + query(filter), { signal }),
    staleTime: 20_000,
    placeholderData: keepPreviousData,
  });

export const mapQuery = (kind: string, filter: Filter, bbox: string, zoom: number) =>
  queryOptions({
    queryKey: ['map', kind, filter, bbox, Math.round(zoom)],
    queryFn: ({ signal }) => api<MapAnswer>(`/map/${encodeURIComponent(kind)}` + query({ ...filter, bbox, zoom: zoom.toFixed(1) }), { signal }),
    enabled: bbox !== '',
    staleTime: 20_000,
    placeholderData: keepPreviousData,
  });

// allQuery reads every page, for pictures over time. The limit bounds what one
// screen asks of the node.
export const allQuery = (kind: string, filter: Filter) =>
  queryOptions({
    queryKey: ['all', kind, filter],
    queryFn: async ({ signal }) => {
      const items: Rec[] = [];
      let cursor: string | undefined = '';
      while (cursor !== undefined && items.length < 5000) {
        const page: Page = await api<Page>(kindPath(kind) + query({ ...filter, sort: '-observed', limit: 1000, cursor }), { signal });
        items.push(...page.items);
        cursor = page.next;
      }
      return items;
    },
    staleTime: 60_000,
    placeholderData: keepPreviousData,
  });

// inboxQuery reads what is addressed to somebody, all of it: what presses most is
// found among all.
export const inboxQuery = (kind: string, filter: Filter) =>
  queryOptions({
    queryKey: ['all', kind, filter, 'inbox'],
    queryFn: async ({ signal }) => {
      const items: Rec[] = [];
      let purposeNeeded = false;
      for (let cursor: string | undefined = ''; cursor !== undefined && items.length < 2000; ) {
        const page: Page = await api<Page>(kindPath(kind) + query({ ...filter, limit: 500, cursor }), { signal });
        items.push(...page.items);
        purposeNeeded ||= !!page.purposeNeeded;
        cursor = page.next;
      }
      return { items, purposeNeeded };
    },
    staleTime: 20_000,
  });

const retry = (n: number, e: Error) => !(e instanceof Problem) && n < 2;

export const recordQuery = (kind: string, id: string) =>
  queryOptions({ queryKey: ['record', kind, id], queryFn: () => api<Rec>(recordPath(kind, id)), staleTime: 60_000, retry });

const part = <T>(name: string, kind: string, id: string) =>
  queryOptions({ queryKey: ['record', kind, id, name], queryFn: () => api<T>(`${recordPath(kind, id)}/${name}`), staleTime: 20_000, retry });

export const historyQuery = (kind: string, id: string) => part<{ versions: Version[] }>('history', kind, id);
export const audienceQuery = (kind: string, id: string) => part<Audience>('audience', kind, id);
export const similarQuery = (kind: string, id: string) => part<{ items: SimilarItem[] }>('similar', kind, id);
export const linksQuery = (kind: string, id: string) => part<LinkAnswer>('links', kind, id);
export const looksQuery = (kind: string, id: string) => part<{ looks: Look[]; next?: string }>('looks', kind, id);

export const previewQuery = (kind: string, id: string, marking: Marking) =>
  queryOptions({
    queryKey: ['record', kind, id, 'preview', marking],
    queryFn: () => api<Audience>(`${recordPath(kind, id)}/audience` + query({ marking: JSON.stringify(marking) })),
    retry,
  });

export const searchQuery = (words: string) =>
  queryOptions({
    queryKey: ['search', words],
    queryFn: ({ signal }) => api<{ items: Found[] }>('/search' + query({ q: words }), { signal }),
    enabled: words.trim().length > 1,
    staleTime: 10_000,
    placeholderData: keepPreviousData,
  });

export function attachmentUrl(kind: string, id: string, a: Attachment, thumb = false): string {
  return `/api/v1${recordPath(kind, id)}/attachments/${a.hash}` + query({ size: thumb ? 'thumb' : undefined, purpose: standing.purpose || undefined });
}
