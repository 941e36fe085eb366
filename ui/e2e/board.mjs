// The board, its form and its drawer.
import { strict as assert } from 'node:assert';
import { fill, named, phone, rows, save, signIn, wide } from './console.mjs';

const budget = 350_000; // bytes, compressed, before the map

export async function board({ check, node }) {
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
}
