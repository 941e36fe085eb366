import { lang, t } from '.';

// Intl knows no Kreyòl: dates are written as French does, with our own words
// for months, days and spans.
const months = ['janvye', 'fevriye', 'mas', 'avril', 'me', 'jen', 'jiyè', 'out', 'sektanm', 'oktòb', 'novanm', 'desanm'];
const locale = () => (lang() === 'ht' ? 'fr' : lang() === 'es' ? 'es-DO' : lang() === 'en' ? 'en-GB' : 'fr');

const two = (n: number) => String(n).padStart(2, '0');

export const clock = (d: Date): string => `${two(d.getHours())}:${two(d.getMinutes())}`;
export const utc = (iso: string): string => iso.slice(0, 16).replace('T', ' ') + ' UTC';
export const utcClock = (d: Date): string => d.toISOString().slice(11, 19) + ' UTC';

export function day(iso: string): string {
  const d = new Date(iso);
  const year = d.getFullYear() === new Date().getFullYear() ? undefined : d.getFullYear();
  if (lang() === 'ht') return `${d.getDate()} ${months[d.getMonth()]}${year ? ' ' + year : ''}`;
  return new Intl.DateTimeFormat(locale(), { day: 'numeric', month: 'short', year: year ? 'numeric' : undefined }).format(d);
}

export function dayTime(iso: string): string {
  const d = new Date(iso);
  return `${day(iso)} ${clock(d)}`;
}

// whole says a time in local words and in UTC, for a hover.
export function whole(iso: string): string {
  const d = new Date(iso);
  return `${dayTime(iso)}:${two(d.getSeconds())} · ${utc(iso)}`;
}

export function span(from: string, to: string): string {
  const [a, b] = [new Date(from), new Date(to)];
  if (lang() !== 'ht') return new Intl.DateTimeFormat(locale(), { day: 'numeric', month: 'short', year: b.getFullYear() === new Date().getFullYear() ? undefined : 'numeric' }).formatRange(a, b);
  return a.getMonth() === b.getMonth() && a.getFullYear() === b.getFullYear() ? `${a.getDate()}–${day(to)}` : `${day(from)} – ${day(to)}`;
}

const units: [Intl.RelativeTimeFormatUnit, number, string][] = [
  ['minute', 60, 'min'],
  ['hour', 3600, 'è'],
  ['day', 86400, 'jou'],
];

// ago is relative while fresh, and a date once that says more.
export function ago(iso: string, now: number): string {
  const s = Math.round((now - Date.parse(iso)) / 1000);
  if (s > 6.5 * 86400 || s < -7 * 86400) return day(iso);
  const abs = Math.abs(s);
  if (abs < 45) return t('now');
  const [unit, size, ht] = abs < 3570 ? units[0]! : abs < 82800 ? units[1]! : units[2]!;
  const n = Math.max(1, Math.round(abs / size));
  if (lang() === 'ht') return s >= 0 ? `sa gen ${n} ${ht}` : `nan ${n} ${ht}`;
  return new Intl.RelativeTimeFormat(locale(), { style: lang() === 'fr' ? 'short' : 'narrow', numeric: 'always' }).format(s >= 0 ? -n : n, unit);
}

export const number = (n: number): string => new Intl.NumberFormat(locale()).format(n);

export const compact = (n: number): string =>
  n < 10_000 ? number(n) : new Intl.NumberFormat(locale(), { notation: 'compact', maximumFractionDigits: 1 }).format(n);

export function bytes(n: number): string {
  return n < 1_000_000 ? `${number(Math.max(1, Math.round(n / 1000)))} KB` : `${number(Math.round(n / 100_000) / 10)} MB`;
}

// lasting says how long something takes, in one unit: nobody acts on the second.
export function lasting(seconds: number): string {
  const days = lang() === 'ht' ? 'jou' : lang() === 'fr' ? 'j' : 'd';
  const hours = lang() === 'ht' ? 'è' : 'h';
  const [n, unit] = seconds < 90 ? [seconds, 's'] : seconds < 5400 ? [seconds / 60, 'min'] : seconds < 172_800 ? [seconds / 3600, hours] : [seconds / 86_400, days];
  return `${number(Math.max(1, Math.round(n)))} ${unit}`;
}

// hour is the clock while it is today, and the day with it after that.
export function hour(iso: string): string {
  const d = new Date(iso);
  return d.toDateString() === new Date().toDateString() ? clock(d) : dayTime(iso);
}

export function metres(n: number): string {
  return n < 1000 ? `${number(Math.round(n))} m` : `${number(Math.round(n / 100) / 10)} km`;
}

export function localInput(iso: string | undefined): string {
  if (!iso) return '';
  const d = new Date(iso);
  if (Number.isNaN(d.getTime())) return '';
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}T${two(d.getHours())}:${two(d.getMinutes())}`;
}

export function fromLocalInput(s: string): string | undefined {
  const d = new Date(s);
  return s && !Number.isNaN(d.getTime()) ? d.toISOString().replace(/\.\d+Z$/, 'Z') : undefined;
}
