import { Button } from '@mantine/core';
import type { ReactNode } from 'react';
import { Offline, Problem } from '../api/client';
import { t, tOr } from '../i18n';
import { Icon, type IconName } from './icon';
import './part.css';

export function Notice({ icon, title, children, action }: { icon?: IconName; title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className="notice">
      {icon && <Icon name={icon} />}
      <h3>{title}</h3>
      {children && <div className="mut">{children}</div>}
      {action}
    </div>
  );
}

// said puts any failure into the reader's language.
export function said(e: unknown): string {
  if (e instanceof Offline) return t('error.offline');
  if (e instanceof Problem) return tOr(`error.${e.code}`, e.detail || e.code);
  return t('error.internal');
}

export function Failure({ error, again }: { error: unknown; again?: () => void }) {
  const detail = error instanceof Problem && error.detail;
  return (
    <Notice
      icon="wave"
      title={said(error)}
      action={
        again && (
          <Button size="xs" variant="default" onClick={again}>
            {t('tryAgain')}
          </Button>
        )
      }
    >
      {detail || t('error.next')}
    </Notice>
  );
}

export function Banner({ tone, children }: { tone?: 'bad' | 'warn' | 'ok'; children: ReactNode }) {
  return (
    <div className={`banner ${tone ?? ''}`} role={tone === 'bad' ? 'alert' : undefined}>
      <div className="grow">{children}</div>
    </div>
  );
}

export function Waiting({ lines = 4 }: { lines?: number }) {
  return (
    <div className="shim" role="status">
      <span className="sr">{t('loading')}</span>
      {Array.from({ length: lines }, (_, i) => (
        <i key={i} style={{ width: `${86 - ((i * 23) % 46)}%` }} />
      ))}
    </div>
  );
}
