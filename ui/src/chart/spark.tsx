import { day, number } from '../i18n/time';

interface Props {
  times: number[];
  values: (number | undefined)[];
  max?: number;
  height?: number;
  label: string;
}

// Spark draws numbers over time as an area; a period that is not known is a gap.
export function Spark({ times, values, max, height = 44, label }: Props) {
  const top = max ?? Math.max(1, ...values.map((v) => v ?? 0));
  const w = 240;
  const step = w / Math.max(1, values.length);
  const x = (i: number) => (i + 0.5) * step;
  const y = (v: number) => height - 1 - (v / top) * (height - 5);
  const runs: [number, number][][] = [];
  values.forEach((v, i) => {
    if (v === undefined) return;
    if (values[i - 1] === undefined) runs.push([]);
    runs.at(-1)!.push([x(i), y(v)]);
  });
  return (
    <svg className="spark" viewBox={`0 0 ${w} ${height}`} height={height} preserveAspectRatio="none" role="img" aria-label={label}>
      <line className="base" x1="0" x2={w} y1={height - 1} y2={height - 1} />
      {runs.map((run, i) => {
        // A single known period still shows as a short line.
        const points = run.length > 1 ? run : [[run[0]![0] - step / 3, run[0]![1]], [run[0]![0] + step / 3, run[0]![1]]];
        const line = points.map((p) => p.join(' ')).join('L');
        return (
          <g key={i}>
            <path className="a" d={`M${points[0]![0]} ${height - 1}L${line}L${points.at(-1)![0]} ${height - 1}Z`} />
            <path className="l" d={`M${line}`} />
          </g>
        );
      })}
      {values.map((v, i) => (
        <rect key={i} className="h" x={i * step} y={0} width={step} height={height}>
          <title>{`${day(new Date(times[i]!).toISOString())}: ${v === undefined ? '–' : number(v)}`}</title>
        </rect>
      ))}
    </svg>
  );
}
