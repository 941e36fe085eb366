import { Button, Checkbox, Modal, Select, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { api, Problem } from '../api/client';
import type { Token } from '../api/types';
import { t } from '../i18n';
import { dayTime } from '../i18n/time';
import { Banner, Failure, said, Waiting } from '../part/notice';
import { Table } from '../part/table';
import { Ago } from '../part/time';
import { wrongAt } from '../part/wrong';
import { Secret } from './secret';

const days = { '7': 7, '30': 30, '90': 90, '365': 365 } as const;

export function Tokens() {
  const client = useQueryClient();
  const { data, error, refetch } = useQuery({ queryKey: ['tokens'], queryFn: () => api<{ tokens: Token[] }>('/tokens').then((a) => a.tokens ?? []) });
  const [making, setMaking] = useState(false);
  const [gone, setGone] = useState<unknown>();
  const revoke = (id: string) =>
    api(`/tokens/${encodeURIComponent(id)}`, { method: 'DELETE' })
      .then(() => client.invalidateQueries({ queryKey: ['tokens'] }))
      .catch(setGone);
  if (error && !data) return <Failure error={error} again={() => void refetch()} />;
  if (!data) return <Waiting lines={4} />;
  return (
    <section className="card stack">
      <div className="row-flex">
        <p className="mut grow">{t('tokens.words')}</p>
        <Button size="xs" onClick={() => setMaking(true)}>
          {t('token.add')}
        </Button>
      </div>
      {gone !== undefined && <Banner tone="bad">{said(gone)}</Banner>}
      {data.length > 0 && (
        <Table heads={[t('name'), t('person'), t('token.scopes'), t('marking.expires'), t('lastSeen'), '']}>
          {data.map((k) => (
            <tr key={k.id}>
              <td>{k.name}</td>
              <td>{k.person}</td>
              <td>{k.scopes?.map((s) => scopeWord(s)).join(', ')}</td>
              <td>{k.expires ? dayTime(k.expires) : '–'}</td>
              <td className="mut">{k.lastUsed ? <Ago iso={k.lastUsed} /> : '–'}</td>
              <td className="num">
                <Button size="compact-xs" variant="default" onClick={() => void revoke(k.id)}>
                  {t('token.revoke')}
                </Button>
              </td>
            </tr>
          ))}
        </Table>
      )}
      {making && <TokenForm close={() => setMaking(false)} />}
    </section>
  );
}

const scopes = ['read', 'write', 'admin', 'audit'] as const;
const scopeWord = (s: string) => (scopes.includes(s as (typeof scopes)[number]) ? t(`scope.${s as (typeof scopes)[number]}`) : s);

function TokenForm({ close }: { close: () => void }) {
  const client = useQueryClient();
  const [name, setName] = useState('');
  const [chosen, setChosen] = useState<string[]>(['read']);
  const [span, setSpan] = useState<keyof typeof days>('90');
  const [secret, setSecret] = useState('');
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);

  async function submit(e: FormEvent) {
    e.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      const expires = new Date(Date.now() + days[span] * 86_400_000).toISOString().replace(/\.\d+Z$/, 'Z');
      const made = await api<Token>('/tokens', { method: 'POST', json: { name: name.trim(), scopes: chosen, expires } });
      await client.invalidateQueries({ queryKey: ['tokens'] });
      setSecret(made.secret ?? '');
    } catch (err) {
      setError(err);
    }
    setBusy(false);
  }

  return (
    <Modal opened onClose={close} title={t('token.add')}>
      {secret ? (
        <Secret words={t('token.once')} value={secret} done={close} />
      ) : (
        <form className="stack" onSubmit={(e) => void submit(e)}>
          {error !== undefined && <Banner tone="bad">{said(error)}</Banner>}
          <TextInput label={t('token.name')} required value={name} onChange={(e) => setName(e.currentTarget.value)} error={error instanceof Problem && wrongAt(error.fields, 'name')} data-autofocus />
          <Checkbox.Group label={t('token.scopes')} value={chosen} onChange={setChosen}>
            <div className="row-flex wrap" style={{ gap: 14, marginTop: 6 }}>
              {scopes.map((s) => (
                <Checkbox key={s} value={s} label={t(`scope.${s}`)} size="xs" />
              ))}
            </div>
          </Checkbox.Group>
          <Select label={t('marking.expires')} allowDeselect={false} data={Object.entries(days).map(([v, n]) => ({ value: v, label: t('days.n', { n }) }))} value={span} onChange={(v) => v && setSpan(v as keyof typeof days)} />
          <div className="row-flex" style={{ justifyContent: 'flex-end' }}>
            <Button type="submit" loading={busy} disabled={!chosen.length}>
              {t('token.make')}
            </Button>
          </div>
        </form>
      )}
    </Modal>
  );
}
