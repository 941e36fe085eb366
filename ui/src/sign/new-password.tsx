import { Button, PasswordInput, TextInput } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import { api, Problem } from '../api/client';
import { t } from '../i18n';
import { Banner, said } from '../part/notice';
import { toast } from '../part/toast';
import { wrongAt } from '../part/wrong';
import { go, useWhere } from '../router';
import { Frame } from './frame';

// The page that a one-time link opens: its code is in the address's fragment,
// which is never sent to a server by the browser.
export default function NewPassword() {
  const { hash } = useWhere();
  const [code, setCode] = useState(decodeURIComponent(hash));
  const [password, setPassword] = useState('');
  const [again, setAgain] = useState('');
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const differ = again !== '' && again !== password;

  async function submit(e: FormEvent) {
    e.preventDefault();
    if (differ) return;
    setBusy(true);
    setError(undefined);
    try {
      await api('/password-link', { method: 'POST', json: { code, password } });
      toast(t('password.set'));
      go('/', true);
    } catch (err) {
      setError(err);
      setBusy(false);
    }
  }

  return (
    <Frame>
      <form className="sign-box" onSubmit={(e) => void submit(e)}>
        <h1>{t('password.choose')}</h1>
        {error !== undefined && <Banner tone="bad">{error instanceof Problem && error.status < 422 ? t('password.linkOld') : said(error)}</Banner>}
        <TextInput label={t('first.code')} value={code} onChange={(e) => setCode(e.currentTarget.value)} required />
        <PasswordInput
          label={t('password')}
          description={t('password.rule')}
          value={password}
          onChange={(e) => setPassword(e.currentTarget.value)}
          error={error instanceof Problem && wrongAt(error.fields, 'password')}
          autoComplete="new-password"
          minLength={10}
          required
        />
        <PasswordInput label={t('password.again')} value={again} onChange={(e) => setAgain(e.currentTarget.value)} error={differ && t('password.differ')} autoComplete="new-password" required />
        <Button type="submit" size="md" loading={busy}>
          {t('save')}
        </Button>
      </form>
    </Frame>
  );
}
