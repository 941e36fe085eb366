import { Button } from '@mantine/core';
import { lazy, Suspense, useState } from 'react';
import { given, type Answer, type Question } from '../api/peers';
import { useDesks } from '../api/desks';
import { t, tOr } from '../i18n';
import { dayTime } from '../i18n/time';
import { Mark, type Shape, type Tone } from '../part/mark';
import { Ago } from '../part/time';
import { useTypeWord } from './ask';

const RequestForm = lazy(() => import('./request-form'));

const marks: Record<Answer['state'], [Shape, Tone]> = {
  waiting: ['wait', 'mut'],
  hit: ['disc', 'acc'],
  'no-hit': ['ring', 'mut'],
  refused: ['cross', 'bad'],
  stale: ['half', 'warn'],
};

// sumOf is a question in a few words: what counts first.
export function sumOf(q: Question): string {
  const n = (s: Answer['state']) => q.answers?.filter((a) => a.state === s).length ?? 0;
  const parts = (['hit', 'no-hit', 'stale', 'refused', 'waiting'] as const).filter((s) => n(s) > 0).map((s) => `${n(s)} ${t(`ask.${s}`)}`);
  return parts.join(', ');
}

// Answers shows a question with what each node answered, as it comes.
export function Answers({ question: q }: { question: Question }) {
  const word = useTypeWord();
  const [asking, setAsking] = useState<Answer>();
  const request = useDesks().readable.find((k) => k.kind.address);
  return (
    <section className="card stack">
      <div>
        <h2>
          {word(q.type)} <span className="mono">{q.masked}</span>
        </h2>
        <p className="mut">
          {q.purpose} · {q.by} · <Ago iso={q.at} />
        </p>
      </div>
      <span className="sr" role="status">
        {sumOf(q)}
      </span>
      <ul className="plain-list answers">
        {q.answers?.map((a) => (
          <li key={a.node} data-state={a.state}>
            <Mark shape={marks[a.state][0]} tone={marks[a.state][1]} />
            <div className="grow">
              <b>{a.title}</b>
              <div>
                {a.state === 'stale' && a.reason === 'silence' ? t('ask.why.no-answer') : t(`ask.${a.state}.words`)}
                {a.state === 'refused' && a.reason && ` ${tOr(`ask.why.${a.reason}`, a.reason)}`}
              </div>
              {!!a.agencies?.length && <div>{a.agencies.join(', ')}</div>}
              {given(a.setAt) && a.state !== 'waiting' && <div className="mut">{t('ask.setAt', { at: dayTime(a.setAt!) })}</div>}
            </div>
            {given(a.at) && a.state !== 'waiting' && (
              <span className="mut">
                <Ago iso={a.at!} />
              </span>
            )}
            {a.state === 'hit' && request && (
              <Button size="xs" aria-label={`${t('ask.request')}: ${a.title}`} onClick={() => setAsking(a)}>
                {t('ask.request')}
              </Button>
            )}
          </li>
        ))}
      </ul>
      {q.answers?.some((a) => a.state === 'waiting') && <p className="mut">{t('ask.waits')}</p>}
      {q.answers?.some((a) => a.state === 'no-hit') && <p className="mut">{t('ask.silent')}</p>}
      {q.answers?.some((a) => a.state === 'hit') && <p className="mut">{t('ask.hit.next')}</p>}
      {asking && request && (
        <Suspense fallback={null}>
          <RequestForm question={q} answer={asking} known={request} close={() => setAsking(undefined)} />
        </Suspense>
      )}
    </section>
  );
}
