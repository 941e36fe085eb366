import type { LinkState, Peer } from '../api/peers';
import { t } from '../i18n';
import { hour, number } from '../i18n/time';
import './part.css';

// A Mark says a state by shape and colour; the word always stands beside it, or
// is read out.
export type Shape = 'disc' | 'square' | 'ring' | 'dash' | 'diamond' | 'cross' | 'struck' | 'half' | 'eye' | 'tri' | 'wait';
export type Tone = 'ok' | 'warn' | 'bad' | 'mut' | 'acc';

export function Mark({ shape, tone }: { shape: Shape; tone: Tone }) {
  return (
    <svg className={`mark ${tone}`} viewBox="0 0 12 12" aria-hidden="true">
      {drawn[shape]}
    </svg>
  );
}

const ring = <circle cx="6" cy="6" r="4.500" fill="none" />;

const drawn: Record<Shape, React.JSX.Element> = {
  disc: <circle cx="6" cy="6" r="5" stroke="none" />,
  square: <rect x="1.500" y="1.500" width="9" height="9" rx="1.500" stroke="none" />,
  ring,
  dash: <circle cx="6" cy="6" r="4.500" fill="none" strokeDasharray="2.400 2.300" />,
  diamond: <path d="M6 1.200 10.800 6 6 10.800 1.200 6Z" fill="none" />,
  cross: <path d="M2 2l8 8M10 2l-8 8" fill="none" strokeWidth="2.600" />,
  struck: (
    <>
      {ring}
      <path d="M2.800 9.200 9.200 2.800" />
    </>
  ),
  half: (
    <>
      {ring}
      <path d="M6 1.500a4.500 4.500 0 0 1 0 9Z" stroke="none" />
    </>
  ),
  eye: (
    <>
      {ring}
      <circle cx="6" cy="6" r="2" stroke="none" />
    </>
  ),
  tri: <path d="M6 1.200 11 10.500H1Z" stroke="none" />,
  wait: <path d="M2.500 1.500h7L6 6l3.500 4.500h-7L6 6Z" fill="none" />,
};

const marks: Record<LinkState, [Shape, Tone]> = {
  live: ['disc', 'ok'],
  behind: ['square', 'warn'],
  cut: ['ring', 'bad'],
  never: ['dash', 'mut'],
  pending: ['diamond', 'acc'],
  refused: ['cross', 'bad'],
  revoked: ['struck', 'mut'],
};

export function PeerMark({ state }: { state: LinkState }) {
  const [shape, tone] = marks[state] ?? marks.never;
  return <Mark shape={shape} tone={tone} />;
}

// peerWord is the state in words, with how far behind or since when.
export function peerWord(p: Pick<Peer, 'state' | 'waiting' | 'since' | 'cutByHand'>): string {
  switch (p.state) {
    case 'behind':
      return p.waiting ? t('peers.behind', { n: number(p.waiting) }) : t('peers.behind.some'); // how much is for who looks after it
    case 'cut':
      return t(p.cutByHand ? 'peers.cutByHand' : 'peers.cut', { at: hour(p.since) });
    default:
      return t(`peers.${p.state}`);
  }
}
