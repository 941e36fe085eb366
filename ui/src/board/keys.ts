import { useEffect, useRef } from 'react';

interface Acts {
  active: boolean;
  move: (by: number) => void;
  open: () => void;
  close: () => void;
  create: () => void;
  edit: () => void;
  map: () => void;
  list: () => void;
}

// Keys work wherever nothing else wants them: not in fields, not in dialogs, not
// on a focused button or tab that has its own use for the key.
export function useKeys(acts: Acts) {
  const now = useRef(acts);
  now.current = acts;
  useEffect(() => {
    const onKey = (e: KeyboardEvent) => {
      const a = now.current;
      const el = e.target as HTMLElement;
      if (!a.active || e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented) return;
      if (/^(INPUT|TEXTAREA|SELECT)$/.test(el.tagName) || el.isContentEditable || el.closest('[role=dialog],[role=menu]:not(.drawer)')) return;
      const own = el.closest('button,a:not(.r),canvas,[role=tab]');
      switch (e.key) {
        case 'j':
          return a.move(1);
        case 'k':
          return a.move(-1);
        case 'ArrowDown':
        case 'ArrowUp':
          if (own || el.closest('.drawer')) return;
          e.preventDefault();
          return a.move(e.key === 'ArrowDown' ? 1 : -1);
        case 'Enter':
          if (own) return;
          return a.open();
        case 'Escape':
          return a.close();
        case 'n':
          e.preventDefault();
          return a.create();
        case 'e':
          e.preventDefault();
          return a.edit();
        case 'm':
          return a.map();
        case 'l':
          return a.list();
      }
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, []);
}
