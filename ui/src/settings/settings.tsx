import { Button, PasswordInput, SegmentedControl, Textarea, useMantineColorScheme } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { Tokens } from '../admin/tokens';
import { api, Problem } from '../api/client';
import { useMe, useSessionActs } from '../api/session';
import type { Lang, Theme } from '../api/types';
import { langNames, langs, t, useLang } from '../i18n';
import { dayTime } from '../i18n/time';
import { caveatWord } from '../part/marking';
import { Banner, said } from '../part/notice';
import { toast } from '../part/toast';
import { Ago } from '../part/time';
import { wrongAt } from '../part/wrong';
import { useChoose } from '../shell/top-bar';
import { ProcessesLine } from '../shell/processes';
import { OutboxLine } from '../shell/status-bar';
import { addPasskey, passkeysWork } from '../sign/passkey';

export default function Settings() {
  return (
    <div className="page">
      <div className="page-in" style={{ maxWidth: 760 }}>
        <div className="row-flex">
          <h1 className="grow">{t('settings')}</h1>
          <ProcessesLine />
          <OutboxLine />
        </div>
        <Look />
        <Standing />
        <PurposeCard />
        <Password />
        <Passkeys />
        <section className="stack">
          <h2 style={{ fontSize: 14, fontWeight: 650 }}>{t('tokens')}</h2>
          <Tokens />
        </section>
        <SignOut />
      </div>
    </div>
  );
}

function Look() {
  const now = useLang();
  const { colorScheme } = useMantineColorScheme();
  const choose = useChoose();
  return (
    <section className="card stack">
      <h2>{t('settings.look')}</h2>
      <div>
        <div className="mantine-InputWrapper-label">{t('language')}</div>
        <SegmentedControl size="sm" data={langs.map((l) => ({ value: l, label: langNames[l] }))} value={now} onChange={(v) => choose.language(v as Lang)} />
      </div>
      <div>
        <div className="mantine-InputWrapper-label">{t('theme')}</div>
        <SegmentedControl size="sm" data={(['auto', 'light', 'dark'] as const).map((v) => ({ value: v, label: t(`theme.${v}`) }))} value={colorScheme} onChange={(v) => choose.theme(v as Theme)} />
      </div>
    </section>
  );
}

// Standing says as whom one acts and what one is cleared for.
function Standing() {
  const me = useMe();
  const acts = useSessionActs();
  return (
    <section className="card stack">
      <h2>{t('hat')}</h2>
      {me.hats.length > 1 ? (
        <div className="row-flex wrap">
          {me.hats.map((h) => (
            <Button key={h.agency} size="xs" variant={h.agency === me.hat.agency ? 'filled' : 'default'} onClick={() => acts.change({ hat: h.agency }).catch((e) => toast(said(e)))}>
              {h.name}
            </Button>
          ))}
        </div>
      ) : (
        <div>
          {me.hat.name} <span className="mut">{me.hat.agency}</span>
        </div>
      )}
      <dl className="kv-plain" style={{ display: 'grid', gridTemplateColumns: '140px 1fr', gap: '4px 10px', margin: 0 }}>
        <dt className="mut">{t('roles')}</dt>
        <dd style={{ margin: 0 }}>
          {Object.entries(me.roles).map(([desk, roles]) => (
            <div key={desk}>
              {roles.map((r) => t(`role.${r}`)).join(', ')} <span className="mut">{desk === '*' ? t('desk.all') : desk}</span>
            </div>
          ))}
        </dd>
        <dt className="mut">{t('clearances')}</dt>
        <dd style={{ margin: 0 }}>{me.clearances?.map(caveatWord).join(', ') || '–'}</dd>
        <dt className="mut">{t('communities')}</dt>
        <dd style={{ margin: 0 }}>{me.communities?.join(', ') || '–'}</dd>
      </dl>
    </section>
  );
}

