import { useComputedColorScheme } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { Feature, Geometry } from 'geojson';
import type { Map as Maplibre, MapGeoJSONFeature, MapMouseEvent } from 'maplibre-gl';
import { useEffect, useMemo, useRef, useState } from 'react';
import { fieldOf, type Known } from '../api/desks';
import { mapQuery, recordQuery, type Filter } from '../api/records';
import { useMe } from '../api/session';
import type { MapFeature, Rec } from '../api/types';
import type { Picking } from '../board/board';
import { t, useLang } from '../i18n';
import { compact, number } from '../i18n/time';
import { Icon } from '../part/icon';
import { Failure, Notice, Waiting } from '../part/notice';
import { TlpChip } from '../part/marking';
import { StateMark } from '../part/state';
import { Ago } from '../part/time';
import { levelOf, symbolLevel } from '../record/body';
import { loadBase, provinceAt, type Base } from './base';
import { hasView, newMap } from './engine';
import { onFly } from './fly';
import { boxOf, circle, pointOf } from './geo';
import './map.css';
import { setData, tokens } from './style';
import { addImages, iconName, Symbol } from './symbol';

interface Props {
  known: Known;
  filter: Filter;
  openId?: string;
  at?: string;
  show: (id: string) => void;
  moved: (bbox: string) => void;
  picking?: Picking;
  back: () => void;
}

// The map of a kind: what the window holds, patched in as it changes. The list
// says the same in words.
export default function MapPane(props: Props) {
  const { data: base, error, refetch } = useQuery({ queryKey: ['base'], queryFn: loadBase, staleTime: Infinity });
  const scheme = useComputedColorScheme('light');
  const lang = useLang();
  if (error) return <Failure error={error} again={() => void refetch()} />;
  if (!base) return <Waiting />;
  // Another theme or language draws another map; what it looks at stays.
  return <Live key={`${scheme} ${lang} ${props.known.kind.name}`} base={base} {...props} />;
}

interface Hover {
  x: number;
  y: number;
  id: string;
}

