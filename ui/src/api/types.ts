// The shapes that the node speaks. Written by hand and small: a record's body is
// data that the desk's declaration describes, so no body is typed here.

export type Lang = 'ht' | 'fr' | 'es' | 'en';
export type Text = Record<Lang, string>;
export type Role = 'viewer' | 'operator' | 'supervisor' | 'auditor' | 'administrator';
export type TLP = 'RED' | 'AMBER+STRICT' | 'AMBER' | 'GREEN' | 'CLEAR';
export const tlps: TLP[] = ['RED', 'AMBER+STRICT', 'AMBER', 'GREEN', 'CLEAR'];
export const caveats = ['victim', 'juvenile', 'source', 'medical', 'financial'] as const;
export type Json = unknown;
export type Body = Record<string, Json>;

export interface Field {
  path: string;
  type: 'text' | 'integer' | 'number' | 'flag' | 'time' | 'interval' | 'pcode' | 'id' | 'list' | 'rows';
  required?: boolean;
  min?: number;
  max?: number;
  pattern?: string;
  enum?: string[];
  search?: 'title' | 'text' | 'id';
  facet?: boolean;
  chart?: string;
  map?: string;
  unit?: string;
  widget?: string;
  when?: string; // "path=a|b": asked for, and required, when that field has one of these values
  set?: boolean; // by commands alone: no form asks for it
  names?: boolean; // of people
  fields?: Field[];
}

export interface Kind {
  name: string;
  start: string;
  path?: string[];
  states: string[];
  open?: string[];
  frozen?: string[];
  flow: Record<string, Record<string, string>>;
  columns?: string[];
  sections?: { name: string; fields: string[] }[];
  symbol?: { shape?: string; by?: string };
  placed: boolean;
  purpose?: boolean;
  protect?: string[];
  flags?: string[];
  similar?: boolean;
  fields: Field[];
  args?: Record<string, Field[]>;
  allowed?: string[];
  canRead: boolean;
  answers?: { kinds?: string[]; each?: string; asked?: boolean; alone?: boolean; own?: boolean }; // it answers other records
  address?: { to: string; due?: string; rank?: string }; // each record is addressed to one agency
}

export interface Desk {
  name: string;
  icon: string;
  labels: Record<string, Text>;
  kinds: Kind[];
}

export interface Marking {
  tlp: TLP;
  to?: string[];
  persons?: string[];
  caveats?: string[];
  expires?: string;
}

export interface Geometry {
  type: string;
  coordinates: Json;
}

export interface Place {
  geometry?: Geometry;
  uncertainty?: number;
  pcode?: string;
  edition?: string;
  words?: string;
}

export interface Link {
  rel: string;
  kind: string;
  id: string;
  note?: string;
}

export interface Attachment {
  hash: string;
  type: string;
  size: number;
  name?: string;
}

export interface Rec {
  id: string;
  kind: string;
  owner: string;
  version: number;
  state: string;
  marking: Marking;
  observed: string;
  recorded: string;
  created: string;
  author: string;
  command: string;
  note?: string;
  key?: string;
  flags?: string[];
  place?: Place;
  links?: Link[];
  attachments?: Attachment[];
  body: Body;
}

export interface Draft {
  id: string;
  observed: string;
  marking: Marking;
  place?: Place;
  links?: Link[];
  attachments?: Attachment[];
  note?: string;
  body: Body;
}

export interface Page {
  items: Rec[];
  next?: string;
  purposeNeeded?: boolean;
  matches?: Match[]; // of a search by name
}

export interface Match {
  id: string;
  name: string;
  score: number;
  why: string[];
}

export interface Count {
  count: number;
  capped: boolean;
  facets?: Record<string, Record<string, number>>;
  perDay?: { day: string; count: number; bySymbol?: Record<string, number> }[];
}

export interface MapFeature {
  id: string;
  lon: number;
  lat: number;
  title: string;
  state: string;
  owner: string;
  tlp: TLP;
  by?: string;
  observed: string;
  uncertainty?: number;
  version: number;
}

export interface MapCluster {
  lon: number;
  lat: number;
  count: number;
  bbox: [number, number, number, number];
}

export interface MapAnswer {
  features: MapFeature[];
  clusters: MapCluster[];
  capped?: boolean;
}

