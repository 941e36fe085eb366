import { Checkbox, TagsInput, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useRef } from 'react';
import { agenciesQuery } from '../api/agencies';
import { useMe } from '../api/session';
import { caveats, tlps, type AudienceRow, type Marking, type TLP } from '../api/types';
import { t } from '../i18n';
import { fromLocalInput, localInput } from '../i18n/time';
import { caveatWord, TlpChip } from '../part/marking';
import './form.css';

export { agenciesQuery };

interface Props {
  value: Marking;
  set: (m: Marking) => void;
  agencies?: AudienceRow[];
  protect?: string[];
  error?: string;
}

// MarkingEdit says who may know: colour, audience, caveats and an end.
export function MarkingEdit({ value: m, set, agencies, protect = [], error }: Props) {
  const me = useMe();
  const { data } = useQuery({ ...agenciesQuery, enabled: !agencies, retry: false });
  const list = agencies?.map((a) => ({ id: a.agency, name: a.name })) ?? data?.map((a) => ({ id: a.id, name: a.name })) ?? [];
  const communities = new Set([...(me.communities ?? []), ...(data ?? []).flatMap((a) => a.communities ?? [])]);
  const names = [...communities, ...list.map((a) => a.id).filter((a) => a !== me.hat.agency)];
  const choose = (tlp: TLP) => set({ ...m, tlp, to: tlp === 'RED' || tlp === 'CLEAR' ? undefined : m.to, persons: tlp === 'RED' ? m.persons : undefined });
  const put = (part: Partial<Marking>) => set(tidy({ ...m, ...part }));
  return (
    <div className="stack">
      <div>
        <TlpPick value={m.tlp} choose={choose} />
        <div className="mut" style={{ fontSize: 12, marginTop: 5 }}>{t(`tlp.${m.tlp}`)}</div>
        {error && <div style={{ color: 'var(--bad-tx)', fontSize: 12 }}>{error}</div>}
      </div>
      {m.tlp === 'RED' && <TagsInput label={t('marking.persons')} description="ht.cc/ana" value={m.persons ?? []} onChange={(persons) => put({ persons })} />}
      {m.tlp !== 'RED' && m.tlp !== 'CLEAR' && (
        <TagsInput
          label={t('marking.to')}
          description={m.tlp === 'GREEN' ? t('marking.to.green') : t('marking.to.empty')}
          data={names}
          renderOption={({ option }) => (
            <span>
              {list.find((a) => a.id === option.value)?.name ?? t('community')} <span className="mut">{option.value}</span>
            </span>
          )}
          value={m.to ?? []}
          onChange={(to) => put({ to })}
        />
      )}
      <Checkbox.Group label={t('caveats')} description={t('caveats.words')} value={m.caveats ?? []} onChange={(v) => put({ caveats: v })}>
        <div className="row-flex wrap" style={{ gap: 14, marginTop: 6 }}>
          {caveats.map((c) => (
            <Checkbox key={c} value={c} label={caveatWord(c)} disabled={protect.includes(c)} size="xs" />
          ))}
        </div>
      </Checkbox.Group>
      <TextInput type="datetime-local" label={t('marking.expires')} description={t('marking.expires.words')} value={localInput(m.expires)} onChange={(e) => put({ expires: fromLocalInput(e.currentTarget.value) })} style={{ maxWidth: 260 }} />
    </div>
  );
}

// TlpPick is one choice of five, by arrow keys too.
function TlpPick({ value, choose }: { value: TLP; choose: (v: TLP) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const step = (by: number) => {
    const next = tlps[(tlps.indexOf(value) + by + tlps.length) % tlps.length]!;
    choose(next);
    (box.current?.children[tlps.indexOf(next)] as HTMLElement | undefined)?.focus();
  };
  return (
    <div
      className="tlp-pick"
      role="radiogroup"
      aria-label="TLP"
      ref={box}
      onKeyDown={(e) => {
        const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key];
        if (!by) return;
        e.preventDefault();
        step(by);
      }}
    >
      {tlps.map((v) => (
        <button key={v} type="button" role="radio" aria-checked={v === value} tabIndex={v === value ? 0 : -1} onClick={() => choose(v)}>
          <TlpChip tlp={v} />
        </button>
      ))}
    </div>
  );
}

// tidy leaves out what is empty, so that equal markings are equal.
function tidy(m: Marking): Marking {
  const out: Marking = { tlp: m.tlp };
  if (m.to?.length) out.to = m.to;
  if (m.persons?.length) out.persons = m.persons;
  if (m.caveats?.length) out.caveats = m.caveats;
  if (m.expires) out.expires = m.expires;
  return out;
}
