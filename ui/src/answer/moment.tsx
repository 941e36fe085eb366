import { fieldOf, useDesks, type Known } from '../api/desks';
import type { Field, Rec } from '../api/types';
import { placeLine } from '../board/row';
import { useAgencyName } from '../part/agency';
import { Due } from '../part/due';
import { TlpChip } from '../part/marking';
import { StateMark } from '../part/state';
import { Ago } from '../part/time';
import { isEmpty, show, titleField, valueAt } from '../record/body';
import { A, boardPath } from '../router';
import { isOpen } from './model';

// AnswerMoment is an answer as it stands in the timeline of what it answers: who
// says what, in short. about is the declaration of the answered record.
export function AnswerMoment({ record: r, about }: { record: Rec; about: Known }) {
  const name = useAgencyName();
  const known = useDesks().of(r.kind);
  if (!known) return null;
  const { kind, words } = known;
  const titled = titleField(known, r);
  const text = titled ? String(valueAt(r.body, titled.path)) : '';
  const each = kind.answers?.each && fieldOf(kind, kind.answers.each);
  const facts = (kind.columns ?? []).flatMap((c) => {
    const f = fieldOf(kind, c);
    return f && f !== titled && f !== each && !isEmpty(valueAt(r.body, c)) ? [f] : [];
  });
  const place = placeLine(r);
  const gone = r.state !== kind.start && !kind.path?.includes(r.state);
  return (
    <li className={`said${gone ? ' gone' : ''}`} data-answer={r.id}>
      <div className="said-head">
        <A href={boardPath(r.kind, r.id)}>
          <b>{each ? words.value(each.path, String(valueAt(r.body, each.path))) : words.one}</b>
        </A>
        {(gone || (kind.path?.length ?? 0) > 1) && <StateMark known={known} state={r.state} />}
        <span className="end">
          <TlpChip tlp={r.marking.tlp} />
        </span>
      </div>
      {text && <p className="said-text">{text}</p>}
      {(facts.length > 0 || place) && (
        <dl className="said-facts">
          {facts.map((f) => (
            <div key={f.path}>
              <dt>{words.field(f.path)}</dt> <dd>{<Short known={known} field={f} record={r} about={about} name={name} />}</dd>
            </div>
          ))}
          {place && (
            <div>
              <dd>{place}</dd>
            </div>
          )}
        </dl>
      )}
      <div className="by">
        <Ago iso={r.recorded} /> · {name(r.owner)}
      </div>
    </li>
  );
}

function Short({ known, field: f, record: r, about, name }: { known: Known; field: Field; record: Rec; about: Known; name: (id: string) => string }) {
  const value = valueAt(r.body, f.path);
  if (f.path === known.kind.address?.due) return <Due iso={String(value)} settled={!isOpen(known, r)} />;
  if (f.widget === 'agency') return name(String(value));
  if (f.widget === 'field') return about.words.field(String(value));
  const s = show(f, value, known.words);
  return s.length > 160 ? s.slice(0, 160) + '…' : s;
}
