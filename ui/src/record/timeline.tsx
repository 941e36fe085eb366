import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { answersIn, relAnswers } from '../answer/model';
import { AnswerMoment } from '../answer/moment';
import { fieldOf, useDesks, type Known } from '../api/desks';
import { useOutbox } from '../api/outbox';
import { historyQuery, linksQuery } from '../api/records';
import type { Change, Draft, Place, Rec, Version } from '../api/types';
import { t, tOr } from '../i18n';
import { clock, dayTime, metres, whole } from '../i18n/time';
import { areaName } from '../map/area';
import { degrees, pointOf } from '../map/geo';
import { Icon } from '../part/icon';
import { caveatWord } from '../part/marking';
import { Failure, Waiting } from '../part/notice';
import { show, titleOf } from './body';

// Timeline tells what was done with the record, and what others answered to it,
// newest first.
export function Timeline({ known, record: r }: { known: Known; record: Rec }) {
  const { data, error, refetch } = useQuery(historyQuery(r.kind, r.id));
  const desks = useDesks();
  const { data: links } = useQuery(linksQuery(r.kind, r.id));
  const answers = answersIn(links, desks);
  const heard = useHeard(links && answers);
  const heardKnown = heard && desks.of(heard.kind);
  const waiting = useOutbox().filter((i) => i.method === 'POST' && (i.body as Partial<Draft>).links?.some((l) => l.rel === relAnswers && l.id === r.id));
  const moments = [...(data?.versions ?? []).map((v) => ({ at: v.recorded, v })), ...answers.map((a) => ({ at: a.created, a }))].sort((x, y) => (x.at < y.at ? 1 : x.at > y.at ? -1 : 0));
  return (
    <section className="sec">
      <header>
        <h3>{t('timeline')}</h3>
        {answers.length > 0 && <span className="mut">{answers.length === 1 ? t('answer.one') : t('answer.n', { n: answers.length })}</span>}
      </header>
      <div className="sr" aria-live="polite">
        {heard && heardKnown && t('answer.heard', { what: heardKnown.words.one, who: heard.owner, words: titleOf(heardKnown, heard) })}
      </div>
      {error && !data ? (
        <Failure error={error} again={() => void refetch()} />
      ) : !data ? (
        <Waiting lines={3} />
      ) : (
        <ol className="tl">
          {waiting.map((i) => (
            <li key={i.key} className="said">
              <b>{desks.of(i.kind)?.words.one ?? i.kind}</b>
              <div className="by">{t(i.refused ? 'refused' : 'waiting')}</div>
            </li>
          ))}
          {moments.map((m) => ('a' in m ? <AnswerMoment key={m.a.id} record={m.a} about={known} /> : <Moment key={m.v.version} known={known} version={m.v} />))}
        </ol>
      )}
    </section>
  );
}

// useHeard is the newest answer that came while the record was looked at.
function useHeard(answers: Rec[] | undefined): Rec | undefined {
  const seen = useRef<Set<string>>(undefined);
  const [heard, setHeard] = useState<Rec>();
  useEffect(() => {
    if (!answers) return;
    const fresh = seen.current && answers.find((a) => !seen.current!.has(a.id));
    seen.current = new Set(answers.map((a) => a.id));
    if (fresh) setHeard(fresh);
  }, [answers]);
  return heard;
}

const today = (iso: string) => new Date(iso).toDateString() === new Date().toDateString();

// The command's last part names the act, whichever form the node gives.
const verb = (command = '') => command.split('.').at(-1)!;

function Moment({ known, version: v }: { known: Known; version: Version }) {
  const act = verb(v.command);
  const changes = act === 'create' ? [] : (v.changes ?? []).filter((c) => c.path !== 'state' || act === 'edit');
  return (
    <li>
      <b style={{ fontWeight: 600 }}>{v.hidden ? t('version.hidden') : capital(known.words.done(act))}</b>
      {v.note && (
        <>
          {' '}
          <q>{v.note}</q>
        </>
      )}
      {changes.map((c) => (
        <Diff key={c.path} known={known} change={c} />
      ))}
      <div className="by">
        <time dateTime={v.recorded} title={whole(v.recorded)}>
          {today(v.recorded) ? clock(new Date(v.recorded)) : dayTime(v.recorded)}
        </time>
        {v.author && `· ${v.author}`}
        {v.signature && (
          <span className={v.signature.ok ? '' : 'bad'} title={`${t(v.signature.ok ? 'signed' : 'signed.bad')} · ${v.signature.key}`}>
            <Icon name={v.signature.ok ? 'check' : 'close'} />
            <span className="sr">{t(v.signature.ok ? 'signed' : 'signed.bad')}</span>
          </span>
        )}
      </div>
    </li>
  );
}

const capital = (s: string) => s.charAt(0).toUpperCase() + s.slice(1);

function Diff({ known, change: c }: { known: Known; change: Change }) {
  const from = said(known, c.path, c.from);
  const to = said(known, c.path, c.to);
  return (
    <div className="diff">
      {labelOf(known, c.path)}: {from && <s>{from}</s>} {from && '→'} {to || t('removed')}
    </div>
  );
}

function labelOf(known: Known, path: string): string {
  return path.startsWith('body.') ? known.words.field(path.slice(5)) : tOr(`head.${path}`, path);
}

// said writes one side of a change as the drawer writes the value itself.
function said(known: Known, path: string, value: unknown): string {
  if (value === undefined || value === null) return '';
  if (path.startsWith('body.')) {
    const f = fieldOf(known.kind, path.slice(5));
    const s = f ? show(f, value, known.words) : JSON.stringify(value);
    return s.length > 90 ? s.slice(0, 90) + '…' : s;
  }
  switch (path) {
    case 'state':
      return known.words.state(String(value));
    case 'observed':
    case 'marking.expires':
      return dayTime(String(value));
    case 'place.uncertainty':
      return metres(Number(value));
    case 'place.pcode':
      return areaName(String(value));
    case 'place.geometry': {
      const p = pointOf({ geometry: value as Place['geometry'] });
      return p ? degrees(p) : t('place.shape');
    }
    case 'place':
      return (value as Place).words ?? t('place.point');
    case 'marking.caveats':
      return (value as string[]).map(caveatWord).join(', ');
    case 'flags':
      return (value as string[]).map(known.words.flag).join(', ');
    case 'links':
    case 'attachments':
      return String((value as unknown[]).length);
  }
  return Array.isArray(value) ? value.join(', ') : typeof value === 'object' ? JSON.stringify(value) : String(value);
}
