import { Autocomplete, Button, Modal, TextInput } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import type { MemberAgency } from '../api/peers';
import { t } from '../i18n';
import { fromLocalInput, localInput } from '../i18n/time';
import { Icon } from '../part/icon';
import { Banner } from '../part/notice';
import { toast } from '../part/toast';
import { useRun } from './use-run';
import { Wrong } from './wrong';

interface Row {
  name: string;
  since: string;
}

// Membership says in which communities an agency is, and since when: it gets
// nothing that is older, and loses what a community that it leaves gave it. No
// date is from the beginning.
export function Membership({ agency: a, names, close }: { agency: MemberAgency; names: string[]; close: () => void }) {
  const { run, busy, error } = useRun();
  const [rows, setRows] = useState<Row[]>(Object.entries(a.communities ?? {}).map(([name, since]) => ({ name, since: localInput(since ?? undefined) })));
  const put = (i: number, part: Partial<Row>) => setRows(rows.map((r, j) => (j === i ? { ...r, ...part } : r)));
  const named = rows.filter((r) => r.name.trim()).map((r) => ({ ...r, name: r.name.trim().startsWith('@') ? r.name.trim() : '@' + r.name.trim() }));
  const left = Object.keys(a.communities ?? {}).filter((c) => !named.some((r) => r.name === c));
  const submit = (e: FormEvent) => {
    e.preventDefault();
    const communities: Record<string, string | null> = {};
    for (const r of named) {
      const before = a.communities?.[r.name];
      // A date that was not touched goes back as it came, seconds and all.
      communities[r.name] = before && localInput(before) === r.since ? before : (fromLocalInput(r.since) ?? null);
    }
    void run('/peers/membership', { agency: a.id, communities }, () => {
      toast(t('peers.membership.saved', { who: a.name || a.id }));
      close();
    });
  };
  return (
    <Modal opened onClose={close} title={`${t('communities')}: ${a.name || a.id}`} size="lg">
      <form className="stack" onSubmit={submit}>
        <p className="mut">
          {t('peers.older.words')} {t('peers.older.empty')}
        </p>
        {rows.map((r, i) => (
          <div key={i} className="row-flex" style={{ alignItems: 'end' }}>
            <Autocomplete className="grow" label={t('community')} data={names} value={r.name} onChange={(name) => put(i, { name })} />
            <TextInput className="grow" type="datetime-local" label={t('peers.older')} value={r.since} onChange={(e) => put(i, { since: e.currentTarget.value })} />
            <button type="button" className="plain icon-btn" aria-label={`${t('remove')}: ${r.name}`} onClick={() => setRows(rows.filter((_, j) => j !== i))}>
              <Icon name="close" />
            </button>
          </div>
        ))}
        <div>
          <Button size="compact-sm" variant="default" onClick={() => setRows([...rows, { name: '', since: localInput(new Date().toISOString()) }])}>
            {t('peers.membership.add')}
          </Button>
        </div>
        {left.length > 0 && <Banner tone="warn">{t('peers.membership.leaves', { what: left.join(', ') })}</Banner>}
        <Wrong error={error} />
        <div className="row-flex" style={{ justifyContent: 'flex-end' }}>
          <Button variant="default" onClick={close}>
            {t('cancel')}
          </Button>
          <Button type="submit" loading={busy}>
            {t('save')}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
