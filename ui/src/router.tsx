import { useSyncExternalStore, type AnchorHTMLAttributes, type MouseEvent } from 'react';

// The address is the state that can be shared: which screen, which record,
// which filters. Nothing else is kept there.

const listeners = new Set<() => void>();
const changed = () => listeners.forEach((l) => l());
window.addEventListener('popstate', changed);

function subscribe(l: () => void) {
  listeners.add(l);
  return () => {
    listeners.delete(l);
  };
}

const here = () => location.pathname + location.search + location.hash;

export function go(to: string, replace = false) {
  if (to === here()) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', to);
  changed();
}

export interface Where {
  parts: string[];
  query: URLSearchParams;
  hash: string;
}

export function useWhere(): Where {
  const url = new URL(useSyncExternalStore(subscribe, here), location.origin);
  return { parts: url.pathname.split('/').filter(Boolean).map(decodeURIComponent), query: url.searchParams, hash: url.hash.slice(1) };
}

// follow lets the browser do what it always does with a modified click.
export function follow(e: MouseEvent, to: string) {
  if (e.metaKey || e.ctrlKey || e.shiftKey || e.button !== 0) return;
  e.preventDefault();
  go(to);
}

export function A({ href, onClick, ...rest }: AnchorHTMLAttributes<HTMLAnchorElement> & { href: string }) {
  return (
    <a
      href={href}
      {...rest}
      onClick={(e) => {
        onClick?.(e);
        if (!e.defaultPrevented) follow(e, href);
      }}
    />
  );
}

export const boardPath = (kind: string, id?: string, search = '') => `/board/${encodeURIComponent(kind)}${id ? '/' + id : ''}${search}`;
