import { holding, type Holder, type HolderState } from '../api/peers';
import { t, tOr } from '../i18n';
import { number, whole } from '../i18n/time';
import { Mark, type Shape, type Tone } from '../part/mark';
import { Ago } from '../part/time';

const marks: Record<HolderState, [Shape, Tone]> = {
  queued: ['wait', 'mut'],
  sent: ['half', 'mut'],
  received: ['disc', 'ok'],
  opened: ['eye', 'ok'],
  recalling: ['square', 'warn'],
  purged: ['struck', 'mut'],
  refused: ['cross', 'bad'],
  unreachable: ['tri', 'bad'],
};

// Held says how far a record, or its recall, has come at one node. now is the
// version that the owner has.
export function Held({ holder: h, now }: { holder: Holder; now: number }) {
  const [shape, tone] = marks[h.state] ?? marks.queued;
  const here = h.state === 'received' || h.state === 'opened';
  return (
    <span className="held" data-state={h.state}>
      <Mark shape={shape} tone={tone} />
      <span title={whole(h.since)}>
        {t(`holders.${h.state}`)} {h.state !== 'unreachable' && <Ago iso={h.since} />}
        {here && (h.reason || h.version < now) && ` · ${t('holders.newer')}`}
        {h.reason && (h.state === 'refused' || h.state === 'recalling' || h.state === 'unreachable') && ` · ${whyWord(h.reason)}`}
      </span>
    </span>
  );
}

// A reason is a token, with the other node's own words after it.
const whyWord = (reason: string) => {
  const [token = ''] = reason.split(':');
  return tOr(`holders.why.${token}`, reason);
};

// GiveBack says before it is done which nodes will be asked to purge a record.
export function GiveBack({ holders }: { holders: Holder[] }) {
  const all = holders.filter((h) => holding(h) && h.state !== 'recalling');
  if (!all.length) return null;
  return (
    <div style={{ marginTop: 8 }}>
      <b>{all.length === 1 ? t('holders.ask.1') : t('holders.ask', { n: all.length })}</b> {t('holders.ask.words')}
      <div>{all.map((h) => h.title).join(', ')}</div>
    </div>
  );
}

// Recalled lists the nodes that have to give a record back, and how many have.
export function Recalled({ holders, now }: { holders: Holder[]; now: number }) {
  if (!holders.length) return null;
  const open = holders.filter((h) => h.state === 'recalling').length;
  const asked = holders.filter((h) => h.state === 'recalling' || h.state === 'purged').length;
  return (
    <div className="recalled">
      <h4>{t('holders.recalled')}</h4>
      {asked > 0 && (
        <div role="status">
          {open > 0 ? (
            <>
              <span>{t('holders.progress', { n: number(asked - open), of: number(asked) })}</span>
              <div className="recall-meter" aria-hidden="true">
                <i style={{ width: `${((asked - open) / asked) * 100}%` }} />
              </div>
            </>
          ) : (
            t(asked === 1 ? 'holders.gone.1' : 'holders.gone', { n: number(asked) })
          )}
        </div>
      )}
      {holders.map((h) => (
        <div key={h.node}>
          {h.title} <span className="mut">{h.agencies?.join(', ')}</span>
          <Held holder={h} now={now} />
        </div>
      ))}
    </div>
  );
}
