// The walk that must work: sign-in, report, live arrival in a second browser,
// change of status, history, release to another agency, that agency's view, and
// the auditor's proof. It drives a real browser against a demo node.
//
//   node walk.mjs URL KONBIT OUT
//
// KONBIT is the binary that checks the proof offline, OUT a folder for screenshots
// and the proof. It ends with an error at the first thing that is not as it must be.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const [url, konbit, out] = process.argv.slice(2);
mkdirSync(out, { recursive: true });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run', '--enable-unsafe-swiftshader', '--use-gl=angle', '--use-angle=swiftshader'],
});
const faults = [];

// room opens a browser of its own and signs in with a demo card.
async function room(person, size = { width: 1600, height: 960 }) {
  const context = await browser.newContext({ viewport: size, acceptDownloads: true, permissions: ['clipboard-read', 'clipboard-write'] });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on('pageerror', (e) => faults.push(`${person}: ${e.message}`));
  await page.goto(url);
  await page.getByRole('button', { name: 'English', exact: true }).click();
  await page.getByText(person, { exact: true }).first().click();
  await page.getByRole('navigation', { name: 'Desks' }).waitFor();
  return page;
}

let step = 0;
async function shot(page, name) {
  await page.screenshot({ path: join(out, `${String(++step).padStart(2, '0')}-${name}.png`) });
}

function must(ok, what) {
  if (!ok) throw new Error(what);
}

const title = `Bridge blocked by a truck ${Date.now()}`;
const operator = await room('Operatè 1');
const supervisor = await room('Sipèvizè 1');
const other = await room('Operador 1');
await supervisor.getByRole('heading', { name: 'Incidents' }).waitFor();
await other.getByRole('heading', { name: 'Incidents' }).waitFor();
await shot(operator, 'board');

// A report, with the place typed as numbers.
await operator.keyboard.press('n');
await operator.getByRole('textbox', { name: 'Title' }).fill(title);
await operator.getByRole('combobox', { name: 'Category' }).click();
await operator.getByRole('option', { name: /road/i }).first().click();
await operator.getByText('Severe', { exact: true }).first().click();
await operator.getByRole('textbox', { name: 'What happened' }).fill('Both lanes closed; an ambulance waits on the other side.');
await operator.getByRole('textbox', { name: 'Latitude, longitude' }).fill('18.512, -72.635');
await operator.getByRole('textbox', { name: 'Place in words' }).fill('Léogâne, by the market');
await shot(operator, 'form');
await operator.getByRole('button', { name: /^Save/ }).click();
await operator.getByRole('heading', { name: title }).waitFor();
const address = new URL(operator.url());
const id = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]+/.exec(operator.url())?.[0];
must(id, `the record's address is ${address}`);
await shot(operator, 'reported');

// It arrives in the supervisor's browser by itself, and not in the other agency's.
const row = (page) => page.getByRole('option', { name: title });
await row(supervisor).waitFor();
await shot(supervisor, 'arrived');
must((await other.getByText(title).count()) === 0, 'another agency sees what was not released to it');

// The supervisor verifies it; the operator's open drawer follows.
await row(supervisor).click();
await supervisor.getByRole('button', { name: 'Verify', exact: true }).click();
await operator.getByText(/verified it/i).first().waitFor();
await shot(operator, 'verified');
await shot(supervisor, 'timeline');

// Released to the neighbours' 9-1-1, asked once in words.
await supervisor.getByRole('button', { name: /^Release/ }).first().click();
const release = supervisor.getByRole('dialog');
await release.getByRole('combobox', { name: 'Released to' }).click();
await supervisor.getByRole('option', { name: 'Centro 9-1-1 Demo do.911' }).click();
await supervisor.keyboard.press('Tab');
await release.getByText(/It can be recalled, but not unread/).waitFor();
await shot(supervisor, 'release');
await release.getByRole('button', { name: /^Release/ }).click();

// The other agency sees it at once, opens it, and cannot change it.
await row(other).waitFor();
await row(other).click();
await other.getByRole('heading', { name: title }).waitFor();
await other.getByText(/only they change it|belongs to ht\.cc/i).first().waitFor();
await shot(other, 'other-agency');

// The auditor asks who saw it, and takes the proof.
const auditor = await room('Auditeur 1');
await auditor.getByRole('button', { name: /Biwo Pwoteksyon Sitwayen/ }).first().click();
await auditor.getByRole('menuitem', { name: /Sant Kòmand/ }).first().click();
await auditor.getByRole('button', { name: 'Acting for: Sant Kòmand Pòtoprens' }).waitFor();
await auditor.getByRole('tab', { name: 'Who saw it' }).click();
await auditor.getByRole('textbox', { name: 'Record' }).fill(id);
await auditor.keyboard.press('Enter');
await auditor.getByText('do.911/operador-1').first().waitFor();
await shot(auditor, 'who-saw-it');
await auditor.getByRole('tab', { name: 'Ledger' }).click();
await auditor.getByRole('textbox', { name: 'Record' }).fill(id);
await auditor.keyboard.press('Enter');
await auditor.getByText(id).first().waitFor();
const downloads = auditor.waitForEvent('download');
await auditor.getByRole('button', { name: 'Proof', exact: true }).first().click();
const file = join(out, 'proof.json');
await (await downloads).saveAs(file);
await shot(auditor, 'proof');
const key = await auditor.evaluate(() => fetch('/api/v1/audit/key').then((r) => r.text()));
const said = execFileSync(konbit, ['proof', 'check', file, '--key', key.trim()], { encoding: 'utf8' });
must(/prove/i.test(said) && !/vouches for itself/.test(said), `the proof does not hold: ${said}`);

await browser.close();
must(faults.length === 0, faults.join('\n'));
console.log(`walked; ${said.split('\n')[0]}`);
