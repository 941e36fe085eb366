// Checks of the console in a real browser against a real node:
//
//	node ui/e2e/run.mjs [part ...]        (make test-e2e)
//
// KONBIT names the binary, CHROMIUM the browser. Without one of them nothing is
// checked, and that is said; under CI it is a failure.
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { answer } from './answer.mjs';
import { axe } from './axe.mjs';
import { board } from './board.mjs';
import { cluster } from './cluster.mjs';
import { fault } from './fault.mjs';
import { missing } from './missing.mjs';
import { newNode } from './node.mjs';
import { people } from './people.mjs';
import { peers } from './peers.mjs';
import { record } from './record.mjs';
import { three } from './three.mjs';
import { walk } from './walk.mjs';

const here = (p) => fileURLToPath(new URL(p, import.meta.url));
const binary = process.env.KONBIT ?? here('../../bin/konbit');
const browserPath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((p) => existsSync(p));
const out = here('out');

for (const [what, path] of Object.entries({ 'browser (set CHROMIUM)': browserPath, 'binary (set KONBIT)': binary }))
  if (!path || !existsSync(path)) {
    console.log(`console checks: ${process.env.CI ? 'FAILED' : 'skipped'}, no ${what}`);
    process.exit(process.env.CI ? 1 : 0);
  }

const flags = '--no-sandbox --disable-background-networking --disable-component-update --disable-sync --no-first-run --enable-unsafe-swiftshader --use-gl=angle --use-angle=swiftshader';
const node = await newNode(binary, ['demo', '--quiet', '--public', '127.0.0.1:$NEXT']);
const browser = await chromium.launch({ executablePath: browserPath, args: flags.split(' ') });
let failed = 0;

// check runs one promise in a browser of its own. Another browser beside it is
// had from other(); an uncaught script error in any of them is a failure.
async function check(promise, options, run) {
  const began = Date.now();
  const contexts = [];
  const faults = [];
  const other = async (o = options) => {
    const context = await browser.newContext(o);
    contexts.push(context);
    context.setDefaultTimeout(20_000);
    const page = await context.newPage();
    page.on('pageerror', (e) => faults.push(e.message));
    return page;
  };
  let page;
  try {
    if (!(await node.alive())) await node.start();
    page = await other();
    await run(page, other);
    if (faults.length && !options.faulty) throw new Error(faults.join('\n'));
    console.log(`ok    ${promise} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
  } catch (e) {
    failed++;
    mkdirSync(out, { recursive: true });
    for (const [i, c] of contexts.entries()) await c.pages()[0]?.screenshot({ path: `${out}/${promise.replace(/\W+/g, '-')}-${i}.png` }).catch(() => undefined);
    console.log(`FAIL  ${promise}\n      ${String(e.message).split('\n').slice(0, 40).join('\n      ')}`);
  } finally {
    for (const c of contexts) await c.close().catch(() => undefined);
  }
}

const parts = { board, walk, record, answer, missing, people, peers, three, cluster, fault, axe };
const asked = process.argv.slice(2);
const unknown = asked.find((a) => !parts[a]);
try {
  if (unknown) throw new Error(`no part ${unknown}; there are ${Object.keys(parts).join(', ')}`);
  rmSync(out, { recursive: true, force: true });
  for (const part of asked.length ? asked : Object.keys(parts)) await parts[part]({ check, node, binary });
} finally {
  await browser.close();
  await node.end();
}
console.log(failed ? `${failed} failed; pictures in ${out}` : 'all hold');
process.exit(failed ? 1 : 0);
