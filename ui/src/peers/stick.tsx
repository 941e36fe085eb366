import { Button } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { headersFor, Offline, problemOf } from '../api/client';
import { peerPath, type Peer, type Peers, type Told } from '../api/peers';
import { t } from '../i18n';
import { bytes, number } from '../i18n/time';
import { PeerMark } from '../part/mark';
import { Banner } from '../part/notice';
import { waitingWords } from '../shell/peer-dots';
import { Drop } from './drop';
import { Wrong } from './wrong';

// Stick carries the same bundles that a link would, on whatever can hold a file.
export function Stick({ all }: { all: Peers }) {
  const peers = (all.peers ?? []).filter((p) => p.state !== 'pending' && p.state !== 'revoked' && p.state !== 'refused');
  return (
    <div className="join">
      <section className="card stack" style={{ alignContent: 'start' }}>
        <div>
          <h2>{t('peers.stick.take')}</h2>
          <p className="mut">{t('peers.stick.take.words')}</p>
        </div>
        <Take />
      </section>
      <section className="card stack" style={{ alignContent: 'start' }}>
        <div>
          <h2>{t('peers.stick.give')}</h2>
          <p className="mut">{t('peers.stick.give.all')}</p>
        </div>
        {peers.length === 0 && <p className="mut">{t('peers.none')}</p>}
        {peers.map((p) => (
          <div key={p.short} className="row-flex wrap">
            <span className="grow">
              <span className="marked">
                <PeerMark state={p.state} />
                <b style={{ fontWeight: 600 }}>{p.title}</b>
              </span>
              <div className="mut">{p.waiting > 0 ? waitingWords(p) : t('peers.waiting.none')}</div>
            </span>
            <StickButton peer={p} />
          </div>
        ))}
      </section>
    </div>
  );
}

export function StickButton({ peer: p }: { peer: Peer }) {
  if (!p.waiting)
    return (
      <Button size="xs" variant="default" disabled title={t('peers.waiting.none')}>
        {t('peers.stick.get')}
      </Button>
    );
  return (
    <Button component="a" size="xs" variant="default" href={`/api/v1${peerPath(p.short, 'bundle')}`} download="" aria-label={`${t('peers.stick.get')}: ${p.title}`}>
      {t('peers.stick.get')}
    </Button>
  );
}

interface Going {
  file: File;
  share: number;
  cancel: () => void;
}

function Take() {
  const client = useQueryClient();
  const [going, setGoing] = useState<Going>();
  const [told, setTold] = useState<{ name: string; told: Told }>();
  const [error, setError] = useState<unknown>();

  const take = (file: File) => {
    setTold(undefined);
    setError(undefined);
    const x = new XMLHttpRequest();
    setGoing({ file, share: 0, cancel: () => x.abort() });
    carry(x, file, (share) => setGoing((g) => g && { ...g, share }))
      .then((told) => {
        setTold({ name: file.name, told });
        void client.invalidateQueries({ queryKey: ['peers'] });
      })
      .catch(setError)
      .finally(() => setGoing(undefined));
  };

  return (
    <>
      <Drop word={t('import.choose')} words={t('peers.stick.drop')} busy={!!going} take={take} />
      {going && (
        <div className="row-flex" role="status">
          <span className="grow">
            {going.file.name} <span className="mut">{bytes(going.file.size)}</span>
            <div className="mut">{going.share < 1 ? t('peers.stick.reads') : t('peers.stick.applies')}</div>
            <progress className="wide-progress" value={going.share < 1 ? going.share : undefined} aria-label={going.file.name} />
          </span>
          <Button size="xs" variant="default" onClick={going.cancel}>
            {t('import.stop')}
          </Button>
        </div>
      )}
      <Wrong error={error} />
      {told && <ToldView name={told.name} told={told.told} />}
    </>
  );
}

// carry sends the file with its progress, which fetch cannot tell.
function carry(x: XMLHttpRequest, file: File, progress: (share: number) => void): Promise<Told> {
  return new Promise((resolve, reject) => {
    x.open('POST', '/api/v1/peers/bundles');
    for (const [k, v] of Object.entries(headersFor({ method: 'POST' }))) x.setRequestHeader(k, v);
    x.setRequestHeader('Content-Type', 'application/octet-stream');
    x.upload.onprogress = (e) => progress(e.total ? e.loaded / e.total : 0);
    x.upload.onload = () => progress(1);
    x.onerror = () => reject(new Offline());
    x.onabort = () => reject(undefined);
    x.onload = () => {
      if (x.status < 300) resolve(JSON.parse(x.responseText) as Told);
      else void problemOf(new Response(x.responseText, { status: x.status })).then(reject);
    };
    x.send(file);
  });
}

// ToldView says what was done with a file and what was not, row by row.
function ToldView({ name, told }: { name: string; told: Told }) {
  const rows = (['applied', 'purged', 'older', 'relayed', 'parked', 'refused'] as const).filter((k) => told[k] > 0);
  return (
    <div className="stack told" role="status">
      <Banner tone={told.refused || told.problems?.length ? 'warn' : 'ok'}>
        <b>{t('peers.told', { name, n: number(told.bundles) })}</b>
        {!rows.length && <div>{t('peers.told.nothing')}</div>}
      </Banner>
      {rows.length > 0 && (
        <ul className="plain-list told-rows">
          {rows.map((k) => (
            <li key={k} className={k === 'refused' ? 'node-error' : ''}>
              <b>{number(told[k])}</b>
              <span>{t(`peers.told.${k}`)}</span>
            </li>
          ))}
        </ul>
      )}
      {!!told.problems?.length && (
        <details open={told.problems.length <= 8}>
          <summary>{t('peers.told.problems', { n: number(told.problems.length) })}</summary>
          <ol className="problems">
            {told.problems.map((p, i) => (
              <li key={i}>{p}</li>
            ))}
          </ol>
        </details>
      )}
    </div>
  );
}
