// Two nodes with separate stores come together by an invitation, exchange over a
// cable that is pulled and put back, and take a release back. Each side is looked
// at in a browser of its own.
import { strict as assert } from 'node:assert';
import { faults } from './axe.mjs';
import { cable } from './cable.mjs';
import { call, phone, signIn, wide } from './console.mjs';
import { newNode } from './node.mjs';

const password = 'three dry words';

// found sets up a new node with its agency; its first person runs it and works in it.
export async function found(page, node, agency, name) {
  await page.goto(node.url);
  await page.getByRole('button', { name: 'English', exact: true }).click();
  const code = /first-run#(\S+)/.exec(node.said())[1];
  await call(page, '/first-run', 'POST', { code: decodeURIComponent(code), agency: { id: agency, name, country: agency.slice(0, 2).toUpperCase() }, person: { name: 'first', display: 'First Person', lang: 'en' }, password });
  await call(page, '/session', 'POST', { name: `${agency}/first`, password });
  const grants = ['administrator', 'supervisor'].map((role) => ({ agency, desk: '*', role }));
  await call(page, `/people/${agency}/first`, 'PATCH', { grants });
  const { link } = await call(page, '/people', 'POST', { id: `${agency}/viewer`, name: 'Second Person', lang: 'en', grants: [{ agency, desk: '*', role: 'viewer' }] });
  await call(page, '/password-link', 'POST', { code: decodeURIComponent(link.split('#')[1]), password });
  await page.goto(node.url + '/peers');
  await page.locator('.page h1').waitFor();
}

// enter signs a person in who is there already, or was made by found.
async function enter(page, node, agency, name) {
  await page.goto(node.url);
  await page.getByRole('button', { name: 'English', exact: true }).click();
  await call(page, '/session', 'POST', { name: `${agency}/${name}`, password });
  await page.goto(node.url + '/');
  await page.locator('.rail a').first().waitFor();
}

const observed = () => new Date().toISOString().replace(/\.\d+Z/, 'Z');
let made = 0;

export async function report(page, title, to, more = {}) {
  const at = Date.now().toString(16).padStart(12, '0');
  const id = `${at.slice(0, 8)}-${at.slice(8)}-7000-8000-${String(++made).padStart(12, '0')}`;
  await call(page, '/records/incident', 'POST', { id, marking: { tlp: 'AMBER', to }, observed: observed(), body: { title, category: 'flood', severity: 'moderate', ...more } });
  return id;
}

export const row = (page, id) => page.locator(`.r[data-id="${id}"]`);

// What comes while the pointer is over the list waits above it until it is asked for.
export async function comes(page, id, options) {
  const waiting = page.locator('.pill-new');
  await row(page, id).or(waiting).first().waitFor(options);
  if (!(await row(page, id).isVisible())) await waiting.click();
  await row(page, id).waitFor(options);
}
const dot = (page, title) => page.locator('.peer.wide-dot', { hasText: title });
export const told = (page, title, word) => page.getByRole('button', { name: new RegExp(`^${title}: ${word}`) }).first();

