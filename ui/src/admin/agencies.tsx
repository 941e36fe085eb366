import { Button, Modal, TagsInput, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { api, Problem } from '../api/client';
import type { Agency } from '../api/types';
import { agenciesQuery } from '../form/marking-edit';
import { t } from '../i18n';
import { Banner, Failure, said, Waiting } from '../part/notice';
import { Table } from '../part/table';
import { wrongAt } from '../part/wrong';

export function Agencies() {
  const { data, error, refetch } = useQuery(agenciesQuery);
  const [open, setOpen] = useState<Agency | 'new'>();
  if (error && !data) return <Failure error={error} again={() => void refetch()} />;
  if (!data) return <Waiting lines={6} />;
  return (
    <section className="card stack">
      <div className="row-flex">
        <p className="mut grow">{t('agencies.words')}</p>
        <Button size="xs" onClick={() => setOpen('new')}>
          {t('agency.add')}
        </Button>
      </div>
      <Table heads={[t('name'), t('country'), t('communities'), t('contact'), '']}>
        {data.map((a) => (
          <tr key={a.id}>
            <td>
              <b style={{ fontWeight: 600 }}>{a.name}</b> {a.local && <span className="caveat">{t('agency.local')}</span>}
              <div className="mut">{a.id}</div>
            </td>
            <td>{a.country}</td>
            <td>{a.communities?.join(', ')}</td>
            <td>{a.contact}</td>
            <td className="num">
              <Button size="compact-xs" variant="default" onClick={() => setOpen(a)}>
                {t('change')}
              </Button>
            </td>
          </tr>
        ))}
      </Table>
      {open && <AgencyForm agency={open === 'new' ? undefined : open} known={[...new Set(data.flatMap((a) => a.communities ?? []))]} close={() => setOpen(undefined)} />}
    </section>
  );
}

function AgencyForm({ agency, known, close }: { agency?: Agency; known: string[]; close: () => void }) {
  const client = useQueryClient();
  const [v, setV] = useState<Agency>(agency ?? { id: '', name: '', country: 'HT', communities: [] });
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const set = (k: 'id' | 'name' | 'country' | 'contact') => (e: { currentTarget: { value: string } }) => setV({ ...v, [k]: e.currentTarget.value });
  const wrong = (path: string) => (error instanceof Problem ? wrongAt(error.fields, path) : undefined);

  async function submit(e: FormEvent) {
    e.preventDefault();
    setBusy(true);
    setError(undefined);
    const { name, country, communities, contact } = v;
    const common = { name, country: country.toUpperCase(), communities, contact: contact || undefined };
    try {
      await api(agency ? `/agencies/${encodeURIComponent(agency.id)}` : '/agencies', { method: agency ? 'PATCH' : 'POST', json: agency ? common : { id: v.id.trim(), ...common } });
      await client.invalidateQueries({ queryKey: ['agencies'] });
      close();
    } catch (err) {
      setError(err);
      setBusy(false);
    }
  }

  return (
    <Modal opened onClose={close} title={agency ? agency.id : t('agency.add')}>
      <form className="stack" onSubmit={(e) => void submit(e)}>
        {error !== undefined && <Banner tone="bad">{said(error)}</Banner>}
        {!agency && <TextInput label={t('agency.id')} description="ht.pnh, do.911, int.ocha" required autoCapitalize="none" value={v.id} onChange={set('id')} error={wrong('id')} data-autofocus />}
        <TextInput label={t('name')} required value={v.name} onChange={set('name')} error={wrong('name')} />
        <TextInput label={t('country')} required maxLength={2} value={v.country} onChange={set('country')} error={wrong('country')} w={90} />
        <TagsInput label={t('communities')} description="@hispaniola" data={known} value={v.communities ?? []} onChange={(communities) => setV({ ...v, communities })} error={wrong('communities')} />
        <TextInput label={t('contact')} value={v.contact ?? ''} onChange={set('contact')} error={wrong('contact')} />
        <div className="row-flex" style={{ justifyContent: 'flex-end' }}>
          <Button type="submit" loading={busy}>
            {t('save')}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
