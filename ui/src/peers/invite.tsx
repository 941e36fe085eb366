import { Button, SegmentedControl, Select, TextInput } from '@mantine/core';
import { useEffect, useState } from 'react';
import type { Invitation, Peers } from '../api/peers';
import { t } from '../i18n';
import { dayTime, lasting } from '../i18n/time';
import { copy } from '../part/copy';
import { Banner } from '../part/notice';
import { Print } from './print';
import { Qr } from './qr';
import { useRun } from './use-run';
import { Wrong } from './wrong';

const hours = [1, 4, 24, 72];

// Invite makes a code that lets one node ask to join, to be read out, sent or
// photographed.
export function Invite({ all }: { all: Peers }) {
  const { run, busy, error } = useRun();
  const [region, setRegion] = useState(false);
  const [span, setSpan] = useState('24');
  const [url, setUrl] = useState(all.self?.urls?.[0] ?? location.origin);
  const [made, setMade] = useState<Invitation>();
  const founder = !!all.region?.founder;
  if (made) return <Shown invitation={made} again={() => setMade(undefined)} />;
  return (
    <>
      <div>
        <h2>{t('peers.invite')}</h2>
        <p className="mut">{t('peers.invite.words')}</p>
      </div>
      {founder && (
        <div>
          <div className="mantine-InputWrapper-label">{t('peers.invite.to')}</div>
          <SegmentedControl
            data={[
              { value: 'us', label: t('peers.invite.us') },
              { value: 'region', label: t('peers.invite.region', { name: all.region!.name }) },
            ]}
            value={region ? 'region' : 'us'}
            onChange={(v) => setRegion(v === 'region')}
          />
          <p className="mut" style={{ marginTop: 6 }}>
            {t(region ? 'peers.invite.region.words' : 'peers.invite.us.words')}
          </p>
        </div>
      )}
      <Select label={t('peers.invite.hours')} allowDeselect={false} data={hours.map((h) => ({ value: String(h), label: lasting(h * 3600) }))} value={span} onChange={(v) => v && setSpan(v)} style={{ maxWidth: 160 }} />
      <TextInput type="url" label={t('peers.invite.url')} description={t('peers.invite.url.words')} value={url} onChange={(e) => setUrl(e.currentTarget.value)} style={{ maxWidth: 420 }} />
      <Wrong error={error} />
      <div>
        <Button loading={busy} onClick={() => void run<Invitation>('/peers/invitations', { region: region && founder, hours: Number(span), url: url.trim() || undefined }, setMade)}>
          {t('peers.invite.make')}
        </Button>
      </div>
    </>
  );
}

function Shown({ invitation: i, again }: { invitation: Invitation; again: () => void }) {
  const left = useLeft(i.expires);
  return (
    <>
      <div>
        <h2>{t('peers.invite')}</h2>
        <p className="mut">{t('peers.invite.give')}</p>
      </div>
      <div className="invitation">
        {left > 0 && <Qr rows={i.qr} label={t('peers.qr')} />}
        <div className="stack" style={{ alignContent: 'start' }}>
          <div className="stack" style={{ gap: 4 }}>
            <div className="mut">{t('first.code')}</div>
            <code className="code" aria-label={t('first.code')}>
              {codeGroups(i.code).map((g, n) => (
                <span key={n}>{g}</span>
              ))}
            </code>
          </div>
          <div className="row-flex wrap">
            <Button size="xs" variant="default" disabled={left <= 0} onClick={() => void copy(i.code)}>
              {t('copy')}
            </Button>
            <span className={left > 0 ? 'mut' : 'node-error'} title={dayTime(i.expires)}>
              {left > 0 ? t('peers.invite.left', { left: countdown(left) }) : t('peers.invite.over')}
            </span>
          </div>
          <div className="stack" style={{ gap: 4 }}>
            <div className="mut">{t('peers.print.ours')}</div>
            <Print value={i.fingerprint} large />
          </div>
          <div className="mut">
            {t('peers.urls')}: <span className="mono">{i.url}</span>
          </div>
        </div>
      </div>
      <Banner>{t('peers.invite.next')}</Banner>
      <div>
        <Button variant="default" onClick={again}>
          {t('peers.invite.another')}
        </Button>
      </div>
    </>
  );
}

// The dashes are part of the code: they stay with the group before them.
const codeGroups = (code: string): string[] => code.match(/[^-]+-?/g) ?? [];

function useLeft(expires: string): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), 1000);
    return () => window.clearInterval(timer);
  }, []);
  return Math.max(0, Math.floor((Date.parse(expires) - now) / 1000));
}

const two = (n: number) => String(n).padStart(2, '0');
const countdown = (s: number) => `${s >= 3600 ? `${Math.floor(s / 3600)}:` : ''}${two(Math.floor((s % 3600) / 60))}:${two(s % 60)}`;
