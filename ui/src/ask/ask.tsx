import { Button, Checkbox, Select, Textarea, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState, type FormEvent } from 'react';
import { api, Problem } from '../api/client';
import { peersQuery, questionQuery, questionsQuery, questionTypesQuery, type Question } from '../api/peers';
import { holds, useMe } from '../api/session';
import { say, t } from '../i18n';
import { PeerMark, peerWord } from '../part/mark';
import { Banner, Failure, Notice, Waiting } from '../part/notice';
import { Ago } from '../part/time';
import { wrongAt } from '../part/wrong';
import { Wrong } from '../peers/wrong';
import { A, go, useWhere } from '../router';
import './ask.css';
import { Answers, sumOf } from './answers';

// Ask finds out whether another node holds something about an identifier,
// without telling those who hold nothing what was asked.
export default function Ask() {
  const me = useMe();
  const { query } = useWhere();
  const chosen = query.get('q') ?? '';
  if (!holds(me, 'operator') && !holds(me, 'supervisor'))
    return (
      <Notice icon="lock" title={t('error.denied')}>
        {t('ask.denied')}
      </Notice>
    );
  return (
    <div className="page">
      <div className="page-in">
        <h1>{t('ask.title')}</h1>
        <div className="ask">
          <div className="stack" style={{ alignContent: 'start' }}>
            {chosen ? <Asked key={chosen} id={chosen} /> : <AskForm />}
          </div>
          <Earlier chosen={chosen} />
        </div>
      </div>
    </div>
  );
}

function AskForm() {
  const client = useQueryClient();
  const types = useQuery(questionTypesQuery);
  const { data: peers } = useQuery(peersQuery);
  const nodes = (peers?.peers ?? []).filter((p) => p.state !== 'pending' && p.state !== 'revoked' && p.state !== 'refused');
  const [type, setType] = useState('');
  const [value, setValue] = useState('');
  const [purpose, setPurpose] = useState('');
  const [leftOut, setLeftOut] = useState<string[]>([]);
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const asked = nodes.filter((p) => !leftOut.includes(p.short));
  const kind = type || types.data?.[0]?.type || '';
  const wrong = (path: string) => (error instanceof Problem ? wrongAt(error.fields, path) : undefined);

  async function submit(e: FormEvent) {
    e.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      const q = await api<Question>('/questions', { method: 'POST', json: { type: kind, value: value.trim(), purpose: purpose.trim(), nodes: leftOut.length ? asked.map((p) => p.short) : undefined } });
      client.setQueryData(questionQuery(q.id).queryKey, q);
      void client.invalidateQueries({ queryKey: questionsQuery.queryKey, exact: true });
      go(`/ask?q=${encodeURIComponent(q.id)}`);
    } catch (err) {
      setError(err);
      setBusy(false);
    }
  }

  if (types.error && !types.data) return <Failure error={types.error} again={() => void types.refetch()} />;
  if (!types.data || !peers) return <Waiting lines={6} />;
  if (!nodes.length)
    return (
      <section className="card">
        <Notice icon="peers" title={t('peers.none')}>
          {t('ask.noPeers')}
        </Notice>
      </section>
    );
  return (
    <form className="card stack" onSubmit={(e) => void submit(e)}>
      <p className="mut">{t('ask.words')}</p>
      <div className="ask-what">
        <Select label={t('ask.type')} allowDeselect={false} data={types.data.map((x) => ({ value: x.type, label: say(x.label, x.type) }))} value={kind} onChange={(v) => v && setType(v)} error={wrong('type')} />
        <TextInput label={t('ask.value')} required autoComplete="off" autoCapitalize="characters" spellCheck={false} data-autofocus value={value} onChange={(e) => setValue(e.currentTarget.value)} error={wrong('value')} />
      </div>
      <Textarea label={t('ask.purpose')} description={t('ask.purpose.words')} required minLength={3} autosize minRows={2} value={purpose} onChange={(e) => setPurpose(e.currentTarget.value)} error={wrong('purpose')} />
      <div role="group" aria-label={t('ask.nodes')} className="stack" style={{ gap: 6 }}>
        <div className="mantine-InputWrapper-label">{t('ask.nodes')}</div>
        {nodes.map((p) => (
          <Checkbox
            key={p.short}
            size="xs"
            checked={!leftOut.includes(p.short)}
            onChange={(e) => setLeftOut(e.currentTarget.checked ? leftOut.filter((s) => s !== p.short) : [...leftOut, p.short])}
            label={
              <span className="marked">
                {p.title}
                <span className="marked mut">
                  <PeerMark state={p.state} />
                  {peerWord(p)}
                </span>
              </span>
            }
          />
        ))}
      </div>
      <Wrong error={error} />
      <div className="row-flex wrap">
        <Button type="submit" loading={busy} disabled={!value.trim() || purpose.trim().length < 3 || !asked.length}>
          {asked.length === 1 ? t('ask.do.1') : t('ask.do', { n: asked.length })}
        </Button>
      </div>
      <Banner>{t('ask.logged')}</Banner>
    </form>
  );
}

function Asked({ id }: { id: string }) {
  const client = useQueryClient();
  const { data, error, refetch } = useQuery(questionQuery(id));
  // What is known of it here is known in the list too.
  useEffect(() => {
    if (data) client.setQueryData(questionsQuery.queryKey, (all) => all?.map((q) => (q.id === data.id ? data : q)));
  }, [client, data]);
  const again = (
    <Button variant="default" onClick={() => go('/ask')}>
      {t('ask.another')}
    </Button>
  );
  if (error && !data)
    return (
      <>
        <Failure error={error} again={() => void refetch()} />
        <div>{again}</div>
      </>
    );
  if (!data) return <Waiting lines={5} />;
  return (
    <>
      <Answers question={data} />
      <div>{again}</div>
    </>
  );
}

// Earlier lists what one's own agency asked; the values stay masked.
function Earlier({ chosen }: { chosen: string }) {
  const { data, error, refetch } = useQuery(questionsQuery);
  const word = useTypeWord();
  return (
    <section className="card stack" style={{ alignContent: 'start' }}>
      <h2 style={{ margin: 0 }}>{t('ask.earlier')}</h2>
      {error && !data ? (
        <Failure error={error} again={() => void refetch()} />
      ) : !data ? (
        <Waiting lines={3} />
      ) : !data.length ? (
        <p className="mut">{t('ask.earlier.none')}</p>
      ) : (
        <ul className="plain-list earlier">
          {data.map((q) => (
            <li key={q.id}>
              <A href={`/ask?q=${encodeURIComponent(q.id)}`} aria-current={q.id === chosen ? 'true' : undefined}>
                <span>
                  <b>{word(q.type)}</b> <span className="mono">{q.masked}</span>
                </span>
                <span>{sumOf(q)}</span>
                <span className="mut">
                  {q.purpose} · {q.by} · <Ago iso={q.at} />
                </span>
              </A>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

export function useTypeWord(): (type: string) => string {
  const { data } = useQuery(questionTypesQuery);
  return (type) => say(data?.find((x) => x.type === type)?.label, type);
}
