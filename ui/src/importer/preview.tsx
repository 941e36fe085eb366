import { Button, Textarea } from '@mantine/core';
import type { Known } from '../api/desks';
import type { Preview } from '../api/types';
import { t } from '../i18n';
import { number } from '../i18n/time';
import { Banner } from '../part/notice';
import { wrongWord } from '../part/wrong';
import { titleOf } from '../record/body';

interface Props {
  known: Known;
  preview: Preview;
  mapping: string;
  setMapping: (m: string) => void;
  again: () => void;
  start: () => void;
  busy: boolean;
}

// PreviewView shows the first rows as they came and what would become of each.
export function PreviewView({ known, preview: p, mapping, setMapping, again, start, busy }: Props) {
  const records = p.records ?? [];
  const rows = Array.from({ length: Math.max(records.length, p.rows?.length ?? 0) }, (_, i) => ({ r: records[i], cells: p.rows?.[i] ?? [] }));
  const stuck = !!p.problems?.length || (records.length > 0 && records.every((r) => r.problems?.length));
  const bad = records.filter((r) => r.problems?.length).length;
  const label = (path: string) => (path.startsWith('body.') ? known.words.field(path.slice(5)) : path);
  const changed = mapping !== p.mapping;
  return (
    <>
      <section className="card stack">
        <div>
          <h2>{t('import.preview')}</h2>
          <p className="mut">
            {p.format.toUpperCase()}
            {p.total !== undefined && ` · ${t('import.rows', { n: number(p.total) })}`} · {t('import.first', { n: records.length, bad })}
          </p>
        </div>
        <div className="table-wrap">
          <table className="table">
            <thead>
              <tr>
                <th className="num">#</th>
                <th>{known.words.one}</th>
                {p.columns?.map((c) => (
                  <th key={c}>{c}</th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map(({ r, cells }, i) => (
                <tr key={i} className={r?.problems?.length ? 'refused' : ''}>
                  <td className="num mut">{r?.line}</td>
                  <td style={{ minWidth: 220 }}>
                    {r?.record && !r.problems?.length && titleOf(known, r.record)}
                    {r?.problems?.map((w) => (
                      <div key={w.path + w.code} className="problem">
                        {label(w.path)}: {wrongWord(w)}
                      </div>
                    ))}
                  </td>
                  {cells.map((cell, j) => (
                    <td key={j} className="mut" style={{ maxWidth: 200, overflow: 'hidden', textOverflow: 'ellipsis', whiteSpace: 'nowrap' }}>
                      {cell}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </section>
      <section className="card stack">
        <div>
          <h2>{t('import.mapping')}</h2>
          <p className="mut">{t('import.mapping.words')}</p>
        </div>
        {p.problems?.map((w) => (
          <Banner key={w.path + w.code} tone="bad">
            {label(w.path)}: {w.message}
          </Banner>
        ))}
        <Textarea className="mapping" aria-label={t('import.mapping')} autosize minRows={6} maxRows={24} spellCheck={false} value={mapping} onChange={(e) => setMapping(e.currentTarget.value)} />
        <div className="row-flex">
          <Button variant={changed ? 'filled' : 'default'} onClick={again} loading={busy}>
            {t('import.again')}
          </Button>
          <Button onClick={start} disabled={busy || changed || stuck}>
            {t('import.start')}
          </Button>
          {changed && <span className="mut">{t('import.changed')}</span>}
        </div>
      </section>
    </>
  );
}
