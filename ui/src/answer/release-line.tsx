import { useState } from 'react';
import type { Known } from '../api/desks';
import type { Marking, Rec } from '../api/types';
import { MarkingEdit } from '../form/marking-edit';
import { t } from '../i18n';
import { useAgencyName } from '../part/agency';
import { MarkingLine } from '../part/marking';

interface Props {
  known: Known;
  about: Rec;
  own: boolean; // the answered record is of the same agency
  value: Marking;
  set: (m: Marking) => void;
  error?: string;
}

// ReleaseLine says in one line who will see an answer, and opens the whole
// choice for whoever wants another.
export function ReleaseLine({ known, about, own, value: m, set, error }: Props) {
  const name = useAgencyName();
  const [open, setOpen] = useState(false);
  const names = [...(m.to ?? []), ...(m.persons ?? [])].map(name);
  const beyond = !own && (m.to ?? []).some((a) => a !== about.owner);
  return (
    <div className="stack release-line">
      <div className="row-flex wrap">
        <MarkingLine marking={m} />
        <span className="grow">{names.length ? t('answer.only', { who: names.join(', ') }) : t('answer.alone')}</span>
        <button type="button" className="plain linky" aria-expanded={open} onClick={() => setOpen(!open)}>
          {t(open ? 'answer.less' : 'change')}
        </button>
      </div>
      {error && !open && <div className="wrong-line">{error}</div>}
      {beyond && <div className="mut">{known.kind.answers?.own ? t('answer.own', { who: name(about.owner) }) : t('answer.within')}</div>}
      {open && <MarkingEdit value={m} set={set} protect={known.kind.protect} error={error} />}
    </div>
  );
}
