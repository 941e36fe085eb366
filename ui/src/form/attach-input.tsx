import { Button } from '@mantine/core';
import { useRef, useState, type ChangeEvent } from 'react';
import { headersFor, Offline, Problem, problemOf } from '../api/client';
import type { Attachment } from '../api/types';
import { t } from '../i18n';
import { bytes } from '../i18n/time';
import { Icon } from '../part/icon';
import { said } from '../part/notice';

interface Props {
  value: Attachment[];
  set: (a: Attachment[]) => void;
  busy: (n: number) => void;
  error?: string;
}

interface Upload {
  key: number;
  file: File;
  done: number;
  error?: unknown;
}

// upload reports progress, which fetch cannot.
function upload(file: File, progress: (share: number) => void): Promise<Attachment> {
  return new Promise((resolve, reject) => {
    const x = new XMLHttpRequest();
    x.open('POST', '/api/v1/attachments?name=' + encodeURIComponent(file.name));
    for (const [k, v] of Object.entries(headersFor({ method: 'POST' }))) x.setRequestHeader(k, v);
    x.setRequestHeader('Content-Type', file.type || 'application/octet-stream');
    x.upload.onprogress = (e) => progress(e.total ? e.loaded / e.total : 0);
    x.onerror = () => reject(new Offline());
    x.onload = () => {
      if (x.status < 300) resolve(JSON.parse(x.responseText) as Attachment);
      else void problemOf(new Response(x.responseText, { status: x.status })).then(reject);
    };
    x.send(file);
  });
}

// A file that is not taken would not be taken a second time either.
const refusal = (e: unknown) => (e instanceof Problem && e.code === 'invalid' ? t('attach.refused') : said(e));

let next = 1;

export function AttachInput({ value, set, busy, error }: Props) {
  const [uploads, setUploads] = useState<Upload[]>([]);
  const running = useRef(0);
  const latest = useRef(value);
  latest.current = value;
  const picker = useRef<HTMLInputElement>(null);

  const update = (key: number, part: Partial<Upload>) => setUploads((u) => u.map((x) => (x.key === key ? { ...x, ...part } : x)));

  async function start(u: Upload) {
    busy(++running.current);
    update(u.key, { error: undefined, done: 0 });
    try {
      const a = await upload(u.file, (done) => update(u.key, { done }));
      latest.current = [...latest.current.filter((x) => x.hash !== a.hash), { ...a, name: a.name || u.file.name }];
      set(latest.current);
      setUploads((all) => all.filter((x) => x.key !== u.key));
    } catch (e) {
      update(u.key, { error: e });
    }
    busy(--running.current);
  }

  const choose = (e: ChangeEvent<HTMLInputElement>) => {
    const chosen = [...(e.currentTarget.files ?? [])].map((file): Upload => ({ key: next++, file, done: 0 }));
    e.currentTarget.value = '';
    setUploads((u) => [...u, ...chosen]);
    chosen.forEach((u) => void start(u));
  };

  return (
    <div className="stack" style={{ gap: 8 }}>
      <div className="mantine-InputWrapper-label">{t('attachments')}</div>
      {value.map((a) => (
        <div key={a.hash} className="file-line">
          <span className="file-thumb">
            <Icon name="file" />
          </span>
          <span>
            {a.name || a.type}
            <div className="mut">{bytes(a.size)}</div>
          </span>
          <button type="button" className="plain icon-btn" aria-label={t('remove')} onClick={() => set(value.filter((x) => x.hash !== a.hash))}>
            <Icon name="close" />
          </button>
        </div>
      ))}
      {uploads.map((u) => (
        <div key={u.key} className="file-line">
          <span className="file-thumb">
            <Icon name="file" />
          </span>
          <span>
            {u.file.name}
            {u.error ? <div style={{ color: 'var(--bad-tx)' }}>{refusal(u.error)}</div> : <progress value={u.done} aria-label={t('uploading', { n: 1 })} />}
          </span>
          {u.error ? (
            <span className="row-flex">
              {!(u.error instanceof Problem && u.error.status < 429) && (
                <Button size="compact-xs" variant="default" onClick={() => void start(u)}>
                  {t('tryAgain')}
                </Button>
              )}
              <button type="button" className="plain icon-btn" aria-label={t('remove')} onClick={() => setUploads((all) => all.filter((x) => x.key !== u.key))}>
                <Icon name="close" />
              </button>
            </span>
          ) : null}
        </div>
      ))}
      {error && <div style={{ color: 'var(--bad-tx)', fontSize: 12 }}>{error}</div>}
      <div>
        <input ref={picker} type="file" multiple hidden accept="image/*,audio/*,application/pdf" onChange={choose} />
        <Button size="xs" variant="default" leftSection={<Icon name="clip" size={15} />} onClick={() => picker.current?.click()}>
          {t('attach')}
        </Button>
      </div>
    </div>
  );
}
