import { Button, Checkbox, Modal } from '@mantine/core';
import { useState } from 'react';
import type { Peers } from '../api/peers';
import { t } from '../i18n';
import { Banner } from '../part/notice';
import { toast } from '../part/toast';
import { Print } from './print';
import { useRun } from './use-run';
import { Wrong } from './wrong';

// Keys changes the keys with which this node speaks to others.
export function Keys({ all }: { all: Peers }) {
  const [what, setWhat] = useState<string>();
  const rows: [string, string, string][] = [
    ['link', t('peers.key.link'), t('peers.key.link.words')],
    ['seal', t('peers.key.seal'), t('peers.key.seal.words')],
    ...(all.self?.agencies ?? []).map((a): [string, string, string] => [a, t('peers.key.agency', { who: a }), t('peers.key.agency.words')]),
  ];
  return (
    <section className="card stack">
      <div>
        <h2>{t('peers.keys')}</h2>
        <p className="mut">{t('peers.keys.words')}</p>
      </div>
      {all.self && (
        <div className="row-flex wrap">
          <span className="mut">{t('peers.print.ours')}</span>
          <Print value={all.self.fingerprint} />
        </div>
      )}
      <ul className="plain-list key-rows">
        {rows.map(([key, name, words]) => (
          <li key={key}>
            <div className="grow">
              <b>{name}</b>
              <div className="mut">{words}</div>
            </div>
            <Button size="xs" variant="default" aria-label={`${t('peers.rotate')}: ${name}`} onClick={() => setWhat(key)}>
              {t('peers.rotate')}
            </Button>
          </li>
        ))}
      </ul>
      {what && <Rotate what={what} name={rows.find(([k]) => k === what)![1]} close={() => setWhat(undefined)} />}
    </section>
  );
}

function Rotate({ what, name, close }: { what: string; name: string; close: () => void }) {
  const { run, busy, error } = useRun();
  const [stolen, setStolen] = useState(false);
  const [print, setPrint] = useState('');
  return (
    <Modal opened onClose={close} title={`${t('peers.rotate')}: ${name}`}>
      {print ? (
        <div className="stack">
          <Banner tone="ok">{t('peers.rotated')}</Banner>
          <Print value={print} large />
          <div className="row-flex" style={{ justifyContent: 'flex-end' }}>
            <Button onClick={close}>{t('done')}</Button>
          </div>
        </div>
      ) : (
        <div className="stack">
          <p>{t('peers.rotate.words')}</p>
          <Checkbox label={t('peers.stolen')} description={t('peers.stolen.words')} checked={stolen} onChange={(e) => setStolen(e.currentTarget.checked)} />
          <Wrong error={error} />
          <div className="row-flex" style={{ justifyContent: 'flex-end' }}>
            <Button variant="default" onClick={close}>
              {t('cancel')}
            </Button>
            <Button
              loading={busy}
              className={stolen ? 'danger' : undefined}
              onClick={() =>
                void run<{ fingerprint: string }>('/peers/rotate', { what, compromised: stolen }, (a) => {
                  if (what === 'link') return setPrint(a.fingerprint);
                  toast(t('peers.rotated'));
                  close();
                })
              }
            >
              {t('peers.rotate')}
            </Button>
          </div>
        </div>
      )}
    </Modal>
  );
}
