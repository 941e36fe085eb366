import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

const text = /\.(html|js|mjs|css|json|svg|webmanifest)$/;

// Compresses once at build time, so that a node on a small computer never does.
function precompress(): Plugin {
  const walk = (dir: string): string[] => readdirSync(dir).flatMap((f) => (statSync(join(dir, f)).isDirectory() ? walk(join(dir, f)) : [join(dir, f)]));
  return {
    name: 'precompress',
    apply: 'build',
    enforce: 'post',
    closeBundle() {
      for (const file of walk('dist').filter((f) => text.test(f))) {
        const raw = readFileSync(file);
        writeFileSync(file + '.gz', gzipSync(raw, { level: 9 }));
        writeFileSync(file + '.br', brotliCompressSync(raw, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
      }
      // Emptying dist removes the file that keeps the folder in the repository.
      writeFileSync('dist/.keep', '');
    },
  };
}

// Asks at once for what a first visit needs after the main script: over a slow
// line each of them would otherwise wait for the one before.
function askEarly(): Plugin {
  return {
    name: 'ask-early',
    apply: 'build',
    transformIndexHtml: {
      order: 'post',
      handler(_, { bundle = {} }) {
        const files = new Set<string>();
        const add = (file: string) => {
          const c = bundle[file];
          if (c?.type !== 'chunk' || c.isEntry || files.has(file)) return;
          files.add(file);
          c.imports.forEach(add);
        };
        for (const c of Object.values(bundle)) if (c.type === 'chunk' && /\/(sign-in\.tsx|i18n\/ht\.ts)$/.test(c.facadeModuleId ?? '')) add(c.fileName);
        return [
          { tag: 'link', attrs: { rel: 'preload', as: 'fetch', href: '/api/v1/session', crossorigin: true }, injectTo: 'head' as const },
          ...[...files].map((f) => ({ tag: 'link', attrs: { rel: 'modulepreload', crossorigin: true, href: '/' + f }, injectTo: 'head' as const })),
        ];
      },
    },
  };
}

const node = process.env.KONBIT_NODE ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [react(), askEarly(), precompress()],
  build: { target: 'es2022', chunkSizeWarningLimit: 1200, assetsInlineLimit: 0 },
  server: { proxy: Object.fromEntries(['/api', '/ogc', '/docs', '/openapi.json', '/basemap.pmtiles'].map((p) => [p, node])) },
});
