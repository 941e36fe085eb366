import { Button, SegmentedControl } from '@mantine/core';
import { useState } from 'react';
import type { Peer, Peers } from '../api/peers';
import { t } from '../i18n';
import { PeerMark, peerWord } from '../part/mark';
import { Banner } from '../part/notice';
import { go } from '../router';
import { Approve } from './approve';
import { CardFile } from './card-file';
import { Enter } from './enter';
import { Invite } from './invite';
import { nodePath } from './nodes';
import { Print } from './print';

type Way = 'invite' | 'enter' | 'card';

// Join brings two nodes together: one side invites, the other enters the code,
// the first compares and approves. Without a network cards go on a stick.
export function Join({ all }: { all: Peers }) {
  const [way, setWay] = useState<Way>('invite');
  const waiting = all.peers?.filter((p) => p.state === 'pending') ?? [];
  return (
    <div className="join">
      <div className="stack" style={{ alignContent: 'start' }}>
        <SegmentedControl
          className="ways"
          aria-label={t('peers.join.tab')}
          data={[
            { value: 'invite', label: t('peers.way.invite') },
            { value: 'enter', label: t('peers.way.enter') },
            { value: 'card', label: t('peers.way.card') },
          ]}
          value={way}
          onChange={(v) => setWay(v as Way)}
        />
        <section className="card stack">
          {way === 'invite' && <Invite all={all} />}
          {way === 'enter' && <Enter all={all} />}
          {way === 'card' && <CardFile />}
        </section>
      </div>
      <section className="card stack" style={{ alignContent: 'start' }} aria-live="polite">
        <h2 style={{ margin: 0 }}>{t('peers.waitlist')}</h2>
        {waiting.length === 0 && <p className="mut">{t(way === 'enter' ? 'peers.waitlist.enter' : 'peers.waitlist.none')}</p>}
        {waiting.map((p) => (
          <PendingCard key={p.short} peer={p} all={all} />
        ))}
      </section>
    </div>
  );
}

function PendingCard({ peer: p, all }: { peer: Peer; all: Peers }) {
  const [open, setOpen] = useState(false);
  return (
    <div className="pending-card">
      <div className="row-flex wrap">
        <span className="grow">
          <b>{p.title}</b> <span className="mut">{p.agencies?.join(', ')}</span>
        </span>
        <Button size="xs" variant={open ? 'default' : 'filled'} aria-expanded={open} onClick={() => setOpen(!open)}>
          {t(open ? 'close' : 'peers.compare')}
        </Button>
      </div>
      {open && <Approve peer={p} all={all} />}
    </div>
  );
}

// Joined follows a node that this one asked to join until it is in.
export function Joined({ peer: first, all }: { peer: Peer; all: Peers }) {
  const p = all.peers?.find((x) => x.short === first.short) ?? first;
  const done = p.state === 'live' || p.state === 'behind';
  return (
    <div className="stack" aria-live="polite">
      <h2 style={{ margin: 0 }}>{p.title}</h2>
      <span className="marked">
        <PeerMark state={p.state} />
        {peerWord(p)}
      </span>
      {p.fingerprint && (
        <div className="stack" style={{ gap: 4 }}>
          <div className="mut">{t('peers.print.theirs')}</div>
          <Print value={p.fingerprint} large />
        </div>
      )}
      {all.self && (
        <div className="stack" style={{ gap: 4 }}>
          <div className="mut">{t('peers.print.ours')}</div>
          <Print value={all.self.fingerprint} large />
        </div>
      )}
      {done ? <Banner tone="ok">{t('peers.joined', { who: p.title })}</Banner> : p.state === 'revoked' || p.state === 'refused' ? <Banner tone="bad">{p.why || peerWord(p)}</Banner> : <Banner tone="warn">{t('peers.join.wait', { who: p.title })}</Banner>}
      <div>
        <Button variant="default" onClick={() => go(nodePath(p.short))}>
          {t('peers.details')}
        </Button>
      </div>
    </div>
  );
}
