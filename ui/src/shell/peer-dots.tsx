import { Popover } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { given, peersQuery, type LinkState, type Peer } from '../api/peers';
import { t } from '../i18n';
import { bytes, lasting, number } from '../i18n/time';
import { PeerMark, peerWord } from '../part/mark';
import { Ago } from '../part/time';
import { A } from '../router';

// Worst first: what the one dot of a phone shows.
const rank: LinkState[] = ['refused', 'cut', 'pending', 'behind', 'never', 'live'];
const most = 4;

// PeerDots shows every node with which this one exchanges, and tells aloud when
// a link is cut or back.
export function PeerDots() {
  const { data } = useQuery(peersQuery);
  const peers = (data?.peers ?? []).filter((p) => p.state !== 'revoked');
  const heard = useHeard(peers);
  if (!peers.length) return null;
  const worst = rank.find((s) => peers.some((p) => p.state === s)) ?? 'live';
  const linked = peers.filter((p) => p.state === 'live' || p.state === 'behind').length;
  const rest = peers.slice(most);
  return (
    <div className={`peer-dots ${peers.length > 2 ? 'many' : ''}`} role="group" aria-label={t('peers')}>
      {peers.slice(0, peers.length > most + 1 ? most : most + 1).map((p) => (
        <Pop key={p.short} className={`peer wide-dot ${p.state === 'live' ? 'well' : ''}`} label={`${p.title}: ${peerWord(p)}`} face={<Face peer={p} />} peers={[p]} />
      ))}
      {peers.length > most + 1 && <Pop className="peer wide-dot" label={t('peers.others', { n: rest.length })} face={`+${rest.length}`} peers={rest} />}
      <Pop
        className="peer one-dot"
        label={t('peers.sum', { n: linked, of: peers.length })}
        face={
          <>
            <PeerMark state={worst} />
            {linked}/{peers.length}
          </>
        }
        peers={peers}
      />
      <span className="sr" role="status">
        {heard}
      </span>
    </div>
  );
}

function Face({ peer: p }: { peer: Peer }) {
  return (
    <>
      <PeerMark state={p.state} />
      <span className="long">
        <span className="peer-name">{p.title}</span>
        {p.state !== 'live' && <span className="peer-word">{peerWord({ ...p, cutByHand: false })}</span>}
      </span>
    </>
  );
}

function Pop({ className, label, face, peers }: { className: string; label: string; face: ReactNode; peers: Peer[] }) {
  const [open, setOpen] = useState(false);
  return (
    <Popover position="bottom-end" width={310} shadow="md" trapFocus returnFocus opened={open} onChange={setOpen}>
      <Popover.Target>
        <button className={`plain ${className}`} aria-label={label} title={label} onClick={() => setOpen(!open)}>
          {face}
        </button>
      </Popover.Target>
      <Popover.Dropdown aria-label={label}>
        <div className="stack">
          {peers.map((p) => (
            <Told key={p.short} peer={p} close={() => setOpen(false)} />
          ))}
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}

function Told({ peer: p, close }: { peer: Peer; close: () => void }) {
  const contact = given(p.contact);
  return (
    <div className="peer-told">
      <A href={`/peers?node=${encodeURIComponent(p.short)}`} onClick={close}>
        <b>{p.title}</b>
      </A>
      <div className="marked">
        <PeerMark state={p.state} />
        {peerWord(p)}
      </div>
      {!!p.agencies?.length && <div className="mut">{p.agencies.join(', ')}</div>}
      {p.waiting > 0 && (
        <div>
          {waitingWords(p)}
          {p.state === 'cut' && <div className="mut">{t('peers.cut.goes')}</div>}
        </div>
      )}
      {contact && p.state !== 'live' && (
        <div className="mut">
          {t('peers.contact')}: <Ago iso={contact} />
        </div>
      )}
    </div>
  );
}

// waitingWords says what waits for a node, and how long it will take.
export function waitingWords(p: Peer): string {
  return [t('peers.waiting.n', { n: number(p.waiting) }), p.bytes ? bytes(p.bytes) : '', p.seconds >= 0 && p.state === 'behind' ? t('peers.about', { span: lasting(p.seconds) }) : ''].filter(Boolean).join(' · ');
}

// useHeard gives the words for the newest change of a link; the first look says nothing.
function useHeard(peers: Peer[]): string {
  const before = useRef<Map<string, LinkState>>(undefined);
  const [heard, setHeard] = useState('');
  const now = peers.map((p) => `${p.short} ${p.state}`).join();
  useEffect(() => {
    const old = before.current;
    before.current = new Map(peers.map((p) => [p.short, p.state]));
    if (!old) return;
    // Being a little behind comes and goes with every record.
    const quiet = (s: LinkState | undefined) => (s === 'behind' ? 'live' : s);
    const p = peers.find((x) => quiet(old.get(x.short)) !== quiet(x.state));
    if (p) setHeard(`${p.title}: ${peerWord(p)}`);
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [now]);
  return heard;
}
