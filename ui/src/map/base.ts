import type { Feature, FeatureCollection, Geometry, MultiLineString, MultiPolygon, Polygon } from 'geojson';
import { feature, mesh } from 'topojson-client';
import type { GeometryCollection, Topology } from 'topojson-specification';
import { knowArea } from './area';

// The base map that ships with the node: coast, borders, provinces and towns.

export interface Town {
  name: string;
  ht?: string;
  lon: number;
  lat: number;
  country: string;
  rank: number;
}

export type Province = Feature<Polygon | MultiPolygon, { pcode: string; name?: string; ht?: string }>;

export interface Base {
  land: Geometry;
  shore: Geometry;
  borders: Geometry;
  provinces: Province[];
  inner: MultiLineString;
  towns: Town[];
}

let loading: Promise<Base> | undefined;

export function loadBase(): Promise<Base> {
  loading ??= read().catch((e) => {
    loading = undefined;
    throw e;
  });
  return loading;
}

type Shape = Topology<{ land: GeometryCollection; shore: GeometryCollection; borders: GeometryCollection; provinces: GeometryCollection<{ pcode: string; name?: string; ht?: string }> }>;

async function read(): Promise<Base> {
  const [map, rows] = await Promise.all([
    fetch('/basemap/region.json').then((r) => r.json() as Promise<Shape>),
    fetch('/basemap/towns.json').then((r) => r.json() as Promise<[string, number, number, string, number, string?][]>),
  ]);
  const one = (name: 'land' | 'shore' | 'borders') => (feature(map, map.objects[name]) as unknown as Feature).geometry;
  const provinces = (feature(map, map.objects.provinces) as unknown as FeatureCollection).features as Province[];
  for (const p of provinces) if (p.properties.name) knowArea(p.properties.pcode, p.properties.name, p.properties.ht);
  return {
    land: one('land'),
    shore: one('shore'),
    borders: one('borders'),
    provinces,
    inner: mesh(map, map.objects.provinces as never, (a, b) => a !== b) as MultiLineString,
    towns: rows.map(([name, lon, lat, country, rank, ht]) => ({ name, lon, lat, country, rank, ht })),
  };
}

// provinceAt names the province that holds a position.
export function provinceAt(base: Base, lon: number, lat: number): Province | undefined {
  return base.provinces.find((p) => p.properties.name && inside(p.geometry, lon, lat));
}

function inside(g: Polygon | MultiPolygon, x: number, y: number): boolean {
  const polygons = g.type === 'Polygon' ? [g.coordinates] : g.coordinates;
  return polygons.some((rings) => rings.every((ring, i) => (i === 0) === inRing(ring, x, y)));
}

function inRing(ring: number[][], x: number, y: number): boolean {
  let odd = false;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    const [xi, yi, xj, yj] = [ring[i]![0]!, ring[i]![1]!, ring[j]![0]!, ring[j]![1]!];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) odd = !odd;
  }
  return odd;
}
