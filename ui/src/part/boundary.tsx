import { Button } from '@mantine/core';
import { Component, type ReactNode } from 'react';
import { t } from '../i18n';
import { Notice } from './notice';

// Boundary keeps a fault of one screen from taking the console with it: the
// rest goes on, and drafts are kept.
export class Boundary extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    if (!this.state.failed) return this.props.children;
    return (
      <Notice
        icon="wave"
        title={t('fault')}
        action={
          <Button size="xs" variant="default" onClick={() => location.reload()}>
            {t('reload')}
          </Button>
        }
      >
        {t('fault.next')}
      </Notice>
    );
  }
}
