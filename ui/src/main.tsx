import './style/mantine';
import { createRoot } from 'react-dom/client';
import { App } from './app';
import { firstLang, speak } from './i18n';

void speak(firstLang()).then(() => createRoot(document.getElementById('root')!).render(<App />));
