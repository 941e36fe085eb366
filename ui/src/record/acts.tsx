import { Button, Menu, TextInput } from '@mantine/core';
import { lazy, Suspense, useState } from 'react';
import { may, type Known } from '../api/desks';
import { useOutbox } from '../api/outbox';
import { useMe } from '../api/session';
import type { Rec } from '../api/types';
import { t } from '../i18n';
import { Icon } from '../part/icon';
import { Banner, said } from '../part/notice';
import { useAct } from './use-act';

const ActDialog = lazy(() => import('./act-dialog'));

// Acts are what the workflow and the role allow here and now. A note typed above
// them goes with whichever is pressed.
export function Acts({ known, record: r, edit }: { known: Known; record: Rec; edit: () => void }) {
  const me = useMe();
  const { kind, words } = known;
  const { run, busy, error } = useAct(known, r);
  const waiting = useOutbox().some((i) => i.id === r.id && !i.refused);
  const [note, setNote] = useState('');
  const [asking, setAsking] = useState<string>();
  const own = r.owner === me.hat.agency;

  const at = kind.path?.indexOf(r.state) ?? -1;
  const next = kind.path?.[at + 1];
  const commands = own ? Object.entries(kind.flow[r.state] ?? {}).filter(([c]) => may(kind, c)) : [];
  const sorted = commands.sort(([, a], [, b]) => Number(b === next) - Number(a === next));
  const canEdit = own && may(kind, 'edit') && !kind.frozen?.includes(r.state);

  const press = (command: string) => {
    if (kind.args?.[command]?.length) setAsking(command);
    else void run(command, { note }).then((ok) => ok && setNote(''));
  };

  return (
    <div className="acts">
      {error !== undefined && <Banner tone="bad">{said(error)}</Banner>}
      {waiting && <Banner tone="warn">{t('act.waiting')}</Banner>}
      {!own && <div className="mut">{t('act.owner', { who: r.owner })}</div>}
      {sorted.length > 0 && <TextInput size="xs" aria-label={t('note')} placeholder={t('note.with')} value={note} onChange={(e) => setNote(e.currentTarget.value)} />}
      <div className="line">
        {sorted.slice(0, 3).map(([c, to], i) => (
          <Button key={c} size="xs" variant={i === 0 && to === next ? 'filled' : 'default'} disabled={busy} onClick={() => press(c)}>
            {words.command(c)}
          </Button>
        ))}
        {canEdit && (
          <Button size="xs" variant="default" onClick={edit}>
            {words.command('edit')}
            <kbd>E</kbd>
          </Button>
        )}
        {sorted.length > 3 && (
          <Menu position="top-end">
            <Menu.Target>
              <button className="plain icon-btn" aria-label={t('moreActs')}>
                <Icon name="more" />
              </button>
            </Menu.Target>
            <Menu.Dropdown>
              {sorted.slice(3).map(([c]) => (
                <Menu.Item key={c} onClick={() => press(c)}>
                  {words.command(c)}
                </Menu.Item>
              ))}
            </Menu.Dropdown>
          </Menu>
        )}
      </div>
      {asking && (
        <Suspense fallback={null}>
          <ActDialog known={known} record={r} command={asking} note={note} close={() => setAsking(undefined)} />
        </Suspense>
      )}
    </div>
  );
}
