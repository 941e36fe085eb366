import { Button, NumberInput, Select } from '@mantine/core';
import '@mantine/core/styles/NumberInput.css';
import { useState } from 'react';
import { peerPath, type Cap, type Peer } from '../api/peers';
import { t } from '../i18n';
import { number } from '../i18n/time';
import { Icon } from '../part/icon';
import { toast } from '../part/toast';
import { useRun } from './use-run';
import { Wrong } from './wrong';

const two = (n: number) => String(n).padStart(2, '0') + ':00';
const hoursFrom = (first: number) => Array.from({ length: 24 }, (_, i) => ({ value: String(i + first), label: two(i + first) }));

// covers says whether a cap holds in an hour; one that ends before it begins
// goes over midnight.
const covers = (c: Cap, h: number) => (c.from < c.to ? h >= c.from && h < c.to : h >= c.from || h < c.to);

// Caps bounds by the hour what is sent to a node: the day above, the rules below.
export function Caps({ peer: p }: { peer: Peer }) {
  const { run, busy, error } = useRun();
  const [caps, setCaps] = useState<Cap[]>(p.caps ?? []);
  const changed = JSON.stringify(caps) !== JSON.stringify(p.caps ?? []);
  const put = (i: number, part: Partial<Cap>) => setCaps(caps.map((c, j) => (j === i ? { ...c, ...part } : c)));
  return (
    <section className="sec stack" style={{ gap: 8 }}>
      <h3 style={{ margin: 0 }}>{t('peers.caps')}</h3>
      <p className="mut">{t('peers.caps.words')}</p>
      <Day caps={caps} />
      {caps.map((c, i) => (
        <div key={i} className="cap-row">
          <Select size="xs" aria-label={t('from')} allowDeselect={false} data={hoursFrom(0)} value={String(c.from)} onChange={(v) => v && put(i, { from: Number(v) })} />
          <Select size="xs" aria-label={t('to')} allowDeselect={false} data={hoursFrom(1)} value={String(c.to)} onChange={(v) => v && put(i, { to: Number(v) })} />
          <NumberInput size="xs" aria-label="kbit/s" hideControls min={0} max={10_000_000} suffix=" kbit/s" thousandSeparator={'\u202f'} value={c.kbit} onChange={(v) => put(i, { kbit: Number(v) || 0 })} />
          <button type="button" className="plain icon-btn" aria-label={t('remove')} onClick={() => setCaps(caps.filter((_, j) => j !== i))}>
            <Icon name="close" />
          </button>
        </div>
      ))}
      <Wrong error={error} />
      <div className="row-flex wrap">
        <Button size="compact-sm" variant="default" onClick={() => setCaps([...caps, { from: 7, to: 19, kbit: 128 }])}>
          {t('peers.caps.add')}
        </Button>
        {changed && (
          <Button size="compact-sm" loading={busy} onClick={() => void run(peerPath(p.short, 'caps'), { caps }, () => toast(t('peers.caps.saved')))}>
            {t('save')}
          </Button>
        )}
      </div>
    </section>
  );
}

// Day draws the 24 hours: full height is without a bound, the least bound is lowest.
function Day({ caps }: { caps: Cap[] }) {
  const kbit = Array.from({ length: 24 }, (_, h) => {
    const all = caps.filter((c) => covers(c, h)).map((c) => c.kbit);
    return all.length ? Math.min(...all) : undefined;
  });
  const top = Math.max(1, ...caps.map((c) => c.kbit));
  const words = caps.map((c) => `${two(c.from)}–${two(c.to)}: ${c.kbit ? `${number(c.kbit)} kbit/s` : t('peers.caps.urgent')}`).join('; ') || t('peers.caps.none');
  return (
    <div>
      <div className="cap-day" role="img" aria-label={words}>
        {kbit.map((k, h) => (
          <i key={h} title={`${two(h)}: ${k === undefined ? t('peers.caps.free') : k ? `${number(k)} kbit/s` : t('peers.caps.urgent')}`} className={k === undefined ? 'free' : k === 0 ? 'none' : ''} style={{ height: k === undefined ? 34 : k === 0 ? 4 : 8 + 18 * Math.sqrt(k / top) }} />
        ))}
      </div>
      <div className="cap-axis mut" aria-hidden="true">
        <span>00</span>
        <span>06</span>
        <span>12</span>
        <span>18</span>
        <span>24</span>
      </div>
      <p className="mut" style={{ fontSize: 12 }}>
        {words}
      </p>
    </div>
  );
}
