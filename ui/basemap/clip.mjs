// Clipping to a box: rings by Sutherland and Hodgman, lines by parts. Enough
// for a base map, whose edges lie outside what the map lets anyone see.

const sides = ([w, s, e, n]) => [
  { in: (p) => p[0] >= w, cut: (a, b) => [w, a[1] + ((b[1] - a[1]) * (w - a[0])) / (b[0] - a[0])] },
  { in: (p) => p[0] <= e, cut: (a, b) => [e, a[1] + ((b[1] - a[1]) * (e - a[0])) / (b[0] - a[0])] },
  { in: (p) => p[1] >= s, cut: (a, b) => [a[0] + ((b[0] - a[0]) * (s - a[1])) / (b[1] - a[1]), s] },
  { in: (p) => p[1] <= n, cut: (a, b) => [a[0] + ((b[0] - a[0]) * (n - a[1])) / (b[1] - a[1]), n] },
];

export function clipRing(ring, box) {
  let out = ring.slice(0, -1);
  for (const side of sides(box)) {
    const from = out;
    out = [];
    from.forEach((p, i) => {
      const q = from[(i + from.length - 1) % from.length];
      if (side.in(p) !== side.in(q)) out.push(side.cut(q, p));
      if (side.in(p)) out.push(p);
    });
  }
  return out.length < 3 ? null : [...out, out[0]];
}

export function clipPolygons(polygons, box) {
  return polygons.map((rings) => rings.map((r) => clipRing(r, box)).filter(Boolean)).filter((rings) => rings.length > 0);
}

export function clipLines(lines, [w, s, e, n]) {
  const inside = (p) => p[0] > w && p[0] < e && p[1] > s && p[1] < n;
  const out = [];
  for (const line of lines) {
    let run = [];
    for (const p of line) {
      if (inside(p)) run.push(p);
      else {
        if (run.length > 1) out.push(run);
        run = [];
      }
    }
    if (run.length > 1) out.push(run);
  }
  return out;
}
