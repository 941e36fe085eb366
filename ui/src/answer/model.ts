import { fieldOf, may, type Desks, type Known } from '../api/desks';
import type { Draft, LinkAnswer, Marking, Rec, SignedIn, TLP } from '../api/types';
import { tlps } from '../api/types';
import { blank } from '../form/draft';
import { valueAt } from '../record/body';

// Which records answer others, and what may be said to which, is in the desks'
// declarations. No kind is named here.

export const relAnswers = 'answers';

// Offer is one answer that the person may give to a record: a kind, and with a
// kind that has a button for each value of a field, which.
export interface Offer {
  known: Known;
  value?: string;
}

export const offerWord = ({ known, value }: Offer): string => (value ? known.words.value(known.kind.answers!.each!, value) : known.words.command('create'));

// addresseeOf is the agency that a record is addressed to.
export function addresseeOf(known: Known | undefined, r: { body: Rec['body'] }): string {
  const to = known?.kind.address?.to;
  return to ? String(valueAt(r.body, to) ?? '') : '';
}

export const isOpen = (known: Known | undefined, r: Rec): boolean => known?.kind.open?.includes(r.state) ?? false;

// offersFor lists what may be answered to a record: what it asks for first.
export function offersFor(desks: Desks, r: Rec, me: SignedIn): { asked: Offer[]; free: Offer[] } {
  const on = desks.of(r.kind);
  const asked: Offer[] = [];
  const free: Offer[] = [];
  for (const known of desks.readable) {
    const a = known.kind.answers;
    if (!a || !may(known.kind, 'create') || (a.kinds?.length && !a.kinds.includes(r.kind))) continue;
    if (a.asked && (addresseeOf(on, r) !== me.hat.agency || !isOpen(on, r))) continue;
    const each = a.each ? fieldOf(known.kind, a.each)?.enum : undefined;
    (a.asked ? asked : free).push(...(each ? each.map((value) => ({ known, value })) : [{ known }]));
  }
  // A question is a step of its own; a word comes first.
  free.sort((a, b) => Number(!!a.known.kind.address) - Number(!!b.known.kind.address));
  return { asked, free };
}

const narrower = (a: TLP, b: TLP): TLP => (tlps.indexOf(a) < tlps.indexOf(b) ? a : b);

// markingFor is the release that an answer begins with: to the owner of what it
// answers, in no wider a colour, with its caveats, and to nobody else.
function markingFor(about: Rec, me: SignedIn): Marking {
  const { tlp, persons, caveats } = about.marking;
  const own = about.owner === me.hat.agency;
  const m: Marking = { tlp: narrower(tlp, 'AMBER') };
  if (m.tlp === 'RED') m.persons = persons?.filter((p) => p.startsWith(`${about.owner}/`) || p.startsWith(`${me.hat.agency}/`));
  else if (!own) m.to = [about.owner];
  if (caveats?.length) m.caveats = [...caveats];
  return m;
}

export function draftFor({ known, value }: Offer, about: Rec, me: SignedIn): Draft {
  const { answers, address } = known.kind;
  const body: Draft['body'] = {};
  if (answers?.each && value) body[answers.each] = value;
  if (address && about.owner !== me.hat.agency) body[address.to] = about.owner;
  return { ...blank(known.kind), marking: markingFor(about, me), links: [{ rel: relAnswers, kind: about.kind, id: about.id }], body };
}

// readdressed moves the release from one addressee to another.
export function readdressed(m: Marking, from: string, to: string): Marking {
  if (m.tlp === 'RED' || m.tlp === 'CLEAR' || from === to) return m;
  const list = [...(m.to ?? []).filter((a) => a !== from && a !== to), ...(to ? [to] : [])];
  return { ...m, to: list.length ? list : undefined };
}

// answersIn are the records that answer, of all that link to one.
export const answersIn = (links: LinkAnswer | undefined, desks: Desks): Rec[] =>
  (links?.in ?? []).filter((l) => l.rel === relAnswers && desks.of(l.record.kind)?.kind.answers).map((l) => l.record);

export const inboxPath = (kind: string, id?: string, search = '') => `/inbox/${encodeURIComponent(kind)}${id ? '/' + id : ''}${search}`;
