import type { Position } from 'geojson';
import { useMemo } from 'react';
import { areaName } from '../map/area';
import type { Base, Province } from '../map/base';

interface Props {
  base: Base;
  areas: string[];
  colour: (area: string) => string | undefined;
  words: (area: string) => string;
  chosen?: string;
  choose: (area: string) => void;
}

const width = 560;

// AreaMap draws the provinces of every country that has data, coloured.
export function AreaMap({ base, areas, colour, words, chosen, choose }: Props) {
  const countries = new Set(areas.map((a) => a.slice(0, 2)));
  const key = [...countries].sort().join();
  const drawn = useMemo(() => draw(base.provinces.filter((p) => p.properties.name && key.includes(p.properties.pcode.slice(0, 2)))), [base, key]);
  return (
    <svg className="areas" viewBox={`0 0 ${width} ${drawn.height}`} role="group">
      {drawn.paths.map(({ code, d }) => (
        <path
          key={code}
          d={d}
          style={{ fill: colour(code) }}
          className={code === chosen ? 'on' : ''}
          tabIndex={0}
          role="button"
          aria-pressed={code === chosen}
          aria-label={words(code)}
          onClick={() => choose(code)}
          onKeyDown={(e) => {
            if (e.key !== 'Enter' && e.key !== ' ') return;
            e.preventDefault();
            choose(code);
          }}
        >
          <title>{words(code)}</title>
        </path>
      ))}
      {drawn.paths.length <= 14 &&
        drawn.paths.map(({ code, middle }) => (
          <text key={code} x={middle[0]} y={middle[1]}>
            {areaName(code)}
          </text>
        ))}
    </svg>
  );
}

function draw(provinces: Province[]) {
  const polygons = (p: Province) => (p.geometry.type === 'Polygon' ? [p.geometry.coordinates] : p.geometry.coordinates);
  const all = provinces.flatMap((p) => polygons(p).flatMap((rings) => rings[0]!));
  const [w, e] = [Math.min(...all.map((c) => c[0]!)), Math.max(...all.map((c) => c[0]!))];
  const [s, n] = [Math.min(...all.map((c) => c[1]!)), Math.max(...all.map((c) => c[1]!))];
  // Equirectangular at the middle latitude: true enough for one island.
  const stretch = Math.cos((((s + n) / 2) * Math.PI) / 180);
  const scale = (width - 8) / ((e - w) * stretch);
  const at = (c: Position): [number, number] => [4 + (c[0]! - w) * stretch * scale, 4 + (n - c[1]!) * scale];
  const paths = provinces.map((p) => {
    const largest = polygons(p).reduce((a, b) => (b[0]!.length > a[0]!.length ? b : a))[0]!.map(at);
    const middle = largest.reduce((m, c) => [m[0] + c[0] / largest.length, m[1] + c[1] / largest.length], [0, 0] as [number, number]);
    const d = polygons(p)
      .flatMap((rings) => rings.map((ring) => 'M' + ring.map((c) => at(c).map((v) => v.toFixed(1)).join(' ')).join('L') + 'Z'))
      .join('');
    return { code: p.properties.pcode, d, middle };
  });
  return { paths, height: Number.isFinite(n) ? (n - s) * scale + 8 : 40 };
}