export async function peers({ check, binary }) {
  const west = await newNode(binary, ['serve', '--name', 'West Node']);
  const east = await newNode(binary, ['serve', '--name', 'East Node']);
  try {
    await check('two nodes join by a code, exchange, are cut and mended, and a recall is purged', wide, async (a, other) => {
      await Promise.all([west.start(), east.start()]);
      const line = await cable(west.url);
      const b = await other();
      await found(a, west, 'ht.tst', 'Western Agency');
      await found(b, east, 'do.tst', 'Eastern Agency');
      await join(a, b, line);
      await exchange(a, b, west, east);
      await apart(a, b, west, east, line);
      await recall(a, b);
      await question(a, b, west, east);
    });

    await check('whoever has no right to it sees how the links are, and no more', wide, async (page) => {
      await enter(page, west, 'ht.tst', 'viewer');
      await page.goto(west.url + '/peers?tab=join');
      await page.getByText('for administrators and auditors').waitFor();
      assert.equal(await page.getByRole('tab').count(), 0);
      assert.equal((await call(page, '/peers')).self, undefined);
      await page.goto(west.url + '/ask');
      await page.getByText('needs the role of an operator').waitFor();
    });

    for (const colorScheme of ['light', 'dark'])
      await check(`no screen of the exchange has a fault that axe finds, or is wider than a phone (${colorScheme})`, { ...wide, colorScheme, reducedMotion: 'reduce' }, async (page, other) => {
        await enter(page, west, 'ht.tst', 'first');
        const small = await other({ ...phone, colorScheme });
        await enter(small, west, 'ht.tst', 'first');
        const found = [];
        const node = await short(page);
        for (const where of ['/peers', `/peers?node=${node}`, '/peers?tab=join', '/peers?tab=region', '/peers?tab=stick', '/peers?tab=keys', '/peers?tab=alarms', '/ask']) {
          for (const p of [page, small]) {
            await p.goto(west.url + where);
            await p.locator(where.includes('node=') ? '.peer-drawer .kv' : '.page .card').first().waitFor();
          }
          found.push(...(await faults(page, where)));
          if (!(await small.evaluate(() => [document.documentElement, ...document.querySelectorAll('.page, .drawer-body')].every((e) => e.scrollWidth <= e.clientWidth + 1)))) found.push(`${where}: wider than a phone`);
        }
        await page.locator('.peer.wide-dot').first().click();
        await page.locator('.peer-told').waitFor();
        found.push(...(await faults(page, 'popover')));
        await small.locator('.peer.one-dot').click();
        await small.locator('.peer-told').waitFor();
        assert.deepEqual(found, []);
      });
  } finally {
    await west.end();
    await east.end();
  }

  const trial = await newNode(binary, ['demo', '--nodes', '3', '--quiet']);
  try {
    await check('on trial, a link is cut and mended on the screen; from Haiti to Santo Domingo over a hub', wide, async (runs, other) => {
      await trial.start();
      const [ht, hispaniola] = [trial.url, trial.url.replace(/\d+$/, (p) => String(Number(p) + 1))];
      const [operator, abroad] = [await other(), await other()];
      await signIn(runs, ht, { role: 'administrator' });
      await signIn(operator, ht, { person: 'Operatè 1' });
      await signIn(abroad, hispaniola, { person: 'Operador 1' });
      for (const p of [operator, abroad]) await p.locator('.r[data-id]').first().waitFor();
      await runs.goto(ht + '/peers');
      await runs.locator('li.node-row', { hasText: 'do.911' }).getByText('live').waitFor();
      await runs.getByRole('button', { name: 'Cut the link: Konbit Rejyon' }).click();
      await runs.locator('li.node-row', { hasText: 'int.aid' }).getByText('cut by hand').waitFor();
      await told(operator, 'Convite Dominicana', 'cut since').waitFor();
      const id = await report(operator, 'Seen from both sides', ['do.911']);
      await row(operator, id).click();
      await operator.locator('.held').getByText(/^queued/).waitFor();
      assert.equal(await row(abroad, id).count(), 0);
      await runs.getByRole('button', { name: 'Mend the link: Konbit Rejyon' }).click();
      await comes(abroad, id, { timeout: 60_000 });
      await operator.locator('.held').getByText(/^received/).waitFor();
      await runs.locator('li.node-row', { hasText: 'do.911' }).getByText('live').waitFor();
    });
  } finally {
    await trial.end();
  }
}

