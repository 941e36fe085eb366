import { memo } from 'react';
import { fieldOf, type Known } from '../api/desks';
import type { Rec } from '../api/types';
import { t } from '../i18n';
import { useAgencyName } from '../part/agency';
import { Due } from '../part/due';
import { Caveats, TlpChip } from '../part/marking';
import { StateMark } from '../part/state';
import { Ago } from '../part/time';
import { levelOf, show, titleOf, valueAt } from '../record/body';
import { follow } from '../router';
import { addresseeOf, isOpen } from './model';

interface Props {
  known: Known;
  record: Rec;
  ours: boolean;
  href: string;
  at: boolean;
  open: boolean;
  fresh: boolean;
}

// InboxRow is one matter between two agencies: what, how pressing, until when,
// and how far it is.
export const InboxRow = memo(function InboxRow({ known, record: r, ours, href, at, open, fresh }: Props) {
  const { address } = known.kind;
  const name = useAgencyName();
  const rank = fieldOf(known.kind, address?.rank);
  const due = address?.due && valueAt(r.body, address.due);
  return (
    <a
      className={`q${fresh ? ' fresh' : ''}`}
      href={href}
      id={`r-${r.id}`}
      role="option"
      tabIndex={-1}
      data-id={r.id}
      data-at={at || undefined}
      aria-selected={open}
      onClick={(e) => follow(e, href)}
    >
      <span className={`bar lv${levelOf(rank, rank && valueAt(r.body, rank.path))}`} />
      <span className="what">
        <span className="t">{titleOf(known, r)}</span>
        <span className="by">
          {t(ours ? 'answer.asked' : 'answer.asks', { who: name(ours ? addresseeOf(known, r) : r.owner) })} · <Ago iso={r.created} />
        </span>
      </span>
      <span className="rank">{rank && show(rank, valueAt(r.body, rank.path), known.words)}</span>
      <span className="until">{typeof due === 'string' && due ? <Due iso={due} settled={!isOpen(known, r)} /> : <span className="mut">{t('answer.noDue')}</span>}</span>
      <span className="how">
        <StateMark known={known} state={r.state} />
      </span>
      <span className="k">
        <Caveats list={r.marking.caveats} short />
        <TlpChip tlp={r.marking.tlp} />
      </span>
    </a>
  );
});
