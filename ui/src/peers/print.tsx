import { t } from '../i18n';
import { copy } from '../part/copy';
import { Icon } from '../part/icon';

// bare leaves of a fingerprint what two people compare: letters and digits,
// whatever stood between them.
export const bare = (s: string) => s.replace(/[^0-9A-Za-z]/g, '').toUpperCase();

const sizeOf = (print: string) => /[0-9A-Za-z]+/.exec(print)?.[0].length ?? 5;

// groupsOf cuts what was typed into the groups of a fingerprint.
export const groupsOf = (print: string, typed = print): string[] => {
  const [text, size] = [bare(typed), sizeOf(print)];
  return Array.from({ length: Math.ceil(text.length / size) }, (_, i) => text.slice(i * size, (i + 1) * size));
};

// Print shows a fingerprint in its groups, as it is read over the telephone.
export function Print({ value, large, label }: { value: string; large?: boolean; label?: string }) {
  return (
    <span className={`print ${large ? 'large' : ''}`} role="group" aria-label={label ?? t('peers.print')}>
      {groupsOf(value).map((g, i) => (
        <span key={i}>{g}</span>
      ))}
    </span>
  );
}

export function CopyButton({ text, word }: { text: string; word?: string }) {
  return (
    <button type="button" className="plain icon-btn" aria-label={word ?? t('copy')} title={word ?? t('copy')} onClick={() => void copy(text)}>
      <Icon name="copy" />
    </button>
  );
}
