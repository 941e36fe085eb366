import { t } from '../i18n';
import { toast } from './toast';

// copy puts text on the clipboard and says so. On a node's plain-http address
// browsers withhold the clipboard interface; the older way works there.
export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toast(t('copied'));
  } catch {
    if (select(text)) toast(t('copied'));
  }
}

function select(text: string): boolean {
  const before = document.activeElement as HTMLElement | null;
  const box = document.createElement('textarea');
  box.value = text;
  box.className = 'sr';
  (before?.closest('[role=dialog]') ?? document.body).append(box);
  box.select();
  try {
    return document.execCommand('copy');
  } finally {
    box.remove();
    before?.focus();
  }
}
