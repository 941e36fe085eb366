import { Component, type ReactNode } from 'react';
import { t } from '../i18n';
import { Notice } from './notice';

interface Props {
  children: ReactNode;
  // The place that the screen would have filled.
  className?: string;
}

// Boundary keeps a fault of one screen from taking the console with it: the
// rest goes on, and drafts are kept. It needs nothing that could itself be at
// fault, so its button is the browser's own.
export class Boundary extends Component<Props, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    if (!this.state.failed) return this.props.children;
    return (
      <div className={this.props.className} role="alert">
        <Notice
          icon="wave"
          title={t('fault')}
          action={
            <button className="reload" onClick={() => location.reload()}>
              {t('reload')}
            </button>
          }
        >
          {t('fault.next')}
        </Notice>
      </div>
    );
  }
}
