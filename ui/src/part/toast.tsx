import { useSyncExternalStore } from 'react';
import './part.css';

interface Toast {
  id: number;
  text: string;
  act?: { label: string; run: () => void };
}

let list: Toast[] = [];
let next = 1;
const listeners = new Set<() => void>();

function set(l: Toast[]) {
  list = l;
  listeners.forEach((f) => f());
}

// toast says what was done; it is read out and goes away by itself.
export function toast(text: string, act?: Toast['act']) {
  const id = next++;
  set([...list.slice(-2), { id, text, act }]);
  window.setTimeout(() => set(list.filter((x) => x.id !== id)), act ? 9000 : 4500);
}

export function Toasts() {
  const all = useSyncExternalStore(
    (l) => {
      listeners.add(l);
      return () => listeners.delete(l);
    },
    () => list,
  );
  return (
    <div className="toasts" role="status" aria-live="polite">
      {all.map((x) => (
        <div key={x.id} className="toast">
          <span>{x.text}</span>
          {x.act && (
            <button className="plain" onClick={x.act.run}>
              {x.act.label}
            </button>
          )}
        </div>
      ))}
    </div>
  );
}
