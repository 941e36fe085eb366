// Every screen, in light and dark, against the machine-checkable part of WCAG 2.2 AA.
import { strict as assert } from 'node:assert';
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { rows, signIn, wide } from './console.mjs';

const source = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export async function faults(page, where) {
  await page.evaluate(source);
  const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }));
  return violations.map((v) => `${where}: ${v.id} (${v.nodes.length}) ${v.nodes.slice(0, 3).map((n) => `${n.target.join(' ')} ${n.any[0]?.message ?? n.all[0]?.message ?? ''}`).join(' | ')}`);
}

export async function axe({ check, node }) {
  for (const colorScheme of ['light', 'dark'])
    await check(`no screen has a fault that axe finds (${colorScheme})`, { ...wide, colorScheme, reducedMotion: 'reduce' }, async (page, other) => {
      const found = [];
      const look = async (where, p = page) => found.push(...(await faults(p, where)));
      await page.goto(node.url);
      await page.locator('.demo-card').first().waitFor();
      await look('sign-in');
      await signIn(page, node.url);
      await rows(page).filter({ hasText: 'ht.cc' }).first().click();
      await page.locator('.drawer .tl li').first().waitFor();
      await page.locator('.drawer .who > *').first().waitFor();
      await look('board and drawer');
      await page.locator('.offers button').last().click();
      await page.locator('.composer .form-foot').waitFor();
      await look('an answer');
      await page.keyboard.press('Escape');
      await page.locator('.composer').waitFor({ state: 'detached' });
      await page.locator('.drawer .sec header .linky').first().click();
      await page.getByRole('dialog').waitFor();
      await look('release');
      await page.goto(node.url + '/board/incident/new');
      await page.locator('.form-head').waitFor();
      await look('form');
      await page.goto(node.url + '/board/sitrep');
      await page.locator('.side svg').first().waitFor();
      await look('charts');
      await page.goto(node.url + '/inbox/rfi?tab=ours&all=1');
      await page.getByRole('tab').first().waitFor();
      await page.locator('.inbox .q, .inbox .notice').first().waitFor();
      await look('inbox');
      await page.goto(node.url + '/settings');
      await page.locator('.page h1').waitFor();
      await page.waitForLoadState('networkidle');
      await look('settings');
      await page.goto(node.url + '/import');
      await page.locator('.page h1').waitFor();
      await look('import');
      const auditor = await other();
      await signIn(auditor, node.url, { role: 'auditor' });
      for (const tab of ['ledger', 'looks', 'seen', 'integrity']) {
        await auditor.goto(`${node.url}/audit?tab=${tab}`);
        await auditor.locator('.page .card').first().waitFor();
        await auditor.waitForLoadState('networkidle');
        await look(`audit ${tab}`, auditor);
      }
      const admin = await other();
      await signIn(admin, node.url, { role: 'administrator' });
      for (const tab of ['people', 'agencies', 'tokens']) {
        await admin.goto(`${node.url}/people?tab=${tab}`);
        await admin.locator('.page .card').first().waitFor();
        await look(`people ${tab}`, admin);
      }
      assert.deepEqual(found, []);
    });
}
