// Answers between agencies: what one says of another's record, what it asks, and
// what comes back.
import { strict as assert } from 'node:assert';
import { call, phone, signIn, wide } from './console.mjs';

let made = 0;

// report makes an incident that is released to an agency.
async function report(page, title, to, body = {}) {
  const at = Date.now().toString(16).padStart(12, '0');
  const id = `${at.slice(0, 8)}-${at.slice(8)}-7000-8000-a${String(++made).padStart(11, '0')}`;
  const observed = new Date().toISOString().replace(/\.\d+Z/, 'Z');
  const place = { geometry: { type: 'Point', coordinates: [-71.7, 19.55] }, uncertainty: 100, words: 'Fictional corner' };
  await call(page, '/records/incident', 'POST', { id, marking: { tlp: 'AMBER', to }, observed, place, body: { title, category: 'contraband', severity: 'moderate', ...body } });
  return id;
}

const offer = (page, name) => page.locator('.offers').getByRole('button', { name, exact: true });
const send = (page) => page.locator('.composer').getByRole('button', { name: /^Save/ });
const local = (ms) => {
  const d = new Date(Date.now() + ms);
  return new Date(d - d.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
};

export async function answer({ check, node }) {
  await check('an agency answers another one’s record; what it asks comes back', wide, async (haiti, other) => {
    const title = `Red truck at the border ${Date.now()}`;
    await signIn(haiti, node.url, { person: 'Operatè 1' });
    const dominican = await other();
    await signIn(dominican, node.url, { person: 'Operador 1' });
    const id = await report(haiti, title, ['do.911']);
    await haiti.goto(`${node.url}/board/incident/${id}`);
    await haiti.locator('.tl li').first().waitFor();

    // The other agency comments, and its answer is released to the owner alone.
    await dominican.goto(`${node.url}/board/incident/${id}`);
    await offer(dominican, 'Comment').click();
    await dominican.locator('.composer').getByText('Sant Kòmand Pòtoprens and your agency').waitFor();
    await dominican.getByRole('textbox', { name: 'Comment' }).fill('We know this truck: it was stopped in March.');
    await dominican.keyboard.press('Control+Enter');
    await dominican.locator('.tl .said').getByText('stopped in March').waitFor();

    // The owner sees it come, in the timeline that is open.
    await haiti.locator('.tl .said').getByText('stopped in March').waitFor();
    await haiti.locator('.tl .said').getByText('Centro 9-1-1 Demo').waitFor();

    // A correction names the field as the answered record does.
    await offer(dominican, 'Correct').click();
    await dominican.locator('.composer').getByRole('combobox', { name: 'What is wrong' }).click();
    await dominican.getByRole('option', { name: 'Severity' }).click();
    await dominican.getByRole('textbox', { name: 'What is right' }).fill('Severe: two people were hurt.');
    await dominican.getByRole('textbox', { name: 'Why' }).fill('Our patrol saw them.');
    await send(dominican).click();
    await haiti.locator('.tl .said', { hasText: 'What is wrong Severity' }).waitFor();

    // It cannot be released wider than what it answers: refused where it counts.
    await assert.rejects(
      call(dominican, '/records/comment', 'POST', { marking: { tlp: 'AMBER', to: ['ht.cc', 'int.aid'] }, observed: new Date().toISOString(), links: [{ rel: 'answers', kind: 'incident', id }], body: { text: 'wider' } }),
      /wider/,
    );

    // It asks, with a deadline; the owner finds it in the inbox, counted on the rail.
    await offer(dominican, 'Ask').click();
    await dominican.getByRole('textbox', { name: 'Question' }).fill(`Who drives it? ${title}`);
    await dominican.locator('.composer').getByText('Urgent', { exact: true }).click();
    await dominican.getByLabel('Deadline').fill(local(3 * 3_600_000));
    await send(dominican).click();
    await dominican.locator('.composer').waitFor({ state: 'detached' });
    await haiti.locator('.tl .said', { hasText: 'Who drives it?' }).getByText('Asked').waitFor();
    await haiti.locator('.rail a[href="/inbox/rfi"] b').waitFor();
    await haiti.locator('.rail a[href="/inbox/rfi"]').click();
    const row = haiti.locator('.q', { hasText: title });
    await row.getByText('Urgent').waitFor();
    await row.getByText(/^in /).waitFor();
    await row.click();

    // The owner answers in part: what is still to come is asked for.
    await offer(haiti, 'Part answer').click();
    await haiti.getByRole('textbox', { name: 'The answer' }).fill('A haulier of Ouanaminthe.');
    await haiti.keyboard.press('Control+Enter');
    await haiti.locator('.composer [aria-invalid=true]').waitFor();
    await haiti.getByRole('textbox', { name: 'What is still to come' }).fill('His name, tomorrow.');
    await haiti.keyboard.press('Control+Enter');
    await haiti.locator('.tl .said').getByText('A haulier of Ouanaminthe').waitFor();

    // By itself the asker's request is partly answered, there and here.
    await dominican.locator('.tl .said', { hasText: 'Who drives it?' }).getByText('Partly answered').waitFor();
    await haiti.locator('.steps .here').getByText('Partly answered').waitFor();
    await dominican.goto(`${node.url}/inbox/rfi?tab=ours`);
    await dominican.locator('.q', { hasText: title }).getByText('Partly answered').waitFor();
    await dominican.locator('.q', { hasText: title }).click();
    await dominican.locator('.tl .said').getByText('His name, tomorrow.').waitFor();
    assert.equal(await dominican.locator('.offers').getByRole('button', { name: 'Part answer' }).count(), 0, 'the asker may answer itself');

    // Refused in the end, with a reason; it leaves the open ones.
    await offer(haiti, 'Refusal').click();
    await haiti.getByRole('textbox', { name: 'Reason for the refusal' }).fill('Under investigation.');
    await haiti.keyboard.press('Control+Enter');
    await dominican.locator('.drawer .state, .drawer .steps').getByText('Refused').first().waitFor();
    await haiti.locator('.q', { hasText: title }).waitFor({ state: 'detached' });
  });

  await check('a request that is late says so to both, and leads the list', wide, async (asker, other) => {
    const question = `Was the boat seen? ${Date.now()}`;
    await signIn(asker, node.url, { person: 'Operatè 1' });
    const asked = await other();
    await signIn(asked, node.url, { person: 'Operador 1' });
    await asked.goto(`${node.url}/inbox/rfi`);
    await asked.getByRole('heading', { name: 'Requests' }).waitFor();
    const deadline = new Date(Date.now() + 4000).toISOString();
    await call(asker, '/records/rfi', 'POST', { marking: { tlp: 'AMBER', to: ['do.911'] }, observed: new Date().toISOString(), body: { to: 'do.911', question, urgency: 'urgent', deadline } });
    const row = asked.locator('.q', { hasText: question });
    await row.waitFor();
    await row.locator('.due.overdue').waitFor({ timeout: 40_000 });
    await asked.getByRole('button', { name: /^Overdue \d/ }).click();
    await row.waitFor();
    await asked.locator('.inbox .options').focus();
    await asked.keyboard.press('j');
    await asked.keyboard.press('Enter');
    await asked.locator('.drawer h2').waitFor();
    await asker.goto(`${node.url}/inbox/rfi?tab=ours`);
    await asker.locator('.q', { hasText: question }).click();
    await asker.locator('.drawer .tl').getByText('The deadline passed').waitFor();
  });

  await check('answers and the inbox fit a phone', phone, async (page, other) => {
    const title = `Checkpoint closed ${Date.now()}`;
    const owner = await other();
    await signIn(owner, node.url, { person: 'Operatè 1' });
    const id = await report(owner, title, ['do.911']);
    await signIn(page, node.url, { person: 'Operador 1', lang: 'es' });
    const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth && [...document.querySelectorAll('.form-body,.drawer-body,.rows')].every((e) => e.scrollWidth <= e.clientWidth + 1));
    await page.goto(`${node.url}/board/incident/${id}`);
    for (const name of ['Comentar', 'Avistamiento', 'Corregir', 'Preguntar']) {
      await offer(page, name).click();
      await page.locator('.composer .form-head').waitFor();
      assert.ok(await fits(), name);
      await page.keyboard.press('Escape');
      await page.locator('.composer').waitFor({ state: 'detached' });
    }
    await page.locator('.drawer').waitFor();
    await page.goto(`${node.url}/inbox/rfi`);
    await page.getByRole('tab', { name: /Para nosotros/ }).waitFor();
    assert.ok(await fits(), 'inbox');
  });
}
