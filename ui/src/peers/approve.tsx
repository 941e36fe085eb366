import { Button, TagsInput, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { agenciesQuery } from '../api/agencies';
import { peerPath, type Peer, type Peers } from '../api/peers';
import { useMe } from '../api/session';
import { t } from '../i18n';
import { fromLocalInput, localInput } from '../i18n/time';
import { Icon } from '../part/icon';
import { Banner } from '../part/notice';
import { toast } from '../part/toast';
import { bare, groupsOf } from './print';
import { Revoke } from './revoke';
import { useRun } from './use-run';
import { Wrong } from './wrong';

// Approve lets a node in after two people have compared its fingerprint over
// the telephone: ticked group by group, or typed as it is heard.
export function Approve({ peer: p, all }: { peer: Peer; all: Peers }) {
  const { run, busy, error } = useRun();
  const [same, setSame] = useState(false);
  const [communities, setCommunities] = useState<Record<string, string[]>>({});
  const [since, setSince] = useState(() => localInput(new Date().toISOString()));
  const [refusing, setRefusing] = useState(false);
  const print = p.fingerprint ?? '';
  const approve = () => {
    const asked = Object.fromEntries(Object.entries(communities).filter(([, c]) => c.length));
    void run(peerPath(p.short, 'approve'), { fingerprint: print, communities: asked, since: fromLocalInput(since) }, () => toast(t('peers.approved', { who: p.title })));
  };
  return (
    <section className="sec stack">
      <h3 style={{ margin: 0 }}>{t('peers.compare')}</h3>
      <p>{t('peers.compare.words', { who: p.title })}</p>
      <Compare print={print} same={same} set={setSame} />
      {all.self && (
        <p className="mut">
          {t('peers.compare.ours')} <span className="mono">{groupsOf(all.self.fingerprint).join(' ')}</span>
        </p>
      )}
      <Communities agencies={p.agencies ?? []} value={communities} set={setCommunities} />
      <TextInput type="datetime-local" label={t('peers.older')} description={`${t('peers.older.words')} ${t('peers.older.empty')}`} value={since} onChange={(e) => setSince(e.currentTarget.value)} style={{ maxWidth: 280 }} />
      <Wrong error={error} />
      <div className="row-flex wrap">
        <Button disabled={!same} loading={busy} onClick={approve}>
          {t('peers.approve')}
        </Button>
        <Button variant="default" disabled={busy} onClick={() => setRefusing(true)}>
          {t('peers.decline')}
        </Button>
      </div>
      {!same && <p className="mut">{t('peers.compare.first')}</p>}
      {refusing && <Revoke peer={p} close={() => setRefusing(false)} />}
    </section>
  );
}

// Compare is settled when every group was ticked, or typed the same.
export function Compare({ print, same, set }: { print: string; same: boolean; set: (same: boolean) => void }) {
  const groups = groupsOf(print);
  const [ticked, setTicked] = useState<boolean[]>([]);
  const [typed, setTyped] = useState('');
  const heard = groupsOf(print, typed);
  const differs = heard.findIndex((g, i) => !(groups[i] ?? '').startsWith(g));
  const tick = (i: number) => {
    const next = groups.map((_, j) => (j === i ? !ticked[j] : !!ticked[j]));
    setTicked(next);
    set(next.every(Boolean) || bare(typed) === bare(print));
  };
  const type = (value: string) => {
    const text = groupsOf(print, value).join(' ');
    setTyped(text);
    set(bare(text) === bare(print) || (groups.length > 0 && groups.every((_, i) => ticked[i])));
  };
  return (
    <div className="stack" style={{ gap: 8 }}>
      <div className="ticks" role="group" aria-label={t('peers.tick')}>
        {groups.map((g, i) => {
          const on = !!ticked[i] || (heard[i] === g && differs < 0);
          return (
            <button key={i} type="button" className={`plain tick ${on ? 'on' : ''} ${i === differs ? 'off' : ''}`} role="checkbox" aria-checked={on} onClick={() => tick(i)}>
              {g}
              <Icon name="check" size={13} />
            </button>
          );
        })}
      </div>
      <div className="mut">{t('peers.tick')}</div>
      <TextInput
        label={t('peers.typed')}
        className="typed-print"
        autoComplete="off"
        inputMode={/\D/.test(bare(print)) ? 'text' : 'numeric'}
        autoCapitalize="characters"
        spellCheck={false}
        value={typed}
        onChange={(e) => type(e.currentTarget.value)}
        error={differs >= 0 && t('peers.differs', { n: differs + 1 })}
      />
      {same && <Banner tone="ok">{t('peers.same')}</Banner>}
    </div>
  );
}

// Communities says for each agency of a node what it is a member of.
function Communities({ agencies, value, set }: { agencies: string[]; value: Record<string, string[]>; set: (v: Record<string, string[]>) => void }) {
  const me = useMe();
  const { data = [] } = useQuery(agenciesQuery);
  const names = [...new Set([...(me.communities ?? []), ...data.flatMap((a) => a.communities ?? [])])];
  return (
    <div className="stack" style={{ gap: 8 }}>
      {agencies.map((a) => (
        <TagsInput key={a} label={t('peers.communities.of', { who: a })} description={agencies.length === 1 ? t('peers.communities.words') : undefined} data={names} value={value[a] ?? []} onChange={(v) => set({ ...value, [a]: v.map((c) => (c.startsWith('@') ? c : '@' + c)) })} />
      ))}
    </div>
  );
}
