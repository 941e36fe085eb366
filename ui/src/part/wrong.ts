import type { Wrong } from '../api/types';
import { t, tOr } from '../i18n';

// wrongWord says what is wrong with one field; the node's own words stand in for
// a code that the console does not know.
export function wrongWord(w: Wrong): string {
  const bound = /(-?\d[\d.,e+]*)/.exec(w.message)?.[1] ?? '';
  const word = tOr(`wrong.${w.code}`, w.message || t('wrong.invalid'));
  return word.includes('{n}') ? (bound ? word.replace('{n}', bound) : w.message) : word;
}

export function wrongAt(all: Wrong[], path: string): string | undefined {
  const w = all.find((f) => f.path === path) ?? all.find((f) => f.path.startsWith(path + '.') || f.path.startsWith(path + '['));
  return w && wrongWord(w);
}
