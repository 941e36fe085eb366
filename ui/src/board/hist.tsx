import { fieldOf, type Known } from '../api/desks';
import type { Count } from '../api/types';
import { t } from '../i18n';
import { day as dayWord, number } from '../i18n/time';
import { levelOf } from '../record/body';

const shown = 45;

// Hist counts by day, stacked by level; a day is a filter.
export function Hist({ known, perDay, chosen, choose }: { known: Known; perDay: NonNullable<Count['perDay']>; chosen: string | null; choose: (day: string | undefined) => void }) {
  const by = fieldOf(known.kind, known.kind.symbol?.by);
  const days = fill(perDay);
  const max = Math.max(...days.map((d) => d.count), 1);
  if (perDay.length < 2 && !chosen) return null;
  return (
    <div className="hist" role="group" aria-label={t('perDay')}>
      {days.map((d) => {
        const levels = [0, 0, 0, 0, 0, 0];
        for (const [v, n] of Object.entries(d.bySymbol ?? {})) levels[levelOf(by, v)]! += n;
        levels[0] = Math.max(0, d.count - levels.slice(1).reduce((a, b) => a + b, 0));
        const words = `${dayWord(d.day + 'T12:00:00Z')}: ${number(d.count)}`;
        return (
          <button key={d.day} className="plain" title={words} aria-label={words} aria-pressed={chosen === d.day} onClick={() => choose(chosen === d.day ? undefined : d.day)}>
            {[5, 4, 3, 2, 1, 0].map((l) => (levels[l] ? <i key={l} className={`lv${l}`} style={{ height: `${(levels[l]! / max) * 100}%` }} /> : null))}
          </button>
        );
      })}
    </div>
  );
}

// fill puts in the days on which nothing happened.
function fill(perDay: NonNullable<Count['perDay']>) {
  const known = new Map(perDay.map((d) => [d.day, d]));
  const sorted = [...known.keys()].sort();
  const last = Date.parse(sorted.at(-1) ?? new Date().toISOString().slice(0, 10));
  const first = Math.max(Date.parse(sorted[0] ?? '') || last, last - (shown - 1) * 86_400_000);
  const start = Math.min(first, last - 13 * 86_400_000);
  const out = [];
  for (let at = start; at <= last; at += 86_400_000) {
    const day = new Date(at).toISOString().slice(0, 10);
    out.push(known.get(day) ?? { day, count: 0 });
  }
  return out;
}