async function join(a, b, line) {
  await a.getByRole('tab', { name: 'Bring in a node' }).click();
  await a.getByRole('textbox', { name: 'Address of this node' }).fill(line.url);
  await a.getByRole('button', { name: 'Make the code' }).click();
  await a.locator('svg.qr path').waitFor();
  const code = (await a.locator('.code').innerText()).replace(/\s/g, '');
  const ours = await a.locator('.invitation .print').innerText();

  // A misheard letter is noticed, and where.
  await b.getByRole('tab', { name: 'Bring in a node' }).click();
  await b.getByText('Enter a code', { exact: true }).click();
  const field = b.getByRole('textbox', { name: 'Code' });
  const at = code.indexOf('-', 6) + 3;
  await field.fill(code.slice(0, at) + (code[at] === '7' ? '8' : '7') + code.slice(at + 1));
  await b.getByRole('button', { name: 'Ask to join' }).click();
  await b.getByText(/typing error in group 2/).waitFor();
  await field.fill(code.toLowerCase());
  await b.getByRole('button', { name: 'Ask to join' }).click();

  // Both sides see both fingerprints.
  await b.getByText('compares and approves').waitFor();
  const [theirs, mine] = await b.locator('.join .print.large').allInnerTexts();
  assert.equal(theirs, ours, 'the fingerprint that the joiner compares is not the inviter’s');

  // Whoever approves hears it first: a wrong group is said, the right ones let in.
  await a.getByRole('button', { name: 'Compare and approve' }).click();
  const approve = a.getByRole('button', { name: 'Approve', exact: true });
  const typed = a.getByRole('textbox', { name: 'Or type what you hear' });
  const digits = mine.replace(/\D/g, '');
  assert.ok(await approve.isDisabled(), 'approved before anything was compared');
  await typed.fill(digits.slice(0, 6) + String((Number(digits[6]) + 1) % 10));
  await a.getByText('Group 2 differs').waitFor();
  assert.ok(await approve.isDisabled(), 'approved although the fingerprints differ');
  await typed.fill(digits);
  await a.getByText('The same on both sides').waitFor();
  await approve.click();
  await b.getByText('The link with West Node stands').waitFor({ timeout: 60_000 });
  await told(a, 'East Node', 'live').waitFor({ timeout: 60_000 });
  await told(b, 'West Node', 'live').waitFor();
}

async function exchange(a, b, west, east) {
  await b.goto(east.url + '/board/incident');
  await a.goto(west.url + '/board/incident');
  await told(b, 'West Node', 'live').waitFor();
  // The first of them finds the map still being drawn; the second is timed.
  await comes(b, await report(a, 'Water in the yard', ['do.tst']));
  const began = Date.now();
  const id = await report(a, 'Water over the bridge', ['do.tst']);
  await comes(b, id);
  console.log(`      in the other node's browser after ${Date.now() - began} ms`);
  assert.ok(Date.now() - began < 5000, 'a release took longer than 5 s');
  const own = await report(a, 'Nobody else’s business', undefined);
  await comes(a, own);
  await row(a, id).click();
  await a.locator('.held').getByText(/^received/).waitFor();
  await row(b, id).click();
  await b.getByRole('heading', { name: 'Water over the bridge' }).waitFor();
  await a.locator('.held').getByText(/^opened/).waitFor();
  assert.equal(await row(b, own).count(), 0, 'what was not released went out');
}

