import { newId } from '../api/id';
import type { Draft, Kind, Rec } from '../api/types';

// A draft outlives a reload. What a kind protects does not outlive the tab, so
// that it is not left behind on a shared machine.

export interface Kept {
  draft: Draft;
  base?: number; // the version that is being changed
}

const prefix = 'konbit.draft.';

const storeOf = (kind: Kind) => (kind.protect?.length || kind.purpose ? sessionStorage : localStorage);
const keyOf = (person: string, kind: Kind, id: string | undefined) => `${prefix}${person}.${kind.name}.${id ?? 'new'}`;

export function readDraft(person: string, kind: Kind, id: string | undefined): Kept | undefined {
  const text = storeOf(kind).getItem(keyOf(person, kind, id));
  try {
    return text ? (JSON.parse(text) as Kept) : undefined;
  } catch {
    return undefined;
  }
}

export function keepDraft(person: string, kind: Kind, id: string | undefined, kept: Kept) {
  storeOf(kind).setItem(keyOf(person, kind, id), JSON.stringify(kept));
}

export function dropDraft(person: string, kind: Kind, id: string | undefined) {
  storeOf(kind).removeItem(keyOf(person, kind, id));
}

// A new record is the owner's alone until somebody releases it.
export function blank(kind: Kind): Draft {
  return {
    id: newId(),
    observed: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
    marking: { tlp: 'AMBER', ...(kind.protect?.length ? { caveats: [...kind.protect] } : {}) },
    body: {},
  };
}

export function draftOf(r: Rec): Draft {
  return { id: r.id, observed: r.observed, marking: r.marking, place: r.place, links: r.links, attachments: r.attachments, body: r.body };
}
