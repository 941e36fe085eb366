import { Button, Checkbox } from '@mantine/core';
import { useState } from 'react';
import { given, peerPath, type Peer } from '../api/peers';
import { t } from '../i18n';
import { dayTime } from '../i18n/time';
import { Banner } from '../part/notice';
import { toast } from '../part/toast';
import { useRun } from './use-run';
import { Wrong } from './wrong';

// Resume says what was found at a node whose stream was stopped, what it can
// mean, and lets an administrator go on once somebody there has explained it.
export function Resume({ peer: p, runs }: { peer: Peer; runs: boolean }) {
  const { run, busy, error } = useRun();
  const [spoke, setSpoke] = useState(false);
  const fault = p.witness?.fault || 'unknown';
  const since = given(p.since);
  return (
    <section className="sec stack">
      <Banner tone="bad">
        <b>{t(fault === 'unknown' ? 'peers.fault.unknown' : `peers.fault.${fault}`)}</b>
        <div>{t(fault === 'unknown' ? 'peers.fault.unknown.words' : `peers.fault.${fault}.words`)}</div>
      </Banner>
      {(p.witness?.detail || p.why) && (
        <p className="mono" style={{ margin: 0 }}>
          {p.witness?.detail || p.why}
        </p>
      )}
      <p>
        {since && `${t('peers.refused.since', { at: dayTime(since) })} `}
        {t('peers.refused.words')}
      </p>
      {runs && (
        <>
          <Checkbox label={t('peers.resume.spoke', { who: p.title })} checked={spoke} onChange={(e) => setSpoke(e.currentTarget.checked)} />
          <Wrong error={error} />
          <div>
            <Button disabled={!spoke} loading={busy} onClick={() => void run(peerPath(p.short, 'resume'), {}, () => toast(t('peers.resumed', { who: p.title })))}>
              {t('peers.resume')}
            </Button>
          </div>
        </>
      )}
    </section>
  );
}
