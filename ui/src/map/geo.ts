import type { Feature, Polygon } from 'geojson';
import type { Place } from '../api/types';

// circle draws a radius on the ground, in metres.
export function circle(lon: number, lat: number, metres: number): Feature<Polygon> {
  const dLat = metres / 111_320;
  const dLon = dLat / Math.max(0.05, Math.cos((lat * Math.PI) / 180));
  const ring = Array.from({ length: 65 }, (_, i) => {
    const a = (i / 64) * 2 * Math.PI;
    return [lon + dLon * Math.cos(a), lat + dLat * Math.sin(a)];
  });
  return { type: 'Feature', properties: {}, geometry: { type: 'Polygon', coordinates: [ring] } };
}

// pointOf is where a symbol stands: the point itself, or the middle of a shape.
export function pointOf(place: Place | undefined): [number, number] | undefined {
  const g = place?.geometry;
  if (!g) return undefined;
  if (g.type === 'Point') return g.coordinates as [number, number];
  const box = boxOf(place);
  return box && [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
}

export function boxOf(place: Place | undefined): [number, number, number, number] | undefined {
  const box: [number, number, number, number] = [Infinity, Infinity, -Infinity, -Infinity];
  const walk = (c: unknown): void => {
    if (!Array.isArray(c)) return;
    if (typeof c[0] === 'number') {
      box[0] = Math.min(box[0], c[0] as number);
      box[1] = Math.min(box[1], c[1] as number);
      box[2] = Math.max(box[2], c[0] as number);
      box[3] = Math.max(box[3], c[1] as number);
    } else c.forEach(walk);
  };
  walk(place?.geometry?.coordinates);
  return Number.isFinite(box[0]) ? box : undefined;
}

// degrees writes a position as it is read out over a radio.
export function degrees([lon, lat]: [number, number]): string {
  const part = (v: number, pos: string, neg: string) => {
    const a = Math.abs(v);
    const d = Math.floor(a);
    return `${d}°${((a - d) * 60).toFixed(2).padStart(5, '0')}′${v >= 0 ? pos : neg}`;
  };
  return `${part(lat, 'N', 'S')} ${part(lon, 'E', 'W')}`;
}
