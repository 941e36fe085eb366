import type { Map as Maplibre } from 'maplibre-gl';
import type { Tokens } from './style';

// One set of shapes for the map, its legend and its hover card.
const shapes: Record<string, string> = {
  triangle: 'M12 3.500 21.500 20H2.500Z',
  circle: 'M12 4a8 8 0 1 0 0 16 8 8 0 1 0 0-16Z',
  square: 'M4.500 4.500h15v15h-15Z',
  diamond: 'M12 2.500 21.500 12 12 21.500 2.500 12Z',
  area: 'M4.500 6.500h15v11h-15Z',
};

const shapeOf = (name: string | undefined): string => shapes[name ?? ''] ?? shapes.circle!;

export const levelColours = ['var(--l1)', 'var(--l1)', 'var(--l2)', 'var(--l3)', 'var(--l4)', 'var(--l5)'];

export function Symbol({ shape, level, size = 13 }: { shape?: string; level: number; size?: number }) {
  return (
    <svg viewBox="0 0 24 24" width={size} height={size} aria-hidden="true" style={{ flex: 'none' }}>
      <path d={shapeOf(shape)} fill={levelColours[level]} />
    </svg>
  );
}

export const iconName = (shape: string | undefined, level: number): string => `${shape ?? 'circle'}-${level}`;

// addImages draws the symbols once per map, at twice the size for sharp screens.
export function addImages(map: Maplibre, shape: string | undefined, c: Tokens) {
  const colours = [c.l1, c.l1, c.l2, c.l3, c.l4, c.l5];
  colours.forEach((colour, level) => map.addImage(iconName(shape, level), draw(44, shapeOf(shape), colour, c.pane), { pixelRatio: 2 }));
  map.addImage('town', draw(10, shapes.circle!, c.mut, c.land), { pixelRatio: 2 });
}

function draw(size: number, d: string, fill: string, edge: string): ImageData {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = size;
  const g = canvas.getContext('2d')!;
  g.scale(size / 24, size / 24);
  const path = new Path2D(d);
  g.lineJoin = 'round';
  g.lineWidth = 3;
  g.strokeStyle = edge;
  g.stroke(path);
  g.fillStyle = fill;
  g.fill(path);
  return g.getImageData(0, 0, size, size);
}
