import './style/mantine';
import { createRoot } from 'react-dom/client';
import { App } from './app';
import { firstLang, speak } from './i18n';

// Until then the page's own words stand there, and after a while are seen.
void speak(firstLang()).then(() => createRoot(document.getElementById('root')!).render(<App />));
