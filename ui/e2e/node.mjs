// Runs a demonstration node for the browser checks, in a folder that is thrown away.
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

export async function newNode(binary) {
  const data = mkdtempSync(join(tmpdir(), 'konbit-e2e-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let child;

  const alive = () => fetch(url + '/readyz').then((r) => r.ok, () => false);

  async function start() {
    child = spawn(binary, ['demo', '--quiet', '--data', data, '--listen', `127.0.0.1:${port}`], { stdio: 'ignore' });
    for (const end = Date.now() + 120_000; Date.now() < end; ) {
      if (await alive()) return;
      await new Promise((r) => setTimeout(r, 200));
    }
    throw new Error('the node did not become ready');
  }

  // kill gives the node no chance to tidy up.
  async function kill() {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((done) => child.once('exit', done));
    child.kill('SIGKILL');
    await gone;
  }

  return {
    url,
    alive,
    start,
    kill,
    async end() {
      await kill();
      rmSync(data, { recursive: true, force: true });
    },
  };
}
