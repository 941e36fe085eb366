import { Button } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import { given, type Peer, type Peers } from '../api/peers';
import { useMe } from '../api/session';
import { t } from '../i18n';
import { bytes, dayTime, lasting, number } from '../i18n/time';
import { Icon } from '../part/icon';
import { PeerMark, peerWord } from '../part/mark';
import { Banner } from '../part/notice';
import { Ago } from '../part/time';
import { A } from '../router';
import '../record/record.css';
import { Approve } from './approve';
import { Caps } from './caps';
import { Cutter } from './cutter';
import { linkWords, nodePath } from './nodes';
import { Print } from './print';
import { Resume } from './resume';
import { Revoke } from './revoke';
import { Route } from './route';
import { StickButton } from './stick';

interface Props {
  peer: Peer;
  all: Peers;
  looks: boolean;
  runs: boolean;
  close: () => void;
}

// Detail is one node: how the link is, what it has proved, and what an
// administrator can do about it.
export function Detail({ peer: p, all, looks, runs, close }: Props) {
  const me = useMe();
  const box = useRef<HTMLElement>(null);
  const [revoking, setRevoking] = useState(false);
  useEffect(() => {
    box.current?.focus({ preventScroll: true });
    // The keyboard goes on where it was.
    return () => document.querySelector<HTMLElement>(`.node-name[href="${nodePath(p.short)}"]`)?.focus({ preventScroll: true });
  }, [p.short]);
  useEffect(() => {
    const onKey = (e: KeyboardEvent) => {
      const el = e.target as HTMLElement;
      if (e.key === 'Escape' && !e.defaultPrevented && !el.closest('[aria-expanded=true],[role=dialog],[role=menu]')) close();
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, [close]);
  const works = p.state !== 'pending' && p.state !== 'revoked';
  return (
    <aside className="drawer peer-drawer" ref={box} tabIndex={-1} aria-label={p.title}>
      <div className="drawer-head">
        <div className="line">
          <span className="marked">
            <PeerMark state={p.state} />
            {peerWord(p)}
          </span>
          <span className="end">
            <span className="mono">{p.short}</span>
            <button className="plain icon-btn" aria-label={t('close')} title="Esc" onClick={close}>
              <Icon name="close" />
            </button>
          </span>
        </div>
        <h2>{p.title}</h2>
        <div className="mut">{p.agencies?.join(', ')}</div>
      </div>
      <div className="drawer-body">
        {!looks && (
          <section className="sec">
            <Banner>{t('peers.others.may')}</Banner>
          </section>
        )}
        {p.state === 'refused' && looks && <Resume peer={p} runs={runs} />}
        {p.state === 'revoked' && (
          <section className="sec">
            <Banner>
              <b>{t('peers.revoked')}</b> {p.why}
            </Banner>
          </section>
        )}
        {p.state === 'pending' && runs && <Approve peer={p} all={all} />}
        {looks && p.fingerprint && p.state !== 'pending' && (
          <section className="sec">
            <h3>{t('peers.print')}</h3>
            <Print value={p.fingerprint} large />
          </section>
        )}
        <LinkFacts peer={p} all={all} looks={looks} />
        {looks && p.witness && <WitnessFacts peer={p} />}
        {runs && works && me.demo && (
          <section className="sec">
            <h3>{t('peers.trial')}</h3>
            <p className="mut" style={{ marginBottom: 8 }}>
              {t('peers.trial.words')}
            </p>
            <Cutter peer={p} />
          </section>
        )}
        {runs && works && <Caps key={JSON.stringify(p.caps)} peer={p} />}
        {runs && works && <Route peer={p} all={all} />}
        {runs && works && (
          <section className="sec">
            <h3>{t('peers.stick')}</h3>
            <p className="mut" style={{ marginBottom: 8 }}>
              {t('peers.stick.give.words', { who: p.title })}
            </p>
            <StickButton peer={p} />
          </section>
        )}
        {runs && works && (
          <section className="sec">
            <h3>{t('peers.revoke')}</h3>
            <p className="mut" style={{ marginBottom: 8 }}>
              {t('peers.revoke.short')}
            </p>
            <Button size="xs" variant="default" className="red-word" onClick={() => setRevoking(true)}>
              {t('peers.revoke')} ...
            </Button>
          </section>
        )}
      </div>
      {revoking && <Revoke peer={p} close={() => setRevoking(false)} />}
    </aside>
  );
}

function LinkFacts({ peer: p, all, looks }: { peer: Peer; all: Peers; looks: boolean }) {
  const contact = given(p.contact);
  const since = given(p.since);
  const rows: [string, React.ReactNode][] = [];
  if (since) rows.push([t('peers.since'), dayTime(since)]);
  rows.push([t('peers.contact'), contact ? <Ago iso={contact} /> : t('peers.contact.never')]);
  rows.push([
    t('peers.waiting'),
    p.waiting > 0 ? (
      <>
        {t('peers.waiting.n', { n: number(p.waiting) })}
        {!!p.bytes && ` · ${bytes(p.bytes)}`}
        {!!p.urgent && <div className="sub">{t('peers.urgent', { n: number(p.urgent) })}</div>}
        {p.state === 'cut' && <div className="sub">{t('peers.cut.goes')}</div>}
      </>
    ) : (
      t('peers.waiting.none')
    ),
  ]);
  if (p.waiting > 0 && p.state !== 'cut') rows.push([t('peers.through'), p.seconds >= 0 ? t('peers.about', { span: lasting(p.seconds) }) : t('peers.through.unknown')]);
  if (looks) {
    if (p.rate) rows.push([t('peers.rate'), `${number(Math.round(p.rate / 100) / 10)} KB/s`]);
    rows.push([t('peers.sent'), <RecordsN key="s" n={p.sent} />]);
    rows.push([t('peers.held'), <RecordsN key="h" n={p.held} />]);
    if (p.refusals) rows.push([t('peers.refusals'), <A key="r" href="/peers?tab=alarms">{number(p.refusals)}</A>]);
    rows.push([t('peers.way'), linkWords(p, all)]);
    if (p.urls?.length) rows.push([t('peers.urls'), p.urls.map((u) => <div key={u} className="mono">{u}</div>)]);
    if (p.region) rows.push([t('peers.region'), p.region]);
    rows.push([t('peers.name'), <span key="n" className="mono">{p.name}</span>]);
    if (p.error && p.state !== 'live' && !p.cutByHand) rows.push([t('peers.error'), <span key="e" className="node-error">{p.error}</span>]);
  }
  return (
    <section className="sec">
      <h3>{t('peers.link')}</h3>
      <dl className="kv">
        {rows.map(([k, v]) => (
          <div key={k} style={{ display: 'contents' }}>
            <dt>{k}</dt>
            <dd>{v}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

const RecordsN = ({ n = 0 }: { n?: number }) => <>{t(n === 1 ? 'peers.record.1' : 'peers.record.n', { n: number(n) })}</>;

function WitnessFacts({ peer: p }: { peer: Peer }) {
  const w = p.witness!;
  const at = given(w.at);
  const ourAt = given(w.ourAt);
  return (
    <section className="sec">
      <h3>{t('peers.witness')}</h3>
      <dl className="kv">
        <dt>{t('peers.witness.theirs')}</dt>
        <dd>
          {at ? (
            <>
              {t('peers.witness.n', { n: number(w.size) })} <div className="sub">{dayTime(at)}</div>
            </>
          ) : (
            t('peers.witness.none')
          )}
        </dd>
        <dt>{t('peers.witness.ours')}</dt>
        <dd>
          {ourAt ? (
            <>
              {t('peers.witness.n', { n: number(w.ourTo) })} <div className="sub">{dayTime(ourAt)}</div>
            </>
          ) : (
            t('peers.witness.none')
          )}
        </dd>
        {w.fault && (
          <>
            <dt>{t('peers.found')}</dt>
            <dd className="node-error">{t(`peers.fault.${w.fault}`)}</dd>
          </>
        )}
      </dl>
      <p className="mut" style={{ marginTop: 6, fontSize: 12 }}>
        {t('peers.witness.words')}
      </p>
    </section>
  );
}
