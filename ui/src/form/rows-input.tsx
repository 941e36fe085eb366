import { Button } from '@mantine/core';
import type { Body } from '../api/types';
import { t } from '../i18n';
import { valueAt, withValue } from '../record/body';
import { Icon } from '../part/icon';
import { FieldInput, type InputProps } from './field-input';

// RowsInput edits a list of small records of the same fields.
export function RowsInput({ field, words, kind, value, set, error }: InputProps) {
  const rows = (value as Body[]) ?? [];
  const put = (next: Body[]) => set(next.length ? next : undefined);
  const key = (path: string) => path.slice(field.path.length + 1);
  return (
    <fieldset style={{ border: '1px solid var(--line)', borderRadius: 8, padding: '8px 12px 12px', margin: 0, minWidth: 0 }}>
      <legend className="mantine-InputWrapper-label" style={{ padding: '0 4px' }}>
        {words.field(field.path)}
      </legend>
      <div className="stack">
        {rows.map((row, i) => (
          <div key={i} className="row-flex" style={{ alignItems: 'end' }}>
            <div className="grow" style={{ display: 'grid', gap: 8, gridTemplateColumns: 'repeat(auto-fit, minmax(130px, 1fr))' }}>
              {field.fields?.map((f) => (
                <FieldInput key={f.path} narrow field={f} words={words} kind={kind} value={valueAt(row, key(f.path))} set={(v) => put(rows.map((r, j) => (j === i ? withValue(r, key(f.path), v) : r)))} />
              ))}
            </div>
            <button type="button" className="plain icon-btn" aria-label={t('remove')} onClick={() => put(rows.filter((_, j) => j !== i))}>
              <Icon name="close" />
            </button>
          </div>
        ))}
        {error && <div style={{ color: 'var(--bad-tx)', fontSize: 12 }}>{error}</div>}
        <div>
          <Button size="compact-xs" variant="default" onClick={() => put([...rows, {}])}>
            {t('row.add')}
          </Button>
        </div>
      </div>
    </fieldset>
  );
}
