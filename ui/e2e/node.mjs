// Runs a node for the browser checks, in a folder that is thrown away.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

function freePort() {
  return new Promise((done) => {
    const s = createServer().listen(0, '127.0.0.1', () => {
      const { port } = s.address();
      s.close(() => done(port));
    });
  });
}

// newNode prepares `konbit ARGS`; its port stays the same when it is killed and
// started again. The address says localhost, which browsers trust with passkeys.
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
    child = spawn(binary, [...args, '--data', data, '--listen', `127.0.0.1:${port}`], { stdio: ['ignore', 'pipe', 'pipe'] });
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
