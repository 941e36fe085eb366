import { Button } from '@mantine/core';
import { given, type Peer, type Peers } from '../api/peers';
import { useMe } from '../api/session';
import { t } from '../i18n';
import { number } from '../i18n/time';
import { Icon } from '../part/icon';
import { PeerMark, peerWord } from '../part/mark';
import { Banner, Notice } from '../part/notice';
import { Ago } from '../part/time';
import { A, go } from '../router';
import { waitingWords } from '../shell/peer-dots';
import { Cutter } from './cutter';
import { CopyButton, groupsOf, Print } from './print';

export const nodePath = (short: string) => `/peers?node=${encodeURIComponent(short)}`;

// Nodes lists every node, those that wait for an answer first.
export function Nodes({ all, looks, runs }: { all: Peers; looks: boolean; runs: boolean }) {
  const me = useMe();
  const peers = all.peers ?? [];
  const waiting = runs ? peers.filter((p) => p.state === 'pending') : [];
  const refused = looks ? peers.filter((p) => p.state === 'refused') : [];
  const rest = peers.filter((p) => !waiting.includes(p));
  return (
    <div className="stack">
      {waiting.map((p) => (
        <Banner key={p.short} tone="warn">
          <div className="row-flex wrap">
            <span className="grow">
              <b>{t('peers.asks', { who: p.title })}</b> <span>{p.agencies?.join(', ')}</span>
            </span>
            <Button size="xs" onClick={() => go(nodePath(p.short))}>
              {t('peers.compare')}
            </Button>
          </div>
        </Banner>
      ))}
      {refused.map((p) => (
        <Banner key={p.short} tone="bad">
          <div className="row-flex wrap">
            <span className="grow">
              <b>{t('peers.stopped', { who: p.title })}</b>
            </span>
            <Button size="xs" variant="default" onClick={() => go(nodePath(p.short))}>
              {t('peers.what')}
            </Button>
          </div>
        </Banner>
      ))}
      {!looks && <Banner>{t('peers.others.may')}</Banner>}
      {rest.length > 0 ? (
        <section className="card node-list">
          <div className="node-row head" aria-hidden="true">
            <span>{t('peers.node')}</span>
            <span>{t('state')}</span>
            <span>{t('peers.waiting')}</span>
            <span>{t('peers.contact')}</span>
            {looks && <span>{t('peers.witness')}</span>}
            {runs && me.demo && <span />}
          </div>
          <ul>
            {rest.map((p) => (
              <Row key={p.short} peer={p} all={all} looks={looks} cut={runs && me.demo} />
            ))}
          </ul>
        </section>
      ) : (
        !waiting.length && (
          <section className="card">
            <Notice icon="peers" title={t('peers.none')} action={runs && <Button onClick={() => go('/peers?tab=join')}>{t('peers.join.tab')}</Button>}>
              {t(runs ? 'peers.none.next' : 'peers.none.ask')}
            </Notice>
          </section>
        )
      )}
      {looks && all.self && <Self all={all} />}
    </div>
  );
}

function Row({ peer: p, all, looks, cut }: { peer: Peer; all: Peers; looks: boolean; cut: boolean }) {
  const contact = given(p.contact);
  return (
    <li className={`node-row ${p.state === 'revoked' ? 'gone' : ''}`}>
      <div>
        <A className="node-name" href={nodePath(p.short)}>
          {p.title}
        </A>
        <div className="mut">{p.agencies?.join(', ')}</div>
        {p.fingerprint && <Short print={p.fingerprint} />}
      </div>
      <div>
        <span className="marked">
          <PeerMark state={p.state} />
          {peerWord(p)}
        </span>
        {looks && <div className="mut">{linkWords(p, all)}</div>}
        {looks && p.state === 'cut' && p.error && !p.cutByHand && <div className="node-error">{p.error}</div>}
      </div>
      <div>
        <span className="only-small mut">{t('peers.waiting')}: </span>
        {p.waiting > 0 ? waitingWords(p) : <span className="mut">{t('peers.waiting.none')}</span>}
      </div>
      <div className="mut">
        <span className="only-small">{t('peers.contact')}: </span>
        {contact ? <Ago iso={contact} /> : t('peers.contact.never')}
      </div>
      {looks && (
        <div>
          <span className="only-small mut">{t('peers.witness')}: </span>
          <WitnessWords peer={p} />
        </div>
      )}
      {cut && <div className="node-cut">{p.state !== 'revoked' && p.state !== 'pending' && <Cutter peer={p} />}</div>}
    </li>
  );
}

// Short is enough of a fingerprint to recognise, and not enough to compare.
const Short = ({ print }: { print: string }) => (
  <span className="print" title={groupsOf(print).join(' ')}>
    {groupsOf(print).slice(0, 2).join(' ')} …
  </span>
);

// linkWords says which way it goes to a node.
export function linkWords(p: Peer, all: Peers): string {
  if (!p.via) return p.urls?.length ? t('peers.direct') : t('peers.dialsUs');
  const hub = all.peers?.find((x) => x.name === p.via || x.short === p.via);
  return t('peers.via', { hub: hub?.title ?? p.via });
}

export function WitnessWords({ peer: p }: { peer: Peer }) {
  const w = p.witness;
  const at = given(w?.at);
  if (w?.fault)
    return (
      <span className="marked node-error">
        <Icon name="close" size={14} />
        {t(`peers.fault.${w.fault}`)}
      </span>
    );
  if (!w || !at) return <span className="mut">{t('peers.witness.none')}</span>;
  return (
    <span className="marked">
      <Icon name="check" size={14} />
      <span>
        {t('peers.witness.n', { n: number(w.size) })}{' '}
        <span className="mut">
          <Ago iso={at} />
        </span>
      </span>
    </span>
  );
}

// Self is what one reads out when the other side compares.
function Self({ all }: { all: Peers }) {
  const self = all.self!;
  return (
    <section className="card stack self">
      <div className="row-flex">
        <h2 className="grow" style={{ margin: 0 }}>
          {t('peers.self')}: {self.title}
        </h2>
        <span className="mut mono">{self.name}</span>
      </div>
      <div className="mut">
        {self.agencies?.join(', ')}
        {all.region && ` · ${t('peers.region')}: ${all.region.name}`}
      </div>
      <div className="row-flex wrap">
        <span>{t('peers.print.ours')}</span>
        <Print value={self.fingerprint} large />
        <CopyButton text={self.fingerprint} />
      </div>
      <p className="mut">{t('peers.print.words')}</p>
    </section>
  );
}
