import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../api/client';
import type { Person } from '../api/types';
import { t } from '../i18n';
import { caveatWord } from '../part/marking';
import { Failure, Waiting } from '../part/notice';
import { Table } from '../part/table';
import { Ago } from '../part/time';
import { PersonForm } from './person-form';

export const peopleQuery = { queryKey: ['people'], queryFn: () => api<{ people: Person[] }>('/people').then((a) => a.people) };

export function PeopleTable() {
  const { data, error, refetch } = useQuery(peopleQuery);
  const [open, setOpen] = useState<Person | 'new'>();
  const [words, setWords] = useState('');
  if (error && !data) return <Failure error={error} again={() => void refetch()} />;
  if (!data) return <Waiting lines={6} />;
  const shown = data.filter((p) => `${p.id} ${p.name}`.toLowerCase().includes(words.toLowerCase()));
  return (
    <section className="card stack">
      <div className="row-flex">
        <div className="words grow" style={{ margin: 0, maxWidth: 320 }}>
          <input type="search" style={{ width: '100%', height: 30, border: '1px solid var(--line2)', borderRadius: 6, background: 'var(--pane)', padding: '0 10px' }} aria-label={t('search')} placeholder={t('search')} value={words} onChange={(e) => setWords(e.currentTarget.value)} />
        </div>
        <Button size="xs" ml="auto" onClick={() => setOpen('new')}>
          {t('person.add')}
        </Button>
      </div>
      <Table heads={[t('name'), t('roles'), t('clearances'), t('lastSeen'), '']}>
        {shown.map((p) => (
          <tr key={p.id} style={p.disabled ? { opacity: 0.6 } : undefined}>
            <td>
              <b style={{ fontWeight: 600 }}>{p.name}</b> {p.disabled && <span className="caveat">{t('disabled')}</span>}
              <div className="mut">{p.id}</div>
            </td>
            <td>
              {p.grants?.map((g) => (
                <div key={`${g.agency} ${g.desk} ${g.role}`}>
                  {t(`role.${g.role}`)}{' '}
                  <span className="mut">
                    {g.agency} · {g.desk === '*' ? t('desk.all') : g.desk}
                  </span>
                </div>
              ))}
            </td>
            <td>{p.clearances?.map(caveatWord).join(', ')}</td>
            <td className="mut">{p.lastSeen ? <Ago iso={p.lastSeen} /> : '–'}</td>
            <td className="num">
              <Button size="compact-xs" variant="default" onClick={() => setOpen(p)}>
                {t('change')}
              </Button>
            </td>
          </tr>
        ))}
      </Table>
      {open && <PersonForm person={open === 'new' ? undefined : open} close={() => setOpen(undefined)} />}
    </section>
  );
}
