// The walk that must work: sign-in, report, live arrival in a second browser,
// change of state, history, release to another agency, that agency's view, and
// the auditor's proof, checked offline by the binary.
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signIn, wide } from './console.mjs';

export async function walk({ check, node, binary }) {
  const title = `Bridge blocked by a truck ${Date.now()}`;
  const row = (page) => page.getByRole('option', { name: title });
  const folder = mkdtempSync(join(tmpdir(), 'konbit-walk-'));

  await check('a report walks from the operator to the auditor’s proof', wide, async (operator, other) => {
    const room = async (person) => {
      const page = await other();
      await signIn(page, node.url, { person });
      return page;
    };
    await signIn(operator, node.url, { person: 'Operatè 1' });
    const supervisor = await room('Sipèvizè 1');
    const abroad = await room('Operador 1');
    await abroad.getByRole('heading', { name: 'Incidents' }).waitFor();

    // A report, with the place typed as numbers.
    await operator.keyboard.press('n');
    await operator.getByRole('textbox', { name: 'Title' }).fill(title);
    await operator.getByRole('combobox', { name: 'Category' }).click();
    await operator.getByRole('option', { name: /road/i }).first().click();
    await operator.getByText('Severe', { exact: true }).first().click();
    await operator.getByRole('textbox', { name: 'What happened' }).fill('Both lanes closed; an ambulance waits on the other side.');
    await operator.getByRole('textbox', { name: 'Latitude, longitude' }).fill('18.512, -72.635');
    await operator.getByRole('textbox', { name: 'Place in words' }).fill('Léogâne, by the market');
    await operator.getByRole('button', { name: /^Save/ }).click();
    await operator.getByRole('heading', { name: title }).waitFor();
    const id = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]+/.exec(operator.url())?.[0];
    assert.ok(id, `no identifier in ${operator.url()}`);

    // It arrives in the supervisor's browser by itself, and not in the other agency's.
    await row(supervisor).waitFor();
    assert.equal(await abroad.getByText(title).count(), 0, 'another agency sees what was not released to it');

    // The supervisor verifies it; the operator's open drawer follows.
    await row(supervisor).click();
    await supervisor.getByRole('button', { name: 'Verify', exact: true }).click();
    await operator.locator('.tl').getByText('Verified').waitFor();

    // Released to the neighbours' 9-1-1, asked once in words.
    await supervisor.getByRole('button', { name: /^Release/ }).first().click();
    const release = supervisor.getByRole('dialog');
    await release.getByRole('combobox', { name: 'Released to' }).click();
    await supervisor.getByRole('option', { name: 'Centro 9-1-1 Demo do.911' }).click();
    await supervisor.keyboard.press('Tab');
    await release.getByText(/It can be recalled, but not unread/).waitFor();
    await release.getByRole('button', { name: /^Release/ }).click();

    // The other agency sees it at once, opens it, and cannot change it.
    await row(abroad).click();
    await abroad.getByRole('heading', { name: title }).waitFor();
    await abroad.getByText(/belongs to ht\.cc/i).waitFor();
    assert.equal(await abroad.locator('.acts button').count(), 0, 'another agency may change it');

    // The auditor asks who saw it, and takes the proof.
    const auditor = await room('Auditeur 1');
    await auditor.getByRole('button', { name: /Biwo Pwoteksyon Sitwayen/ }).click();
    await auditor.getByRole('menuitem', { name: /Sant Kòmand/ }).click();
    await auditor.getByRole('button', { name: /Sant Kòmand Pòtoprens/ }).waitFor();
    await auditor.getByRole('tab', { name: 'Who saw it' }).click();
    await auditor.getByRole('textbox', { name: 'Record' }).fill(id);
    await auditor.keyboard.press('Enter');
    await auditor.getByRole('cell', { name: 'do.911/operador-1' }).first().waitFor();
    await auditor.getByRole('tab', { name: 'Ledger' }).click();
    await auditor.getByRole('textbox', { name: 'Record' }).fill(id);
    await auditor.getByRole('button', { name: 'Search', exact: true }).last().click();
    await auditor.locator('.entry').first().getByText(id).waitFor();
    await auditor.getByRole('button', { name: 'Proof', exact: true }).first().click();
    const download = auditor.waitForEvent('download');
    await auditor.getByRole('link', { name: 'Download the proof' }).click();
    const file = join(folder, 'proof.json');
    await (await download).saveAs(file);
    const key = await auditor.evaluate(() => fetch('/api/v1/audit/key').then((r) => r.text()));
    const said = execFileSync(binary, ['proof', 'check', file, '--key', key.trim()], { encoding: 'utf8' });
    assert.match(said, /^entry \d+, .*: header, content; under /);
    assert.doesNotMatch(said, /vouches for itself/);

    // Recalled, it is gone from the other agency's screen at once.
    await supervisor.getByRole('button', { name: /^Release/ }).first().click();
    await release.locator('.mantine-TagsInput-pill button').first().click();
    await release.getByText('They see it no more, at once.').waitFor();
    await release.getByRole('button', { name: 'Save' }).click();
    await abroad.getByText('This record is not here for you').waitFor();
    assert.equal(await row(abroad).count(), 0);
  });
  rmSync(folder, { recursive: true });
}
