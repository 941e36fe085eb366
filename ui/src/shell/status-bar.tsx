import { Button, Popover } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { useFeedState } from '../api/live';
import { again, flush, forget, useOutbox, type Item } from '../api/outbox';
import { useMe } from '../api/session';
import { t, tOr } from '../i18n';
import { clock, dayTime, number, utcClock } from '../i18n/time';
import { Icon } from '../part/icon';
import { Ago } from '../part/time';
import { wrongWord } from '../part/wrong';
import { A } from '../router';
import { ProcessesLine } from './processes';
import { statusQuery } from './status';

export function StatusBar() {
  const { data, error } = useQuery(statusQuery);
  const state = useFeedState();
  // Until the stream opens, the node's answers say whether it is there.
  const feed = state === 'connecting' && data && !error ? 'live' : state;
  return (
    <footer className="status">
      <span>
        <i className={`dot ${feed === 'live' ? '' : feed === 'cut' ? 'cut' : 'behind'}`} />
        {feed === 'cut' ? t('feed.cut') : feed === 'live' ? (data?.saved === false ? t('status.unsaved') : t('status.saved')) : t('feed.connecting')}
      </span>
      {data?.ledger && <span>{t('status.ledger', { n: number(data.ledger.size) })}</span>}
      <OutboxLine />
      <PurposeLine />
      <ProcessesLine />
      {!!data?.people && <span>{t('status.people', { n: data.people })}</span>}
      <span className="end credit">Natural Earth · GeoNames CC BY 4.0</span>
      <Clock />
    </footer>
  );
}

// PurposeLine keeps the purpose in force in sight of whoever gave it.
function PurposeLine() {
  const { purpose } = useMe().person;
  if (!purpose) return null;
  return (
    <A className="purpose-line" href="/settings" title={`${t('settings.purpose')}, ${t('purpose.until', { at: dayTime(purpose.until) })}`}>
      <Icon name="lock" size={12} />
      {purpose.words}
    </A>
  );
}

function Clock() {
  const [now, setNow] = useState(new Date());
  useEffect(() => {
    const timer = window.setInterval(() => setNow(new Date()), 1000);
    return () => window.clearInterval(timer);
  }, []);
  return (
    <span title={utcClock(now)}>
      {clock(now)}:{String(now.getSeconds()).padStart(2, '0')} {t('local')}
    </span>
  );
}

export function OutboxLine() {
  const me = useMe();
  const items = useOutbox().filter((i) => i.person === me.person.id);
  const refused = items.filter((i) => i.refused).length;
  const waiting = items.length - refused;
  if (!items.length) return null;
  return (
    <Popover position="top-start" width={360} shadow="md" trapFocus>
      <Popover.Target>
        <button className={`plain ${refused ? 'refused' : 'waits'}`} aria-live="polite">
          {waiting > 0 && t('outbox.waiting', { n: waiting })}
          {waiting > 0 && refused > 0 && ' · '}
          {refused > 0 && t('outbox.refused', { n: refused })}
        </button>
      </Popover.Target>
      <Popover.Dropdown>
        <div className="stack">
          {items.map((i) => (
            <OutboxItem key={i.key} item={i} />
          ))}
          {waiting > 0 && (
            <Button size="xs" variant="default" onClick={() => void flush()}>
              {t('outbox.now')}
            </Button>
          )}
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}

function OutboxItem({ item }: { item: Item }) {
  return (
    <div>
      <b style={{ fontWeight: 600 }}>{item.label}</b>
      <div className="mut">
        <Ago iso={item.at} />
      </div>
      {item.refused && (
        <div className="stack" style={{ gap: 6 }}>
          <div style={{ color: 'var(--bad-tx)' }}>
            {tOr(`error.${item.refused.code}`, item.refused.detail)} {item.refused.fields.map((f) => `${f.path}: ${wrongWord(f)}`).join('; ')}
          </div>
          <div className="row-flex">
            <Button size="compact-xs" variant="default" onClick={() => again(item.key)}>
              {t('tryAgain')}
            </Button>
            <Button size="compact-xs" variant="default" color="red" onClick={() => forget(item.key)}>
              {t('discard')}
            </Button>
          </div>
        </div>
      )}
    </div>
  );
}
