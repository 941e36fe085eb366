import { Checkbox, MultiSelect, NumberInput, SegmentedControl, Select, TagsInput, Textarea, TextInput } from '@mantine/core';
import '@mantine/core/styles/NumberInput.css';
import { useMediaQuery } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { agenciesQuery } from '../api/agencies';
import { useDesks, type Known, type Words } from '../api/desks';
import { recordQuery, searchQuery } from '../api/records';
import { useMe } from '../api/session';
import type { Field } from '../api/types';
import { t, tOr } from '../i18n';
import { fromLocalInput, localInput } from '../i18n/time';
import { areaCodes, areaName } from '../map/area';
import { loadBase } from '../map/base';
import { titleOf } from '../record/body';
import { RowsInput } from './rows-input';

export interface InputProps {
  field: Field;
  words: Words;
  kind: string;
  value: unknown;
  set: (v: unknown) => void;
  error?: string;
  narrow?: boolean; // it stands beside others in a row
  about?: Known; // of the record that is answered
}

// FieldInput is the input that a field's declaration asks for.
export function FieldInput(p: InputProps) {
  const { field: f, words, value, set, error } = p;
  const label = words.field(f.path);
  const common = { label, error, withAsterisk: f.required, required: false, 'aria-required': f.required };
  const unit = f.unit && tOr(`unit.${f.unit}`, f.unit);
  switch (f.type) {
    case 'text':
      if (f.enum) return <Choice {...p} label={label} />;
      if (f.widget === 'agency') return <AgencyPick {...p} label={label} />;
      if (f.widget === 'field' && p.about) return <FieldPick {...p} about={p.about} label={label} />;
      if (f.widget === 'lines') return <Textarea {...common} autosize minRows={3} maxRows={14} maxLength={f.max} value={String(value ?? '')} onChange={(e) => set(e.currentTarget.value || undefined)} />;
      return <TextInput {...common} maxLength={f.max} value={String(value ?? '')} onChange={(e) => set(e.currentTarget.value || undefined)} />;
    case 'integer':
    case 'number':
      return (
        <NumberInput
          {...common}
          label={unit ? `${label} (${unit})` : label}
          hideControls
          allowDecimal={f.type === 'number'}
          thousandSeparator={'\u202f'}
          clampBehavior="none"
          value={typeof value === 'number' ? value : ''}
          onChange={(v) => set(typeof v === 'number' ? v : undefined)}
          inputMode={f.type === 'integer' ? 'numeric' : 'decimal'}
        />
      );
    case 'flag':
      return <Checkbox label={label} error={error} checked={value === true} onChange={(e) => set(e.currentTarget.checked || undefined)} />;
    case 'time':
      return <TextInput {...common} type="datetime-local" value={localInput(value as string)} onChange={(e) => set(fromLocalInput(e.currentTarget.value))} />;
    case 'interval':
      return <Interval {...p} label={label} />;
    case 'pcode':
      return <Area {...p} label={label} />;
    case 'id':
      return <RecordPick {...p} label={label} />;
    case 'list':
      if (f.enum) return <MultiSelect {...common} clearable searchable={f.enum.length > 8} data={f.enum.map((v) => ({ value: v, label: words.value(f.path, v) }))} value={(value as string[]) ?? []} onChange={(v) => set(v.length ? v : undefined)} />;
      return <TagsInput {...common} value={(value as string[]) ?? []} onChange={(v) => set(v.length ? v : undefined)} />;
    case 'rows':
      return <RowsInput {...p} />;
  }
}

// Few short choices are all in sight; many are a list.
function Choice({ field: f, words, value, set, error, label, narrow }: InputProps & { label: string }) {
  const data = f.enum!.map((v) => ({ value: v, label: words.value(f.path, v) }));
  const phone = useMediaQuery('(max-width: 760px)');
  const short = !narrow && !phone && data.length <= 5 && data.reduce((n, d) => n + d.label.length, 0) <= 44;
  if (short && f.required)
    return (
      <div role="group" aria-label={label}>
        <div className="mantine-InputWrapper-label">
          {label} <span style={{ color: 'var(--bad-tx)' }}>*</span>
        </div>
        <SegmentedControl fullWidth size="sm" data={data} value={String(value ?? '')} onChange={set} />
        {error && <div style={{ color: 'var(--bad-tx)', fontSize: 12, marginTop: 4 }}>{error}</div>}
      </div>
    );
  return <Select label={label} withAsterisk={f.required} error={error} data={data} searchable={data.length > 8} clearable={!f.required} value={(value as string) ?? null} onChange={(v) => set(v ?? undefined)} />;
}

