import { Button, TextInput } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import { useSessionActs } from '../api/session';
import { t } from '../i18n';
import { Icon } from '../part/icon';
import { said } from '../part/notice';

// PurposeBar says that a list leaves protected records out, and what shows them.
export function PurposeBar() {
  const acts = useSessionActs();
  const [open, setOpen] = useState(false);
  const [words, setWords] = useState('');
  const [error, setError] = useState<unknown>();
  const submit = (e: FormEvent) => {
    e.preventDefault();
    acts.change({ purpose: { words: words.trim() } }).catch(setError);
  };
  return (
    <form className="purpose-bar" onSubmit={submit}>
      <Icon name="lock" size={15} />
      {open ? (
        <>
          <TextInput className="grow" size="xs" autoFocus required minLength={3} aria-label={t('purpose')} placeholder={t('purpose.example')} error={error !== undefined && said(error)} value={words} onChange={(e) => setWords(e.currentTarget.value)} />
          <Button size="xs" type="submit">
            {t('purpose.open')}
          </Button>
        </>
      ) : (
        <>
          <span className="grow">{t('purpose.list')}</span>
          <button type="button" className="plain linky" onClick={() => setOpen(true)}>
            {t('purpose.say')}
          </button>
        </>
      )}
    </form>
  );
}
