import { Tabs } from '@mantine/core';
import { t } from '../i18n';
import { go, useWhere } from '../router';
import { Agencies } from './agencies';
import { PeopleTable } from './people-table';
import { Tokens } from './tokens';

export default function People() {
  const { query } = useWhere();
  const tab = query.get('tab') ?? 'people';
  return (
    <div className="page">
      <div className="page-in">
        <h1>{t('people.title')}</h1>
        <Tabs value={tab} onChange={(v) => go(`/people?tab=${v}`, true)} keepMounted={false}>
          <Tabs.List mb="md">
            <Tabs.Tab value="people">{t('people')}</Tabs.Tab>
            <Tabs.Tab value="agencies">{t('agencies')}</Tabs.Tab>
            <Tabs.Tab value="tokens">{t('tokens')}</Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="people">
            <PeopleTable />
          </Tabs.Panel>
          <Tabs.Panel value="agencies">
            <Agencies />
          </Tabs.Panel>
          <Tabs.Panel value="tokens">
            <Tokens />
          </Tabs.Panel>
        </Tabs>
      </div>
    </div>
  );
}
