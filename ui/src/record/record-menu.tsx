import { Menu } from '@mantine/core';
import { lazy, Suspense, useState } from 'react';
import { may, type Known } from '../api/desks';
import { holds, useMe } from '../api/session';
import type { Rec } from '../api/types';
import { t } from '../i18n';
import { copy } from '../part/copy';
import { Icon } from '../part/icon';
import { go } from '../router';

const ActDialog = lazy(() => import('./act-dialog'));

// RecordMenu holds what is seldom done with a record.
export function RecordMenu({ known, record: r }: { known: Known; record: Rec }) {
  const me = useMe();
  const [erasing, setErasing] = useState(false);
  return (
    <>
      <button className="plain icon-btn" aria-label={t('copyLink')} title={t('copyLink')} onClick={() => void copy(location.origin + location.pathname)}>
        <Icon name="link" />
      </button>
      <Menu position="bottom-end">
        <Menu.Target>
          <button className="plain icon-btn" aria-label={t('moreActs')}>
            <Icon name="more" />
          </button>
        </Menu.Target>
        <Menu.Dropdown>
          {(holds(me, 'auditor') || holds(me, 'supervisor', known.desk.name)) && <Menu.Item onClick={() => go(`/audit?tab=looks&kind=${encodeURIComponent(r.kind)}&record=${r.id}`)}>{t('audit.looks')}</Menu.Item>}
          <Menu.Item onClick={() => void copy(r.id)}>{t('copyId')}</Menu.Item>
          {r.owner === me.hat.agency && may(known.kind, 'erase') && (
            <Menu.Item color="red" onClick={() => setErasing(true)}>
              {known.words.command('erase')}
            </Menu.Item>
          )}
        </Menu.Dropdown>
      </Menu>
      {erasing && (
        <Suspense fallback={null}>
          <ActDialog known={known} record={r} command="erase" close={() => setErasing(false)} />
        </Suspense>
      )}
    </>
  );
}
