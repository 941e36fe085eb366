import { useQuery } from '@tanstack/react-query';
import { relAnswers } from '../answer/model';
import { useDesks } from '../api/desks';
import { linksQuery } from '../api/records';
import type { Rec } from '../api/types';
import { t, tOr } from '../i18n';
import { TlpChip } from '../part/marking';
import { StateMark } from '../part/state';
import { A, boardPath } from '../router';
import { titleOf } from './body';

export function Links({ record: r }: { record: Rec }) {
  const { of } = useDesks();
  const { data } = useQuery(linksQuery(r.kind, r.id));
  const out = (data?.out ?? []).map((l, i) => ({ rel: tOr(`rel.${l.rel}`, l.rel), note: l.note, record: l.record, at: r.links?.[i] }));
  // Answers stand in the timeline.
  const into = (data?.in ?? []).filter((l) => !(l.rel === relAnswers && of(l.record.kind)?.kind.answers)).map((l) => ({ rel: tOr(`rel.${l.rel}.in`, `${l.rel} ←`), note: undefined, record: l.record, at: undefined }));
  const all = [...out, ...into];
  // A command may leave a state's name as the note of the link that it made.
  const noteWord = (to: Rec | undefined, note: string) => {
    const known = of(to?.kind ?? r.kind);
    return known?.kind.states.includes(note) ? known.words.state(note) : note;
  };
  if (!all.length) return null;
  return (
    <section className="sec">
      <h3>{t('links')}</h3>
      {all.map((l, i) => (
        <div key={i} className="item">
          <span>
            <span className="mut">{l.rel}</span>
            <br />
            {l.record ? <Linked record={l.record} /> : <span className="mut">{t('link.hidden')}</span>}
            {l.note && <div className="mut">{noteWord(l.record, l.note)}</div>}
          </span>
          {l.record && <TlpChip tlp={l.record.marking.tlp} />}
        </div>
      ))}
    </section>
  );
}

export function Linked({ record: r }: { record: Rec }) {
  const { of } = useDesks();
  const known = of(r.kind);
  if (!known) return <span>{r.kind}</span>;
  return (
    <>
      <A href={boardPath(r.kind, r.id)}>
        <b>{titleOf(known, r)}</b>
      </A>
      <div className="mut" style={{ fontSize: 12 }}>
        <StateMark known={known} state={r.state} /> · {r.owner}
      </div>
    </>
  );
}
