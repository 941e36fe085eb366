import { useSyncExternalStore } from 'react';
import type { Lang, Text } from '../api/types';
import type { Words } from './en';

export const langs: Lang[] = ['ht', 'fr', 'es', 'en'];
export const langNames: Record<Lang, string> = { ht: 'Kreyòl', fr: 'Français', es: 'Español', en: 'English' };

const load: Record<Lang, () => Promise<Words>> = {
  ht: () => import('./ht').then((m) => m.ht),
  fr: () => import('./fr').then((m) => m.fr),
  es: () => import('./es').then((m) => m.es),
  en: () => import('./en').then((m) => m.en),
};

export type Key = keyof Words;
export type Vars = Record<string, string | number>;

let current: { lang: Lang; words: Words } | undefined;
const listeners = new Set<() => void>();

const stored = 'konbit.lang';

export function firstLang(): Lang {
  const kept = localStorage.getItem(stored) as Lang | null;
  if (kept && langs.includes(kept)) return kept;
  for (const l of navigator.languages) {
    const two = l.slice(0, 2) as Lang;
    if (langs.includes(two)) return two;
  }
  return 'ht';
}

// speak fetches a language's words and shows the screens in it.
export async function speak(lang: Lang): Promise<void> {
  const words = await load[lang]();
  current = { lang, words };
  localStorage.setItem(stored, lang);
  document.documentElement.lang = lang;
  listeners.forEach((l) => l());
}

export const lang = (): Lang => current?.lang ?? 'en';

export function t(key: Key, vars?: Vars): string {
  const word: string = current?.words[key] ?? key;
  return vars ? word.replace(/\{(\w+)\}/g, (_, v: string) => String(vars[v] ?? '')) : word;
}

// tOr translates a key that data names, such as a problem's code.
export function tOr(key: string, otherwise: string): string {
  return (current?.words as Record<string, string> | undefined)?.[key] ?? otherwise;
}

export const say = (text: Text | undefined, otherwise: string): string => text?.[lang()] || text?.en || otherwise;

// useLang redraws its component when the language changes.
export function useLang(): Lang {
  return useSyncExternalStore(
    (l) => {
      listeners.add(l);
      return () => listeners.delete(l);
    },
    () => lang(),
  );
}
