import { Button } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { lazy, Suspense, useEffect, useRef, useState } from 'react';
import { answersIn, type Offer } from '../answer/model';
import { Offers } from '../answer/offers';
import { Problem, standing } from '../api/client';
import { useDesks, type Known } from '../api/desks';
import { linksQuery, recordQuery } from '../api/records';
import type { Rec } from '../api/types';
import type { Picking } from '../board/board';
import { placeLine } from '../board/row';
import { t } from '../i18n';
import { Icon } from '../part/icon';
import { MarkingLine } from '../part/marking';
import { Due } from '../part/due';
import { Failure, Notice, Waiting } from '../part/notice';
import { StateMark } from '../part/state';
import { Ago } from '../part/time';
import { Acts } from './acts';
import { Audience } from './audience';
import { titleOf, valueAt } from './body';
import { Facts } from './facts';
import { Files } from './files';
import { Links } from './links';
import { PurposeGate } from './purpose';
import { RecordMenu } from './record-menu';
import './record.css';
import { Similar } from './similar';
import { Steps } from './steps';
import { Timeline } from './timeline';

const Composer = lazy(() => import('../answer/composer'));

interface Props {
  known: Known;
  id: string;
  close: () => void;
  edit: () => void;
  setPicking?: (p: Picking | undefined) => void; // where an answer's place may be chosen
}

// The drawer shows one record: what, where, when, who, who else can see it, and
// how it came to be so.
export default function Drawer({ known, id, close, edit, setPicking }: Props) {
  const client = useQueryClient();
  const { data, error, isPending, refetch } = useQuery(recordQuery(known.kind.name, id));
  const box = useRef<HTMLElement>(null);

  useEffect(() => {
    box.current?.focus({ preventScroll: true });
    // A purpose given for one record ends with the look at it.
    return () => {
      if (!standing.purpose) return;
      standing.purpose = '';
      client.removeQueries({ queryKey: ['record', known.kind.name, id] });
    };
  }, [client, known.kind.name, id]);

  const code = error instanceof Problem ? error.code : '';
  return (
    <aside className="drawer" ref={box} tabIndex={-1} aria-label={data ? titleOf(known, data) : known.words.one}>
      {data && code !== 'not-found' ? (
        <Whole known={known} record={data} close={close} edit={edit} setPicking={setPicking} />
      ) : (
        <>
          <div className="drawer-head">
            <div className="line">
              <b>{known.words.one}</b>
              <span className="end">
                <CloseButton close={close} />
              </span>
            </div>
          </div>
          {isPending ? (
            <Waiting lines={7} />
          ) : code === 'need-purpose' ? (
            <PurposeGate known={known} id={id} />
          ) : code === 'not-found' || code === 'denied' ? (
            <Notice
              icon="lock"
              title={t(code === 'denied' ? 'error.denied' : 'record.unknown')}
              action={
                <Button size="xs" variant="default" onClick={close}>
                  {t('back')}
                </Button>
              }
            >
              {t('record.unknown.next')}
            </Notice>
          ) : (
            <Failure error={error} again={() => void refetch()} />
          )}
        </>
      )}
    </aside>
  );
}

const CloseButton = ({ close }: { close: () => void }) => (
  <button className="plain icon-btn" aria-label={t('close')} title="Esc" onClick={close}>
    <Icon name="close" />
  </button>
);

// Answered leads to what was answered, which stands at the end.
function Answered({ record: r }: { record: Rec }) {
  const { data } = useQuery(linksQuery(r.kind, r.id));
  const n = answersIn(data, useDesks()).length;
  if (!n) return null;
  return (
    <>
      {' '}
      ·{' '}
      <button className="plain linky" onClick={() => document.querySelector('.drawer .tl .said')?.scrollIntoView({ block: 'center' })}>
        {n === 1 ? t('answer.one') : t('answer.n', { n })}
      </button>
    </>
  );
}

function Whole({ known, record: r, close, edit, setPicking }: Omit<Props, 'id'> & { record: Rec }) {
  const [answering, setAnswering] = useState<Offer>();
  const due = known.kind.address?.due && valueAt(r.body, known.kind.address.due);
  return (
    <>
      <div className="drawer-head">
        <div className="line">
          <MarkingLine marking={r.marking} />
          <span className="end">
            {r.key ?? ''} v{r.version}
            <RecordMenu known={known} record={r} />
            <CloseButton close={close} />
          </span>
        </div>
        <h2>{titleOf(known, r)}</h2>
        <div className="mut">
          {[placeLine(r), r.owner].filter(Boolean).join(' · ')} · <Ago iso={r.observed} />
          {typeof due === 'string' && known.kind.open?.includes(r.state) && (
            <>
              {' '}
              · <Due iso={due} />
            </>
          )}
          <Answered record={r} />
        </div>
        <Steps known={known} state={r.state} />
        {!known.kind.path?.includes(r.state) && (
          <div className="beside">
            <StateMark known={known} state={r.state} />
          </div>
        )}
      </div>
      <div className="drawer-body">
        <Facts known={known} record={r} />
        {!!r.attachments?.length && <Files record={r} />}
        <Links record={r} />
        {known.kind.similar && <Similar known={known} record={r} />}
        <Audience known={known} record={r} />
        <Timeline known={known} record={r} />
      </div>
      {answering ? (
        <Suspense fallback={null}>
          <Composer offer={answering} about={r} aboutKnown={known} close={() => setAnswering(undefined)} setPicking={setPicking} />
        </Suspense>
      ) : (
        <>
          <Acts known={known} record={r} edit={edit} />
          <Offers record={r} take={setAnswering} />
        </>
      )}
    </>
  );
}
