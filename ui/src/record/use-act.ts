import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { Known } from '../api/desks';
import { newId } from '../api/id';
import { patch } from '../api/live';
import { submit } from '../api/outbox';
import { useMe } from '../api/session';
import type { Rec } from '../api/types';
import { t } from '../i18n';
import { toast } from '../part/toast';
import { titleOf } from './body';

interface Said {
  note?: string;
  args?: unknown;
}

// useAct gives a command to a record, through the outbox: done now, or kept and
// done once when the node is back.
export function useAct(known: Known, r: Rec) {
  const me = useMe();
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();

  async function run(command: string, { note, args }: Said = {}): Promise<boolean> {
    const key = newId();
    const label = `${known.words.command(command)}: ${titleOf(known, r)}`;
    setBusy(true);
    setError(undefined);
    try {
      const done = await submit({
        key,
        kind: r.kind,
        id: r.id,
        path: `/records/${encodeURIComponent(r.kind)}/${r.id}/${command}`,
        method: 'POST',
        body: { command: key, note: note || undefined, args },
        label,
        person: me.person.id,
      });
      if (!done) toast(t('outbox.kept'));
      else {
        if (done.id) patch(client, done);
        void client.invalidateQueries({ queryKey: ['record', r.kind, r.id] });
        toast(label);
      }
      return true;
    } catch (e) {
      setError(e);
      // The record may have moved on while it was looked at.
      void client.invalidateQueries({ queryKey: ['record', r.kind, r.id] });
      return false;
    } finally {
      setBusy(false);
    }
  }

  return { run, busy, error };
}
