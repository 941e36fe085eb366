import { memo } from 'react';
import { fieldOf, type Known } from '../api/desks';
import type { Item } from '../api/outbox';
import type { Body, Draft, Rec } from '../api/types';
import { t } from '../i18n';
import { areaName } from '../map/area';
import { Caveats, TlpChip } from '../part/marking';
import { StateMark } from '../part/state';
import { Ago } from '../part/time';
import { Icon } from '../part/icon';
import { show, symbolLevel, titleOf, valueAt } from '../record/body';
import { follow } from '../router';

interface Props {
  known: Known;
  record: Rec;
  href: string;
  at: boolean;
  open: boolean;
  fresh: boolean;
  named: boolean; // whether areas are known by name yet
  alike?: string; // what of a name is like the one that was searched for
}

// placeLine says where, as a person would: words first, the area when there are none.
export function placeLine(r: { place?: Rec['place'] }): string {
  const p = r.place;
  return p?.words || (p?.pcode ? areaName(p.pcode) : '');
}

// facts are the columns that the row does not already say elsewhere.
function facts(known: Known, body: Body, said: string): [string, string][] {
  return (known.kind.columns ?? []).flatMap((c): [string, string][] => {
    const f = fieldOf(known.kind, c);
    // The name of another kind's field says nothing without its record.
    const s = f && f.widget !== 'field' ? show(f, valueAt(body, c), known.words) : '';
    return s && !said.split(' · ').includes(s) ? [[known.words.field(c), s]] : [];
  });
}

export const Row = memo(function Row({ known, record: r, href, at, open, fresh, alike }: Props) {
  const by = known.kind.symbol?.by;
  const level = symbolLevel(known.kind, r);
  const where = placeLine(r);
  const title = titleOf(known, r);
  const more = facts(known, r.body, title);
  const line = (!title.includes(where) && where) || more.filter(([l]) => l !== (by && known.words.field(by))).map(([l, v]) => `${l}: ${v}`).join(' · ');
  const levelWord = by && show(fieldOf(known.kind, by)!, valueAt(r.body, by), known.words);
  return (
    <a
      className={`r${fresh ? ' fresh' : ''}`}
      href={href}
      id={`r-${r.id}`}
      role="option"
      tabIndex={-1}
      data-id={r.id}
      data-at={at || undefined}
      aria-selected={open}
      onClick={(e) => follow(e, href)}
    >
      <span className={`bar lv${level}`} title={levelWord || undefined} />
      <span className="t">
        {title}
        {levelWord && <span className="sr"> {levelWord}</span>}
      </span>
      <span className="k">
        <TlpChip tlp={r.marking.tlp} />
      </span>
      <span className="m">
        <span className="s">
          <StateMark known={known} state={r.state} />
        </span>
        <Caveats list={r.marking.caveats} short />
        {r.flags?.map((f) => (
          <span key={f} className="fix flag" title={known.words.flag(f)}>
            <Icon name="flag" size={12} />
            <span className="sr">{known.words.flag(f)}</span>
          </span>
        ))}
        <span className="w">{alike ?? line}</span>
      </span>
      <span className="by">
        {r.owner} · <Ago iso={r.observed} />
      </span>
      <span className="extra">
        {more.slice(0, 4).map(([l, v]) => (
          <span key={l}>
            <small>{l}</small>
            {v}
          </span>
        ))}
      </span>
    </a>
  );
});

// WaitingRow is a record that the node does not have yet.
export function WaitingRow({ known, item }: { known: Known; item: Item }) {
  const draft = item.body as Draft;
  const r = { ...draft, kind: item.kind } as unknown as Rec;
  return (
    <div className="r waits" role="option" aria-selected={false}>
      <span className={`bar lv${symbolLevel(known.kind, r)}`} />
      <span className="t">{titleOf(known, r)}</span>
      <span className="k">
        <TlpChip tlp={draft.marking.tlp} />
      </span>
      <span className="m">
        <span className="s">{item.refused ? t('refused') : t('waiting')}</span>
        <span className="w">{placeLine(draft)}</span>
      </span>
      <span className="by">
        <Ago iso={item.at} />
      </span>
    </div>
  );
}
