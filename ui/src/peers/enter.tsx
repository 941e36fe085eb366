import { Button, Textarea } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import { Problem } from '../api/client';
import type { Peer, Peers } from '../api/peers';
import { t, type Key } from '../i18n';
import { wrongAt } from '../part/wrong';
import { Joined } from './join';
import { useRun } from './use-run';
import { Wrong } from './wrong';

// What can be wrong with a code or with who answers to it, by the node's words.
const faults: [RegExp, Key][] = [
  [/not whole/, 'peers.enter.part'],
  [/is no invitation/, 'peers.enter.none'],
  [/good until|has expired/, 'peers.enter.old'],
  [/used already/, 'peers.enter.used'],
  [/is our own/, 'peers.enter.own'],
  [/cannot be reached/, 'peers.enter.reach'],
  [/not the node that made/, 'peers.enter.between'],
];

// codeWords says it in the reader's language; of a typing error, in which group it is.
function codeWords(detail: string): string | undefined {
  const n = /\bgroup (\d+)/.exec(detail)?.[1];
  if (n) return t('peers.enter.group', { n });
  const known = faults.find(([words]) => words.test(detail));
  return known && t(known[1]);
}

// Enter takes the code of an invitation, as it was pasted or heard, and waits
// for the other side to approve.
export function Enter({ all }: { all: Peers }) {
  const { run, busy, error, setError } = useRun();
  const [code, setCode] = useState('');
  const [peer, setPeer] = useState<Peer>();
  if (peer) return <Joined peer={peer} all={all} />;
  const wrong = error instanceof Problem ? (codeWords(error.detail) ?? wrongAt(error.fields, 'code')) : undefined;
  const submit = (e: FormEvent) => {
    e.preventDefault();
    void run<Peer>('/peers/join', { code: code.trim() }, setPeer);
  };
  return (
    <form className="stack" onSubmit={submit}>
      <div>
        <h2>{t('peers.enter')}</h2>
        <p className="mut">{t('peers.enter.words')}</p>
      </div>
      <Textarea
        label={t('first.code')}
        className="code-in"
        required
        autosize
        minRows={3}
        autoComplete="off"
        autoCapitalize="characters"
        spellCheck={false}
        placeholder="KBI1-"
        value={code}
        onChange={(e) => {
          setCode(e.currentTarget.value);
          setError(undefined);
        }}
        error={wrong}
      />
      {!wrong && <Wrong error={error} />}
      <div>
        <Button type="submit" loading={busy} disabled={!code.trim()}>
          {t('peers.enter.do')}
        </Button>
      </div>
    </form>
  );
}
