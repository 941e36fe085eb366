import { Tabs } from '@mantine/core';
import { holds, useMe } from '../api/session';
import { t } from '../i18n';
import { go, useWhere } from '../router';
import './audit.css';
import { Integrity } from './integrity';
import { Ledger } from './ledger';
import { Looks } from './looks';
import { Seen } from './seen';

// The desk of those who watch the watchers. It shows who did and who looked;
// the content of a record needs the same rights here as anywhere.
export default function Audit() {
  const { query } = useWhere();
  // A supervisor may ask who saw a record of theirs, and no more.
  const whole = holds(useMe(), 'auditor');
  const tab = whole ? (query.get('tab') ?? 'ledger') : 'looks';
  return (
    <div className="page">
      <div className="page-in">
        <h1>{t('audit')}</h1>
        <Tabs value={tab} onChange={(v) => go(`/audit?tab=${v}`, true)} keepMounted={false}>
          <Tabs.List mb="md">
            {whole && <Tabs.Tab value="ledger">{t('audit.ledger')}</Tabs.Tab>}
            <Tabs.Tab value="looks">{t('audit.looks')}</Tabs.Tab>
            {whole && <Tabs.Tab value="seen">{t('audit.seen')}</Tabs.Tab>}
            {whole && <Tabs.Tab value="integrity">{t('audit.integrity')}</Tabs.Tab>}
          </Tabs.List>
          <Tabs.Panel value="ledger">
            <Ledger />
          </Tabs.Panel>
          <Tabs.Panel value="looks">
            <Looks />
          </Tabs.Panel>
          <Tabs.Panel value="seen">
            <Seen />
          </Tabs.Panel>
          <Tabs.Panel value="integrity">
            <Integrity />
          </Tabs.Panel>
        </Tabs>
      </div>
    </div>
  );
}
