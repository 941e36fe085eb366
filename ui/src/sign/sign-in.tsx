import { Button, PasswordInput, TextInput } from '@mantine/core';
import { useEffect, useState, type FormEvent } from 'react';
import { Problem } from '../api/client';
import { useSessionActs } from '../api/session';
import type { DemoCard, SignedOut } from '../api/types';
import { lang, t } from '../i18n';
import { Icon } from '../part/icon';
import { Banner, said } from '../part/notice';
import { Frame } from './frame';
import { useWhere } from '../router';
import { passkeysWork, signInWithPasskey } from './passkey';

export default function SignIn({ session }: { session: SignedOut }) {
  const acts = useSessionActs();
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  // A provider sends the browser back here with what went wrong.
  const { query } = useWhere();
  const given = query.get('error');
  const [error, setError] = useState<unknown>(() => (given ? new Problem(0, given, query.get('detail') ?? '', '', [], 0) : undefined));
  const [busy, setBusy] = useState(false);

  // While somebody types, the screens behind the door come.
  useEffect(() => void import('../shell/shell').catch(() => undefined), []);

  async function attempt(run: () => Promise<void>) {
    setBusy(true);
    setError(undefined);
    // The language chosen on this page is the one that the person goes on in.
    const chosen = lang();
    try {
      await run();
      await acts.change({ lang: chosen }).catch(() => undefined);
    } catch (e) {
      setError(e);
      setBusy(false);
    }
  }

  const submit = (e: FormEvent) => {
    e.preventDefault();
    void attempt(() => acts.signIn(name.trim(), password));
  };

  return (
    <Frame demo={session.demo} foot={`${session.node.name} · Konbit ${session.node.version}`}>
      <form className="sign-box" onSubmit={submit}>
        <h1>{t('signIn')}</h1>
        {error !== undefined && <Banner tone="bad">{refusal(error)}</Banner>}
        <TextInput label={t('account')} placeholder="ht.cc/ana" value={name} onChange={(e) => setName(e.currentTarget.value)} autoComplete="username webauthn" autoCapitalize="none" spellCheck={false} required withAsterisk={false} size="md" />
        <PasswordInput label={t('password')} value={password} onChange={(e) => setPassword(e.currentTarget.value)} autoComplete="current-password" required withAsterisk={false} size="md" />
        <Button type="submit" size="md" loading={busy}>
          {t('signIn')}
        </Button>
        {((session.passkeys && passkeysWork()) || !!session.oidc?.length) && <div className="or">{t('or')}</div>}
        {session.passkeys && passkeysWork() && (
          <Button variant="default" leftSection={<Icon name="key" />} disabled={busy} onClick={() => void attempt(() => signInWithPasskey().then(acts.set))}>
            {t('withPasskey')}
          </Button>
        )}
        {session.oidc?.map((o) => (
          <Button key={o.id} variant="default" component="a" href={`/api/v1/oidc/${o.id}/start`}>
            {t('with', { name: o.name })}
          </Button>
        ))}
      </form>
      {!!session.demoCards?.length && <Cards cards={session.demoCards} pick={(c) => void attempt(() => acts.signIn(c.name, c.password))} />}
    </Frame>
  );
}

function refusal(e: unknown): string {
  if (e instanceof Problem && e.status === 401) return t('signIn.wrong');
  if (e instanceof Problem && e.status === 429) return t('signIn.slow', { s: e.retryAfter || 30 });
  return said(e);
}

function Cards({ cards, pick }: { cards: DemoCard[]; pick: (c: DemoCard) => void }) {
  return (
    <section className="demo-cards" aria-labelledby="demo-h">
      <h2 id="demo-h" className="mut">
        {t('demo.pick')}
      </h2>
      <div className="demo-grid">
        {cards.map((c) => (
          <button key={c.name} className="demo-card" onClick={() => pick(c)}>
            <b>{t(`role.${c.role}`)}</b>
            <span>{c.person}</span>
            <span>{c.agencyName}</span>
          </button>
        ))}
      </div>
    </section>
  );
}
