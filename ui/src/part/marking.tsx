import type { Marking, TLP } from '../api/types';
import { t, tOr } from '../i18n';
import { Icon } from './icon';
import './part.css';

// The standard colours of TLP 2.0 on black, never themed.
export function TlpChip({ tlp }: { tlp: TLP }) {
  return <span className={`tlp tlp-${tlp.replace('+', '')}`}>TLP:{tlp}</span>;
}

export const caveatWord = (c: string) => tOr(`caveat.${c}`, c);

export function Caveats({ list, short }: { list?: string[]; short?: boolean }) {
  if (!list?.length) return null;
  if (short) {
    const words = list.map(caveatWord).join(', ');
    return (
      <span className="caveat" title={`${t('caveats')}: ${words}`}>
        <Icon name="lock" />
        <span className="sr">{words}</span>
        {list.length > 1 && list.length}
      </span>
    );
  }
  return list.map((c) => (
    <span key={c} className="caveat">
      <Icon name="lock" />
      {caveatWord(c)}
    </span>
  ));
}

export function MarkingLine({ marking }: { marking: Marking }) {
  return (
    <span className="row-flex wrap" style={{ gap: 6 }}>
      <TlpChip tlp={marking.tlp} />
      <Caveats list={marking.caveats} />
    </span>
  );
}
