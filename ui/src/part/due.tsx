import { t } from '../i18n';
import { ago, whole } from '../i18n/time';
import { Icon } from './icon';
import './part.css';
import { useNow } from './time';

// Due says how long there is still, and how long ago it was too late: in words
// and by a sign as well as in colour. What is settled has no hurry.
export function Due({ iso, settled }: { iso: string; settled?: boolean }) {
  const now = useNow();
  const late = !settled && Date.parse(iso) <= now;
  const soon = !settled && !late && Date.parse(iso) - now < 3_600_000;
  return (
    <time className={`due${late ? ' overdue' : soon ? ' soon' : ''}`} dateTime={iso} title={whole(iso)}>
      {late && <Icon name="flag" size={12} />}
      {late ? t('answer.late', { ago: ago(iso, now) }) : ago(iso, now)}
    </time>
  );
}

export const isLate = (iso: unknown, now: number): boolean => typeof iso === 'string' && iso !== '' && Date.parse(iso) <= now;
