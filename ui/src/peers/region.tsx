import { Button, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { directoryQuery, given, type Directory, type Member, type MemberAgency, type Peers } from '../api/peers';
import { t } from '../i18n';
import { day, dayTime, number } from '../i18n/time';
import { Failure, Notice, Waiting } from '../part/notice';
import { go } from '../router';
import { Membership } from './membership';
import { CopyButton, Print } from './print';
import { useRun } from './use-run';
import { Wrong } from './wrong';

// Region shows who is in the region and in which communities since when, as its
// founding key has signed it.
export function Region({ all, runs }: { all: Peers; runs: boolean }) {
  if (!all.region) return <None runs={runs} />;
  return <Known all={all} runs={runs} />;
}

function Known({ all, runs }: { all: Peers; runs: boolean }) {
  const { data, error, refetch } = useQuery({ ...directoryQuery, refetchInterval: 20_000 });
  const [open, setOpen] = useState<MemberAgency>();
  const region = all.region!;
  const edits = region.founder && runs;
  if (error && !data) return <Failure error={error} again={() => void refetch()} />;
  if (!data) return <Waiting lines={6} />;
  const members = data.members ?? [];
  const hub = region.hub && (members.find((m) => m.node === region.hub || m.short === region.hub)?.title ?? region.hub);
  return (
    <div className="stack">
      <section className="card stack" style={{ gap: 8 }}>
        <div className="row-flex wrap">
          <h2 className="grow" style={{ margin: 0 }}>
            {t('peers.region')}: {region.name}
          </h2>
          {edits && (
            <Button size="xs" onClick={() => go('/peers?tab=join')}>
              {t('peers.invite')}
            </Button>
          )}
        </div>
        <div className="mut">
          {[t('peers.region.serial', { n: number(data.serial), at: dayTime(data.at) }), hub && t('peers.region.hub', { hub }), region.founder ? t('peers.region.ours') : t('peers.region.theirs')].filter(Boolean).join(' · ')}
        </div>
        <div className="row-flex wrap">
          <span className="mut">{t('peers.region.print')}</span>
          <Print value={region.fingerprint} />
          <CopyButton text={region.fingerprint} />
        </div>
      </section>
      {members.length === 0 && (
        <section className="card">
          <Notice icon="peers" title={t('peers.region.empty')}>
            {t('peers.region.empty.next')}
          </Notice>
        </section>
      )}
      {members.map((m) => (
        <MemberCard key={m.node} member={m} edits={edits} self={all.self?.name === m.node} open={setOpen} />
      ))}
      {open && <Membership agency={open} names={namesIn(data)} close={() => setOpen(undefined)} />}
    </div>
  );
}

const namesIn = (d: Directory) => [...new Set((d.members ?? []).flatMap((m) => (m.agencies ?? []).flatMap((a) => Object.keys(a.communities ?? {}))))].sort();

function MemberCard({ member: m, edits, self, open }: { member: Member; edits: boolean; self: boolean; open: (a: MemberAgency) => void }) {
  const revoked = given(m.revoked);
  return (
    <section className={`card stack ${revoked ? 'gone' : ''}`} style={{ gap: 8 }}>
      <div className="row-flex wrap">
        <b className="grow" style={{ fontWeight: 650 }}>
          {m.title} {self && <span className="caveat">{t('agency.local')}</span>}
        </b>
        <Print value={m.fingerprint} />
      </div>
      {revoked && (
        <div className="node-error">
          {t('peers.revoked')} {dayTime(revoked)} {m.why && `· ${m.why}`}
        </div>
      )}
      <ul className="plain-list member-rows">
        {(m.agencies ?? []).map((a) => (
          <li key={a.id}>
            <div>
              <span>{a.name || a.id}</span>{' '}
              <span className="mut">
                {a.id}
                {a.country && ` · ${a.country}`}
              </span>
            </div>
            <div className="memberships">
              {Object.entries(a.communities ?? {}).map(([c, since]) => (
                <span key={c} className="membership">
                  {c} <span className="mut">{since ? t('peers.since.day', { at: day(since) }) : t('peers.since.ever')}</span>
                </span>
              ))}
              {!Object.keys(a.communities ?? {}).length && <span className="mut">{t('peers.communities.none')}</span>}
            </div>
            {edits && !revoked && (
              <Button size="compact-xs" variant="default" aria-label={`${t('change')}: ${a.name || a.id}`} onClick={() => open(a)}>
                {t('change')}
              </Button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

// None offers the two ways into a region: to found one, or to be invited.
function None({ runs }: { runs: boolean }) {
  const { run, busy, error } = useRun();
  const [name, setName] = useState('');
  const submit = (e: FormEvent) => {
    e.preventDefault();
    void run('/peers/region', { name: name.trim() });
  };
  return (
    <section className="card">
      <Notice icon="peers" title={t('peers.region.none')}>
        {t('peers.region.none.words')}
      </Notice>
      {runs && (
        <form className="stack found" onSubmit={submit}>
          <TextInput label={t('peers.region.name')} description={t('peers.region.name.words')} placeholder="hispaniola" required autoCapitalize="none" value={name} onChange={(e) => setName(e.currentTarget.value)} />
          <Wrong error={error} />
          <div className="row-flex wrap">
            <Button type="submit" loading={busy} disabled={!name.trim()}>
              {t('peers.region.found')}
            </Button>
            <Button variant="default" onClick={() => go('/peers?tab=join')}>
              {t('peers.enter')}
            </Button>
          </div>
        </form>
      )}
    </section>
  );
}
