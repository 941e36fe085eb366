import { Button } from '@mantine/core';
import { useRef, useState, type DragEvent } from 'react';
import { t } from '../i18n';
import { Icon } from '../part/icon';

// Drop takes a file that is dragged here or chosen.
export function Drop({ word, words, accept, busy, take }: { word: string; words: string; accept?: string; busy?: boolean; take: (f: File) => void }) {
  const picker = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const drop = (e: DragEvent) => {
    e.preventDefault();
    setOver(false);
    const f = e.dataTransfer.files[0];
    if (f && !busy) take(f);
  };
  return (
    <div
      className={`drop ${over ? 'over' : ''}`}
      onDragOver={(e) => {
        e.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <input
        ref={picker}
        type="file"
        hidden
        accept={accept}
        onChange={(e) => {
          const f = e.currentTarget.files?.[0];
          e.currentTarget.value = '';
          if (f) take(f);
        }}
      />
      <Icon name="stick" size={22} />
      <span className="grow">
        {words} <span className="mut">{t('peers.drag')}</span>
      </span>
      <Button size="xs" variant="default" loading={busy} onClick={() => picker.current?.click()}>
        {word}
      </Button>
    </div>
  );
}
