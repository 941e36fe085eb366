import { Button, Checkbox, Modal, Select, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { api, Problem } from '../api/client';
import { useDesks, wordsOf } from '../api/desks';
import { useMe } from '../api/session';
import { caveats, type Grant, type Lang, type Person, type Role } from '../api/types';
import { agenciesQuery } from '../form/marking-edit';
import { langNames, langs, t } from '../i18n';
import { Icon } from '../part/icon';
import { caveatWord } from '../part/marking';
import { Banner, said } from '../part/notice';
import { toast } from '../part/toast';
import { wrongAt } from '../part/wrong';
import { Secret } from './secret';

const roles: Role[] = ['viewer', 'operator', 'supervisor', 'auditor', 'administrator'];

export const personPath = (id: string) => `/people/${id.split('/').map(encodeURIComponent).join('/')}`;

export function PersonForm({ person, close }: { person?: Person; close: () => void }) {
  const me = useMe();
  const client = useQueryClient();
  const { data: agencies = [] } = useQuery(agenciesQuery);
  const [account, setAccount] = useState('');
  const [agency, setAgency] = useState(me.hat.agency);
  const [name, setName] = useState(person?.name ?? '');
  const [lang, setLang] = useState<Lang>(person?.lang ?? me.person.lang);
  const [grants, setGrants] = useState<Grant[]>(person?.grants ?? [{ agency: me.hat.agency, desk: '*', role: 'operator' }]);
  const [clearances, setClearances] = useState<string[]>(person?.clearances ?? []);
  const [link, setLink] = useState('');
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const wrong = (path: string) => (error instanceof Problem ? wrongAt(error.fields, path) : undefined);
  const own = agencies.filter((a) => a.local !== false).map((a) => ({ value: a.id, label: a.name }));

  async function run(json: unknown, done: (p: Person) => void) {
    setBusy(true);
    setError(undefined);
    try {
      const p = await api<Person>(person ? personPath(person.id) : '/people', { method: person ? 'PATCH' : 'POST', json });
      await client.invalidateQueries({ queryKey: ['people'] });
      done(p);
    } catch (e) {
      setError(e);
    }
    setBusy(false);
  }

  const submit = (e: FormEvent) => {
    e.preventDefault();
    const common = { name: name.trim(), grants, clearances };
    if (person) return void run(common, close);
    void run({ id: `${agency}/${account.trim()}`, lang, ...common }, (p) => (p?.link ? setLink(p.link) : close()));
  };

  if (link)
    return (
      <Modal opened onClose={close} title={t('link.title')}>
        <Secret words={t('link.words')} value={new URL(link, location.origin).href} done={close} />
      </Modal>
    );

  return (
    <Modal opened onClose={close} title={person ? person.id : t('person.add')} size="lg">
      <form className="stack" onSubmit={submit}>
        {error !== undefined && <Banner tone="bad">{said(error)}</Banner>}
        <TextInput label={t('name')} required value={name} onChange={(e) => setName(e.currentTarget.value)} error={wrong('name')} data-autofocus />
        {!person && (
          <div className="row-flex" style={{ alignItems: 'start' }}>
            <Select className="grow" label={t('agency')} allowDeselect={false} data={own} value={agency} onChange={(v) => v && setAgency(v)} />
            <TextInput className="grow" label={t('person.name')} required autoCapitalize="none" value={account} onChange={(e) => setAccount(e.currentTarget.value)} error={wrong('id')} />
            <Select label={t('language')} allowDeselect={false} data={langs.map((l) => ({ value: l, label: langNames[l] }))} value={lang} onChange={(v) => v && setLang(v as Lang)} w={120} />
          </div>
        )}
        <Grants grants={grants} set={setGrants} agencies={own} error={wrong('grants')} />
        <Checkbox.Group label={t('clearances')} description={t('clearances.words')} value={clearances} onChange={setClearances}>
          <div className="row-flex wrap" style={{ gap: 14, marginTop: 6 }}>
            {caveats.map((c) => (
              <Checkbox key={c} value={c} label={caveatWord(c)} size="xs" />
            ))}
          </div>
        </Checkbox.Group>
        <div className="row-flex wrap" style={{ justifyContent: 'flex-end' }}>
          {person && (
            <>
              <Button variant="default" mr="auto" disabled={busy} onClick={() => void run({ resetPassword: true }, (p) => setLink(p.link ?? ''))}>
                {t('person.reset')}
              </Button>
              <Button
                variant="default"
                disabled={busy || person.id === me.person.id}
                onClick={() =>
                  void run({ disabled: !person.disabled }, () => {
                    toast(t(person.disabled ? 'person.enabled' : 'person.disabled'));
                    close();
                  })
                }
              >
                {t(person.disabled ? 'person.enable' : 'person.disable')}
              </Button>
            </>
          )}
          <Button type="submit" loading={busy}>
            {t('save')}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

function Grants({ grants, set, agencies, error }: { grants: Grant[]; set: (g: Grant[]) => void; agencies: { value: string; label: string }[]; error?: string }) {
  const { desks } = useDesks();
  const me = useMe();
  const list = [{ value: '*', label: t('desk.all') }, ...desks.map((d) => ({ value: d.name, label: wordsOf(d, d.kinds[0]?.name ?? '').desk }))];
  const put = (i: number, part: Partial<Grant>) => set(grants.map((g, j) => (j === i ? { ...g, ...part } : g)));
  return (
    <div role="group" aria-label={t('roles')} className="stack" style={{ gap: 6 }}>
      <div className="mantine-InputWrapper-label">{t('roles')}</div>
      {grants.map((g, i) => (
        <div key={i} className="row-flex">
          <Select className="grow" size="xs" aria-label={t('role')} allowDeselect={false} data={roles.map((r) => ({ value: r, label: t(`role.${r}`) }))} value={g.role} onChange={(v) => v && put(i, { role: v as Role })} />
          <Select className="grow" size="xs" aria-label={t('desks')} allowDeselect={false} data={list} value={g.desk} onChange={(v) => v && put(i, { desk: v })} />
          <Select className="grow" size="xs" aria-label={t('agency')} allowDeselect={false} data={agencies} value={g.agency} onChange={(v) => v && put(i, { agency: v })} />
          <button type="button" className="plain icon-btn" aria-label={t('remove')} onClick={() => set(grants.filter((_, j) => j !== i))}>
            <Icon name="close" />
          </button>
        </div>
      ))}
      {error && <div style={{ color: 'var(--bad-tx)', fontSize: 12 }}>{error}</div>}
      <div>
        <Button size="compact-xs" variant="default" onClick={() => set([...grants, { agency: me.hat.agency, desk: '*', role: 'viewer' }])}>
          {t('role.add')}
        </Button>
      </div>
    </div>
  );
}
