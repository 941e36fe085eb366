import { Button } from '@mantine/core';
import { useState } from 'react';
import type { Peer } from '../api/peers';
import { t } from '../i18n';
import { Banner } from '../part/notice';
import { Drop } from './drop';
import { useRun } from './use-run';
import { Wrong } from './wrong';

// CardFile is for places without a network: each side carries its card to the
// other, and both approve what they were handed.
export function CardFile() {
  const { run, busy, error } = useRun();
  const [taken, setTaken] = useState<Peer>();
  const take = async (f: File) => {
    setTaken(undefined);
    await run<Peer>('/peers/card', { card: await f.text() }, setTaken);
  };
  return (
    <>
      <div>
        <h2>{t('peers.card')}</h2>
        <p className="mut">{t('peers.card.words')}</p>
      </div>
      <ol className="steps-list">
        <li>
          <span>{t('peers.card.1')}</span>
          <Button component="a" size="xs" variant="default" href="/api/v1/peers/card" download="">
            {t('peers.card.get')}
          </Button>
        </li>
        <li>
          <span>{t('peers.card.2')}</span>
          <Drop word={t('import.choose')} words={t('peers.card.drop')} accept=".json,application/json" busy={busy} take={(f) => void take(f)} />
        </li>
        <li>
          <span>{t('peers.card.3')}</span>
        </li>
      </ol>
      <Wrong error={error} />
      {taken && <Banner tone="ok">{t('peers.card.taken', { who: taken.title })}</Banner>}
    </>
  );
}
