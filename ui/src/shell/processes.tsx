import { Popover } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { t } from '../i18n';
import { Ago } from '../part/time';
import { statusQuery } from './status';

// ProcessesLine tells an administrator which processes run this node, and
// whether they hear of each other at once. A node of one process says nothing.
export function ProcessesLine() {
  const all = useQuery(statusQuery).data?.processes;
  if (!all?.length) return null;
  const slow = all.length > 1 && all.some((p) => p.bus); // one that is alone has nobody to hear of
  const nobody = !all.some((p) => p.duty);
  const newest = Math.max(...all.map((p) => Date.parse(p.seen)));
  return (
    <Popover position="top-start" width="min(380px, calc(100vw - 12px))" shadow="md" trapFocus>
      <Popover.Target>
        <button className={`plain ${nobody ? 'refused' : slow ? 'waits' : ''}`}>
          {all.length === 1 ? t('processes.one') : t('processes', { n: all.length })}
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
              {newest - Date.parse(p.seen) > 5000 && (
                <div style={{ color: 'var(--warn-tx)' }}>
                  {t('processes.silent')} <Ago iso={p.seen} />
                </div>
              )}
              {slow && p.bus && <div style={{ color: 'var(--warn-tx)' }}>{p.bus}</div>}
            </div>
          ))}
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}
