import { Button, Select, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { Problem, standing } from '../api/client';
import { useDesks } from '../api/desks';
import { looksQuery } from '../api/records';
import { t } from '../i18n';
import { dayTime, whole } from '../i18n/time';
import { Failure, Notice, Waiting } from '../part/notice';
import { PurposeGate } from '../record/purpose';
import { go, useWhere } from '../router';

// Looks answers who saw one record, when and why.
export function Looks() {
  const { query } = useWhere();
  const { desks } = useDesks();
  const kinds = desks.flatMap((d) => d.kinds);
  const { of } = useDesks();
  const kind = query.get('kind') ?? kinds[0]?.name ?? '';
  const record = query.get('record') ?? '';
  const [typed, setTyped] = useState(record);
  const set = (k: string, r: string) => go(`/audit?tab=looks&kind=${encodeURIComponent(k)}&record=${encodeURIComponent(r)}`, true);
  return (
    <section className="card stack">
      <form
        className="audit-filters"
        onSubmit={(e) => {
          e.preventDefault();
          set(kind, typed.trim());
        }}
      >
        <Select label={t('kind')} allowDeselect={false} data={kinds.map((k) => ({ value: k.name, label: of(k.name)?.words.one ?? k.name }))} value={kind} onChange={(v) => v && set(v, typed.trim())} />
        <TextInput className="id" label={t('record')} placeholder={t('identifier')} value={typed} onChange={(e) => setTyped(e.currentTarget.value)} />
        <Button type="submit" variant="default">
          {t('search')}
        </Button>
      </form>
      {record ? <Table kind={kind} id={record} /> : <Notice icon="audit" title={t('audit.looks.which')}>{t('audit.looks.how')}</Notice>}
    </section>
  );
}

function Table({ kind, id }: { kind: string; id: string }) {
  const { data, error, isPending, refetch } = useQuery(looksQuery(kind, id));
  const known = useDesks().of(kind);
  // A purpose given for one record ends with the look at it.
  useEffect(
    () => () => {
      standing.purpose = '';
    },
    [id],
  );
  if (isPending) return <Waiting />;
  if (known && error instanceof Problem && error.code === 'need-purpose') return <PurposeGate known={known} id={id} />;
  if (error) return <Failure error={error} again={() => void refetch()} />;
  if (!data.looks?.length) return <Notice icon="audit" title={t('audit.looks.none')} />;
  return (
    <div className="table-wrap">
      <table className="table">
        <thead>
          <tr>
            <th>{t('when')}</th>
            <th>{t('person')}</th>
            <th>{t('version')}</th>
            <th>{t('purpose')}</th>
            <th className="num">{t('audit.entry')}</th>
          </tr>
        </thead>
        <tbody>
          {data.looks.map((l) => (
            <tr key={l.entry}>
              <td title={whole(l.at)}>{dayTime(l.at)}</td>
              <td>{l.person}</td>
              <td>{l.version}</td>
              <td>{l.purpose}</td>
              <td className="num mono">#{l.entry}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
