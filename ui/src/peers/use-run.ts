import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../api/client';

// useRun gives an order to the node, and has the screens look again when it is done.
export function useRun() {
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();

  async function run<T>(path: string, json: unknown, done?: (answer: T) => void) {
    setBusy(true);
    setError(undefined);
    try {
      const answer = await api<T>(path, { method: 'POST', json });
      await Promise.all(['peers', 'directory', 'agencies'].map((key) => client.invalidateQueries({ queryKey: [key] })));
      done?.(answer);
    } catch (e) {
      setError(e);
    }
    setBusy(false);
  }

  return { run, busy, error, setError };
}
