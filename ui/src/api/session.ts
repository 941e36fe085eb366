import { queryOptions, useQuery, useQueryClient } from '@tanstack/react-query';
import { api, standing } from './client';
import type { Role, Session, SignedIn } from './types';

async function load(): Promise<Session> {
  return keep(await api<Session>('/session'));
}

function keep(s: Session): Session {
  standing.csrf = s.signedIn ? s.csrf : '';
  return s;
}

export const sessionQuery = queryOptions({ queryKey: ['session'], queryFn: load, staleTime: 5 * 60_000 });


// useMe is for screens that only a signed-in person reaches.
export function useMe(): SignedIn {
  const { data } = useQuery(sessionQuery);
  if (!data?.signedIn) throw new Error('no session');
  return data;
}

export function useSessionActs() {
  const client = useQueryClient();
  const set = (s: Session) => {
    client.setQueryData(['session'], keep(s));
  };
  return {
    async signIn(name: string, password: string) {
      set(await api<Session>('/session', { method: 'POST', json: { name, password } }));
    },
    async change(patch: Partial<{ hat: string; lang: string; theme: string; purpose: { words: string } | null }>) {
      const s = await api<Session>('/session', { method: 'PATCH', json: patch });
      set(s);
      // Another hat or another purpose sees other things.
      if ('hat' in patch || 'purpose' in patch) await client.invalidateQueries({ predicate: (q) => q.queryKey[0] !== 'session' });
    },
    async signOut() {
      await api('/session', { method: 'DELETE' });
      standing.purpose = '';
      // The sign-in page first: a screen still in sight must not be without a session.
      client.setQueryData(['session'], await load());
      client.removeQueries({ predicate: (q) => q.queryKey[0] !== 'session' });
    },
    set,
  };
}

// holds reports whether the hat in use gives the role, on one desk or on any.
export function holds(me: SignedIn, role: Role, desk?: string): boolean {
  const lists = desk ? [me.roles['*'], me.roles[desk]] : Object.values(me.roles);
  return lists.some((l) => l?.includes(role));
}
