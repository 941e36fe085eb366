import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useState } from 'react';
import { may, type Known } from '../api/desks';
import { similarQuery } from '../api/records';
import { useMe } from '../api/session';
import type { Rec, SimilarItem } from '../api/types';
import { t } from '../i18n';
import { metres } from '../i18n/time';
import { TlpChip } from '../part/marking';
import { Linked } from './links';

const ActDialog = lazy(() => import('./act-dialog'));

// merging is the command, if the kind has one here, whose argument names another
// record: the act that a possible duplicate asks for.
function merging(known: Known, r: Rec): { command: string; arg: string } | undefined {
  for (const command of Object.keys(known.kind.flow[r.state] ?? {})) {
    const arg = known.kind.args?.[command]?.find((f) => f.type === 'id');
    if (arg && may(known.kind, command)) return { command, arg: arg.path };
  }
  return undefined;
}

export function Similar({ known, record: r }: { known: Known; record: Rec }) {
  const me = useMe();
  const { data } = useQuery(similarQuery(r.kind, r.id));
  const [into, setInto] = useState<string>();
  const merge = r.owner === me.hat.agency ? merging(known, r) : undefined;
  if (!data?.items?.length) return null;
  return (
    <section className="sec">
      <h3>{t('similar')}</h3>
      {data.items.map((s) => (
        <div key={s.record.id} className="item">
          <span>
            <Linked record={s.record} />
            <div className="mut" style={{ fontSize: 12 }}>
              {reasons(s)}
            </div>
          </span>
          <span style={{ display: 'grid', gap: 6, justifyItems: 'end', alignContent: 'start' }}>
            <TlpChip tlp={s.record.marking.tlp} />
            {merge && s.record.owner === r.owner && (
              <Button size="compact-xs" variant="default" onClick={() => setInto(s.record.id)}>
                {known.words.command(merge.command)}
              </Button>
            )}
          </span>
        </div>
      ))}
      {merge && into && (
        <Suspense fallback={null}>
          <ActDialog known={known} record={r} command={merge.command} args={{ [merge.arg]: into }} close={() => setInto(undefined)} />
        </Suspense>
      )}
    </section>
  );
}

function reasons(s: SimilarItem): string {
  const parts = [`${Math.round(s.score * 100)} %`];
  if (s.metres !== undefined) parts.push(t('similar.apart', { d: metres(s.metres) }));
  if (s.minutes !== undefined) parts.push(s.minutes < 120 ? t('similar.min', { n: Math.round(s.minutes) }) : t('similar.h', { n: Math.round(s.minutes / 60) }));
  if (s.words?.length) parts.push(`“${s.words.join(', ')}”`);
  return parts.join(' · ');
}
