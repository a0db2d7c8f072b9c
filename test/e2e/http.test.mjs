/* HTTP/1.1 as it stands on the wire: framing, order, and requests that no client of ours would send. */

import { before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Server, within } from './lib/server.mjs';
import { Wire, requestBytes } from './lib/wire.mjs';
import { ANSWER_MS, Reader, ask, assertProblem, newRoom, parked, putRoom, sendMany } from './lib/client.mjs';

let server;
before(async () => { server = await Server.start({ flags: ['--workers', 1] }); });

const HEALTH = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n';
const next = (wire, options) => wire.response({ limit_ms: ANSWER_MS, ...options });

/** Sends these bytes on a connection of their own: the first answer, and whether the server closed behind it. */
async function exchange(bytes) {
  const wire = await Wire.open(server);
  wire.write(bytes);
  const answer = await next(wire);
  if (answer.headers.connection === 'close') assert.equal(await wire.closed(within(3000)), '');
  wire.destroy();
  return answer;
}

const post = (room, fields, body) => `POST /v1/rooms/${room}/messages?token=dev HTTP/1.1\r\nHost: x\r\n${fields}\r\n${body}`;

test('requests that are malformed or ambiguous are refused, and the connection ends', async () => {
  const get = (fields, line = 'GET /healthz HTTP/1.1') => `${line}\r\n${fields}\r\n`;
  const bad = {
    'no Host': get(''), 'two Hosts': get('Host: a\r\nHost: b\r\n'), 'a bad Host': get('Host: a b\r\n'),
    'a folded field': get('Host: x\r\nX-A: 1\r\n folded\r\n'), 'a field without a name': get('Host: x\r\n: y\r\n'),
    'a blank before the colon': get('Host : x\r\n'), 'a field without a colon': get('Host: x\r\nnonsense\r\n'),
    'a bare line feed': 'GET /healthz HTTP/1.1\nHost: x\n\n', 'a NUL in a field': get('Host: x\r\nX-A: a\0b\r\n'),
    'no version': 'GET /healthz\r\n\r\n', 'a version that is none': get('Host: x\r\n', 'GET /healthz HTTP/x.y'),
    'two blanks': get('Host: x\r\n', 'GET  /healthz HTTP/1.1'), 'no target': get('Host: x\r\n', 'GET HTTP/1.1'),
    'a target without a slash': get('Host: x\r\n', 'GET healthz HTTP/1.1'), 'an unknown word': get('Host: x\r\n', 'BREW /pot HTTP/1.1'),
    'a star for GET': get('Host: x\r\n', 'GET * HTTP/1.1'), 'a TLS hello': Buffer.from('160301020001000100', 'hex'),
    'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'two lengths': post('r', 'Content-Length: 2\r\nContent-Length: 3\r\n', '{}'),
    'a list of lengths': post('r', 'Content-Length: 2, 2\r\n', '{}'), 'a negative length': post('r', 'Content-Length: -1\r\n', ''),
    'a length with a sign': post('r', 'Content-Length: +2\r\n', '{}'),
    'a length in hexadecimal': post('r', 'Content-Length: 0x2\r\n', '{}'),
    'length and chunks': post('r', 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    'chunks that are not last': post('r', 'Transfer-Encoding: chunked, gzip\r\n', '0\r\n\r\n'),
    'a chunk of a bad size': post('r', 'Transfer-Encoding: chunked\r\n', 'zz\r\n\r\n'),
    'chunks twice': post('r', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    'two tokens': get('Host: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n'),
  };
  for (const [what, bytes] of Object.entries(bad)) {
    const answer = await exchange(bytes);
    assert.ok([400, 501, 505].includes(answer.status), `${what}: ${answer.status}`);
    assert.equal(answer.headers.connection, 'close', what);
  }
});

test('what is too large has a status of its own', async () => {
  const of = async (bytes) => (await exchange(bytes)).status;
  const fill = (n) => 'x'.repeat(n);
  assert.equal(await of(`GET /${fill(4096)} HTTP/1.1\r\nHost: x\r\n\r\n`), 414);
  assert.equal(await of(`GET /${fill(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`), 414);
  assert.equal(await of(`GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ${fill(16_384)}\r\n\r\n`), 431);
  assert.equal(await of(`GET /healthz HTTP/1.1\r\nHost: x\r\n${'X-A: b\r\n'.repeat(64)}\r\n`), 431);
  assert.equal(await of(post('r', 'Content-Length: 131073\r\n', '')), 413);
  assert.equal(await of(post('r', 'Content-Length: 99999999999999999999\r\n', '')), 400);
  assert.equal(await of(post('r', 'Transfer-Encoding: chunked\r\n', `20001\r\n${fill(0x20001)}\r\n0\r\n\r\n`)), 413);
});

test('just below every limit is fine', async () => {
  const path = `/healthz?${'x'.repeat(4096 - 'GET /healthz? HTTP/1.1\r\n'.length)}`;
  assert.equal((await exchange(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)).status, 200);
  assert.equal((await exchange(`GET /healthz HTTP/1.1\r\nHost: x\r\n${'X-A: b\r\n'.repeat(63)}\r\n`)).status, 200);
  assert.equal((await exchange(`GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ${'x'.repeat(16_000)}\r\n\r\n`)).status, 200);
});

test('HTTP/1.0 is answered and closed, other versions are not spoken', async () => {
  const old = await exchange('GET /healthz HTTP/1.0\r\n\r\n');
  assert.equal(old.status, 200);
  assert.equal(old.headers.connection, 'close');
  assert.equal((await exchange('GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n')).status, 505);
  assert.equal((await exchange('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).headers.connection, 'close');
});

test('a request means the same however its bytes come', async () => {
  const room = newRoom();
  const body = JSON.stringify({ body: 'é'.repeat(20) });
  const request = Buffer.from(post(room, `Content-Length: ${Buffer.byteLength(body)}\r\n`, body));
  const wire = await Wire.open(server);
  for (const byte of request) {
    wire.write(Buffer.of(byte));
    await new Promise(setImmediate); // so that most bytes are a packet of their own
  }
  assert.equal((await next(wire)).status, 201);
  for (const at of [1, 20, request.indexOf('\r\n\r\n') + 2, request.length - 30, request.length - 1]) {
    wire.write(request.subarray(0, at));
    await new Promise(setImmediate);
    wire.write(request.subarray(at));
    assert.equal((await next(wire)).status, 201, `split at ${at}`);
  }
  wire.destroy();
  assert.equal((await ask(server, 'GET', `/v1/rooms/${room}/messages`)).json.messages[0].body, 'é'.repeat(20));
});

test('a target may be absolute, and a GET may have a body', async () => {
  assert.equal((await exchange('GET http://stoa.test:80/healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).status, 200);
  assert.equal((await exchange('GET /%68ealthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).status, 404);
  const wire = await Wire.open(server);
  wire.write(`GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody${HEALTH}`);
  for (let i = 0; i < 2; i++) assert.equal((await next(wire)).status, 200);
  wire.destroy();
});

test('a chunked body is taken as a whole one is', async () => {
  const room = newRoom();
  const chunked = '7;ext=1\r\n{"body"\r\n4\r\n:42}\r\n0\r\nTrailer: x\r\n\r\n';
  const wire = await Wire.open(server);
  wire.write(post(room, 'Transfer-Encoding: chunked\r\n', chunked) + HEALTH);
  assert.equal((await next(wire)).status, 201);
  assert.equal((await next(wire)).status, 200);
  wire.destroy();
  assert.equal((await ask(server, 'GET', `/v1/rooms/${room}/messages`)).json.messages[0].body, 42);
});

test('Expect: 100-continue is answered before the body, once', async () => {
  const wire = await Wire.open(server);
  const body = '{"body":1}';
  wire.write(post(newRoom(), `Content-Length: ${body.length}\r\nExpect: 100-continue\r\n`, ''));
  assert.equal((await next(wire)).status, 100);
  wire.write(body);
  assert.equal((await next(wire)).status, 201);
  wire.write(HEALTH);
  assert.equal((await next(wire)).status, 200);
  wire.destroy();
});

test('Expect: 100-continue with a body that is too large is refused at once', async () => {
  const answer = await exchange(post('r', 'Content-Length: 1000000\r\nExpect: 100-continue\r\n', ''));
  assert.equal(answer.status, 413);
});

test('pipelined requests are answered in their order', async () => {
  const room = newRoom();
  await putRoom(server, room);
  const wire = await Wire.open(server);
  const sendOf = (i) => requestBytes('POST', `/v1/rooms/${room}/messages`, { token: 'dev', body: { body: i } });
  const sends = [0, 1, 2, 3, 4].map(sendOf);
  const unknown = Buffer.from('GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n');
  wire.write(Buffer.concat([Buffer.from(HEALTH), ...sends, unknown, Buffer.from(HEALTH)]));
  const statuses = [];
  for (let i = 0; i < 8; i++) statuses.push((await next(wire)).status);
  assert.deepEqual(statuses, [200, 201, 201, 201, 201, 201, 404, 200]);
  wire.destroy();
  const { messages } = (await ask(server, 'GET', `/v1/rooms/${room}/messages`, { token: 'dev' })).json;
  assert.deepEqual(messages.filter((m) => m.type === 'text').map((m) => m.body), [0, 1, 2, 3, 4]);
});

test('a long pipeline is answered in its order, while more of it comes', async () => {
  const wire = await Wire.open(server);
  const paths = Array.from({ length: 12_000 }, (_, i) => (i * i % 7 < 3 ? '/healthz' : `/nothing/${i}`));
  wire.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join('')); // 500 kB, in many pieces
  for (const path of paths) assert.equal((await next(wire)).status, path === '/healthz' ? 200 : 404, path);
  wire.destroy();
});

test('what is pipelined behind a parked poll waits for it, also when it is more than is kept', async () => {
  const room = newRoom();
  await putRoom(server, room);
  const reader = new Reader(server, room, { user: 'ann' });
  const { cursor } = await reader.poll();
  const wire = await Wire.open(server);
  const behind = 1000; // 36 kB: above LIMIT_PIPELINE_BYTES
  wire.write(`GET /v1/rooms/${room}/messages?since=${cursor}&timeout=30&user=bob HTTP/1.1\r\nHost: x\r\n\r\n`);
  await parked(server, 1);
  wire.write(HEALTH.repeat(behind));
  assert.equal((await ask(server, 'GET', '/healthz')).status, 200);
  assert.equal(wire.unread, '');
  await sendMany(server, room, [{ body: 'first' }]);
  assert.match((await next(wire)).text, /"body":"first"/);
  for (let i = 0; i < behind; i++) assert.equal((await next(wire)).text, '{"status":"ok"}');
  wire.destroy();
  reader.close();
});

test('a request that breaks off harms nobody', async () => {
  const halves = ['', 'G', 'GET /healthz HTTP/1.1\r\nHos', post('r', 'Content-Length: 100\r\n', '{"bo'),
    post('r', 'Transfer-Encoding: chunked\r\n', '5\r\nab')];
  for (const half of halves) {
    const wire = await Wire.open(server);
    if (half) wire.write(half);
    wire.finish();
    assert.equal(await wire.closed(within(5000)), '', JSON.stringify(half));
    wire.destroy();
  }
  assert.equal((await ask(server, 'GET', '/healthz')).status, 200);
});

test('a peer that goes away while its answers are written harms nobody', async () => {
  for (let i = 0; i < 30; i++) {
    const wire = await Wire.open(server);
    wire.write(HEALTH.repeat(50));
    wire.finish();
    wire.destroy();
  }
  assert.equal((await ask(server, 'GET', '/healthz')).status, 200);
});

test('a peer that has shut its sending side still gets its answer', async () => {
  for (const request of [HEALTH, HEALTH.replace('healthz', 'readyz'), post(newRoom(), 'Content-Length: 10\r\n', '{"body":1}')]) {
    const wire = await Wire.open(server);
    wire.write(request);
    wire.finish();
    assert.ok([200, 201].includes((await next(wire)).status));
    assert.equal(await wire.closed(within(3000)), '');
    wire.destroy();
  }
});

test('a request behind a bad one is not served', async () => {
  const room = newRoom();
  const wire = await Wire.open(server);
  wire.write(`GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n${post(room, 'Content-Length: 10\r\n', '{"body":1}')}`);
  assert.equal((await next(wire)).status, 400);
  assert.equal(await wire.closed(within(3000)), '');
  wire.destroy();
  assertProblem(await ask(server, 'GET', `/v1/rooms/${room}`), 404, 'room_not_found');
});
