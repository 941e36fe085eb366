import { useQuery } from '@tanstack/react-query';
import { firstKind, useDesks, wordsOf } from '../api/desks';
import { inboxPath } from '../answer/model';
import { countQuery } from '../api/records';
import { holds, useMe } from '../api/session';
import type { Desk } from '../api/types';
import { t } from '../i18n';
import { number } from '../i18n/time';
import { Icon, Path, type IconName } from '../part/icon';
import { A, boardPath, useWhere } from '../router';

export function Rail() {
  const me = useMe();
  const { desks } = useDesks();
  const shown = desks.filter(firstKind);
  const tools: [IconName, string, string][] = [];
  if (holds(me, 'auditor')) tools.push(['audit', 'audit', t('audit')]);
  if (holds(me, 'administrator')) tools.push(['people', 'people', t('people')]);
  if (holds(me, 'administrator') || holds(me, 'auditor')) tools.push(['peers', 'peers', t('peers')]);
  if (holds(me, 'operator') || holds(me, 'supervisor')) tools.push(['ask', 'ask', t('ask')], ['import', 'import', t('import')]);
  tools.push(['settings', 'settings', t('settings')]);
  return (
    <nav className="rail" aria-label={t('desks')}>
      {shown.map((d) => (
        <DeskLink key={d.name} desk={d} />
      ))}
      {shown.length > 0 && <hr />}
      {tools.map(([icon, path, word]) => (
        <ToolLink key={path} icon={icon} path={path} word={word} />
      ))}
    </nav>
  );
}

function DeskLink({ desk }: { desk: Desk }) {
  const { parts } = useWhere();
  const kind = firstKind(desk)!;
  const me = useMe();
  const here = (parts[0] === 'board' || parts[0] === 'inbox') && desk.kinds.some((k) => k.name === parts[1]);
  // Of what is addressed to somebody, what waits for us.
  const to = kind.address?.to;
  const filter = to ? { open: 'true', others: 'true', [`f.${to}`]: me.hat.agency } : { open: 'true' };
  const { data } = useQuery({ ...countQuery(kind.name, filter), enabled: !!kind.open?.length });
  const n = data?.count ?? 0;
  return (
    <A href={to ? inboxPath(kind.name) : boardPath(kind.name)} aria-current={here ? 'page' : undefined}>
      <Path d={desk.icon} />
      <span>{to ? t('answer.inbox') : wordsOf(desk, kind.name).desk}</span>
      {n > 0 && (
        <b title={to ? t('answer.us.n', { n: number(n) }) : t('open.n', { n: number(n) })}>
          {n > 999 ? '999+' : n}
          <span className="sr"> {to ? t('answer.us') : t('open.word')}</span>
        </b>
      )}
    </A>
  );
}

function ToolLink({ icon, path, word }: { icon: IconName; path: string; word: string }) {
  const { parts } = useWhere();
  return (
    <A href={`/${path}`} aria-current={parts[0] === path ? 'page' : undefined}>
      <Icon name={icon} />
      <span>{word}</span>
    </A>
  );
}
