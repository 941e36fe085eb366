import { relAnswers } from '../answer/model';
import { fieldOf, useDesks, type Known } from '../api/desks';
import type { Field, Rec } from '../api/types';
import { t, tOr } from '../i18n';
import { dayTime, metres, utc } from '../i18n/time';
import { areaName } from '../map/area';
import { degrees, pointOf } from '../map/geo';
import { useAgencyName } from '../part/agency';
import { isEmpty, saidWhole, show, titleField, valueAt } from './body';

// Facts are the record's fields in the order of its form; what is not known is
// not shown.
export function Facts({ known, record: r }: { known: Known; record: Rec }) {
  const { kind, words } = known;
  const sections = kind.sections ?? [];
  const named = new Set(sections.flatMap((s) => s.fields));
  const rest = kind.fields.filter((f) => !named.has(f.path));
  // The heading says the title, unless it is too long for one.
  const title = titleField(known, r)?.path;
  const heading = title && saidWhole(String(valueAt(r.body, title))) ? title : undefined;
  const { of } = useDesks();
  const about = of(r.links?.find((l) => l.rel === relAnswers)?.kind ?? '');
  const groups = [...sections.map((s) => ({ name: s.name, fields: s.fields.flatMap((p) => fieldOf(kind, p) ?? []) })), { name: '', fields: rest }];
  return (
    <>
      {groups.map((g) => {
        const full = g.fields.filter((f) => f.path !== heading && f.widget !== 'hidden' && !isEmpty(valueAt(r.body, f.path)));
        if (!full.length) return null;
        return (
          <section key={g.name} className="sec">
            {g.name && <h3>{words.section(g.name)}</h3>}
            <dl className="kv">
              {full.map((f) => (
                <Fact key={f.path} known={known} field={f} value={valueAt(r.body, f.path)} about={about} />
              ))}
            </dl>
          </section>
        );
      })}
      <Where known={known} record={r} />
    </>
  );
}

function Fact({ known: { words }, field: f, value, about }: { known: Known; field: Field; value: unknown; about?: Known }) {
  const name = useAgencyName();
  const label = words.field(f.path);
  if (f.type === 'rows') return <Rows label={label} field={f} rows={value as Record<string, unknown>[]} words={words} />;
  if (f.widget === 'lines')
    return (
      <>
        <dt className="full">{label}</dt>
        <dd className="full">{String(value)}</dd>
      </>
    );
  return (
    <>
      <dt>{label}</dt>
      <dd>
        {f.type === 'id' ? <span className="mono">{String(value)}</span> : f.widget === 'agency' ? name(String(value)) : f.widget === 'field' && about ? about.words.field(String(value)) : show(f, value, words)}{' '}
        {f.unit && <span className="mut">{tOr(`unit.${f.unit}`, f.unit)}</span>}
      </dd>
    </>
  );
}

function Rows({ label, field, rows, words }: { label: string; field: Field; rows: Record<string, unknown>[]; words: Known['words'] }) {
  const key = (path: string) => path.slice(field.path.length + 1);
  const columns = (field.fields ?? []).filter((c) => rows.some((row) => !isEmpty(valueAt(row, key(c.path)))));
  // Long texts are read one below the other.
  if (columns.some((c) => c.widget === 'lines'))
    return (
      <>
        <dt className="full">{label}</dt>
        {rows.map((row, i) => (
          <dd key={i} className="full one">
            {columns
              .filter((c) => !isEmpty(valueAt(row, key(c.path))))
              .map((c) => (
                <div key={c.path}>
                  <span className="sub">{words.field(c.path)}</span> {show(c, valueAt(row, key(c.path)), words)}
                </div>
              ))}
          </dd>
        ))}
      </>
    );
  return (
    <>
      <dt className="full">{label}</dt>
      <dd className="rows-in">
        <table className="table">
          <thead>
            <tr>
              {columns.map((c) => (
                <th key={c.path}>{words.field(c.path)}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row, i) => (
              <tr key={i}>
                {columns.map((c) => (
                  <td key={c.path}>{show(c, valueAt(row, key(c.path)), words)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </dd>
    </>
  );
}

function Where({ known, record: r }: { known: Known; record: Rec }) {
  const p = r.place;
  const point = pointOf(p);
  return (
    <section className="sec">
      <h3>{t('whereWhen')}</h3>
      <dl className="kv">
        {p && (
          <>
            <dt>{t('place')}</dt>
            <dd>
              {p.words || (p.pcode && areaName(p.pcode)) || t('place.point')}
              <div className="sub">
                {[p.uncertainty && `± ${metres(p.uncertainty)}`, p.words && p.pcode && areaName(p.pcode)].filter(Boolean).join(' · ')}
              </div>
              {point && <div className="sub mono">{degrees(point)}</div>}
            </dd>
          </>
        )}
        <dt>{t('observed')}</dt>
        <dd>
          {dayTime(r.observed)} <span className="sub">{utc(r.observed)}</span>
        </dd>
        {Math.abs(Date.parse(r.created) - Date.parse(r.observed)) > 120_000 && (
          <>
            <dt>{t('recorded')}</dt>
            <dd>
              {dayTime(r.created)} <span className="sub">{utc(r.created)}</span>
            </dd>
          </>
        )}
        {!!r.flags?.length && (
          <>
            <dt>{t('flags')}</dt>
            <dd>{r.flags.map(known.words.flag).join(', ')}</dd>
          </>
        )}
      </dl>
    </section>
  );
}
