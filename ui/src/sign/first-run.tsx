import { Button, PasswordInput, TextInput } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import { api, Problem } from '../api/client';
import { useSessionActs } from '../api/session';
import type { Session } from '../api/types';
import { lang, t } from '../i18n';
import { Banner, said } from '../part/notice';
import { wrongAt } from '../part/wrong';
import { go, useWhere } from '../router';
import { Frame } from './frame';

// The first person to open a new node, with the code that it printed, names its
// agency and becomes its administrator.
export default function FirstRun() {
  const { hash } = useWhere();
  const acts = useSessionActs();
  const [v, setV] = useState({ code: decodeURIComponent(hash), agency: '', agencyName: '', country: 'HT', name: '', display: '', password: '', again: '' });
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const set = (k: keyof typeof v) => (e: { currentTarget: { value: string } }) => setV({ ...v, [k]: e.currentTarget.value });
  const wrong = (path: string) => (error instanceof Problem ? wrongAt(error.fields, path) : undefined);
  const differ = v.again !== '' && v.again !== v.password;

  async function submit(e: FormEvent) {
    e.preventDefault();
    if (differ) return;
    setBusy(true);
    setError(undefined);
    try {
      const s = await api<Session | undefined>('/first-run', {
        method: 'POST',
        json: { code: v.code, agency: { id: v.agency.trim(), name: v.agencyName.trim(), country: v.country.trim().toUpperCase() }, person: { name: v.name.trim(), display: v.display.trim(), lang: lang() }, password: v.password },
      });
      if (s && 'signedIn' in s && s.signedIn) acts.set(s);
      else await acts.signIn(`${v.agency.trim()}/${v.name.trim()}`, v.password);
      go('/', true);
    } catch (err) {
      setError(err);
      setBusy(false);
    }
  }

  return (
    <Frame>
      <form className="sign-box" onSubmit={(e) => void submit(e)}>
        <h1>{t('first.title')}</h1>
        <p className="mut">{t('first.words')}</p>
        {error !== undefined && <Banner tone="bad">{said(error)}</Banner>}
        <TextInput label={t('first.code')} value={v.code} onChange={set('code')} error={wrong('code')} required />
        <TextInput label={t('agency.name')} value={v.agencyName} onChange={set('agencyName')} error={wrong('agency.name')} required />
        <div className="row-flex" style={{ alignItems: 'start' }}>
          <TextInput className="grow" label={t('agency.id')} description="ht.pnh, do.911" value={v.agency} onChange={set('agency')} error={wrong('agency.id')} autoCapitalize="none" required />
          <TextInput style={{ width: 90 }} label={t('country')} description="HT, DO" maxLength={2} value={v.country} onChange={set('country')} error={wrong('agency.country')} required />
        </div>
        <TextInput label={t('person.display')} value={v.display} onChange={set('display')} error={wrong('person.display')} autoComplete="name" required />
        <TextInput label={t('person.name')} value={v.name} onChange={set('name')} error={wrong('person.name')} autoCapitalize="none" autoComplete="username" required />
        <PasswordInput label={t('password')} description={t('password.rule')} value={v.password} onChange={set('password')} error={wrong('password')} autoComplete="new-password" minLength={10} required />
        <PasswordInput label={t('password.again')} value={v.again} onChange={set('again')} error={differ && t('password.differ')} autoComplete="new-password" required />
        <Button type="submit" size="md" loading={busy}>
          {t('first.start')}
        </Button>
      </form>
    </Frame>
  );
}
