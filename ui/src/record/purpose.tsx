import { Button, Checkbox, Textarea } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { standing } from '../api/client';
import type { Known } from '../api/desks';
import { useSessionActs } from '../api/session';
import { t } from '../i18n';
import { Icon } from '../part/icon';
import { Banner, said } from '../part/notice';

// PurposeGate stands before a protected record: the reader is cleared, and says
// why he looks.
export function PurposeGate({ known, id }: { known: Known; id: string }) {
  const client = useQueryClient();
  const acts = useSessionActs();
  const [words, setWords] = useState('');
  const [keep, setKeep] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();

  async function submit(e: FormEvent) {
    e.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      if (keep) await acts.change({ purpose: { words: words.trim() } });
      else standing.purpose = words.trim();
      await client.resetQueries({ queryKey: ['record', known.kind.name, id] });
    } catch (err) {
      setError(err);
    }
    setBusy(false);
  }

  return (
    <form className="notice" style={{ justifyItems: 'stretch' }} onSubmit={(e) => void submit(e)}>
      <Icon name="lock" />
      <h3>{t('purpose.title')}</h3>
      <p className="mut">{t('purpose.words')}</p>
      <Textarea label={t('purpose')} placeholder={t('purpose.example')} autosize minRows={2} required minLength={3} value={words} onChange={(e) => setWords(e.currentTarget.value)} data-autofocus />
      <Checkbox label={t('purpose.keep')} checked={keep} onChange={(e) => setKeep(e.currentTarget.checked)} />
      {error !== undefined && <Banner tone="bad">{said(error)}</Banner>}
      <Button type="submit" loading={busy}>
        {t('purpose.open')}
      </Button>
    </form>
  );
}
