import { addProtocol, type Map as Maplibre } from 'maplibre-gl';
import { font, type Tokens } from './style';

// A node that was given a PMTiles file serves it here; it then draws streets and
// water under the symbols, in the layer names of the Protomaps base map.
const address = '/basemap.pmtiles';

let known: Promise<boolean> | undefined;

function hasStreets(): Promise<boolean> {
  known ??= fetch(address, { headers: { Range: 'bytes=0-6' } })
    .then(async (r) => r.ok && (await r.text()).startsWith('PMTiles'))
    .catch(() => false);
  return known;
}

let registered = false;

export async function addStreets(map: Maplibre, c: Tokens) {
  if (!(await hasStreets())) return;
  const { Protocol } = await import('pmtiles');
  if (!registered) addProtocol('pmtiles', new Protocol().tile);
  registered = true;
  if (map.getSource('streets')) return;
  map.addSource('streets', { type: 'vector', url: `pmtiles://${location.origin}${address}` });
  map.addLayer({ id: 'st-water', type: 'fill', source: 'streets', 'source-layer': 'water', filter: ['==', ['geometry-type'], 'Polygon'], minzoom: 8, paint: { 'fill-color': c.sea } }, 'inner');
  map.addLayer({ id: 'st-built', type: 'fill', source: 'streets', 'source-layer': 'buildings', minzoom: 14, paint: { 'fill-color': c.land2 } }, 'inner');
  map.addLayer(
    {
      id: 'st-roads',
      type: 'line',
      source: 'streets',
      'source-layer': 'roads',
      minzoom: 7,
      layout: { 'line-cap': 'round', 'line-join': 'round' },
      paint: { 'line-color': c.prov, 'line-width': ['interpolate', ['exponential', 1.5], ['zoom'], 7, 0.6, 12, 1.6, 17, 9] },
    },
    'inner',
  );
  map.addLayer(
    {
      id: 'st-names',
      type: 'symbol',
      source: 'streets',
      'source-layer': 'roads',
      minzoom: 14,
      filter: ['has', 'name'],
      layout: { 'symbol-placement': 'line', 'text-field': ['get', 'name'], 'text-font': font, 'text-size': 11 },
      paint: { 'text-color': c.mut, 'text-halo-color': c.land, 'text-halo-width': 1.4 },
    },
    'area-fill',
  );
}