function Live({ base, known, filter, openId, at, show, moved, picking, back }: Props & { base: Base }) {
  const me = useMe();
  const box = useRef<HTMLDivElement>(null);
  const [map, setMap] = useState<Maplibre>();
  const [seen, setSeen] = useState({ bbox: '', zoom: 7 });
  const [hover, setHover] = useState<Hover>();
  const [none, setNone] = useState(false);
  const { shape, by } = known.kind.symbol ?? {};
  const field = fieldOf(known.kind, by);
  const region = me.region?.bbox ?? [-74.6, 17.4, -68.2, 20.2];
  const latest = useRef({ show, moved, picking, base });
  latest.current = { show, moved, picking, base };

  useEffect(() => {
    let alive = true;
    let made: Maplibre | undefined;
    const c = tokens();
    newMap(box.current!, base, c, region as [number, number, number, number], (m) => addImages(m, shape, c)).then(
      (m) => {
        if (!alive) return m.remove();
        made = m;
        const look = () => {
          const b = m.getBounds();
          const bbox = [b.getWest(), b.getSouth(), b.getEast(), b.getNorth()].map((v) => v.toFixed(3)).join(',');
          setSeen({ bbox, zoom: m.getZoom() });
          latest.current.moved(bbox);
        };
        look();
        m.on('moveend', look);
        listen(m, () => latest.current, setHover);
        setMap(m);
      },
      () => alive && setNone(true),
    );
    return () => {
      alive = false;
      made?.remove();
    };
    // The map is made once; what it reads later is in latest.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);

  useEffect(() => map && onFly(({ lon, lat, zoom }) => map.easeTo({ center: [lon, lat], zoom, duration: 700 })), [map]);

  const { data } = useQuery(mapQuery(known.kind.name, { ...filter, bbox: undefined }, seen.bbox, seen.zoom));
  const features = useMemo(() => new Map(data?.features.map((f) => [f.id, f])), [data]);

  useEffect(() => {
    if (!map || !data) return;
    setData(map, 'records', [
      ...data.features.map((f) => dot(f.lon, f.lat, { id: f.id, title: f.title, level: levelOf(field, f.by), icon: iconName(shape, levelOf(field, f.by)) })),
      ...data.clusters.map((c) => dot(c.lon, c.lat, { count: c.count, label: compact(c.count), bbox: c.bbox.join(',') })),
    ]);
  }, [map, data, field, shape]);

  // The first look goes to where the records are, not to the middle of the region.
  const fresh = useRef(!hasView());
  useEffect(() => {
    if (!map || !data || !fresh.current) return;
    fresh.current = false;
    const spots = [...data.features.map((f) => [f.lon, f.lat]), ...data.clusters.map((c) => [c.lon, c.lat])];
    if (spots.length < 3) return;
    const middle = (axis: number, share: number) => spots.map((s) => s[axis]!).sort((a, b) => a - b)[Math.round(share * (spots.length - 1))]!;
    map.fitBounds([middle(0, 0.03), middle(1, 0.03), middle(0, 0.97), middle(1, 0.97)], { padding: 90, maxZoom: 9, duration: 0 });
  }, [map, data]);

  const { data: open } = useQuery({ ...recordQuery(known.kind.name, openId ?? ''), enabled: !!openId });
  useChosen(map, known, openId ? open : undefined, at ? features.get(at) : undefined, picking);

  useEffect(() => {
    const c = map?.getCanvas();
    if (c) c.style.cursor = picking ? 'crosshair' : '';
  }, [map, picking]);

  if (none) return <Notice icon="map" title={t('map.none')} />;
  const hovered = hover && features.get(hover.id);
  const total = (data?.features.length ?? 0) + (data?.clusters.reduce((n, c) => n + c.count, 0) ?? 0);
  return (
    <>
      <div className="map" ref={box} aria-label={t('map.aria', { what: known.words.many })} />
      <div className="map-tools">
        <button className="plain" aria-label={t('map.in')} onClick={() => map?.zoomIn()}>
          <Icon name="plus" />
        </button>
        <button className="plain" aria-label={t('map.out')} onClick={() => map?.zoomOut()}>
          <svg className="icon" viewBox="0 0 24 24" aria-hidden="true">
            <path d="M5 12h14" />
          </svg>
        </button>
        <button className="plain" aria-label={t('map.region')} title={t('map.region')} onClick={() => map?.fitBounds(region as [number, number, number, number], { padding: 24, duration: 500 })}>
          <Icon name="globe" />
        </button>
      </div>
      {picking ? (
        <div className="pick-bar">
          {t('place.click')}
          <button className="plain" onClick={back}>
            {t('done')}
          </button>
        </div>
      ) : (
        data && (
          <div className="map-note">
            <b>{number(total)}</b>
            {data.capped ? '+' : ''} {t('map.here')}
          </div>
        )
      )}
      {field?.enum && <Legend known={known} />}
      <div className="credit-map">Natural Earth · GeoNames CC BY 4.0</div>
      {hover && hovered && <Card known={known} f={hovered} x={hover.x} y={hover.y} />}
    </>
  );
}

const dot = (lon: number, lat: number, properties: Record<string, unknown>): Feature => ({ type: 'Feature', properties, geometry: { type: 'Point', coordinates: [lon, lat] } });

// listen turns what the pointer does on the canvas into what the board does.
function listen(m: Maplibre, now: () => { show: (id: string) => void; picking?: Picking; base: Base }, setHover: (h: Hover | undefined) => void) {
  const under = (e: MapMouseEvent): MapGeoJSONFeature | undefined => {
    const near: [[number, number], [number, number]] = [
      [e.point.x - 6, e.point.y - 6],
      [e.point.x + 6, e.point.y + 6],
    ];
    return m.queryRenderedFeatures(near, { layers: ['symbols', 'clusters'] })[0];
  };
  m.on('mousemove', (e) => {
    if (now().picking) return setHover(undefined);
    const f = under(e);
    m.getCanvas().style.cursor = f ? 'pointer' : '';
    setHover(f?.properties.id ? { x: e.point.x, y: e.point.y, id: String(f.properties.id) } : undefined);
  });
  m.on('mouseout', () => setHover(undefined));
  m.on('click', (e) => {
    const { picking, base, show } = now();
    if (picking) {
      const [lon, lat] = [Number(e.lngLat.lng.toFixed(5)), Number(e.lngLat.lat.toFixed(5))];
      const pcode = provinceAt(base, lon, lat)?.properties.pcode;
      picking.set({ ...picking.place, geometry: { type: 'Point', coordinates: [lon, lat] }, uncertainty: picking.place.uncertainty || 250, pcode, edition: undefined });
      return;
    }
    const f = under(e);
    if (f?.properties.id) show(String(f.properties.id));
    else if (f?.properties.bbox) {
      const [w, s, east, n] = String(f.properties.bbox).split(',').map(Number) as [number, number, number, number];
      m.fitBounds([w, s, east, n], { padding: 90, maxZoom: 13, duration: 500 });
    }
  });
}

// useChosen draws what is chosen: the ring, the shape and how sure the place is.
function useChosen(map: Maplibre | undefined, known: Known, open: Rec | undefined, at: MapFeature | undefined, picking: Picking | undefined) {
  const place = picking ? picking.place : open?.place;
  const point = pointOf(place);
  const key = JSON.stringify([place, at?.lon, at?.lat, open?.version]);
  useEffect(() => {
    if (!map) return;
    const c = tokens();
    const level = picking || !open ? 0 : symbolLevel(known.kind, open);
    const color = picking ? c.acc : [c.l1, c.l1, c.l2, c.l3, c.l4, c.l5][level]!;
    const areas: Feature[] = [];
    if (point && place?.uncertainty) areas.push({ ...circle(point[0], point[1], place.uncertainty), properties: { color } });
    if (place?.geometry && place.geometry.type !== 'Point') areas.push({ type: 'Feature', properties: { color: c.acc }, geometry: place.geometry as Geometry });
    setData(map, 'area', areas);
    const rings: Feature[] = [];
    if (at) rings.push(dot(at.lon, at.lat, { open: false }));
    if (point) rings.push(dot(point[0], point[1], { open: true }));
    setData(map, 'chosen', rings);
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [map, key, known.kind]);

  const opened = open?.id;
  useEffect(() => {
    if (!map || !point || picking) return;
    const width = map.getContainer().clientWidth;
    // The drawer covers the right edge of a wide map.
    const right = width > 760 ? 440 : 0;
    const at = map.project(point);
    const inView = at.x > 40 && at.x < width - right - 20 && at.y > 40 && at.y < map.getContainer().clientHeight - 40;
    const shape = boxOf(place);
    if (shape && place?.geometry?.type !== 'Point') map.fitBounds(shape, { padding: { top: 60, left: 60, bottom: 60, right: right + 40 }, maxZoom: 12, duration: 500 });
    else if (!inView) map.easeTo({ center: point, padding: { top: 0, bottom: 0, left: 0, right }, duration: 500 });
    // Only opening another record moves the map.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [map, opened]);
}

function Legend({ known: { kind, words } }: { known: Known }) {
  const field = fieldOf(kind, kind.symbol?.by)!;
  return (
    <div className="legend">
      <b>{words.field(field.path)}</b>
      {[...field.enum!].reverse().map((v) => (
        <span key={v}>
          <Symbol shape={kind.symbol?.shape} level={levelOf(field, v)} />
          {words.value(field.path, v)}
        </span>
      ))}
    </div>
  );
}

function Card({ known, f, x, y }: { known: Known; f: MapFeature; x: number; y: number }) {
  return (
    <div className={`hover${y < 130 ? ' below' : ''}`} style={{ left: x, top: y }}>
      <b>{f.title}</b>
      <span className="row-flex mut" style={{ fontSize: 12 }}>
        <StateMark known={known} state={f.state} /> {f.owner} · <Ago iso={f.observed} />
      </span>
      <span>
        <TlpChip tlp={f.tlp} />
      </span>
    </div>
  );
}
