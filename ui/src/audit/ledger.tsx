import { Button, Select, TextInput } from '@mantine/core';
import { useState } from 'react';
import { t, tOr } from '../i18n';
import { fromLocalInput } from '../i18n/time';
import { Entries } from './entries';

const types = ['change', 'look', 'access', 'erase'];

export function Ledger() {
  const [f, setF] = useState({ person: '', record: '', type: '', from: '', to: '' });
  const [sent, setSent] = useState(f);
  const set = (k: keyof typeof f) => (e: { currentTarget: { value: string } }) => setF({ ...f, [k]: e.currentTarget.value });
  return (
    <section className="card stack">
      <form
        className="audit-filters"
        onSubmit={(e) => {
          e.preventDefault();
          setSent(f);
        }}
      >
        <TextInput label={t('person')} placeholder="ht.cc/ana" value={f.person} onChange={set('person')} />
        <TextInput className="id" label={t('record')} placeholder={t('identifier')} value={f.record} onChange={set('record')} />
        <Select
          label={t('audit.type')}
          clearable
          data={types.map((v) => ({ value: v, label: tOr(`entry.${v}`, v) }))}
          value={f.type || null}
          onChange={(v) => {
            const next = { ...f, type: v ?? '' };
            setF(next);
            setSent(next);
          }}
        />
        <TextInput type="datetime-local" label={t('from')} value={f.from} onChange={set('from')} />
        <TextInput type="datetime-local" label={t('to')} value={f.to} onChange={set('to')} />
        <Button type="submit" variant="default">
          {t('search')}
        </Button>
      </form>
      <Entries filter={{ person: sent.person.trim() || undefined, record: sent.record.trim() || undefined, type: sent.type || undefined, from: fromLocalInput(sent.from), to: fromLocalInput(sent.to) }} />
    </section>
  );
}
