import { useEffect, useState } from 'react';
import { useFeedState } from '../api/live';
import { useOutbox } from '../api/outbox';
import { t } from '../i18n';
import { clock } from '../i18n/time';

// CutBar says, once the link has been gone for longer than a hiccup, that work
// goes on and what becomes of it.
export function CutBar() {
  const cut = useFeedState() === 'cut';
  const waiting = useOutbox().filter((i) => !i.refused).length;
  const [since, setSince] = useState<Date>();
  useEffect(() => {
    if (!cut) {
      setSince(undefined);
      return;
    }
    const at = new Date();
    const timer = window.setTimeout(() => setSince(at), 3000);
    return () => window.clearTimeout(timer);
  }, [cut]);
  return (
    <div role="status" aria-live="polite">
      {since && (
        <div className="cut-bar">
          {t('cut.words', { at: clock(since) })}
          {waiting > 0 && ` ${t('outbox.waiting', { n: waiting })}.`}
        </div>
      )}
    </div>
  );
}
