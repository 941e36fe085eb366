import { Button, TextInput } from '@mantine/core';
import { useState } from 'react';
import { t } from '../i18n';
import { Notice } from '../part/notice';
import { Entries } from './entries';

// Seen answers what one person looked at.
export function Seen() {
  const [typed, setTyped] = useState('');
  const [person, setPerson] = useState('');
  return (
    <section className="card stack">
      <form
        className="audit-filters"
        onSubmit={(e) => {
          e.preventDefault();
          setPerson(typed.trim());
        }}
      >
        <TextInput label={t('person')} description={t('audit.seen.how')} placeholder="ht.cc/ana" value={typed} onChange={(e) => setTyped(e.currentTarget.value)} />
        <Button type="submit" variant="default">
          {t('search')}
        </Button>
      </form>
      {person ? <Entries filter={{ person, type: 'look' }} /> : <Notice icon="people" title={t('audit.seen.who')} />}
    </section>
  );
}
