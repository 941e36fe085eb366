// What is done with records beside the usual course: files, an import, a
// protected record, what was reported twice, an end of a release.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { deflateSync, crc32 } from 'node:zlib';
import { call, fill, rows, save, signIn, wide } from './console.mjs';

function png(side) {
  const part = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length);
    body.copy(out, 4);
    out.writeUInt32BE(crc32(body), body.length + 4);
    return out;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(side, 0);
  head.writeUInt32BE(side, 4);
  head.set([8, 2], 8); // 8 bits, RGB
  const line = Buffer.concat([Buffer.from([0]), Buffer.alloc(side * 3, 90)]);
  const pixels = deflateSync(Buffer.concat(Array.from({ length: side }, () => line)));
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), part('IHDR', head), part('IDAT', pixels), part('IEND', Buffer.alloc(0))]);
}

function wav(samples) {
  const b = Buffer.alloc(44 + samples, 128);
  b.write('RIFF');
  b.writeUInt32LE(36 + samples, 4);
  b.write('WAVEfmt ', 8);
  b.writeUInt32LE(16, 16);
  b.writeUInt16LE(1, 20); // PCM
  b.writeUInt16LE(1, 22); // one channel
  b.writeUInt32LE(8000, 24);
  b.writeUInt32LE(8000, 28);
  b.writeUInt16LE(1, 32);
  b.writeUInt16LE(8, 34);
  b.write('data', 36);
  b.writeUInt32LE(samples, 40);
  return b;
}

function pdf() {
  const objects = ['<</Type/Catalog/Pages 2 0 R>>', '<</Type/Pages/Kids[3 0 R]/Count 1>>', '<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>'];
  let text = '%PDF-1.4\n';
  const at = objects.map((o, i) => {
    const here = text.length;
    text += `${i + 1} 0 obj\n${o}\nendobj\n`;
    return here;
  });
  const table = at.map((n) => `${String(n).padStart(10, '0')} 00000 n \n`).join('');
  return Buffer.from(`${text}xref\n0 4\n0000000000 65535 f \n${table}trailer\n<</Size 4/Root 1 0 R>>\nstartxref\n${text.length}\n%%EOF\n`);
}

const observed = () => new Date().toISOString().replace(/\.\d+Z/, 'Z');
let made = 0;

// report makes an incident of the caller's agency, and gives its identifier.
async function report(page, body, marking = { tlp: 'AMBER' }) {
  const at = Date.now().toString(16).padStart(12, '0');
  const id = `${at.slice(0, 8)}-${at.slice(8)}-7000-8000-${String(++made).padStart(12, '0')}`;
  const place = { geometry: { type: 'Point', coordinates: [-72.33, 18.54] }, uncertainty: 100, words: 'Fictional corner' };
  await call(page, '/records/incident', 'POST', { id, marking, observed: observed(), place, body: { severity: 'moderate', ...body } });
  return id;
}

