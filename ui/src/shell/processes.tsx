import { Popover } from '@mantine/core';
import type { Process } from '../api/types';
import { t } from '../i18n';
import { Ago } from '../part/time';

// ProcessesLine tells an administrator which processes run this node, and
// whether they hear of each other at once.
export function ProcessesLine({ all }: { all: Process[] }) {
  const slow = all.length > 1 && all.some((p) => p.bus); // one that is alone has nobody to hear of
  const nobody = !all.some((p) => p.duty);
  return (
    <Popover position="top-start" width="min(380px, calc(100vw - 12px))" shadow="md" trapFocus>
      <Popover.Target>
        <button className={`plain ${nobody ? 'refused' : slow ? 'waits' : ''}`}>
          {t('processes', { n: all.length })}
          {slow && ` · ${t('processes.slow')}`}
          {nobody && ` · ${t('processes.nobody')}`}
        </button>
      </Popover.Target>
      <Popover.Dropdown>
        <div className="stack processes" tabIndex={0} style={{ maxHeight: '60dvh', overflow: 'auto', overflowWrap: 'anywhere' }}>
          {slow && <div className="mut">{t('processes.slowWhy')}</div>}
          {all.map((p) => (
            <div key={p.id}>
              <b style={{ fontWeight: 600 }}>{p.name}</b> {p.duty && <span className="mut">· {t('processes.duty')}</span>}
              <div className="mut">
                {[p.address, p.version].filter(Boolean).join(' · ')}
                {' · '}
                {t('processes.since')} <Ago iso={p.started} />
              </div>
              {slow && p.bus && <div style={{ color: 'var(--warn-tx)' }}>{p.bus}</div>}
            </div>
          ))}
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}
