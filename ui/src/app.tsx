import { createTheme, MantineProvider, type MantineColorsTuple } from '@mantine/core';
import { QueryClient, QueryClientProvider, useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useEffect } from 'react';
import { Problem, standing } from './api/client';
import { desksQuery } from './api/desks';
import { sessionQuery } from './api/session';
import { lang, speak, t, useLang } from './i18n';
import { Boundary } from './part/boundary';
import { Failure, Waiting } from './part/notice';
import { Toasts } from './part/toast';
import { useWhere } from './router';

const accent: MantineColorsTuple = ['#e7f1fb', '#cfe3f7', '#9dc7f0', '#6bb8ff', '#4aa8ff', '#2c8ee8', '#0b6bcb', '#0a5fb4', '#084f96', '#063d75'];

const theme = createTheme({
  primaryColor: 'konbit',
  primaryShade: { light: 6, dark: 4 },
  colors: { konbit: accent },
  fontFamily: 'inherit',
  defaultRadius: 6,
  cursorType: 'pointer',
  respectReducedMotion: true,
  components: { Modal: { defaultProps: () => ({ closeButtonProps: { 'aria-label': t('close') } }) } },
  fontSizes: { xs: '12px', sm: '13px', md: '13.5px', lg: '15px', xl: '17px' },
});

const client = new QueryClient({
  defaultOptions: {
    queries: {
      retry: (n, e) => !(e instanceof Problem) && n < 3,
      refetchOnWindowFocus: false,
      // The node may be on this very machine, whatever the browser thinks of the internet.
      networkMode: 'always',
    },
    mutations: { networkMode: 'always' },
  },
});

// A session that ended shows the sign-in page in place; what was typed is kept in drafts.
client.getQueryCache().subscribe((e) => {
  const error = e.query.state.error;
  if (e.type === 'updated' && error instanceof Problem && error.code === 'unsigned' && e.query.queryKey[0] !== 'session' && standing.csrf) {
    standing.csrf = '';
    void client.invalidateQueries({ queryKey: ['session'] });
  }
});

// What the first screen needs is asked for before its script is here.
void client.fetchQuery(sessionQuery).then(
  (s) => (s.signedIn ? client.prefetchQuery(desksQuery) : undefined),
  () => undefined,
);

const SignIn = lazy(() => import('./sign/sign-in'));
const FirstRun = lazy(() => import('./sign/first-run'));
const NewPassword = lazy(() => import('./sign/new-password'));
const Shell = lazy(() => import('./shell/shell'));

export function App() {
  return (
    <Boundary>
      <QueryClientProvider client={client}>
        <MantineProvider theme={theme} defaultColorScheme="auto">
          <Suspense fallback={<Waiting />}>
            <Screen />
          </Suspense>
          <Toasts />
        </MantineProvider>
      </QueryClientProvider>
    </Boundary>
  );
}

function Screen() {
  useLang();
  const { parts } = useWhere();
  const { data, error, refetch, isPending } = useQuery(sessionQuery);
  const own = data?.signedIn ? data.person.lang : undefined;
  useEffect(() => {
    if (own && own !== lang()) void speak(own);
  }, [own]);
  useEffect(() => {
    document.title = t('title');
  });
  if (parts[0] === 'first-run') return <FirstRun />;
  if (parts[0] === 'password') return <NewPassword />;
  if (isPending) return <Waiting />;
  if (!data) return <Failure error={error} again={() => void refetch()} />;
  if (!data.signedIn) return data.firstRun ? <FirstRun /> : <SignIn session={data} />;
  return <Shell />;
}