function PurposeCard() {
  const me = useMe();
  const acts = useSessionActs();
  const [words, setWords] = useState('');
  const [error, setError] = useState<unknown>();
  const force = me.person.purpose;
  const change = (purpose: { words: string } | null) => {
    setError(undefined);
    acts
      .change({ purpose })
      .then(() => setWords(''))
      .catch(setError);
  };
  return (
    <section className="card stack">
      <div>
        <h2>{t('settings.purpose')}</h2>
        <p className="mut">{t('settings.purpose.words')}</p>
      </div>
      {error !== undefined && <Banner tone="bad">{said(error)}</Banner>}
      {force ? (
        <Banner>
          “{force.words}” <span className="mut">{t('purpose.until', { at: dayTime(force.until) })}</span>{' '}
          <Button size="compact-xs" variant="default" ml="sm" onClick={() => change(null)}>
            {t('purpose.end')}
          </Button>
        </Banner>
      ) : (
        <form
          className="stack"
          onSubmit={(e) => {
            e.preventDefault();
            change({ words: words.trim() });
          }}
        >
          <Textarea aria-label={t('purpose')} placeholder={t('purpose.example')} autosize minRows={2} required minLength={3} value={words} onChange={(e) => setWords(e.currentTarget.value)} />
          <div>
            <Button type="submit" variant="default">
              {t('purpose.set')}
            </Button>
          </div>
        </form>
      )}
    </section>
  );
}

function Password() {
  const [v, setV] = useState({ old: '', next: '', again: '' });
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const set = (k: keyof typeof v) => (e: { currentTarget: { value: string } }) => setV({ ...v, [k]: e.currentTarget.value });
  const differ = v.again !== '' && v.again !== v.next;
  async function submit(e: FormEvent) {
    e.preventDefault();
    if (differ) return;
    setBusy(true);
    setError(undefined);
    try {
      await api('/session/password', { method: 'POST', json: { old: v.old, new: v.next } });
      toast(t('password.changed'));
      setV({ old: '', next: '', again: '' });
    } catch (err) {
      setError(err);
    }
    setBusy(false);
  }
  return (
    <section className="card">
      <form className="stack" style={{ maxWidth: 380 }} onSubmit={(e) => void submit(e)}>
        <h2 style={{ margin: 0 }}>{t('password.change')}</h2>
        {error !== undefined && <Banner tone="bad">{error instanceof Problem && (error.status === 401 || error.status === 403) ? t('password.oldWrong') : said(error)}</Banner>}
        <PasswordInput label={t('password.old')} required value={v.old} onChange={set('old')} autoComplete="current-password" />
        <PasswordInput label={t('password.new')} description={t('password.rule')} required minLength={10} value={v.next} onChange={set('next')} error={error instanceof Problem && wrongAt(error.fields, 'new')} autoComplete="new-password" />
        <PasswordInput label={t('password.again')} required value={v.again} onChange={set('again')} error={differ && t('password.differ')} autoComplete="new-password" />
        <div>
          <Button type="submit" variant="default" loading={busy}>
            {t('save')}
          </Button>
        </div>
      </form>
    </section>
  );
}

interface Passkey {
  id: string;
  name?: string;
  created?: string;
  used?: string;
}

function Passkeys() {
  const client = useQueryClient();
  const { data } = useQuery({ queryKey: ['passkeys'], queryFn: () => api<{ passkeys: Passkey[] }>('/passkeys').then((a) => a.passkeys ?? []), retry: false });
  const [error, setError] = useState<unknown>();
  const run = (p: Promise<unknown>) => {
    setError(undefined);
    p.then(() => client.invalidateQueries({ queryKey: ['passkeys'] })).catch(setError);
  };
  if (!passkeysWork()) return null;
  return (
    <section className="card stack">
      <div>
        <h2>{t('passkeys')}</h2>
        <p className="mut">{t('passkeys.words')}</p>
      </div>
      {error !== undefined && <Banner tone="bad">{said(error)}</Banner>}
      {data?.map((k) => (
        <div key={k.id} className="row-flex">
          <span className="grow">
            {k.name || k.id.slice(0, 12)} {k.created && <span className="mut">{dayTime(k.created)}</span>} {k.used && <Ago iso={k.used} />}
          </span>
          <Button size="compact-xs" variant="default" onClick={() => run(api(`/passkeys/${encodeURIComponent(k.id)}`, { method: 'DELETE' }))}>
            {t('remove')}
          </Button>
        </div>
      ))}
      <div>
        <Button variant="default" onClick={() => run(addPasskey(navigator.platform))}>
          {t('passkey.add')}
        </Button>
      </div>
    </section>
  );
}

function SignOut() {
  const acts = useSessionActs();
  return (
    <section>
      <Button variant="default" onClick={() => acts.signOut().catch((e) => toast(said(e)))}>
        {t('signOut')}
      </Button>
    </section>
  );
}
