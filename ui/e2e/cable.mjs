// A cable between two nodes that can be pulled: connections through it break, and
// new ones are refused, until it is put back.
import { connect, createServer } from 'node:net';

export async function cable(url) {
  const to = Number(new URL(url).port);
  const ends = new Set();
  let server;
  let port = 0;

  const keep = (s) => {
    ends.add(s);
    s.on('close', () => ends.delete(s));
    s.on('error', () => s.destroy());
  };

  function mend() {
    server = createServer((near) => {
      const far = connect(to, '127.0.0.1');
      keep(near);
      keep(far);
      near.on('close', () => far.destroy());
      far.on('close', () => near.destroy());
      near.pipe(far);
      far.pipe(near);
    });
    return new Promise((done, fail) => {
      server.once('error', fail);
      server.listen(port, '127.0.0.1', () => {
        port = server.address().port;
        done();
      });
    });
  }

  async function cut() {
    const closed = new Promise((done) => server.close(done));
    for (const s of ends) s.destroy();
    await closed;
  }

  await mend();
  return { url: `http://127.0.0.1:${port}`, cut, mend };
}
