// Line icons in a 24 by 24 box, as desks declare theirs.
const paths = {
  search: 'M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13Zm4.7 11.2L21 21',
  close: 'M6 6l12 12M18 6 6 18',
  plus: 'M12 5v14M5 12h14',
  audit: 'M12 2 20 6v6c0 5-4 8-8 10-4-2-8-5-8-10V6Zm-3 10 2 2 4-5',
  people: 'M9 4a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7ZM2 20c0-4 3-6 7-6s7 2 7 6M16 4.5a3.5 3.5 0 0 1 0 6.5m2 3.5c2.500 .6 4 2.500 4 5.500',
  import: 'M12 3v12m-5-5 5 5 5-5M4 17v4h16v-4',
  settings: 'M4 7h10m4 0h2M4 17h2m4 0h10M16 4.500v5M8 14.500v5',
  more: 'M4.500 11.500h1v1h-1ZM11.500 11.500h1v1h-1ZM18.500 11.500h1v1h-1Z',
  check: 'M5 12.500 10 17.500 19.500 7',
  moon: 'M20 14.500A8.500 8.500 0 0 1 9.500 4 8.500 8.500 0 1 0 20 14.500Z',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM12 2v2m0 16v2M2 12h2m16 0h2M5 5l1.500 1.500M17.500 17.500 19 19M5 19l1.500-1.500M17.500 6.500 19 5',
  globe: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18ZM3 12h18M12 3c5 5.500 5 12.500 0 18M12 3c-5 5.500-5 12.500 0 18',
  down: 'M6 9.500l6 6 6-6',
  map: 'M9 4 3 6.500v14L9 18l6 2.500 6-2.500V4l-6 2.500ZM9 4v14m6-11.500v14',
  list: 'M8 6h13M8 12h13M8 18h13M3.500 6h.01M3.500 12h.01M3.500 18h.01',
  pin: 'M12 21c5-6 7-9 7-12a7 7 0 0 0-14 0c0 3 2 6 7 12Zm0-14.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5Z',
  lock: 'M6 11h12v9H6Zm2.500 0V8a3.500 3.500 0 0 1 7 0v3',
  link: 'M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1',
  clip: 'M20 11l-8.500 8.500a5 5 0 0 1-7-7L13 4a3.500 3.500 0 0 1 5 5l-8.500 8.500a1.800 1.800 0 0 1-2.500-2.500L14.500 7.500',
  file: 'M6 3h8l5 5v13H6ZM14 3v5h5',
  flag: 'M5 21V4h13l-3 4.500 3 4.500H5',
  key: 'M8 9.500a4.500 4.500 0 1 0 0 9 4.500 4.500 0 0 0 0-9ZM11.500 10.500 20 3m-4 3.500 3 3',
  out: 'M14 4H5v16h9M10 12h11m-4-4 4 4-4 4',
  hat: 'M4 20h16M6 20V9l6-5 6 5v11M10 20v-6h4v6',
  keyboard: 'M3 7h18v11H3ZM7 11h.01M11 11h.01M15 11h.01M8 14.500h8',
  peers: 'M12 3.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5ZM5 15.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5ZM19 15.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5ZM10.800 8.300 6.300 15.700M13.200 8.300l4.500 7.400M7.500 18h9',
  ask: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18ZM9.300 9.500a2.700 2.700 0 1 1 4 2.400c-.9.500-1.300 1-1.300 2M12 17h.01',
  copy: 'M9 9h11v12H9ZM15 9V4H4v12h5',
  stick: 'M8 9h8v12H8ZM9.500 9V3h5v6M11.200 5.500h.01M12.800 5.500h.01',
  wave: 'M3 12h3l3-7 5 14 3-7h4',
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name, size }: { name: IconName; size?: number }) {
  return <Path d={paths[name]} size={size} />;
}

export function Path({ d, size }: { d: string; size?: number }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" style={size ? { width: size, height: size } : undefined}>
      <path d={d} />
    </svg>
  );
}
