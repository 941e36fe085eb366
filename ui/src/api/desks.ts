import { queryOptions, useQuery } from '@tanstack/react-query';
import { say, tOr, useLang } from '../i18n';
import { api } from './client';
import type { Desk, Field, Kind } from './types';

export const desksQuery = queryOptions({
  queryKey: ['desks'],
  queryFn: () => api<{ desks: Desk[] }>('/desks').then((a) => a.desks),
  staleTime: Infinity,
});

// Words are a kind's labels in the language in use.
export interface Words {
  one: string;
  many: string;
  desk: string;
  state(s: string): string;
  command(c: string): string;
  done(c: string): string;
  field(path: string): string;
  value(path: string, v: string): string;
  section(s: string): string;
  arg(command: string, path: string): string;
  flag(f: string): string;
}

const tail = (s: string) => s.split('.').at(-1) ?? s;

export function wordsOf(desk: Desk, kind: string): Words {
  const l = (key: string, otherwise: string) => say(desk.labels[key], otherwise);
  return {
    one: l(`kind.${kind}`, kind),
    many: l(`kinds.${kind}`, kind),
    desk: l('desk', desk.name),
    state: (s) => l(`state.${kind}.${s}`, s),
    command: (c) => l(`command.${kind}.${c}`, c),
    done: (c) => l(`done.${kind}.${c}`, c),
    field: (path) => l(`field.${kind}.${path}`, tail(path)),
    value: (path, v) => l(`value.${kind}.${path}.${v}`, v),
    section: (s) => l(`section.${kind}.${s}`, s),
    flag: (f) => l(`flag.${kind}.${f}`, tOr(`flag.${f}`, f)),
    arg: (c, path) => l(`arg.${kind}.${c}.${path}`, tail(path)),
  };
}

export interface Known {
  desk: Desk;
  kind: Kind;
  words: Words;
}

export interface Desks {
  desks: Desk[];
  readable: Known[];
  of(kind: string): Known | undefined;
}

// useDesks gives the declarations, with words in the language in use.
export function useDesks(): Desks {
  useLang();
  const { data = [] } = useQuery(desksQuery);
  const all = data.flatMap((desk) => desk.kinds.map((kind) => ({ desk, kind, words: wordsOf(desk, kind.name) })));
  return {
    desks: data,
    readable: all.filter((k) => k.kind.canRead),
    of: (name) => all.find((k) => k.kind.name === name),
  };
}

export const fieldOf = (kind: Kind, path: string | undefined): Field | undefined => kind.fields.find((f) => f.path === path);
export const may = (kind: Kind, command: string): boolean => kind.allowed?.includes(command) ?? false;
export const firstKind = (desk: Desk): Kind | undefined => desk.kinds.find((k) => k.canRead);
