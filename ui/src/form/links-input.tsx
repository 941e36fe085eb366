import { Select } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { useDesks } from '../api/desks';
import { recordQuery, searchQuery } from '../api/records';
import type { Link } from '../api/types';
import { t, tOr } from '../i18n';
import { Icon } from '../part/icon';
import { titleOf } from '../record/body';

interface Props {
  value: Link[];
  set: (l: Link[]) => void;
  error?: string;
}

export function LinksInput({ value, set, error }: Props) {
  const { of } = useDesks();
  const [typed, setTyped] = useState('');
  const [words, setWords] = useState('');
  useEffect(() => {
    const timer = window.setTimeout(() => setWords(typed), 250);
    return () => window.clearTimeout(timer);
  }, [typed]);
  const { data } = useQuery(searchQuery(words));
  const found = (data?.items ?? []).filter((i) => !value.some((l) => l.id === i.id));
  return (
    <div className="stack" style={{ gap: 8 }}>
      <Select
        label={t('links')}
        error={error}
        searchable
        placeholder={t('record.find')}
        nothingFoundMessage={words.length > 1 ? t('nothing') : undefined}
        data={found.map((i) => ({ value: i.id, label: `${of(i.kind)?.words.one ?? i.kind}: ${i.title}` }))}
        filter={({ options }) => options}
        searchValue={typed}
        onSearchChange={setTyped}
        value={null}
        onChange={(id) => {
          const i = found.find((x) => x.id === id);
          if (i) set([...value, { rel: 'related', kind: i.kind, id: i.id }]);
          setTyped('');
        }}
      />
      {value.map((l, n) => (
        <div key={l.id} className="row-flex">
          <span className="mut">{tOr(`rel.${l.rel}`, l.rel)}</span>
          <span className="grow">
            <LinkName link={l} />
          </span>
          <button type="button" className="plain icon-btn" aria-label={t('remove')} onClick={() => set(value.filter((_, i) => i !== n))}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}

function LinkName({ link: l }: { link: Link }) {
  const known = useDesks().of(l.kind);
  const { data } = useQuery({ ...recordQuery(l.kind, l.id), enabled: !!known });
  return known && data ? titleOf(known, data) : (known?.words.one ?? l.kind);
}
