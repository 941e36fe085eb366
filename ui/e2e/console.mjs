// What a person does in the console, in the words of the checks.

export const wide = { viewport: { width: 1440, height: 900 } };
export const phone = { viewport: { width: 390, height: 844 }, hasTouch: true };

// signIn presses the demo's card of a person, or the first of a role.
export async function signIn(page, url, { role = 'operator', person = '', lang = 'en' } = {}) {
  await page.goto(url + '/');
  await page.locator(`.lang-pick [lang=${lang}]`).click();
  const cards = await page.evaluate(() => fetch('/api/v1/session').then((r) => r.json()).then((s) => s.demoCards));
  await page.locator('.demo-card').nth(cards.findIndex((c) => (person ? c.person === person : c.role === role))).click();
  await page.locator('.rail a').first().waitFor();
}

export const rows = (page) => page.locator('.r[data-id]');

// fill gives every required field of an open form some value, so that it fits
// any kind.
export async function fill(page, title) {
  await page.locator('.form-head').waitFor();
  await page.locator('.form input').first().fill(title);
  for (const select of await page.locator('.form .mantine-Select-root:has(.mantine-InputWrapper-required) .mantine-Select-input').all()) {
    await select.click();
    await page.locator('[role=option]:visible').nth(1).click();
  }
  for (const group of await page.locator('.form [role=group] .mantine-SegmentedControl-root').all()) await group.locator('label').nth(1).click();
}

export const save = (page) => page.keyboard.press('Control+Enter');

export async function named(page, title) {
  return page.evaluate(async (q) => {
    const kind = location.pathname.split('/')[2];
    const a = await fetch(`/api/v1/records/${kind}?q=${encodeURIComponent(q)}`);
    return (await a.json()).items.length;
  }, title);
}

// call asks the node's interface in the page's own session.
export const call = (page, path, method = 'GET', body = undefined) =>
  page.evaluate(
    async ([path, method, body]) => {
      const { csrf } = await fetch('/api/v1/session').then((r) => r.json());
      const a = await fetch('/api/v1' + path, { method, headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': csrf ?? '' }, body: body && JSON.stringify(body) });
      const text = await a.text();
      if (!a.ok) throw new Error(`${method} ${path}: ${a.status} ${text}`);
      return text && JSON.parse(text);
    },
    [path, method, body],
  );
