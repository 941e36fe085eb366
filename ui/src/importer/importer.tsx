import { Button, Select } from '@mantine/core';
import { useRef, useState } from 'react';
import { api } from '../api/client';
import { may, useDesks } from '../api/desks';
import type { Preview } from '../api/types';
import { t } from '../i18n';
import { bytes } from '../i18n/time';
import { Icon } from '../part/icon';
import { Banner, Notice, said } from '../part/notice';
import './importer.css';
import { JobView } from './job';
import { PreviewView } from './preview';

// Import goes in three steps, none of which writes before it has shown what it
// would write: choose, preview, run.
export default function Import() {
  const { readable } = useDesks();
  const kinds = readable.filter((k) => may(k.kind, 'create'));
  const [kind, setKind] = useState(kinds[0]?.kind.name ?? '');
  const [file, setFile] = useState<File>();
  const [mapping, setMapping] = useState<string>();
  const [preview, setPreview] = useState<Preview>();
  const [job, setJob] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const picker = useRef<HTMLInputElement>(null);
  const known = kinds.find((k) => k.kind.name === kind);

  async function attempt(run: () => Promise<void>) {
    setBusy(true);
    setError(undefined);
    try {
      await run();
    } catch (e) {
      setError(e);
    }
    setBusy(false);
  }

  const form = (f: File, m: string | undefined) => {
    const body = new FormData();
    body.set('file', f, f.name);
    if (m !== undefined) body.set('mapping', m);
    return body;
  };

  const look = (f: File, k: string, m?: string) =>
    void attempt(async () => {
      const p = await api<Preview>(`/import/${encodeURIComponent(k)}/preview?name=${encodeURIComponent(f.name)}`, { method: 'POST', body: form(f, m) });
      setPreview(p);
      setMapping(p.mapping);
    });

  const start = () =>
    void attempt(async () => {
      const a = await api<{ job: string }>(`/import/${encodeURIComponent(kind)}?name=${encodeURIComponent(file!.name)}`, { method: 'POST', body: form(file!, mapping) });
      setJob(a.job);
    });

  const reset = () => {
    setFile(undefined);
    setPreview(undefined);
    setMapping(undefined);
    setJob('');
    setError(undefined);
  };

  if (!kinds.length) return <Notice icon="lock" title={t('error.denied')}>{t('noDesk.next')}</Notice>;
  return (
    <div className="page">
      <div className="page-in">
        <h1>{t('import')}</h1>
        {job && known ? (
          <JobView job={job} known={known} again={reset} />
        ) : (
          <>
            <section className="card stack">
              <div className="row-flex wrap" style={{ alignItems: 'end' }}>
                <Select
                  label={t('import.kind')}
                  allowDeselect={false}
                  data={kinds.map((k) => ({ value: k.kind.name, label: k.words.many }))}
                  value={kind}
                  onChange={(v) => {
                    if (!v) return;
                    setKind(v);
                    setPreview(undefined);
                    if (file) look(file, v);
                  }}
                />
                <input
                  ref={picker}
                  type="file"
                  hidden
                  accept=".csv,.tsv,.xlsx,.ndjson,.jsonl,.json,.geojson"
                  onChange={(e) => {
                    const f = e.currentTarget.files?.[0];
                    e.currentTarget.value = '';
                    if (!f) return;
                    setFile(f);
                    look(f, kind);
                  }}
                />
                <Button variant={file ? 'default' : 'filled'} leftSection={<Icon name="file" size={16} />} onClick={() => picker.current?.click()} loading={busy && !preview}>
                  {file ? `${file.name} (${bytes(file.size)})` : t('import.choose')}
                </Button>
              </div>
              <p className="mut">{t('import.words')}</p>
              {error !== undefined && <Banner tone="bad">{said(error)}</Banner>}
            </section>
            {preview && known && file && <PreviewView known={known} preview={preview} mapping={mapping ?? ''} setMapping={setMapping} again={() => look(file, kind, mapping)} start={start} busy={busy} />}
          </>
        )}
      </div>
    </div>
  );
}
