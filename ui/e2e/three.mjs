// Three processes on one machine: a node in Haiti and one in the Dominican Republic,
// which reach each other over a hub alone, each link a cable of its own.
import { strict as assert } from 'node:assert';
import { cable } from './cable.mjs';
import { call, wide } from './console.mjs';
import { newNode } from './node.mjs';
import { found, recall, report, comes, row, told } from './peers.mjs';

export async function three({ check, binary }) {
  const hub = await newNode(binary, ['serve', '--name', 'Hub Node']);
  const west = await newNode(binary, ['serve', '--name', 'West Node']);
  const east = await newNode(binary, ['serve', '--name', 'East Node']);
  try {
    await check('three processes: released in Haiti, seen in Santo Domingo; cut, mended, taken back', wide, async (h, other) => {
      await Promise.all([hub.start(), west.start(), east.start()]);
      const [a, b] = [await other(), await other()];
      await found(h, hub, 'int.tst', 'Regional Agency');
      await found(a, west, 'ht.tst', 'Western Agency');
      await found(b, east, 'do.tst', 'Eastern Agency');
      await call(h, '/peers/region', 'POST', { name: 'hispaniola' });
      const toWest = await cable(hub.url);
      const toEast = await cable(hub.url);
      await enters(h, a, toWest);
      await enters(h, b, toEast);

      await b.goto(east.url + '/board/incident');
      await a.goto(west.url + '/board/incident');
      await told(a, 'East Node', 'live').waitFor({ timeout: 60_000 });
      await told(b, 'West Node', 'live').waitFor({ timeout: 60_000 });
      await comes(b, await report(a, 'Through the hub', ['do.tst']));
      // The hub's agency is in no audience: it carries what it does not get.
      assert.equal((await call(h, '/records/incident')).items.length, 0, 'the hub holds what it only carries');

      // One link is cut: both go on, the hub keeps what it gets for the one that is away.
      await toEast.cut();
      await told(b, 'West Node', 'cut since').waitFor({ timeout: 60_000 });
      const fromWest = await report(a, 'While it was cut, west', ['do.tst']);
      const fromEast = await report(b, 'While it was cut, east', ['ht.tst']);
      await row(a, fromWest).waitFor();
      await row(b, fromEast).waitFor();
      assert.equal((await row(a, fromEast).count()) + (await row(b, fromWest).count()), 0);
      await toEast.mend();
      await comes(a, fromEast, { timeout: 60_000 });
      await comes(b, fromWest, { timeout: 60_000 });

      // A process that dies misses nothing either.
      await east.kill();
      const missed = await report(a, 'While it was down', ['do.tst']);
      await east.start();
      await comes(b, missed, { timeout: 60_000 });
      await recall(a, b);
      assert.equal((await call(h, '/records/incident')).items.length, 0);
    });
  } finally {
    for (const n of [hub, west, east]) await n.end();
  }
}

// enters brings a node into the region of the hub, as two administrators would.
async function enters(h, page, line) {
  const { code } = await call(h, '/peers/invitations', 'POST', { region: true, url: line.url });
  await call(page, '/peers/join', 'POST', { code });
  const { self } = await call(page, '/peers');
  await call(h, `/peers/${self.short}/approve`, 'POST', { fingerprint: self.fingerprint });
}
