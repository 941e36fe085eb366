import { Button, Modal, Textarea } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import { peerPath, type Peer } from '../api/peers';
import { t } from '../i18n';
import { number } from '../i18n/time';
import { Banner } from '../part/notice';
import { toast } from '../part/toast';
import { useRun } from './use-run';
import { Wrong } from './wrong';

// Revoke ends the exchange with a node for good, and says what cannot be taken back.
export function Revoke({ peer: p, close }: { peer: Peer; close: () => void }) {
  const { run, busy, error } = useRun();
  const [why, setWhy] = useState('');
  const asked = p.state === 'pending';
  const word = t(asked ? 'peers.decline' : 'peers.revoke');
  const submit = (e: FormEvent) => {
    e.preventDefault();
    void run(peerPath(p.short, 'revoke'), { why: why.trim() }, () => {
      toast(t('peers.revoked.done', { who: p.title }));
      close();
    });
  };
  return (
    <Modal opened onClose={close} title={`${word}: ${p.title}`}>
      <form className="stack" onSubmit={submit}>
        {asked ? (
          <Banner>{t('peers.decline.words')}</Banner>
        ) : (
          <Banner tone="bad">
            <ul className="plain-list">
              <li>{t('peers.revoke.sends')}</li>
              <li>{p.sent ? t('peers.revoke.holds', { n: number(p.sent) }) : t('peers.revoke.holds.0')}</li>
              <li>{t('peers.revoke.theirs', { n: number(p.held ?? 0) })}</li>
              <li>{t('peers.revoke.again')}</li>
            </ul>
          </Banner>
        )}
        <Textarea label={t('peers.revoke.why')} description={t('note.why')} required minLength={3} autosize minRows={2} data-autofocus value={why} onChange={(e) => setWhy(e.currentTarget.value)} />
        <Wrong error={error} />
        <div className="row-flex" style={{ justifyContent: 'flex-end' }}>
          <Button variant="default" onClick={close}>
            {t('cancel')}
          </Button>
          <Button type="submit" className="danger" loading={busy} disabled={why.trim().length < 3}>
            {word}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
