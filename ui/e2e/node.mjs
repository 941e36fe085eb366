// Runs a node for the browser checks, in a folder that is thrown away.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// isFree reports whether nobody listens there.
const isFree = (port) =>
  new Promise((done) => {
    const s = createServer();
    s.once('error', () => done(false));
    s.listen(port, '127.0.0.1', () => s.close(() => done(true)));
  });

// freePort finds a port of which the next two are free as well: a demo of three nodes
// takes them, or the pages for residents the first of them. They are below those that outgoing connections use, one of which could take
// a port while its node is dead.
async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if ((await isFree(port)) && (await isFree(port + 1)) && (await isFree(port + 2))) return port;
  }
}

// newNode prepares `konbit ARGS`; its port stays the same when it is killed and
// started again. The address says localhost, which browsers trust with passkeys. $NEXT in
// an argument is the next port.
export async function newNode(binary, args) {
  const data = mkdtempSync(join(tmpdir(), 'konbit-e2e-'));
  const port = await freePort();
  const url = `http://localhost:${port}`;
  let child;
  let said = '';

  const running = () => child && child.exitCode === null && child.signalCode === null;
  const alive = () => fetch(`http://127.0.0.1:${port}/readyz`).then((r) => r.ok, () => false);

  async function start() {
    said = '';
    child = spawn(binary, [...args.map((a) => a.replace('$NEXT', port + 1)), '--data', data, '--listen', `127.0.0.1:${port}`], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const s of [child.stdout, child.stderr]) s.on('data', (d) => (said += d));
    for (const end = Date.now() + 120_000; Date.now() < end && running(); ) {
      if (await alive()) return;
      await new Promise((r) => setTimeout(r, 200));
    }
    throw new Error(`the node did not become ready:\n${said}`);
  }

  // kill gives the node no chance to tidy up.
  async function kill() {
    if (!running()) return;
    const gone = new Promise((done) => child.once('exit', done));
    child.kill('SIGKILL');
    await gone;
  }

  return {
    url,
    next: `http://127.0.0.1:${port + 1}`,
    alive,
    start,
    kill,
    said: () => said,
    async end() {
      await kill();
      rmSync(data, { recursive: true, force: true });
    },
  };
}
