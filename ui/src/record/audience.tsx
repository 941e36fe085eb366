import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useState } from 'react';
import { may, type Known } from '../api/desks';
import { holding, holdersQuery, type Holder } from '../api/peers';
import { audienceQuery } from '../api/records';
import { useMe } from '../api/session';
import type { AudienceRow, Rec } from '../api/types';
import { t, tOr } from '../i18n';
import { dayTime } from '../i18n/time';
import { Held, Recalled } from './holders';

const Release = lazy(() => import('./release'));

// Audience answers "who can see it": every agency by name, and why; for an
// agency on another node also whether it is there yet, and whether it is gone.
export function Audience({ known, record: r }: { known: Known; record: Rec }) {
  const me = useMe();
  const { data } = useQuery(audienceQuery(r.kind, r.id));
  const [releasing, setReleasing] = useState(false);
  const can = data?.agencies.filter((a) => a.can) ?? [];
  const cannot = (data?.agencies.length ?? 0) - can.length;
  const { data: holders = [] } = useQuery({ ...holdersQuery(r.kind, r.id), enabled: r.owner === me.hat.agency });
  const at = (agency: string) => holders.find((h) => h.agencies?.includes(agency));
  const others = holders.filter((h) => !can.some((a) => h.agencies?.includes(a.agency)));
  // A person of that node is named, or the release is newer than what is shown.
  const there = others.filter((h) => h.state === 'queued' || (holding(h) && h.state !== 'recalling'));
  return (
    <section className="sec">
      <header>
        <h3>{t('who')}</h3>
        {r.owner === me.hat.agency && may(known.kind, 'mark') && (
          <button className="plain linky" onClick={() => setReleasing(true)}>
            {t('release')}
          </button>
        )}
      </header>
      <div className="who">
        {can.map((a) => (
          <Who key={a.agency} row={a} holder={at(a.agency)} now={r.version} />
        ))}
        {r.marking.persons?.map((p) => (
          <PersonRow key={p} id={p} />
        ))}
        {there.map((h) => (
          <Who key={h.node} row={{ agency: h.node, name: h.title, can: true }} holder={h} now={r.version} />
        ))}
        {cannot > 0 && <span className="mut">{t('who.cannot', { n: cannot })}</span>}
      </div>
      <Recalled holders={others.filter((h) => !there.includes(h))} now={r.version} />
      {!!r.marking.caveats?.length && <p className="mut" style={{ marginTop: 6, fontSize: 12 }}>{t('who.caveats')}</p>}
      {r.marking.expires && <p className="mut" style={{ marginTop: 6 }}>{t('who.until', { at: dayTime(r.marking.expires) })}</p>}
      {releasing && data && (
        <Suspense fallback={null}>
          <Release known={known} record={r} agencies={data.agencies} holders={holders} close={() => setReleasing(false)} />
        </Suspense>
      )}
    </section>
  );
}

function Who({ row, holder, now }: { row: AudienceRow; holder?: Holder; now: number }) {
  return (
    <>
      <span>
        {row.name || row.agency}
        {holder && <Held holder={holder} now={now} />}
      </span>
      <span className="why">{row.why ? tOr(`why.${row.why}`, row.why) : ''}</span>
    </>
  );
}

const PersonRow = ({ id }: { id: string }) => (
  <>
    <span>{id}</span>
    <span className="why">{t('why.person')}</span>
  </>
);
