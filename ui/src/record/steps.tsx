import type { Known } from '../api/desks';

export function Steps({ known: { kind, words }, state }: { known: Known; state: string }) {
  const path = kind.path ?? [];
  const at = path.indexOf(state);
  if (path.length < 2) return null;
  return (
    <ol className="steps">
      {path.map((s, i) => (
        <li key={s} className={i === at ? 'here' : i < at ? 'done' : ''} aria-current={i === at ? 'step' : undefined}>
          <span title={words.state(s)}>{words.state(s)}</span>
        </li>
      ))}
    </ol>
  );
}
