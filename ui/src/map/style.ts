import type { FeatureCollection, Geometry } from 'geojson';
import type { GeoJSONSource, LayerSpecification, Map as Maplibre, SourceSpecification, StyleSpecification } from 'maplibre-gl';
import { lang } from '../i18n';
import type { Base } from './base';

// The map is drawn in the colours of the screen around it.

export type Tokens = Record<'sea' | 'land' | 'land2' | 'bord' | 'prov' | 'tx' | 'mut' | 'acc' | 'pane' | 'line2' | 'l1' | 'l2' | 'l3' | 'l4' | 'l5' | 'fill1' | 'fill2' | 'fill3' | 'fill4', string>;

export function tokens(): Tokens {
  const css = getComputedStyle(document.documentElement);
  return new Proxy({} as Tokens, { get: (_, name: string) => css.getPropertyValue(`--${name}`).trim() || '#888888' });
}

const data = (geometry: Geometry): SourceSpecification => ({ type: 'geojson', data: { type: 'Feature', properties: {}, geometry } });
const empty: FeatureCollection = { type: 'FeatureCollection', features: [] };
const live: SourceSpecification = { type: 'geojson', data: empty };

export const font = ['system-ui, sans-serif'];

export function styleOf(base: Base, c: Tokens): StyleSpecification {
  const line = { 'line-join': 'round', 'line-cap': 'round' } as const;
  return {
    version: 8,
    sources: {
      land: data(base.land),
      shore: data(base.shore),
      borders: data(base.borders),
      inner: data(base.inner),
      provinces: { type: 'geojson', data: { type: 'FeatureCollection', features: base.provinces } },
      towns: { type: 'geojson', data: townsOf(base) },
      area: live,
      chosen: live,
      records: live,
    },
    layers: [
      { id: 'sea', type: 'background', paint: { 'background-color': c.sea } },
      { id: 'land', type: 'fill', source: 'land', paint: { 'fill-color': c.land } },
      { id: 'fill', type: 'fill', source: 'provinces', filter: ['has', 'name'], paint: { 'fill-color': 'rgba(0,0,0,0)' } },
      { id: 'inner', type: 'line', source: 'inner', layout: line, paint: { 'line-color': c.prov, 'line-width': ['interpolate', ['linear'], ['zoom'], 5, 0.5, 9, 1.2] } },
      { id: 'shore', type: 'line', source: 'shore', layout: line, paint: { 'line-color': c.bord, 'line-width': 0.9 } },
      { id: 'borders', type: 'line', source: 'borders', layout: line, paint: { 'line-color': c.bord, 'line-width': ['interpolate', ['linear'], ['zoom'], 5, 1.2, 9, 2.2], 'line-dasharray': [3, 2] } },
      ...towns(c),
      { id: 'area-fill', type: 'fill', source: 'area', paint: { 'fill-color': ['get', 'color'], 'fill-opacity': 0.12 } },
      { id: 'area-line', type: 'line', source: 'area', paint: { 'line-color': ['get', 'color'], 'line-width': 1.4, 'line-dasharray': [3, 3] } },
      { id: 'chosen', type: 'circle', source: 'chosen', paint: { 'circle-radius': 15, 'circle-color': 'rgba(0,0,0,0)', 'circle-stroke-color': ['case', ['get', 'open'], c.acc, c.line2], 'circle-stroke-width': 2.2 } },
      { id: 'clusters', type: 'circle', source: 'records', filter: ['has', 'count'], paint: { 'circle-radius': ['interpolate', ['linear'], ['get', 'count'], 2, 12, 50, 18, 500, 26, 5000, 34], 'circle-color': c.pane, 'circle-opacity': 0.92, 'circle-stroke-color': c.acc, 'circle-stroke-width': 1.6 } },
      { id: 'cluster-count', type: 'symbol', source: 'records', filter: ['has', 'count'], layout: { 'text-field': ['get', 'label'], 'text-font': font, 'text-size': 12, 'text-allow-overlap': true }, paint: { 'text-color': c.tx } },
      {
        id: 'symbols',
        type: 'symbol',
        source: 'records',
        filter: ['!', ['has', 'count']],
        layout: {
          'icon-image': ['get', 'icon'],
          'icon-allow-overlap': true,
          'icon-ignore-placement': true,
          'symbol-sort-key': ['get', 'level'],
          'text-field': ['step', ['zoom'], '', 10, ['get', 'title']],
          'text-font': font,
          'text-size': 11.5,
          'text-anchor': 'left',
          'text-offset': [1, 0],
          'text-max-width': 14,
          'text-optional': true,
        },
        paint: { 'text-color': c.tx, 'text-halo-color': c.land, 'text-halo-width': 1.6 },
      },
    ],
  };
}

function towns(c: Tokens): LayerSpecification[] {
  const steps: [number, number, number][] = [
    [1, 4, 12],
    [2, 6.4, 11.5],
    [3, 8, 11],
    [4, 8.6, 11],
  ];
  return steps.map(([rank, minzoom, size]) => ({
    id: `towns${rank}`,
    type: 'symbol',
    source: 'towns',
    minzoom,
    filter: ['==', ['get', 'rank'], rank],
    layout: { 'icon-image': 'town', 'text-field': ['get', 'name'], 'text-font': font, 'text-size': size, 'text-anchor': 'left', 'text-offset': [0.55, 0], 'text-padding': 4, 'text-max-width': 12 },
    paint: { 'text-color': c.mut, 'text-halo-color': c.land, 'text-halo-width': 1.4 },
  }));
}

function townsOf(base: Base): FeatureCollection {
  const ht = lang() === 'ht';
  return {
    type: 'FeatureCollection',
    features: base.towns.map((t) => ({ type: 'Feature', properties: { name: (ht && t.ht) || t.name, rank: t.rank }, geometry: { type: 'Point', coordinates: [t.lon, t.lat] } })),
  };
}

export function setData(map: Maplibre, source: string, features: FeatureCollection['features']) {
  (map.getSource(source) as GeoJSONSource | undefined)?.setData({ type: 'FeatureCollection', features });
}
