import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useState } from 'react';
import { may, type Known } from '../api/desks';
import { audienceQuery } from '../api/records';
import { useMe } from '../api/session';
import type { AudienceRow, Rec } from '../api/types';
import { t, tOr } from '../i18n';
import { dayTime } from '../i18n/time';

const Release = lazy(() => import('./release'));

// Audience answers "who can see it": every agency by name, and why.
export function Audience({ known, record: r }: { known: Known; record: Rec }) {
  const me = useMe();
  const { data } = useQuery(audienceQuery(r.kind, r.id));
  const [releasing, setReleasing] = useState(false);
  const can = data?.agencies.filter((a) => a.can) ?? [];
  const cannot = (data?.agencies.length ?? 0) - can.length;
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
          <Who key={a.agency} row={a} />
        ))}
        {r.marking.persons?.map((p) => (
          <PersonRow key={p} id={p} />
        ))}
        {cannot > 0 && <span className="mut">{t('who.cannot', { n: cannot })}</span>}
      </div>
      {!!r.marking.caveats?.length && <p className="mut" style={{ marginTop: 6, fontSize: 12 }}>{t('who.caveats')}</p>}
      {r.marking.expires && <p className="mut" style={{ marginTop: 6 }}>{t('who.until', { at: dayTime(r.marking.expires) })}</p>}
      {releasing && data && (
        <Suspense fallback={null}>
          <Release known={known} record={r} agencies={data.agencies} close={() => setReleasing(false)} />
        </Suspense>
      )}
    </section>
  );
}

function Who({ row }: { row: AudienceRow }) {
  return (
    <>
      <span>{row.name || row.agency}</span>
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
