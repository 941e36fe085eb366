// Qr draws the modules of a QR code (ISO/IEC 18004) with its quiet zone of four
// modules, dark on light whatever the theme: cameras expect it so.
export function Qr({ rows, label }: { rows: string[]; label: string }) {
  const side = rows.length + 8;
  const d = rows.flatMap((row, y) => [...row.matchAll(/1+/g)].map((run) => `M${run.index + 4} ${y + 4}h${run[0].length}v1h-${run[0].length}z`)).join('');
  return (
    <svg className="qr" viewBox={`0 0 ${side} ${side}`} role="img" aria-label={label} shapeRendering="crispEdges">
      <rect width={side} height={side} fill="#fff" />
      <path d={d} fill="#000" />
    </svg>
  );
}
