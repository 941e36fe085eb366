import { Button, Select, TagsInput } from '@mantine/core';
import { useState } from 'react';
import { peerPath, type Peer, type Peers } from '../api/peers';
import { t } from '../i18n';
import { toast } from '../part/toast';
import { useRun } from './use-run';
import { Wrong } from './wrong';

// Route says which way it goes to a node: its own addresses, or another node
// that carries what it cannot read.
export function Route({ peer: p, all }: { peer: Peer; all: Peers }) {
  const { run, busy, error } = useRun();
  const [urls, setUrls] = useState(p.urls ?? []);
  const [via, setVia] = useState(p.via ?? '');
  const changed = via !== (p.via ?? '') || urls.join() !== (p.urls ?? []).join();
  const hubs = (all.peers ?? []).filter((x) => x.short !== p.short && x.state !== 'pending' && x.state !== 'revoked').map((x) => ({ value: x.name, label: x.title }));
  return (
    <section className="sec stack" style={{ gap: 8 }}>
      <h3 style={{ margin: 0 }}>{t('peers.way')}</h3>
      <TagsInput label={t('peers.urls')} description={t('peers.urls.words')} placeholder={urls.length ? '' : 'https://'} value={urls} onChange={setUrls} />
      <Select label={t('peers.carried')} description={t('peers.carried.words')} data={[{ value: '', label: t('peers.carried.none') }, ...hubs]} allowDeselect={false} value={via} onChange={(v) => setVia(v ?? '')} />
      <Wrong error={error} />
      {changed && (
        <div>
          <Button size="compact-sm" loading={busy} onClick={() => void run(peerPath(p.short, 'route'), { urls, via }, () => toast(t('peers.way.saved')))}>
            {t('save')}
          </Button>
        </div>
      )}
    </section>
  );
}
