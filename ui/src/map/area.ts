import { lang } from '../i18n';

// Names of administrative areas, known once the base map is loaded. Until then,
// and for areas that it does not hold, a code stands for itself.
interface Area {
  name: string;
  ht?: string;
}

const areas = new Map<string, Area>();

export function knowArea(pcode: string, name: string, ht?: string) {
  areas.set(pcode, { name, ht });
}

export const areaCodes = (): string[] => [...areas.keys()];

export function areaName(code: string): string {
  const bare = code.includes(':') ? code.slice(code.indexOf(':') + 1) : code;
  const own = areas.get(bare);
  // A finer code begins with the code of the area that holds it.
  const area = own ?? areas.get(bare.slice(0, 4));
  if (!area) return bare;
  const name = (lang() === 'ht' && area.ht) || area.name;
  return own ? name : `${name} · ${bare}`;
}
