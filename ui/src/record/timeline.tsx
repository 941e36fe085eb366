import { useQuery } from '@tanstack/react-query';
import { fieldOf, type Known } from '../api/desks';
import { historyQuery } from '../api/records';
import type { Change, Place, Rec, Version } from '../api/types';
import { t, tOr } from '../i18n';
import { clock, dayTime, metres, whole } from '../i18n/time';
import { areaName } from '../map/area';
import { degrees, pointOf } from '../map/geo';
import { Icon } from '../part/icon';
import { caveatWord } from '../part/marking';
import { Failure, Waiting } from '../part/notice';
import { show } from './body';

export function Timeline({ known, record: r }: { known: Known; record: Rec }) {
  const { data, error, refetch } = useQuery(historyQuery(r.kind, r.id));
  return (
    <section className="sec">
      <h3>{t('timeline')}</h3>
      {error && !data ? (
        <Failure error={error} again={() => void refetch()} />
      ) : !data ? (
        <Waiting lines={3} />
      ) : (
        <ol className="tl">
          {data.versions.map((v) => (
            <Moment key={v.version} known={known} version={v} />
          ))}
        </ol>
      )}
    </section>
  );
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
