import { useMantineColorScheme } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { lazy, Suspense, useEffect, useState } from 'react';
import { desksQuery, firstKind, useDesks } from '../api/desks';
import { patch, useFeed } from '../api/live';
import { onLanded, sendAs } from '../api/outbox';
import { holds, useMe } from '../api/session';
import Board from '../board/board';
import { t } from '../i18n';
import { Boundary } from '../part/boundary';
import { Failure, Notice, Waiting } from '../part/notice';
import { toast } from '../part/toast';
import { boardPath, go, useWhere } from '../router';
import { loadAhead } from './ahead';
import { CutBar } from './cut';
import { Rail } from './rail';
import './shell.css';
import { StatusBar } from './status-bar';
import { TopBar } from './top-bar';

const Palette = lazy(() => import('./palette'));
const Keys = lazy(() => import('./keys'));
const Audit = lazy(() => import('../audit/audit'));
const People = lazy(() => import('../admin/people'));
const PeersPage = lazy(() => import('../peers/peers'));
const Ask = lazy(() => import('../ask/ask'));
const Import = lazy(() => import('../importer/importer'));
const Inbox = lazy(() => import('../answer/inbox'));
const Settings = lazy(() => import('../settings/settings'));

export default function Shell() {
  const me = useMe();
  const { parts } = useWhere();
  const client = useQueryClient();
  const { setColorScheme } = useMantineColorScheme();
  const { desks, readable } = useDesks();
  const [open, setOpen] = useState<'palette' | 'keys'>();
  useFeed(desks.length ? readable.map((k) => k.kind.name) : undefined);

  const theme = me.person.theme;
  useEffect(() => {
    if (theme) setColorScheme(theme);
  }, [theme, setColorScheme]);

  useEffect(loadAhead, []);

  useEffect(() => sendAs(me.person.id), [me.person.id]);
  useEffect(
    () =>
      onLanded((item, r) => {
        patch(client, r);
        toast(t('outbox.sent', { what: item.label }));
      }),
    [client],
  );

  useEffect(() => {
    const onKey = (e: KeyboardEvent) => {
      if ((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === 'k') {
        e.preventDefault();
        setOpen('palette');
      } else if (e.key === '?' && !typing(e)) setOpen('keys');
      else if (e.key === '/' && !typing(e)) {
        e.preventDefault();
        setOpen('palette');
      }
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, []);

  return (
    <div className="shell">
      <a className="skip" href="#main">
        {t('skip')}
      </a>
      <TopBar find={() => setOpen('palette')} keys={() => setOpen('keys')} />
      <Rail />
      <main className="main" id="main" tabIndex={-1}>
        <CutBar />
        <Boundary key={parts.slice(0, 2).join('/')}>
          <Suspense fallback={<Waiting />}>
            <Screen />
          </Suspense>
        </Boundary>
      </main>
      <StatusBar />
      <Suspense fallback={null}>
        {open === 'palette' && <Palette close={() => setOpen(undefined)} keys={() => setOpen('keys')} />}
        {open === 'keys' && <Keys close={() => setOpen(undefined)} />}
      </Suspense>
    </div>
  );
}

export function typing(e: KeyboardEvent): boolean {
  const el = e.target as HTMLElement;
  return el.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(el.tagName);
}

function Screen() {
  const me = useMe();
  const { parts } = useWhere();
  const { data, error, isPending, refetch } = useQuery(desksQuery);
  const { of, desks } = useDesks();
  if (isPending) return <Waiting />;
  if (!data) return <Failure error={error} again={() => void refetch()} />;
  switch (parts[0]) {
    case 'board': {
      const known = of(parts[1] ?? '');
      if (known?.kind.canRead) return <Board key={known.kind.name} known={known} id={parts[2]} />;
      return <Notice icon="lock" title={t('error.not-found')}>{t('notFound.next')}</Notice>;
    }
    case 'inbox': {
      const known = of(parts[1] ?? '');
      if (known?.kind.canRead && known.kind.address) return <Inbox key={known.kind.name} known={known} id={parts[2]} />;
      return <Notice icon="lock" title={t('error.not-found')}>{t('notFound.next')}</Notice>;
    }
    case 'audit':
      return <Audit />;
    case 'people':
      return <People />;
    case 'peers':
      return <PeersPage />;
    case 'ask':
      return <Ask />;
    case 'import':
      return <Import />;
    case 'settings':
      return <Settings />;
  }
  return <Home first={desks.map(firstKind).find(Boolean)?.name} otherwise={holds(me, 'administrator') ? '/people' : holds(me, 'auditor') ? '/audit' : undefined} />;
}

// Home opens the first desk that the person may read.
function Home({ first, otherwise }: { first?: string; otherwise?: string }) {
  const to = first ? boardPath(first) : otherwise;
  useEffect(() => {
    if (to) go(to, true);
  }, [to]);
  return to ? <Waiting /> : <Notice icon="lock" title={t('noDesk')}>{t('noDesk.next')}</Notice>;
}