async function apart(a, b, west, east, line) {
  await line.cut();
  await told(a, 'East Node', 'cut since \\d\\d:\\d\\d').waitFor();
  await told(b, 'West Node', 'cut since').waitFor();
  // Both go on.
  const fromWest = await report(a, 'While it was cut, west', ['do.tst']);
  const fromEast = await report(b, 'While it was cut, east', ['ht.tst']);
  await comes(a, fromWest);
  await comes(b, fromEast);
  await row(a, fromWest).click();
  await a.locator('.held').getByText(/^queued/).waitFor();
  await dot(a, 'East Node').click();
  await a.getByText('1 waiting').waitFor();
  await a.keyboard.press('Escape');
  assert.equal(await row(b, fromWest).count(), 0);
  assert.equal(await row(a, fromEast).count(), 0);

  // A stick goes the way that the cable does not.
  const stick = await a.evaluate(async (path) => Array.from(new Uint8Array(await (await fetch(path)).arrayBuffer())), `/api/v1/peers/${await short(a)}/bundle`);
  await b.goto(east.url + '/peers?tab=stick');
  const take = () => b.locator('input[type=file]').setInputFiles({ name: 'west.bundle', mimeType: 'application/octet-stream', buffer: Buffer.from(stick) });
  await take();
  await b.locator('.told-rows').getByText('taken in').waitFor();
  await take();
  await b.locator('.told-rows').getByText('already here').waitFor();
  await b.goto(east.url + '/board/incident');
  await comes(b, fromWest);

  await line.mend();
  await told(a, 'East Node', 'live').waitFor({ timeout: 90_000 });
  await comes(a, fromEast);
  await a.locator('.held').getByText(/^received/).waitFor();
  await told(b, 'West Node', 'live').waitFor();
}

const short = (page) => call(page, '/peers').then((v) => v.peers[0].short);

export async function recall(a, b) {
  const id = await report(a, 'To be taken back', ['do.tst']);
  await comes(b, id);
  await row(b, id).click();
  await b.getByRole('heading', { name: 'To be taken back' }).waitFor();
  await comes(a, id);
  await row(a, id).click();
  await a.getByRole('heading', { name: 'To be taken back' }).waitFor();
  await a.locator('.held').getByText(/^(received|opened)/).waitFor();
  await a.getByRole('button', { name: /^Release/ }).first().click();
  const release = a.getByRole('dialog');
  await release.locator('.mantine-TagsInput-pill button').first().click();
  await release.getByText('1 node holds it and will be asked to purge it.').waitFor();
  await release.getByRole('button', { name: 'Save' }).click();
  await b.getByText('This record is not here for you').waitFor();
  await row(b, id).waitFor({ state: 'detached' });
  await a.locator('.recalled').getByText('It has been purged there.').waitFor();
  await a.locator('.recalled .held').getByText(/^purged/).waitFor();
}

async function question(a, b, west, east) {
  await report(a, 'A car without lights', undefined, { identifiers: [{ type: 'plate', value: 'A-123 456' }] });
  await b.goto(east.url + '/ask');
  const ask = async (value) => {
    await b.getByRole('textbox', { name: 'Number or name' }).fill(value);
    await b.getByRole('textbox', { name: 'Why do you ask?' }).fill('check at the border, case 44');
    await b.getByRole('button', { name: 'Ask 1 node' }).click();
  };
  await ask('Z987654');
  await b.locator('.answers [data-state=no-hit]').waitFor({ timeout: 60_000 });
  await b.getByRole('button', { name: 'Ask something else' }).click();
  await ask('a123456');
  await b.locator('.answers [data-state=hit]').getByText('ht.tst').waitFor({ timeout: 60_000 });
  assert.ok(!(await b.locator('.page').innerText()).match(/a123456|987654/i), 'a value stands in the clear');

  // The hit becomes a request, which the other side sees.
  await b.getByRole('button', { name: 'Ask for it: West Node' }).click();
  const form = b.getByRole('dialog');
  await form.locator('textarea').first().fill('What do you hold about the car A123456?');
  for (const select of await form.locator('.mantine-Select-root:has(.mantine-InputWrapper-required) .mantine-Select-input').all()) {
    await select.click();
    await b.locator('[role=option]:visible').first().click();
  }
  for (const group of await form.locator('[role=group] .mantine-SegmentedControl-root').all()) await group.locator('label').first().click();
  await form.getByRole('button', { name: 'Ask for it' }).click();
  await b.waitForURL(/board/);
  await a.goto(west.url + '/');
  await a.locator('.rail a', { hasText: 'Requests' }).click();
  await a.getByText('What do you hold about the car').first().waitFor();
}
