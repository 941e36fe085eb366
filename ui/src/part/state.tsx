import type { Known } from '../api/desks';

// StateMark says a state by shape and word: a pie that fills along the usual
// course, a struck ring for a state beside it.
export function StateMark({ known, state, only }: { known: Known; state: string; only?: 'shape' }) {
  const path = known.kind.path ?? [];
  const at = path.indexOf(state);
  const word = known.words.state(state);
  return (
    <span className="state" title={only && word}>
      <svg viewBox="0 0 12 12" aria-hidden="true">
        <Shape at={at} of={path.length} />
      </svg>
      {only ? null : <span>{word}</span>}
    </span>
  );
}

function Shape({ at, of }: { at: number; of: number }) {
  const ring = <circle cx="6" cy="6" r="5" fill="none" stroke="currentColor" strokeWidth="1.6" />;
  if (at < 0)
    return (
      <>
        {ring}
        <path d="M2.800 9.200 9.200 2.800" stroke="currentColor" strokeWidth="1.6" />
      </>
    );
  if (at === of - 1) return <circle cx="6" cy="6" r="5.800" fill="var(--line2)" />;
  if (at === 0) return ring;
  const turn = (at / (of - 1)) * 2 * Math.PI;
  const x = 6 + 5 * Math.sin(turn);
  const y = 6 - 5 * Math.cos(turn);
  return (
    <>
      {ring}
      <path d={`M6 6V1A5 5 0 ${turn > Math.PI ? 1 : 0} 1 ${x} ${y}Z`} fill="currentColor" />
    </>
  );
}
