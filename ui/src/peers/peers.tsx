import { Tabs } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { peersQuery, type Peers as All } from '../api/peers';
import { holds, useMe } from '../api/session';
import { t } from '../i18n';
import { Failure, Waiting } from '../part/notice';
import { go, useWhere } from '../router';
import { Alarms } from './alarms';
import { Detail } from './detail';
import { Join } from './join';
import { Keys } from './keys';
import { Nodes } from './nodes';
import './peers.css';
import { Region } from './region';
import { Stick } from './stick';

// Peers is where an administrator sees and changes with which nodes this one
// exchanges. Others see how the links are.
export default function Peers() {
  const me = useMe();
  const { query } = useWhere();
  // The stream tells of the dots; sizes, times and alarms come by looking.
  const { data, error, refetch } = useQuery({ ...peersQuery, refetchInterval: 4_000 });
  const runs = holds(me, 'administrator');
  const looks = runs || holds(me, 'auditor');
  const tabs = runs ? ['nodes', 'join', 'region', 'stick', 'keys', 'alarms'] : looks ? ['nodes', 'region', 'alarms'] : ['nodes'];
  const asked = query.get('tab') ?? 'nodes';
  const tab = tabs.includes(asked) ? asked : 'nodes';
  const short = query.get('node');
  const node = data?.peers?.find((p) => p.short === short);
  const alarms = data?.alarms ?? [];
  const fresh = useFresh(alarms[0]?.at, tab === 'alarms');
  if (error && !data) return <Failure error={error} again={() => void refetch()} />;
  if (!data) return <Waiting lines={6} />;
  return (
    <>
      <div className="page">
        <div className="page-in">
          <h1>{t('peers')}</h1>
          <Tabs value={tab} onChange={(v) => go(`/peers?tab=${v}`, true)} keepMounted={false}>
            {tabs.length > 1 && (
              <Tabs.List mb="md">
                {tabs.map((v) => (
                  <Tabs.Tab key={v} value={v}>
                    {tabWord(v)}
                    {v === 'nodes' && <Count n={runs ? pending(data) : 0} />}
                    {v === 'alarms' && <Count n={fresh ? alarms.length : 0} />}
                  </Tabs.Tab>
                ))}
              </Tabs.List>
            )}
            <Tabs.Panel value="nodes">
              <Nodes all={data} looks={looks} runs={runs} />
            </Tabs.Panel>
            <Tabs.Panel value="join">
              <Join all={data} />
            </Tabs.Panel>
            <Tabs.Panel value="region">
              <Region all={data} runs={runs} />
            </Tabs.Panel>
            <Tabs.Panel value="stick">
              <Stick all={data} />
            </Tabs.Panel>
            <Tabs.Panel value="keys">
              <Keys all={data} />
            </Tabs.Panel>
            <Tabs.Panel value="alarms">
              <Alarms alarms={alarms} peers={data.peers ?? []} />
            </Tabs.Panel>
          </Tabs>
        </div>
      </div>
      {node && <Detail key={node.short} peer={node} all={data} looks={looks} runs={runs} close={() => go('/peers', true)} />}
    </>
  );
}

const pending = (all: All) => all.peers?.filter((p) => p.state === 'pending').length ?? 0;

const Count = ({ n }: { n: number }) => (n > 0 ? <b className="tab-n">{n}</b> : null);

function tabWord(tab: string): string {
  switch (tab) {
    case 'join':
      return t('peers.join.tab');
    case 'region':
      return t('peers.region');
    case 'stick':
      return t('peers.stick');
    case 'keys':
      return t('peers.keys');
    case 'alarms':
      return t('peers.alarms');
  }
  return t('peers.nodes');
}

const seenKey = 'konbit.alarms';

// useFresh says whether an alarm is newer than the last look at the list.
function useFresh(newest: string | undefined, looking: boolean): boolean {
  const [seen, setSeen] = useState(() => localStorage.getItem(seenKey) ?? '');
  useEffect(() => {
    if (!looking || !newest) return;
    localStorage.setItem(seenKey, newest);
    setSeen(newest);
  }, [looking, newest]);
  return !!newest && newest > seen;
}
