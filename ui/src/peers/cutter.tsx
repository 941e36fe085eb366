import { Button } from '@mantine/core';
import { peerPath, type Peer } from '../api/peers';
import { t } from '../i18n';
import { said } from '../part/notice';
import { toast } from '../part/toast';
import { useEffect } from 'react';
import { useRun } from './use-run';

// Cutter pulls the plug of a link, to see what becomes of the work on both
// sides. Only a node on trial has it.
export function Cutter({ peer: p }: { peer: Peer }) {
  const { run, busy, error } = useRun();
  useEffect(() => {
    if (error !== undefined) toast(said(error));
  }, [error]);
  return (
    <Button size="compact-sm" variant="default" loading={busy} aria-label={`${t(p.cutByHand ? 'peers.mend' : 'peers.cutIt')}: ${p.title}`} onClick={() => void run(peerPath(p.short, 'link'), { cut: !p.cutByHand })}>
      {t(p.cutByHand ? 'peers.mend' : 'peers.cutIt')}
    </Button>
  );
}
