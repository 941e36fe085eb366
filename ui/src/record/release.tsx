import { Button, Modal, Textarea } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Known } from '../api/desks';
import { holding, type Holder } from '../api/peers';
import { previewQuery } from '../api/records';
import type { AudienceRow, Marking, Rec } from '../api/types';
import { MarkingEdit } from '../form/marking-edit';
import { t } from '../i18n';
import { Banner, said } from '../part/notice';
import { titleOf } from './body';
import { GiveBack } from './holders';
import { useAct } from './use-act';

interface Props {
  known: Known;
  record: Rec;
  agencies: AudienceRow[];
  holders: Holder[];
  close: () => void;
}

// Release changes who may see a record. Whom the change adds is said by name
// before it is done, because a look cannot be taken back.
export default function Release({ known, record: r, agencies, holders, close }: Props) {
  const [marking, setMarking] = useState<Marking>(r.marking);
  const [note, setNote] = useState('');
  const [settled] = useDebouncedValue(marking, 250);
  const { data, isFetching } = useQuery(previewQuery(r.kind, r.id, settled));
  const { run, busy, error } = useAct(known, r);
  const name = (id: string) => agencies.find((a) => a.agency === id)?.name ?? id;
  const gained = data?.gained ?? [];
  const lost = data?.lost ?? [];
  const giveBack = lost.length ? losing(holders, data!.agencies) : [];
  const same = JSON.stringify(marking) === JSON.stringify(r.marking);
  return (
    <Modal opened onClose={close} title={t('release.title')} size="lg">
      <div className="stack">
        <div className="mut">{titleOf(known, r)}</div>
        <MarkingEdit value={marking} set={setMarking} agencies={agencies} protect={known.kind.protect} />
        {gained.length > 0 && (
          <Banner tone="warn">
            <b>{gained.length === 1 ? t('release.one') : t('release.gain', { n: gained.length })}</b> {t('release.unread')}
            <div>{gained.map(name).join(', ')}</div>
          </Banner>
        )}
        {lost.length > 0 && (
          <Banner>
            <b>{lost.length === 1 ? t('release.lose.1') : t('release.lose', { n: lost.length })}</b> {!giveBack.length && t('release.recall')}
            <div>{lost.map(name).join(', ')}</div>
            <GiveBack holders={giveBack} />
          </Banner>
        )}
        {!same && data && !gained.length && !lost.length && <Banner>{t('release.same')}</Banner>}
        <Textarea label={t('note')} description={t('note.why')} autosize minRows={1} value={note} onChange={(e) => setNote(e.currentTarget.value)} />
        {error !== undefined && <Banner tone="bad">{said(error)}</Banner>}
        <div className="row-flex" style={{ justifyContent: 'flex-end' }}>
          <Button variant="default" onClick={close}>
            {t('cancel')}
          </Button>
          <Button disabled={same || isFetching || settled !== marking} loading={busy} onClick={() => void run('mark', { note, args: marking }).then((ok) => ok && close())}>
            {gained.length ? t('release.do', { n: gained.length }) : t('save')}
          </Button>
        </div>
      </div>
    </Modal>
  );
}

// losing names the nodes that hold the record and would have no agency left that
// may see it.
function losing(holders: Holder[], after: AudienceRow[]): Holder[] {
  const can = new Set(after.filter((a) => a.can).map((a) => a.agency));
  return holders.filter((h) => holding(h) && h.state !== 'recalling' && !h.agencies?.some((a) => can.has(a)));
}
