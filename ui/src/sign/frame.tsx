import type { ReactNode } from 'react';
import { langNames, langs, speak, t, useLang } from '../i18n';
import './sign.css';

export function Brand() {
  return (
    <span className="brand">
      <svg viewBox="0 0 20 20" aria-hidden="true">
        <path d="M15.200 5.300a7 7 0 1 0 0 9.400" fill="none" stroke="var(--acc)" strokeWidth="3.600" strokeLinecap="round" />
      </svg>
      Konbit
    </span>
  );
}

// Frame is what the pages before sign-in share: the languages and the mark of a
// demonstration.
export function Frame({ demo, foot, children }: { demo?: boolean; foot?: string; children: ReactNode }) {
  const now = useLang();
  return (
    <div className="sign">
      {demo && (
        <div className="watermark" aria-hidden="true">
          DEMO
        </div>
      )}
      <header className="sign-top">
        <Brand />
        <div className="lang-pick" role="group" aria-label={t('language')}>
          {langs.map((l) => (
            <button key={l} className="plain" lang={l} aria-pressed={l === now} onClick={() => void speak(l)}>
              {langNames[l]}
            </button>
          ))}
        </div>
      </header>
      <main className="sign-mid">{children}</main>
      <footer className="sign-foot">{foot}</footer>
    </div>
  );
}
