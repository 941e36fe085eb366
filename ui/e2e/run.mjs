// Checks of the console in a real browser against a real node:
//
//	node ui/e2e/run.mjs        (make test-e2e)
//
// KONBIT names the binary, CHROMIUM the browser. Without a browser nothing is
// checked, and that is said.
import { strict as assert } from 'node:assert';
import { existsSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { fill, named, rows, save, signIn } from './console.mjs';
import { newNode } from './node.mjs';

const here = (p) => fileURLToPath(new URL(p, import.meta.url));
const binary = process.env.KONBIT ?? here('../../bin/konbit');
const browserPath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);

if (!browserPath || !existsSync(binary)) {
  console.log(`console checks: skipped, no ${browserPath ? binary : 'browser (set CHROMIUM)'}`);
  process.exit(0);
}

const flags = '--no-sandbox --disable-background-networking --disable-component-update --disable-sync --no-first-run --enable-unsafe-swiftshader --use-gl=angle --use-angle=swiftshader';
const wide = { viewport: { width: 1440, height: 900 } };
const phone = { viewport: { width: 390, height: 844 }, hasTouch: true };
const budget = 350_000; // bytes, compressed, before the map

const node = await newNode(binary);
const browser = await chromium.launch({ executablePath: browserPath, args: flags.split(' ') });
let failed = 0;

async function check(promise, options, run) {
  if (!(await node.alive())) await node.start();
  const context = await browser.newContext(options);
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const faults = [];
  page.on('pageerror', (e) => faults.push(e.message));
  try {
    await run(page, context);
    assert.deepEqual(faults, []);
    console.log(`ok    ${promise}`);
  } catch (e) {
    failed++;
    mkdirSync(here('out'), { recursive: true });
    await page.screenshot({ path: here(`out/${promise.replace(/\W+/g, '-')}.png`) }).catch(() => undefined);
    console.log(`FAIL  ${promise}\n      ${String(e.message).split('\n').slice(0, 6).join('\n      ')}`);
  } finally {
    await context.close();
  }
}

try {
  await check('the first useful screen is under 350 KB before the map', wide, async (page) => {
    await signIn(page, node.url);
    await rows(page).first().waitFor();
    const bytes = await page.evaluate(() => {
      const all = performance.getEntriesByType('resource').filter((e) => /\.(js|css)$/.test(new URL(e.name).pathname));
      const map = all.find((e) => /map-pane/.test(e.name))?.startTime ?? Infinity;
      return all.filter((e) => e.startTime < map).reduce((sum, e) => sum + e.encodedBodySize, 0);
    });
    assert.ok(bytes > 0 && bytes < budget, `${Math.round(bytes / 1000)} KB`);
    console.log(`      ${Math.round(bytes / 1000)} KB of script and style`);
  });

  await check('a record is made, given a command, changed and told by its timeline', wide, async (page) => {
    await signIn(page, node.url);
    await rows(page).first().waitFor();
    await page.keyboard.press('n');
    await page.locator('.form-head').waitFor();
    await save(page);
    await page.locator('.form [aria-invalid=true], .form [data-error=true]').first().waitFor();
    await fill(page, 'A check of the console');
    await save(page);
    await page.locator('.drawer .tl li').first().waitFor();
    await page.locator('.acts input').fill('seen twice');
    await page.locator('.acts .mantine-Button-root').first().click();
    await page.locator('.tl li').nth(1).waitFor();
    assert.match(await page.locator('.tl').innerText(), /seen twice/);
    await page.locator('.drawer').focus();
    await page.keyboard.press('e');
    await page.locator('.form textarea').first().fill('More is known now.');
    await save(page);
    await page.locator('.tl li').nth(2).waitFor();
    assert.match(await page.locator('.tl').innerText(), /More is known now/);
  });

  await check('a release says who is added before it is done', wide, async (page) => {
    await signIn(page, node.url);
    await rows(page).first().waitFor();
    await page.keyboard.press('n');
    await fill(page, 'To be released');
    await save(page);
    await page.locator('.drawer .who').waitFor();
    await page.locator('.drawer .sec header .linky').click();
    await page.locator('.mantine-Modal-content .tlp-pick [role=radio]').last().click();
    await page.locator('.mantine-Modal-content .banner.warn').waitFor();
  });

  await check('what is done while the node is dead is sent once when it is back', wide, async (page) => {
    await signIn(page, node.url);
    await rows(page).first().waitFor();
    // What work needs is fetched within seconds of the first screen.
    await page.waitForFunction(() => performance.getEntriesByType('resource').some((e) => /\/keys-/.test(e.name)));
    await node.kill();
    const title = `Without a node ${Date.now()}`;
    await page.keyboard.press('n');
    await fill(page, title);
    await save(page);
    await page.locator('.r.waits').waitFor();
    await page.locator('.status .waits').waitFor();
    assert.match(await page.locator('.status').innerText(), /1 waiting/);
    await node.start();
    await page.locator('.r.waits').waitFor({ state: 'detached', timeout: 60_000 });
    assert.equal(await named(page, title), 1);
  });

  await check('the keys move, open and close', wide, async (page) => {
    await signIn(page, node.url);
    await rows(page).nth(2).waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.locator('.drawer h2').waitFor();
    assert.ok(page.url().includes(await rows(page).nth(1).getAttribute('data-id')));
    await page.keyboard.press('Escape');
    await page.locator('.drawer').waitFor({ state: 'detached' });
    await page.keyboard.press('Control+k');
    await page.locator('.palette input').fill('zzzz');
    await page.keyboard.press('Escape');
    await page.keyboard.press('?');
    await page.locator('.mantine-Modal-content').waitFor();
  });

  for (const lang of ['ht', 'fr', 'es', 'en'])
    await check(`on a phone nothing is wider than the screen (${lang})`, phone, async (page) => {
      await signIn(page, node.url, { lang });
      await rows(page).first().waitFor();
      const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth && [...document.querySelectorAll('.form-body')].every((e) => e.scrollWidth <= e.clientWidth + 1));
      assert.ok(await fits(), 'board');
      await page.goto(page.url() + '/new');
      await page.locator('.form-head').waitFor();
      assert.ok(await fits(), 'form');
    });
} finally {
  await browser.close();
  await node.end();
}
process.exit(failed ? 1 : 0);
