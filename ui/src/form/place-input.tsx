import { Button, Select, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import type { Place } from '../api/types';
import { lang, t } from '../i18n';
import { metres } from '../i18n/time';
import { areaCodes, areaName } from '../map/area';
import { loadBase, provinceAt } from '../map/base';
import { flyTo } from '../map/fly';
import { pointOf } from '../map/geo';
import { Icon } from '../part/icon';
import { toast } from '../part/toast';

// How sure a place is: from a house number to "somewhere in that valley".
const radii = [10, 25, 50, 100, 250, 500, 1000, 2000, 5000, 10_000, 25_000, 50_000];

interface Props {
  value?: Place;
  set: (p: Place | undefined) => void;
  showMap?: () => void;
  error?: string;
}

export function PlaceInput({ value, set, showMap, error }: Props) {
  const { data: base } = useQuery({ queryKey: ['base'], queryFn: loadBase, staleTime: Infinity });
  const p = value ?? {};
  const point = pointOf(p);
  const put = (part: Partial<Place>) => set({ ...p, ...part });

  function locate(lon: number, lat: number, uncertainty: number, words?: string) {
    const pcode = base && provinceAt(base, lon, lat)?.properties.pcode;
    set({ ...p, geometry: { type: 'Point', coordinates: [lon, lat] }, uncertainty, pcode: pcode ?? p.pcode, edition: undefined, words: p.words || words });
    flyTo({ lon, lat, zoom: uncertainty > 1500 ? 10 : 13 });
  }

  const ht = lang() === 'ht';
  const towns = (base?.towns ?? []).filter((x) => x.rank <= 3).map((x, i) => ({ value: String(i), label: `${(ht && x.ht) || x.name}, ${x.country}`, town: x }));
  const step = Math.max(0, radii.findIndex((r) => r >= (p.uncertainty ?? 250)));

  return (
    <div className="stack">
      <TextInput label={t('place.words')} placeholder={t('place.words.example')} maxLength={500} value={p.words ?? ''} error={error} onChange={(e) => put({ words: e.currentTarget.value || undefined })} />
      <div className="place-grid">
        <Select
          label={t('place.town')}
          searchable
          limit={50}
          data={towns.map(({ value: v, label }) => ({ value: v, label }))}
          value={null}
          placeholder={t('place.town.hint')}
          nothingFoundMessage={t('nothing')}
          onChange={(v) => {
            const x = towns.find((y) => y.value === v)?.town;
            if (x) locate(x.lon, x.lat, 2000, (ht && x.ht) || x.name);
          }}
        />
        <Coordinates point={point} set={(lon, lat) => locate(lon, lat, p.uncertainty ?? 100)} />
      </div>
      <div className="row-flex wrap">
        {showMap && (
          <Button size="xs" variant="default" leftSection={<Icon name="map" size={15} />} onClick={showMap} className="only-phone">
            {t('place.onMap')}
          </Button>
        )}
        <Button size="xs" variant="default" leftSection={<Icon name="pin" size={15} />} onClick={() => here(locate)}>
          {t('place.here')}
        </Button>
        {p.geometry && (
          <Button size="xs" variant="subtle" onClick={() => put({ geometry: undefined, uncertainty: undefined })}>
            {t('place.clear')}
          </Button>
        )}
        {showMap && !p.geometry && <span className="mut">{t('place.click')}</span>}
      </div>
      {p.geometry && (
        <label className="range">
          <span className="mantine-InputWrapper-label">
            {t('place.uncertainty')}: ± {metres(p.uncertainty ?? radii[step]!)}
          </span>
          <input type="range" min={0} max={radii.length - 1} step={1} value={step} aria-valuetext={metres(radii[step]!)} onChange={(e) => put({ uncertainty: radii[Number(e.currentTarget.value)] })} />
        </label>
      )}
      <Select
        label={t('place.pcode')}
        searchable
        clearable
        data={[...new Set([...(base ? areaCodes() : []), ...(p.pcode ? [p.pcode] : [])])].map((c) => ({ value: c, label: areaName(c) === c ? c : `${areaName(c)} (${c})` }))}
        limit={60}
        value={p.pcode ?? null}
        onChange={(v) => put({ pcode: v ?? undefined, edition: undefined })}
      />
    </div>
  );
}

function here(locate: (lon: number, lat: number, uncertainty: number) => void) {
  navigator.geolocation?.getCurrentPosition(
    ({ coords }) => locate(Number(coords.longitude.toFixed(5)), Number(coords.latitude.toFixed(5)), radii.find((r) => r >= coords.accuracy) ?? 1000),
    () => toast(t('place.here.no')),
    { enableHighAccuracy: true, timeout: 15_000 },
  );
}

// Coordinates takes a position as people paste it: latitude first.
function Coordinates({ point, set }: { point?: [number, number]; set: (lon: number, lat: number) => void }) {
  const shown = point ? `${point[1]}, ${point[0]}` : '';
  const [typed, setTyped] = useState(shown);
  const [bad, setBad] = useState(false);
  useEffect(() => {
    setTyped(shown);
    setBad(false);
  }, [shown]);
  const take = () => {
    if (typed === shown || !typed.trim()) return;
    const m = /^\s*(-?\d+(?:[.]\d+)?)\s*[,; ]\s*(-?\d+(?:[.]\d+)?)\s*$/.exec(typed);
    const [lat, lon] = [Number(m?.[1]), Number(m?.[2])];
    if (!m || Math.abs(lat) > 90 || Math.abs(lon) > 180) return setBad(true);
    set(lon, lat);
  };
  return <TextInput label={t('place.coordinates')} placeholder="18.55, -72.34" value={typed} error={bad && t('place.coordinates.bad')} onChange={(e) => setTyped(e.currentTarget.value)} onBlur={take} inputMode="text" />;
}
