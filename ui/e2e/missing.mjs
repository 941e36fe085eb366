// A missing child, from the search by those who know her name by ear to the notice that
// residents read without script, and its end.
import { strict as assert } from 'node:assert';
import { phone, rows, signIn, wide } from './console.mjs';

const languages = {
  ht: ['Alèt ak moun ki disparèt', 'Dènye fwa yo te wè l', 'inondasyon'],
  fr: ['Alertes et personnes disparues', 'Vu pour la dernière fois', 'inondation'],
  es: ['Alertas y personas desaparecidas', 'Visto por última vez', 'inundación'],
  en: ['Alerts and missing people', 'Last seen', 'flooding'],
};

// explain says why protected records are opened.
const explain = (page) =>
  page.evaluate(async () => {
    const { csrf } = await (await fetch('/api/v1/session')).json();
    const r = await fetch('/api/v1/session', { method: 'PATCH', headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': csrf }, body: JSON.stringify({ purpose: { words: 'call 1143' } }) });
    if (!r.ok) throw new Error(await r.text());
  });

async function people(page, url) {
  await page.goto(url + '/');
  await page.locator('.rail a[href*=missing]').first().click();
  await page.locator('.words input').waitFor();
}

export async function missing({ check, node }) {
  const name = 'Egzanp Wozlin Demo';

  await check('somebody is found by a name that is spelled otherwise, by those who may see him', wide, async (page, other) => {
    await signIn(page, node.url, { role: 'supervisor' });
    await people(page, node.url);
    await page.locator('.words input').fill('Rozlin Exanp');
    await page.getByText('Nothing fits these filters').waitFor(); // a child: nothing is told before he says why
    assert.equal(await rows(page).count(), 0);
    await explain(page);
    await people(page, node.url);
    await page.locator('.words input').fill('Rozlin Exanp');
    await rows(page).filter({ hasText: name }).waitFor();
    await page.getByText('the same sound').waitFor();
    const small = await other(phone);
    await signIn(small, node.url, { role: 'supervisor', lang: 'ht' });
    await explain(small);
    await people(small, node.url);
    await small.locator('.words input').fill('Rozlin Exanp');
    await rows(small).filter({ hasText: name }).waitFor();
    await small.getByText('menm son').waitFor();
  });

  await check('residents read what was published, on a phone and without script; what ends is gone for them', { ...phone, javaScriptEnabled: false }, async (page, other) => {
    for (const [lang, [title, seen, flood]] of Object.entries(languages)) {
      const index = await page.goto(`${node.next}/?l=${lang}`);
      assert.ok((await index.body()).length < 30_000);
      await page.getByRole('heading', { name: title }).waitFor();
      await page.getByText(flood).first().waitFor();
      assert.equal(await page.getByText('Okap').count(), 0, 'an exercise');
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'as wide as the phone');
      await page.getByRole('link', { name }).click();
      await page.getByText(seen).waitFor();
      await page.getByText('DEMO').first().waitFor();
    }
    const at = page.url();
    const supervisor = await other({ ...wide, javaScriptEnabled: true });
    await signIn(supervisor, node.url, { role: 'supervisor' });
    await explain(supervisor);
    await people(supervisor, node.url);
    await rows(supervisor).filter({ hasText: name }).click();
    await supervisor.locator('.drawer').getByRole('button', { name: 'Found', exact: true }).click();
    const dialog = supervisor.getByRole('dialog', { name: 'Found' });
    await dialog.getByText('Safe', { exact: true }).click();
    await dialog.getByRole('button', { name: 'Found' }).click();
    await dialog.waitFor({ state: 'detached' });
    for (const url of [at, `${node.next}/?l=en`, `${node.next}/people.atom`]) {
      const began = Date.now();
      for (;;) {
        const text = await (await fetch(url)).text();
        if (!text.includes('Wozlin') && !text.includes('Wanament')) break;
        assert.ok(Date.now() - began < 5000, `${url} still says the name`);
      }
    }
    await page.goto(at + '&fresh'); // a browser may show what it has for ten seconds
    await page.getByRole('heading', { name: 'Found' }).waitFor();
  });
}
