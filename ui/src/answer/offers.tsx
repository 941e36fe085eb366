import { Button, Menu } from '@mantine/core';
import { useEffect, useRef } from 'react';
import { useDesks } from '../api/desks';
import { useMe } from '../api/session';
import type { Rec } from '../api/types';
import { t } from '../i18n';
import { Icon } from '../part/icon';
import { offersFor, offerWord, type Offer } from './model';

// Offers are the answers that the person may give to a record, whoever owns it.
// What the record asks for stands out; the rest is at hand.
export function Offers({ record: r, take }: { record: Rec; take: (o: Offer) => void }) {
  const me = useMe();
  const { asked, free } = offersFor(useDesks(), r, me);
  const first = asked[0] ?? free[0];
  const now = useRef(() => {});
  now.current = () => first && take(first);
  useEffect(() => {
    const onKey = (e: KeyboardEvent) => {
      const el = e.target as HTMLElement;
      if (e.key !== 'a' || e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented) return;
      if (/^(INPUT|TEXTAREA|SELECT)$/.test(el.tagName) || el.isContentEditable || el.closest('[role=dialog],[role=menu]')) return;
      e.preventDefault();
      now.current();
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, []);
  if (!first) return null;
  const shown = asked.length ? asked : free;
  const rest = asked.length ? free : [];
  return (
    <div className="offers" role="group" aria-label={t('answer.title')}>
      {shown.map((o, i) => (
        <Button key={`${o.known.kind.name} ${o.value ?? ''}`} size="compact-sm" px={asked.length ? 9 : 6} variant={asked.length ? (i === 0 ? 'filled' : 'default') : 'subtle'} onClick={() => take(o)}>
          {offerWord(o)}
        </Button>
      ))}
      {rest.length > 0 && (
        <Menu position="top-end">
          <Menu.Target>
            <button className="plain icon-btn" aria-label={t('answer.more')}>
              <Icon name="more" />
            </button>
          </Menu.Target>
          <Menu.Dropdown>
            {rest.map((o) => (
              <Menu.Item key={o.known.kind.name} onClick={() => take(o)}>
                {offerWord(o)}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      )}
    </div>
  );
}