export interface Change {
  path: string;
  from?: Json;
  to?: Json;
}

export interface Version {
  version: number;
  state?: string;
  command?: string;
  author?: string;
  recorded: string;
  note?: string;
  changes?: Change[];
  signature?: { key: string; ok: boolean };
  hidden?: boolean; // its own marking does not let the reader see it
}

export interface AudienceRow {
  agency: string;
  name: string;
  can: boolean;
  why?: string;
}

export interface Audience {
  owner: string;
  agencies: AudienceRow[];
  persons?: string[];
  expires?: string;
  gained?: string[];
  lost?: string[];
}

export interface SimilarItem {
  record: Rec;
  score: number;
  metres?: number;
  minutes?: number;
  words?: string[];
}

export interface LinkAnswer {
  out?: { rel: string; note?: string; kind?: string; id?: string; record?: Rec }[];
  in?: { rel: string; record: Rec }[];
}

export interface Look {
  at: string;
  person: string;
  agency: string;
  version?: number;
  purpose?: string;
  entry: number;
}

export interface Found {
  kind: string;
  id: string;
  title: string;
  state: string;
  owner: string;
  tlp: TLP;
  observed: string;
  lon?: number;
  lat?: number;
}

export interface AgencyRef {
  agency: string;
  name: string;
  country?: string;
}

export interface DemoCard {
  name: string;
  password: string;
  person: string;
  agency: string;
  agencyName: string;
  role: Role;
  lang: Lang;
}

interface NodeFacts {
  demo: boolean;
  node: { name: string; version: string };
}

export interface SignedOut extends NodeFacts {
  signedIn: false;
  firstRun: boolean;
  passkeys: boolean;
  oidc?: { id: string; name: string }[];
  demoCards?: DemoCard[];
}

export interface SignedIn extends NodeFacts {
  signedIn: true;
  person: { id: string; name: string; lang: Lang; theme?: Theme; purpose?: { words: string; until: string } };
  hat: AgencyRef;
  hats: AgencyRef[];
  roles: Record<string, Role[]>;
  clearances?: string[];
  communities?: string[];
  csrf: string;
  region?: { bbox: [number, number, number, number]; name: string };
  now: string;
}

export type Session = SignedIn | SignedOut;
export type Theme = 'light' | 'dark' | 'auto';

export interface Agency {
  id: string;
  name: string;
  country: string;
  communities?: string[];
  contact?: string;
  local?: boolean;
}

export interface Grant {
  agency: string;
  desk: string;
  role: Role;
}

export interface Person {
  id: string;
  name: string;
  lang: Lang;
  disabled?: boolean;
  grants?: Grant[];
  clearances?: string[];
  lastSeen?: string;
  passkeys?: number;
  link?: string;
}

export interface Token {
  id: string;
  name: string;
  person: string;
  scopes: string[];
  expires?: string;
  lastUsed?: string;
  secret?: string;
}

export interface Entry {
  seq: number;
  at: string;
  type: string;
  actor?: string;
  agency?: string;
  kind?: string;
  record?: string;
  version?: number;
  what?: string;
  purpose?: string;
  erased?: boolean;
}

export interface Verify {
  running: boolean;
  done: number;
  total: number;
  fault?: string;
  error?: string;
  ok?: boolean;
}

export interface Status {
  ledger?: { size: number; root?: string }; // for auditors and administrators
  saved: boolean;
  people?: number; // for administrators
  processes?: Process[]; // of this node, where it runs as several: for administrators
}

export interface Process {
  address: string;
  bus?: string; // why it looks for the others' changes instead of hearing of them
  duty?: boolean;
  id: string;
  name: string;
  seen: string;
  size: number;
  started: string;
  version: string;
}

export interface Wrong {
  path: string;
  code: string;
  message: string;
}

export interface Preview {
  format: string;
  columns?: string[];
  rows?: string[][];
  mapping: string;
  guessed?: boolean;
  problems?: Wrong[]; // of the mapping
  records?: { line: number; record?: Rec; problems?: Wrong[] }[];
  total?: number;
}

export interface Job {
  done: number;
  total: number;
  created: number;
  unchanged: number;
  updated: number;
  refused: number;
  state: 'running' | 'done' | 'stopped' | 'failed';
  error?: string;
  fields?: Wrong[];
}
