import { queryOptions, type QueryClient } from '@tanstack/react-query';
import { api } from './client';
import type { Text } from './types';

// What the node tells of the nodes with which it exchanges records. Who is
// neither administrator nor auditor gets a Dot of each and no more.

export type LinkState = 'live' | 'behind' | 'cut' | 'never' | 'pending' | 'revoked' | 'refused';

export interface Dot {
  short: string;
  title: string;
  state: LinkState;
  waiting: number;
  seconds: number; // until what waits is through, estimated; below 0: not known
  since: string;
  contact?: string;
  cutByHand?: boolean;
}

export interface Cap {
  from: number; // hour of the day, local time of the node
  to: number;
  kbit: number; // 0: nothing but what is urgent
}

export interface Witness {
  size: number;
  at: string;
  ourAt: string;
  ourTo: number;
  fault: '' | 'rolled-back' | 'forked' | 'restored' | 'twice';
  detail: string;
}

export interface Peer extends Dot {
  name: string;
  agencies: string[] | null;
  fingerprint?: string;
  via?: string;
  urls?: string[];
  urgent?: number;
  bytes?: number;
  rate?: number; // bytes a second
  sent?: number;
  held?: number;
  refusals?: number;
  witness?: Witness;
  region?: string;
  caps?: Cap[];
  error?: string;
  why?: string;
}

export interface Alarm {
  at: string;
  node: string;
  code: string;
  text: string;
  record?: string;
}

export interface Self {
  name: string;
  short: string;
  title: string;
  fingerprint: string;
  urls: string[] | null;
  agencies: string[] | null;
}

export interface Region {
  name: string;
  fingerprint: string;
  serial: number;
  founder: boolean;
  hub?: string;
}

export interface Peers {
  self?: Self;
  region?: Region | null;
  peers: Peer[] | null;
  alarms?: Alarm[] | null;
}

export interface Invitation {
  code: string;
  url: string;
  fingerprint: string;
  expires: string;
  qr: string[]; // rows of modules, 1 is dark
}

export interface MemberAgency {
  id: string;
  name: string;
  country?: string;
  communities: Record<string, string | null> | null; // since when; null: from the beginning
}

export interface Member {
  node: string;
  short: string;
  title: string;
  fingerprint: string;
  agencies: MemberAgency[] | null;
  revoked?: string;
  why?: string;
}

export interface Directory {
  region: string;
  serial: number;
  at: string;
  members: Member[] | null;
}

// Told is what an import of bundles did.
export interface Told {
  bundles: number;
  applied: number;
  older: number;
  purged: number;
  relayed: number;
  parked: number;
  refused: number;
  problems?: string[];
}

export type HolderState = 'queued' | 'sent' | 'received' | 'opened' | 'recalling' | 'purged' | 'refused' | 'unreachable';

export interface Holder {
  node: string;
  title: string;
  agencies: string[] | null;
  state: HolderState;
  version: number;
  since: string;
  reason?: string;
}

export interface Answer {
  node: string;
  short: string;
  title: string;
  state: 'waiting' | 'hit' | 'no-hit' | 'refused' | 'stale';
  at?: string;
  reason?: string;
  setAt?: string; // age of the list that was asked
  agencies?: string[]; // of a hit: whose records have it
}

export interface Question {
  id: string;
  type: string;
  at: string;
  by: string;
  purpose: string;
  masked: string;
  answers: Answer[] | null;
}

// given leaves out a time that was never set: Go's zero time.
export const given = (iso: string | undefined): string | undefined => (iso && !iso.startsWith('0001-') ? iso : undefined);

export const peerPath = (short: string, act = '') => `/peers/${encodeURIComponent(short)}${act && '/' + act}`;

export const peersQuery = queryOptions({ queryKey: ['peers'], queryFn: () => api<Peers>('/peers'), staleTime: 10_000, refetchInterval: 30_000 });

export const directoryQuery = queryOptions({ queryKey: ['directory'], queryFn: () => api<Directory>('/peers/directory'), staleTime: 10_000 });

export const holdersQuery = (kind: string, id: string) =>
  queryOptions({
    queryKey: ['record', kind, id, 'holders'],
    queryFn: () => api<{ holders: Holder[] | null }>(`/records/${encodeURIComponent(kind)}/${id}/holders`).then((a) => a.holders ?? []),
    staleTime: 5_000,
    // The stream tells of most changes; a receipt that changes no dot is found by looking.
    refetchInterval: (q) => (q.state.data?.some(moving) ? 3_000 : q.state.data?.length ? 20_000 : false),
  });

const moving = (h: Holder) => h.state === 'queued' || h.state === 'sent' || h.state === 'recalling';

// holding says whether the node has the record, whatever it is asked to do with it.
export const holding = (h: Holder) => h.state === 'sent' || h.state === 'received' || h.state === 'opened' || h.state === 'recalling';

const open = (q: Question) => q.answers?.some((a) => a.state === 'waiting');

export const questionsQuery = queryOptions({ queryKey: ['questions'], queryFn: () => api<Question[] | null>('/questions').then((a) => a ?? []), staleTime: 10_000, refetchInterval: (q) => (q.state.data?.some(open) ? 15_000 : false) });

export const questionTypesQuery = queryOptions({
  queryKey: ['questions', 'types'],
  queryFn: () => api<{ type: string; label?: Text }[] | null>('/questions/types').then((a) => a ?? []),
  staleTime: Infinity,
});

// questionQuery looks every second at first, then less often: a node that is cut
// may answer tomorrow.
export const questionQuery = (id: string) =>
  queryOptions({
    queryKey: ['questions', id],
    queryFn: () => api<Question>(`/questions/${encodeURIComponent(id)}`),
    refetchInterval: (q) => {
      return q.state.data && open(q.state.data) ? Math.min(1000 * 1.3 ** Math.max(0, q.state.dataUpdateCount - 5), 20_000) : false;
    },
  });

// The stream gives everybody the same: what it leaves out must not take the place
// of what is known.
const dotOf = (d: Dot | undefined) => d && { title: d.title, state: d.state, waiting: d.waiting, seconds: d.seconds, since: d.since, contact: d.contact, cutByHand: d.cutByHand };

// mergeDots shows what the stream tells at once. A node that is new or gone, or
// changed its state, is asked for whole.
export function mergeDots(client: QueryClient, dots: Dot[]) {
  const old = client.getQueryData(peersQuery.queryKey);
  const before = new Map(old?.peers?.map((p) => [p.short, p]));
  if (old?.peers) client.setQueryData(peersQuery.queryKey, { ...old, peers: old.peers.map((p) => ({ ...p, ...dotOf(dots.find((d) => d.short === p.short)) })) });
  if (dots.some((d) => before.get(d.short)?.state !== d.state)) void client.invalidateQueries({ queryKey: peersQuery.queryKey });
  void client.invalidateQueries({ predicate: (q) => q.queryKey[0] === 'record' && q.queryKey[3] === 'holders' });
}
