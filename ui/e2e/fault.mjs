// A fault in a script must leave words on the screen, and a way on.
import { signIn, rows, wide } from './console.mjs';

const broken = (page, part) => page.route(`**/assets/${part}-*.js`, (r) => r.fulfill({ contentType: 'text/javascript', body: 'export default () => { throw new Error("broken for the check"); }' }));

export async function fault({ check, node }) {
  await check('a fault in a screen leaves the rest of the console standing', { ...wide, faulty: true }, async (page) => {
    await broken(page, 'settings');
    await broken(page, 'drawer');
    await signIn(page, node.url, { lang: 'fr' });
    await rows(page).first().click();
    await page.locator('.drawer').getByText('Cet écran ne marche pas maintenant').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('.drawer').waitFor({ state: 'detached' });
    await page.goto(node.url + '/settings');
    await page.getByText('Cet écran ne marche pas maintenant').waitFor();
    await page.locator('.rail a').first().click();
    await rows(page).first().waitFor();
    await page.goto(node.url + '/settings');
    await page.getByText('Cet écran ne marche pas maintenant').waitFor();
    await page.unroute('**/assets/settings-*.js');
    await page.getByRole('button', { name: 'Recharger' }).click();
    await page.locator('.page h1').waitFor();
  });

  await check('a console that does not start says so in four languages', wide, async (page) => {
    await page.route('**/assets/*.js', (r) => r.abort());
    await page.goto(node.url);
    for (const lang of ['ht', 'fr', 'es', 'en']) await page.locator(`.late [lang=${lang}]`).waitFor({ timeout: 20_000 });
  });
}
