import type { Alarm, Peer } from '../api/peers';
import { t, tOr } from '../i18n';
import { Icon } from '../part/icon';
import { Notice } from '../part/notice';
import { Ago } from '../part/time';
import { A } from '../router';
import { nodePath } from './nodes';

// Alarms is what an administrator has to know, newest first. What follows from
// one is said beside it.
export function Alarms({ alarms, peers }: { alarms: Alarm[]; peers: Peer[] }) {
  if (!alarms.length)
    return (
      <section className="card">
        <Notice icon="check" title={t('peers.alarms.none')}>
          {t('peers.alarms.words')}
        </Notice>
      </section>
    );
  return (
    <section className="card">
      <ul className="plain-list alarms">
        {alarms.map((a, i) => {
          const p = peers.find((x) => x.name === a.node || x.short === a.node);
          const next = tOr(`peers.alarm.${a.code}.next`, '');
          return (
            <li key={i}>
              <Icon name="flag" size={16} />
              <div>
                <b>{tOr(`peers.alarm.${a.code}`, a.code)}</b>{' '}
                {p ? <A href={nodePath(p.short)}>{p.title}</A> : <span className="mono">{a.node}</span>}
                {next && <div>{next}</div>}
                {a.text && <div className="mut">{a.text}</div>}
                {a.record && <div className="mono mut">{a.record}</div>}
              </div>
              <span className="mut">
                <Ago iso={a.at} />
              </span>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
