import { useSyncExternalStore } from 'react';
import { ago, whole } from '../i18n/time';

// One clock for all relative times, so that they change together and seldom.
let now = Date.now();
const listeners = new Set<() => void>();
window.setInterval(() => {
  now = Date.now();
  listeners.forEach((l) => l());
}, 20_000);

export function useNow(): number {
  return useSyncExternalStore(
    (l) => {
      listeners.add(l);
      return () => listeners.delete(l);
    },
    () => now,
  );
}

export function Ago({ iso }: { iso: string }) {
  const at = useNow();
  return (
    <time dateTime={iso} title={whole(iso)}>
      {ago(iso, at)}
    </time>
  );
}
