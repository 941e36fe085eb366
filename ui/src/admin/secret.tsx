import { Button } from '@mantine/core';
import { t } from '../i18n';
import { copy } from '../part/copy';
import { Banner } from '../part/notice';

// Secret shows something that will not be shown again.
export function Secret({ words, value, done }: { words: string; value: string; done: () => void }) {
  return (
    <div className="stack">
      <Banner tone="warn">{words}</Banner>
      <code className="mono" style={{ background: 'var(--pane3)', padding: '10px 12px', borderRadius: 6, userSelect: 'all' }}>
        {value}
      </code>
      <div className="row-flex" style={{ justifyContent: 'flex-end' }}>
        <Button variant="default" onClick={() => void copy(value)}>
          {t('copy')}
        </Button>
        <Button onClick={done}>{t('done')}</Button>
      </div>
    </div>
  );
}