// AgencyPick names one other agency.
function AgencyPick({ field: f, value, set, error, label }: InputProps & { label: string }) {
  const me = useMe();
  const { data = [] } = useQuery({ ...agenciesQuery, retry: false });
  const own = value ? String(value) : '';
  const options = data.filter((a) => a.id !== me.hat.agency).map((a) => ({ value: a.id, label: `${a.name} (${a.id})` }));
  if (own && !options.some((o) => o.value === own)) options.unshift({ value: own, label: own });
  return <Select label={label} withAsterisk={f.required} error={error} data={options} searchable={options.length > 8} nothingFoundMessage={t('nothing')} value={own || null} onChange={(v) => set(v ?? undefined)} />;
}

// FieldPick names one field of the record that is answered.
function FieldPick({ about, value, set, error, label, field: f }: InputProps & { about: Known; label: string }) {
  const data = about.kind.fields.map((x) => ({ value: x.path, label: about.words.field(x.path) }));
  return <Select label={label} withAsterisk={f.required} error={error} data={data} searchable={data.length > 8} clearable nothingFoundMessage={t('nothing')} value={(value as string) ?? null} onChange={(v) => set(v ?? undefined)} />;
}

function Interval({ field: f, value, set, error, label }: InputProps & { label: string }) {
  const v = (value as { from?: string; to?: string }) ?? {};
  const put = (part: { from?: string; to?: string }) => {
    const next = { ...v, ...part };
    set(next.from || next.to ? next : undefined);
  };
  return (
    <div role="group" aria-label={label} className="row-flex" style={{ alignItems: 'start' }}>
      <TextInput className="grow" label={`${label}: ${t('from')}`} withAsterisk={f.required} error={error} type="datetime-local" value={localInput(v.from)} onChange={(e) => put({ from: fromLocalInput(e.currentTarget.value) })} />
      <TextInput className="grow" label={t('to')} type="datetime-local" value={localInput(v.to)} onChange={(e) => put({ to: fromLocalInput(e.currentTarget.value) })} />
    </div>
  );
}

// Area offers the provinces of the base map and takes any other code as typed.
function Area({ field: f, value, set, error, label }: InputProps & { label: string }) {
  const { data } = useQuery({ queryKey: ['base'], queryFn: loadBase, staleTime: Infinity });
  const codes = data ? areaCodes() : [];
  const own = value ? [String(value)] : [];
  const [typed, setTyped] = useState('');
  const fits = /^([a-z0-9-]+:)?[A-Z]{2,3}[A-Z0-9]{0,12}$/.test(typed) ? [typed] : [];
  const options = [...new Set([...codes, ...own, ...fits])].sort();
  return (
    <Select
      label={label}
      withAsterisk={f.required}
      error={error}
      searchable
      clearable
      data={options.map((c) => ({ value: c, label: areaName(c) === c ? c : `${areaName(c)} (${c})` }))}
      searchValue={typed}
      onSearchChange={setTyped}
      limit={60}
      value={(value as string) ?? null}
      onChange={(v) => set(v ?? undefined)}
    />
  );
}

// RecordPick finds another record by words, or takes its identifier.
function RecordPick({ kind, value, set, error, label, field: f }: InputProps & { label: string }) {
  const [typed, setTyped] = useState('');
  const [words, setWords] = useState('');
  useEffect(() => {
    const timer = window.setTimeout(() => setWords(typed), 250);
    return () => window.clearTimeout(timer);
  }, [typed]);
  const { data } = useQuery(searchQuery(words));
  const found = (data?.items ?? []).filter((i) => i.kind === kind).map((i) => ({ value: i.id, label: `${i.title} · ${i.owner}` }));
  const own = value ? String(value) : '';
  const isId = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(typed);
  const known = useDesks().of(kind);
  const { data: chosen } = useQuery({ ...recordQuery(kind, own), enabled: !!own });
  const options = [...found];
  for (const id of [own, isId ? typed : '']) if (id && !options.some((o) => o.value === id)) options.push({ value: id, label: id === own && known && chosen ? `${titleOf(known, chosen)} · ${chosen.owner}` : id });
  return <Select label={label} withAsterisk={f.required} error={error} searchable clearable placeholder={t('record.find')} nothingFoundMessage={t('nothing')} data={options} filter={({ options: o }) => o} searchValue={typed} onSearchChange={setTyped} value={own || null} onChange={(v) => set(v ?? undefined)} />;
}
