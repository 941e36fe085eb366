// One node as two processes on one PostgreSQL, behind one address that serves each
// request by the next: what an administrator sees of them, and that who works there
// does not notice when one is killed.
import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { faults } from './axe.mjs';
import { call, fill, phone, rows, save, signIn, wide } from './console.mjs';

const script = fileURLToPath(new URL('../../scripts/postgres', import.meta.url));
const words = {
  ht: ['Kreyòl', '2 pwosesis', 'de sèvis'],
  fr: ['Français', '2 processus', 'de service'],
  es: ['Español', '2 procesos', 'de guardia'],
  en: ['English', '2 processes', 'on duty'],
};

// start runs PostgreSQL and two processes in a folder that is thrown away.
export async function start(binary) {
  const folder = mkdtempSync(join(tmpdir(), 'konbit-e2e-'));
  chmodSync(folder, 0o711); // root runs PostgreSQL as another user
  const child = spawn(script, [join(folder, 'postgres'), binary, 'demo', '--processes', '2', '--quiet', '--records', '60', '--data', join(folder, 'demo'), '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const gone = new Promise((done) => child.once('exit', done));
  let said = '';
  let url = '';
  const end = async () => {
    child.kill('SIGTERM');
    await gone;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await new Promise((done, fail) => {
      const late = setTimeout(() => fail(new Error(`the processes did not start:\n${said}`)), 60_000);
      child.once('exit', () => fail(new Error(`the processes have ended:\n${said}`)));
      for (const s of [child.stdout, child.stderr])
        s.on('data', (d) => {
          said += d;
          url ||= /listens on (http:\S+)/.exec(said)?.[1];
          if (!url) return;
          clearTimeout(late);
          done();
        });
    });
  } catch (e) {
    await end();
    throw e;
  }
  return { url, end, pid: (address) => Number(new RegExp(`pid (\\d+), http://${address}\\n`).exec(said)[1]) };
}

const line = (page) => page.locator('.status button', { hasText: /^2 / });
const told = (page) => page.locator('.processes');
const processes = async (page) => (await call(page, '/status')).processes;

// here waits for a report at the top of the list.
async function here(page, title) {
  const it = rows(page).filter({ hasText: title });
  const waiting = page.locator('.pill-new');
  await it.or(waiting).first().waitFor();
  if (!(await it.isVisible())) await waiting.click();
  await it.waitFor();
}

async function report(page, title) {
  await page.keyboard.press('n');
  await fill(page, title);
  await save(page);
  await page.locator('.drawer h2', { hasText: title }).waitFor();
  await page.keyboard.press('Escape');
}

export async function cluster({ check, binary }) {
  const node = await start(binary);
  try {
    await check('an administrator sees the processes of his node, in four languages, light and dark', { ...wide, reducedMotion: 'reduce' }, async (page) => {
      await signIn(page, node.url, { role: 'administrator', lang: 'en' });
      await page.goto(node.url + '/settings'); // no map, which takes its time
      let now = 'English';
      for (const [lang, [name, count, duty]] of Object.entries(words)) {
        await page.locator(`.top-btn[aria-label$="${now}"]`).click();
        await page.locator(`[role=menuitem][lang=${lang}]`).click();
        await page.locator(`.top-btn[aria-label$="${name}"]`).waitFor();
        now = name;
        await line(page).click();
        await told(page).waitFor();
        assert.equal(await line(page).innerText(), count);
        assert.equal((await told(page).innerText()).split(duty).length, 2, `one is ${duty}`);
        for (const colorScheme of ['light', 'dark']) {
          await page.emulateMedia({ colorScheme });
          assert.deepEqual(await faults(page, `${lang}, ${colorScheme}`), []);
        }
        await page.keyboard.press('Escape');
        await told(page).waitFor({ state: 'detached' });
      }
      await page.setViewportSize(phone.viewport); // on which there is no status bar
      await page.locator('.page button', { hasText: words.en[1] }).click();
      await told(page).waitFor();
      assert.deepEqual(await faults(page, 'phone'), []);
    });

    await check('the process on duty is killed, and nobody who works there notices', wide, async (admin, other) => {
      const [a, b] = [await other(), await other()];
      await signIn(admin, node.url, { role: 'administrator' });
      for (const p of [a, b]) {
        await signIn(p, node.url, { person: 'Operatè 1' });
        await rows(p).first().waitFor();
      }
      await report(a, 'Before the kill');
      await here(b, 'Before the kill');
      const all = await processes(admin);
      assert.deepEqual(all.map((p) => !!p.duty), [true, false]);
      process.kill(node.pid(all[0].address), 'SIGKILL');
      await report(a, 'After the kill');
      await here(b, 'After the kill');
      for (const end = Date.now() + 5000; ; ) {
        const now = (await processes(admin)).find((p) => p.duty);
        if (now && now.id !== all[0].id) break;
        assert.ok(Date.now() < end, 'nobody else is on duty within 5 s');
      }
    });
  } finally {
    await node.end();
  }
}