export async function record({ check, node }) {
  await check('a photo, a sound and a PDF go up and are shown; another sort is refused in words', wide, async (page) => {
    await signIn(page, node.url);
    await rows(page).first().waitFor();
    await page.keyboard.press('n');
    await fill(page, 'With files');
    await page.locator('input[type=file]').setInputFiles([
      { name: 'photo.png', mimeType: 'image/png', buffer: png(400) },
      { name: 'call.wav', mimeType: 'audio/wav', buffer: wav(4000) },
      { name: 'paper.pdf', mimeType: 'application/pdf', buffer: pdf() },
      { name: 'tool.exe', mimeType: 'application/octet-stream', buffer: Buffer.from('MZ\x90\x00 not for here') },
    ]);
    await page.locator('.file-line', { hasText: 'tool.exe' }).getByText('This file is not taken').waitFor();
    for (const name of ['photo.', 'call.wav', 'paper.pdf']) await page.locator('.file-line:not(:has(progress))', { hasText: name }).waitFor();
    await page.locator('.file-line', { hasText: 'tool.exe' }).getByRole('button', { name: 'Remove' }).click();
    await save(page);
    await page.locator('.drawer .files img').waitFor();
    await page.waitForFunction(() => document.querySelector('.drawer .files img').naturalWidth > 0);
    assert.ok(await page.locator('.drawer audio').evaluate((a) => new Promise((done) => {
      a.onloadedmetadata = () => done(a.duration > 0.4);
      a.onerror = () => done(false);
      a.load();
      a.preload = 'auto';
    })), 'the sound does not play');
    const link = page.locator('.drawer .files a.doc');
    assert.equal((await page.request.get(new URL(await link.getAttribute('href'), node.url).href)).headers()['content-type'], 'application/pdf');
  });

  await check('identifiers are entered as rows, shown as a table, and found', wide, async (page) => {
    await signIn(page, node.url);
    await rows(page).first().waitFor();
    await page.keyboard.press('n');
    await fill(page, 'With identifiers');
    const list = page.getByRole('group', { name: 'Plates, passports, firearms, telephones, vessels' });
    for (const [n, [type, value]] of [['Plate', 'ZZ-00 417'], ['Telephone', '+509 5555 0417']].entries()) {
      await list.getByRole('button', { name: 'Add a row' }).click();
      const select = list.locator('.mantine-Select-input').nth(n);
      await select.click();
      await page.locator('[role=option]:visible', { hasText: type }).click();
      await list.getByLabel('Number').nth(n).fill(value);
    }
    await save(page);
    const table = page.locator('.drawer .rows-in table');
    await table.getByText('ZZ-00 417').waitFor();
    assert.deepEqual(await table.locator('tbody tr td:first-child').allInnerTexts(), ['Plate', 'Telephone']);
    const found = await call(page, '/records/incident?q=zz00417');
    assert.deepEqual(found.items.map((i) => i.body.title), ['With identifiers']);
  });

  await check('an import says what was taken and gives the refused rows back', wide, async (page) => {
    await signIn(page, node.url, { role: 'supervisor' });
    await page.goto(node.url + '/import');
    const line = (title, severity) => `${title},flood,${severity},${observed()},18.55,-72.31`;
    const csv = ['title,category,severity,observed,latitude,longitude', line('Row one', 'minor'), line('Row two', 'severe'), line('Row three', 'dreadful'), line('Row four', 'minor'), line('Row five', 'moderate')].join('\n');
    await page.locator('input[type=file]').setInputFiles({ name: 'five.csv', mimeType: 'text/csv', buffer: Buffer.from(csv) });
    await page.locator('tr.refused').getByText('Severity: Not one of the choices').waitFor();
    assert.equal(await page.locator('tbody tr').count(), 5);
    await page.getByRole('button', { name: 'Start the import' }).click();
    await page.getByText('Import done').waitFor();
    assert.deepEqual(await page.locator('.counts b').allInnerTexts(), ['4', '0', '0', '1']);
    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Download the refused rows' }).click();
    const refused = readFileSync(await (await download).path(), 'utf8');
    assert.match(refused, /Row three,flood,dreadful/);
    assert.doesNotMatch(refused, /Row two/);
    await page.getByRole('button', { name: 'Another file' }).click();
    await page.getByRole('button', { name: 'Choose a file' }).waitFor();
  });

  await check('a protected record asks why, and the reason is in the ledger', wide, async (page, other) => {
    await signIn(page, node.url);
    const title = `Protected ${Date.now()}`;
    const id = await report(page, { title, category: 'trafficking' });
    await page.goto(`${node.url}/board/incident/${id}`);
    const why = page.getByRole('textbox', { name: 'Purpose' });
    await why.fill('call 1143: the mother asks');
    await page.locator('.drawer').getByRole('button', { name: 'Open', exact: true }).click();
    await page.getByRole('heading', { name: title }).waitFor();
    await page.reload();
    await why.waitFor();
    const supervisor = await other();
    await signIn(supervisor, node.url, { role: 'supervisor' });
    await supervisor.goto(`${node.url}/audit?tab=looks&kind=incident&record=${id}`);
    await supervisor.getByRole('textbox', { name: 'Purpose' }).fill('review of the shift');
    await supervisor.getByRole('button', { name: 'Open', exact: true }).click();
    await supervisor.getByRole('cell', { name: 'call 1143: the mother asks' }).first().waitFor();
  });

  await check('what was reported twice is merged, and the merge undone', wide, async (page) => {
    await signIn(page, node.url);
    const first = await report(page, { title: 'Wall fell on the road by the mill', category: 'landslide' });
    const again = await report(page, { title: 'Wall fell on the road by the mill again', category: 'landslide' });
    await page.goto(`${node.url}/board/incident/${again}`);
    const twin = page.locator('.sec .item', { has: page.locator(`a[href*="${first}"]`) });
    await twin.getByRole('button', { name: /^Merge/ }).click();
    const dialog = page.getByRole('dialog');
    await page.waitForFunction(() => document.querySelector('[role=dialog] input')?.value.startsWith('Wall fell on the road by the mill ·'));
    await dialog.getByRole('button', { name: /^Merge/ }).click();
    await page.locator('.drawer-head .state').getByText('Merged').waitFor();
    await page.locator('.acts').getByRole('button').first().click();
    await page.locator('.steps .here').getByText('Reported').waitFor();
  });

  await check('a release ends by itself at its time', wide, async (page, other) => {
    await signIn(page, node.url);
    const abroad = await other();
    await signIn(abroad, node.url, { person: 'Operador 1' });
    const title = `For a moment ${Date.now()}`;
    const expires = new Date(Date.now() + 6000).toISOString();
    const id = await report(page, { title, category: 'flood' }, { tlp: 'AMBER', to: ['do.911'], expires });
    await abroad.goto(`${node.url}/board/incident/${id}`);
    await abroad.getByRole('heading', { name: title }).waitFor();
    await abroad.getByText('This record is not here for you').waitFor();
    await abroad.locator(`.r[data-id="${id}"]`).waitFor({ state: 'detached' });
    await page.goto(`${node.url}/board/incident/${id}`);
    await page.getByRole('heading', { name: title }).waitFor();
  });
}
