/* Paths and methods, HEAD, CORS, and time-outs of connections. */

import { before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { Server, quiet, waitFor, within } from './lib/server.mjs';
import { Wire } from './lib/wire.mjs';
import { ANSWER_MS, Client, Reader, ask, assertProblem, metric, newRoom, parked, putRoom, sendMany } from './lib/client.mjs';

const KEY = 'a-key-of-the-shop-app';
const HEALTH = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n';

let server; // --dev
let shop; // two origins, short time-outs
before(async () => {
  server = await Server.start();
  shop = await Server.start({
    config: `
[server]
header_timeout_s = 1
idle_timeout_s = 2
write_timeout_s = 1
[app "shop"]
key = ${KEY}
origins = https://shop.example, http://localhost:3000
auto_create = true
`,
  });
});

const allowed = (text) => text.split(',').map((m) => m.trim()).sort();

test('unknown paths are 404, with a problem', async () => {
  const paths = ['/nothing', '/v1', '/v1/', '/v1/room', '/v1/rooms/r/nothing', '/v1/rooms/r/messages/', '/v2/rooms/r', '//',
    '/healthz/x'];
  for (const path of paths) {
    assertProblem(await ask(server, 'GET', path), 404, 'not_found');
  }
});

test('methods that a resource does not have are 405, with those that it has', async () => {
  const cases = [
    ['POST', '/healthz', ['GET', 'HEAD', 'OPTIONS']],
    ['DELETE', '/v1/rooms', ['GET', 'HEAD', 'OPTIONS']],
    ['PATCH', '/v1/rooms/r', ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PUT']],
    ['GET', '/v1/rooms/r/leave', ['OPTIONS', 'POST']],
    ['PUT', '/v1/rooms/r/messages', ['GET', 'HEAD', 'OPTIONS', 'POST']],
    ['TRACE', '/metrics', ['GET', 'HEAD', 'OPTIONS']],
  ];
  for (const [method, path, methods] of cases) {
    const answer = await ask(server, method, path);
    assertProblem(answer, 405, 'method_not_allowed');
    assert.deepEqual(allowed(answer.headers.allow), methods, `${method} ${path}`);
  }
});

test('HEAD says what GET would, without the body', async () => {
  const client = new Client(server);
  for (const path of ['/healthz', '/metrics', '/']) {
    const head = await client.ask('HEAD', path);
    const get = await client.ask('GET', path);
    assert.equal(head.status, 200, path);
    assert.equal(head.headers['content-type'], get.headers['content-type']);
    if (path !== '/metrics') assert.equal(head.headers['content-length'], get.headers['content-length']);
    assert.ok(Number(head.headers['content-length']) > 0);
  }
  const missing = await client.ask('HEAD', '/nothing');
  assert.equal(missing.status, 404);
  assert.equal((await client.ask('GET', '/healthz')).status, 200);
  client.close();
});

test('with --dev the page is served, without it not', async () => {
  const page = await ask(server, 'GET', '/');
  assert.match(page.headers['content-type'], /^text\/html/);
  assert.match(page.text, /<!doctype html>/i);
  for (const path of ['/room.mjs', '/view.mjs', '/sdk/stoa.mjs']) {
    assert.match((await ask(server, 'GET', path)).headers['content-type'], /^text\/javascript/, path);
  }
  assertProblem(await ask(server, 'GET', '/../src/main.c'), 404, 'not_found');
  assertProblem(await ask(shop, 'GET', '/'), 404, 'not_found');
});

const preflight = (to, origin) => ask(to, 'OPTIONS', '/v1/rooms/r/messages', {
  headers: {
    Origin: origin,
    'Access-Control-Request-Method': 'POST',
    'Access-Control-Request-Headers': 'authorization,content-type,idempotency-key',
  },
});

test('CORS: a preflight of a listed origin is allowed what the SDK needs', async () => {
  for (const origin of ['https://shop.example', 'http://localhost:3000']) {
    const { status, headers } = await preflight(shop, origin);
    assert.equal(status, 204);
    assert.equal(headers['access-control-allow-origin'], origin);
    assert.match(headers.vary, /origin/i);
    for (const method of ['GET', 'POST', 'PUT', 'DELETE']) assert.ok(headers['access-control-allow-methods'].includes(method));
    for (const name of ['authorization', 'content-type', 'idempotency-key']) {
      assert.ok(headers['access-control-allow-headers'].toLowerCase().includes(name), name);
    }
    assert.equal('access-control-allow-credentials' in headers, false);
  }
});

test('CORS: answers and errors name a listed origin, and no other', async () => {
  const from = (origin, path, token) => ask(shop, 'GET', path, { token, headers: { Origin: origin } });
  const cases = [['/v1/rooms/r/messages', KEY, 200], ['/v1/rooms/r/messages', 'wrong', 401], ['/nothing', KEY, 404]];
  for (const [path, token, status] of cases) {
    const listed = await from('https://shop.example', path, token);
    assert.equal(listed.status, status);
    assert.equal(listed.headers['access-control-allow-origin'], 'https://shop.example');
    assert.match(listed.headers['access-control-expose-headers'], /retry-after/i);
    for (const origin of ['https://evil.example', 'https://shop.example.evil.example', 'http://shop.example', 'null']) {
      const other = await from(origin, path, token);
      assert.equal(other.status, status);
      assert.equal('access-control-allow-origin' in other.headers, false, origin);
    }
  }
  assert.equal('access-control-allow-origin' in (await preflight(shop, 'https://evil.example')).headers, false);
  const plain = await ask(shop, 'GET', '/healthz');
  assert.equal('access-control-allow-origin' in plain.headers, false);
});

test('CORS: one parked poll each of two origins, each with its own answer', async () => {
  const room = newRoom();
  await putRoom(shop, room, {}, KEY);
  const { json: { cursor } } = await ask(shop, 'GET', `/v1/rooms/${room}/messages`, { token: KEY });
  const poll = (origin) => ask(shop, 'GET', `/v1/rooms/${room}/messages?since=${cursor}`, { token: KEY, headers: { Origin: origin } });
  const listed = ['https://shop.example', 'http://localhost:3000'];
  const polls = [...listed, 'https://evil.example'].map(poll);
  await parked(shop, 3);
  await sendMany(shop, room, [{ body: 1 }], KEY);
  const answers = await Promise.all(polls);
  assert.deepEqual(answers.map((a) => a.headers['access-control-allow-origin']), [...listed, undefined]);
});

test('CORS: with --dev any origin may', async () => {
  const { headers } = await ask(server, 'GET', '/healthz', { headers: { Origin: 'https://any.example' } });
  assert.equal(headers['access-control-allow-origin'], '*');
  assert.equal((await preflight(server, 'null')).headers['access-control-allow-origin'], '*');
});

test('answers are not to be cached', async () => {
  for (const path of ['/v1/rooms/r/messages', '/v1/rooms/r']) {
    assert.equal((await ask(shop, 'GET', path, { token: KEY })).headers['cache-control'], 'no-store', path);
  }
});

test('a request that comes too slowly is answered 408 and closed', async () => {
  for (const half of ['GET /healthz HTTP/1.1\r\nHo', 'POST /v1/rooms/r/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{']) {
    const wire = await Wire.open(shop);
    wire.write(half);
    const started = performance.now();
    const answer = await wire.response({ limit_ms: ANSWER_MS });
    assertProblem(answer, 408, 'request_timeout');
    const took = performance.now() - started;
    assert.ok(took > 900 && took < 9000, `${took}, and not the 10 s that are the default`);
    assert.equal(await wire.closed(within(3000)), '');
    wire.destroy();
  }
});

test('a trickle of bytes does not hold the time', async () => {
  const wire = await Wire.open(shop);
  wire.write('GET /healthz HTTP/1.1\r\nX: ');
  const trickle = setInterval(() => wire.write('x'), 50);
  try {
    assert.equal((await wire.response({ limit_ms: ANSWER_MS })).status, 408);
  } finally {
    clearInterval(trickle);
    wire.destroy();
  }
});

test('an idle connection is closed without a word, one in use is not', async () => {
  const idle = await Wire.open(shop);
  const used = await Wire.open(shop);
  const started = performance.now();
  await waitFor(async () => { // with requests in between, past the time at which the idle one goes
    used.write(HEALTH);
    assert.equal((await used.response({ limit_ms: ANSWER_MS })).status, 200);
    return idle.ended;
  }, within(6000), 'the idle connection to close');
  assert.ok(performance.now() - started > 1900);
  assert.equal(await idle.closed(0), '');
  assert.equal(used.ended, false);
  for (const wire of [idle, used]) wire.destroy();
});

test('the first connection after a long quiet is served', async () => {
  await ask(shop, 'GET', '/healthz');
  await quiet(2500); // longer than an idle connection lives, with nothing that wakes the threads
  for (let i = 0; i < 4; i++) assert.equal((await ask(shop, 'GET', '/healthz')).status, 200);
});

test('a parked poll outlives the time that an idle connection has', async () => {
  const room = newRoom();
  await putRoom(shop, room, {}, KEY);
  const reader = new Reader(shop, room, { token: KEY });
  await reader.poll();
  assert.deepEqual((await reader.poll(4)).messages, []);
  assert.equal(reader.polls, 2);
  reader.close();
});

test('a peer that does not read its answers is let go', async () => {
  const room = newRoom();
  await putRoom(shop, room, { max_body_bytes: 65_536 }, KEY);
  await sendMany(shop, room, Array.from({ length: 40 }, () => ({ body: 'x'.repeat(60_000) })), KEY);
  const wire = await Wire.open(shop);
  wire.pause();
  wire.write(`GET /v1/rooms/${room}/messages?token=${KEY}&limit=200 HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(20));
  await waitFor(async () => await metric(shop, 'stoa_timeouts_write_total') > 0, within(8000), 'the time-out');
  wire.destroy();
});

test('connections beyond max_connections wait until others go', async () => {
  const own = await Server.start({ flags: ['--workers', 1, '--max-connections', 5] });
  const wires = [];
  for (let i = 0; i < 5; i++) wires.push(await Wire.open(own));
  for (const wire of wires) {
    wire.write(HEALTH);
    assert.equal((await wire.response({ limit_ms: ANSWER_MS })).status, 200);
  }
  const sixth = await Wire.open(own); // the kernel takes it, the server does not
  sixth.write(HEALTH);
  wires[0].write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
  assert.match((await wires[0].response({ limit_ms: ANSWER_MS })).text, /^stoa_connections\{worker="0"\} 5$/m);
  assert.equal(sixth.unread, '');
  wires[1].destroy();
  assert.equal((await sixth.response({ limit_ms: ANSWER_MS })).status, 200);
  for (const wire of [sixth, ...wires]) wire.destroy();
  await own.stop();
});

test('a process that is out of files goes on accepting when some are free again', async () => {
  const own = await Server.start({ flags: ['--workers', 1, '--max-connections', 500] });
  const limit = spawnSync('prlimit', ['--pid', own.pid, '--nofile=40:40']);
  assert.equal(limit.status, 0, String(limit.stderr));
  const wires = [];
  for (let i = 0; i < 60; i++) {
    wires.push(await Wire.open(own)); // the kernel takes them all
    wires[i].write(HEALTH);
  }
  assert.equal((await wires[0].response({ limit_ms: ANSWER_MS })).status, 200);
  const first = wires[0];
  first.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
  const text = (await first.response({ limit_ms: ANSWER_MS })).text;
  const open = Number(/^stoa_connections\{worker="0"\} (\d+)$/m.exec(text)[1]);
  assert.ok(open < 40, `${open} connections with 40 files`);
  assert.match(text, /^stoa_accepts_paused_total\{worker="0"\} [1-9]/m);
  for (const wire of wires.slice(0, 59)) wire.destroy();
  const last = wires[59];
  assert.equal((await last.response({ limit_ms: ANSWER_MS })).status, 200);
  for (const wire of wires) wire.destroy();
  await own.stop();
});

test('five hundred parked polls are answered by one send', async () => {
  const room = newRoom();
  await putRoom(server, room);
  const readers = Array.from({ length: 500 }, (_, i) => new Reader(server, room, { user: `viewer-${i}` }));
  await Promise.all(readers.map((r) => r.poll()));
  const polls = readers.map((r) => r.poll(30));
  await parked(server, 500);
  await sendMany(server, room, [{ body: 'to all', priority: 'high' }]);
  for (const { messages } of await Promise.all(polls)) assert.deepEqual(messages.map((m) => m.body), ['to all']);
  await waitFor(async () => (await ask(server, 'GET', `/v1/rooms/${room}`)).json.online === 500, within(3000), '500 online');
  for (const reader of readers) reader.close();
});
