// The first steps on a new node, and how people come and go.
import { strict as assert } from 'node:assert';
import { signIn, wide } from './console.mjs';
import { newNode } from './node.mjs';

// A needed field's label ends in a star.
const labelled = (label) => new RegExp(`^${label}( \\*)?$`);

const password = 'three dry words';

async function signInBy(page, url, name) {
  await page.goto(url);
  await page.getByRole('button', { name: 'English', exact: true }).click();
  await page.getByRole('textbox', { name: 'Account' }).fill(name);
  await page.locator('input[type=password]').fill(password);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
}

export async function people({ check, node: demo, binary }) {
  const node = await newNode(binary, ['serve']);
  const secret = () => page0.getByRole('dialog').locator('code').innerText();
  let page0;
  try {
    await check('a new node is set up with the printed link; people come by link, use passkeys and tokens, and are disabled', wide, async (page, other) => {
      page0 = page;
      await node.start();
      await page.goto(/http:\S+first-run#\S+/.exec(node.said())[0]);
      await page.getByRole('button', { name: 'English', exact: true }).click();
      for (const [label, text] of Object.entries({ 'Name of the agency': 'Fictional Agency', 'Short name': 'ht.tst', 'Your name': 'First Person', 'Account name': 'first', Password: password, 'Password again': password }))
        await page.getByLabel(labelled(label)).fill(text);
      await page.getByRole('button', { name: 'Start', exact: true }).click();
      await page.locator('.rail a').first().waitFor();

      // A person comes by a one-time link.
      await page.goto(node.url + '/people');
      await page.getByRole('button', { name: 'Add a person' }).click();
      await page.getByRole('textbox', { name: labelled('Name') }).fill('Second Person');
      await page.getByRole('textbox', { name: 'Account name' }).fill('second');
      await page.getByRole('button', { name: 'Save' }).click();
      await page.getByRole('heading', { name: 'One-time link' }).waitFor();
      const link = await secret();
      await page.getByRole('button', { name: 'Done' }).click();
      const second = await other();
      await second.goto(link);
      await second.getByRole('button', { name: 'English', exact: true }).click();
      await second.getByLabel(labelled('Password')).fill(password);
      await second.getByLabel(labelled('Password again')).fill(password);
      await second.getByRole('button', { name: 'Save' }).click();
      await second.getByRole('heading', { name: 'Sign in' }).waitFor();
      await signInBy(second, node.url, 'ht.tst/second');
      await second.locator('.rail a').first().waitFor();

      // The link works once.
      const late = await other();
      await late.goto(link);
      await late.getByRole('button', { name: 'English', exact: true }).click();
      await late.getByLabel(labelled('Password')).fill(password);
      await late.getByLabel(labelled('Password again')).fill(password);
      await late.getByRole('button', { name: 'Save' }).click();
      await late.getByText('This link was used or is too old').waitFor();

      // A token is shown once, and works.
      await page.goto(node.url + '/settings');
      await page.getByRole('button', { name: 'New token' }).click();
      await page.getByRole('textbox', { name: 'What it is for' }).fill('check');
      await page.getByRole('button', { name: 'Make it' }).click();
      await page.getByText('Copy it now').waitFor();
      const token = await secret();
      const got = await fetch(node.url + '/api/v1/agencies', { headers: { Authorization: `Bearer ${token}` } });
      assert.equal(got.status, 200);
      await page.getByRole('button', { name: 'Done' }).click();
      await page.reload();
      await page.getByRole('cell', { name: 'check', exact: true }).waitFor();
      assert.ok(!(await page.content()).includes(token), 'the token is shown again');

      // A passkey is added, and signs in.
      const cdp = await page.context().newCDPSession(page);
      await cdp.send('WebAuthn.enable');
      await cdp.send('WebAuthn.addVirtualAuthenticator', {
        options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
      });
      const card = page.locator('section.card', { has: page.getByRole('heading', { name: 'Passkeys' }) });
      await card.getByRole('button', { name: 'Add this device' }).click();
      await card.getByRole('button', { name: 'Remove' }).waitFor();
      await page.getByRole('button', { name: 'Sign out' }).last().click();
      await page.getByRole('button', { name: 'Use a passkey' }).click();
      await page.locator('.rail a').first().waitFor();

      // Whoever is disabled is out at once, and does not come in again.
      await page.goto(node.url + '/people');
      await page.getByRole('row', { name: /Second Person/ }).getByRole('button', { name: 'Change' }).click();
      await page.getByRole('button', { name: 'Disable' }).click();
      await page.getByRole('row', { name: /Second Person/ }).getByText('disabled').waitFor();
      await second.reload();
      await second.getByRole('heading', { name: 'Sign in' }).waitFor();
      await signInBy(second, node.url, 'ht.tst/second');
      await second.getByText('Account or password is not right').waitFor();
    });
  } finally {
    await node.end();
  }

  await check('language, theme and hat stay over a reload', wide, async (page) => {
    await signIn(page, demo.url, { role: 'auditor' });
    await page.getByRole('button', { name: 'Auditeur 1' }).click();
    await page.getByRole('menuitem', { name: 'Dark' }).click();
    await page.locator('.top-hat').click();
    await page.getByRole('menuitem', { name: /Gad Kòt/ }).click();
    await page.locator('.top-hat').getByText('Gad Kòt').waitFor();
    await page.getByRole('button', { name: 'Language: English' }).click();
    await page.getByRole('menuitem', { name: 'Español' }).click();
    await page.getByRole('button', { name: 'Idioma: Español' }).waitFor();
    await page.waitForLoadState('networkidle');
    await page.reload();
    await page.getByRole('button', { name: 'Idioma: Español' }).waitFor();
    await page.locator('.top-hat').getByText('Gad Kòt').waitFor();
    assert.equal(await page.locator('html').getAttribute('data-mantine-color-scheme'), 'dark');
    assert.equal(await page.locator('html').getAttribute('lang'), 'es');
  });
}
