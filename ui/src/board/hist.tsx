import type { KeyboardEvent, MouseEvent } from 'react';
import { fieldOf, type Known } from '../api/desks';
import type { Count } from '../api/types';
import { t } from '../i18n';
import { day as dayWord, number } from '../i18n/time';
import { levelOf } from '../record/body';

const shown = 45;

// Hist counts by day, stacked by level; a day is a filter. It is one control: a
// press chooses the day under it, the arrow keys go from day to day.
export function Hist({ known, perDay, chosen, choose }: { known: Known; perDay: NonNullable<Count['perDay']>; chosen: string | null; choose: (day: string | undefined) => void }) {
  const by = fieldOf(known.kind, known.kind.symbol?.by);
  const days = fill(perDay);
  const max = Math.max(...days.map((d) => d.count), 1);
  if (perDay.length < 2 && !chosen) return null;
  const at = days.findIndex((d) => d.day === chosen);
  const say = (d: { day: string; count: number }) => `${dayWord(d.day + 'T12:00:00Z')}: ${number(d.count)}`;
  const onKey = (e: KeyboardEvent) => {
    const last = days.length - 1;
    const to = { ArrowLeft: at < 0 ? last : Math.max(0, at - 1), ArrowRight: at < 0 ? last : Math.min(last, at + 1), Home: 0, End: last }[e.key];
    if (to !== undefined) choose(days[to]!.day);
    else if (['Delete', 'Backspace', 'Escape'].includes(e.key) && at >= 0) choose(undefined);
    else return;
    e.preventDefault();
    e.stopPropagation();
  };
  const onClick = (e: MouseEvent<HTMLElement>) => {
    const box = e.currentTarget.getBoundingClientRect();
    const day = days[Math.max(0, Math.min(days.length - 1, Math.floor(((e.clientX - box.left) / box.width) * days.length)))]!.day;
    choose(day === chosen ? undefined : day);
  };
  return (
    <div
      className="hist"
      role="slider"
      tabIndex={0}
      aria-label={t('perDay')}
      aria-valuemin={0}
      aria-valuemax={days.length - 1}
      aria-valuenow={at < 0 ? days.length - 1 : at}
      aria-valuetext={at < 0 ? t('perDay.all') : say(days[at]!)}
      onKeyDown={onKey}
      onClick={onClick}
    >
      {days.map((d) => {
        const levels = [0, 0, 0, 0, 0, 0];
        for (const [v, n] of Object.entries(d.bySymbol ?? {})) levels[levelOf(by, v)]! += n;
        levels[0] = Math.max(0, d.count - levels.slice(1).reduce((a, b) => a + b, 0));
        return (
          <span key={d.day} title={say(d)} data-on={d.day === chosen || undefined}>
            {[5, 4, 3, 2, 1, 0].map((l) => (levels[l] ? <i key={l} className={`lv${l}`} style={{ height: `${(levels[l]! / max) * 100}%` }} /> : null))}
          </span>
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
