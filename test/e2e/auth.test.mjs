/* Who may do what: keys and tokens, and everything that only looks like one. */

import { before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createSign, generateKeyPairSync } from 'node:crypto';
import { Server, waitFor, within } from './lib/server.mjs';
import { Client, Reader, ask, assertProblem, inSeconds, newRoom, putRoom, send, signToken } from './lib/client.mjs';

const SECRET = 'a secret of the shop app, long enough';
const OTHER_SECRET = 'a secret of the other app, long enough';
const KEY = 'a-key-of-the-shop-app';
const config = (keys = KEY) => `
[app "shop"]
key = ${keys}
secret = ${SECRET}
[app "other"]
key = a-key-of-the-other-app
secret = ${OTHER_SECRET}
[app "keyonly"]
key = a-key-of-an-app-without-secret
`;

let server;
let room;
before(async () => {
  server = await Server.start({ config: config() });
  room = newRoom();
  await putRoom(server, room, {}, KEY);
});

const claims = (more = {}) => ({ app: 'shop', sub: 'ann', room: '*', role: 'speaker', exp: inSeconds(600), ...more });
const token = (more) => signToken(SECRET, claims(more));
const get = (t, id = room) => ask(server, 'GET', `/v1/rooms/${id}`, { token: t });
const statusOf = async (answer) => (await answer).status;

test('without credentials there is nothing', async () => {
  const answer = await get(undefined);
  assertProblem(answer, 401, 'unauthorized');
  assert.equal(answer.headers['www-authenticate'], 'Bearer');
  for (const [method, path] of [['PUT', ''], ['DELETE', ''], ['GET', '/messages'], ['POST', '/messages'], ['POST', '/leave']]) {
    const anonymous = ask(server, method, `/v1/rooms/${room}${path}?user=ann`, method === 'GET' ? {} : { body: { body: 1 } });
    assertProblem(await anonymous, 401, 'unauthorized');
  }
  assertProblem(await ask(server, 'GET', '/v1/rooms'), 401, 'unauthorized');
});

test('roles: each may do what those before it may', async () => {
  const may = async (role) => {
    const t = token({ role });
    const id = newRoom();
    return {
      read: await statusOf(ask(server, 'GET', `/v1/rooms/${room}/messages`, { token: t })),
      say: await statusOf(send(server, room, { body: 1 }, { token: t })),
      shout: await statusOf(send(server, room, { body: 1, priority: 'high' }, { token: t })),
      make: await statusOf(ask(server, 'PUT', `/v1/rooms/${id}`, { token: t, body: {} })),
      list: await statusOf(ask(server, 'GET', '/v1/rooms', { token: t })),
    };
  };
  assert.deepEqual(await may('viewer'), { read: 200, say: 403, shout: 403, make: 403, list: 403 });
  assert.deepEqual(await may('speaker'), { read: 200, say: 201, shout: 403, make: 403, list: 403 });
  assert.deepEqual(await may('host'), { read: 200, say: 201, shout: 201, make: 201, list: 403 });
  assert.equal(await statusOf(ask(server, 'GET', '/v1/rooms', { token: KEY })), 200);
});

test('a token for one room opens that room alone', async () => {
  const mine = newRoom();
  await putRoom(server, mine, {}, KEY);
  const bound = token({ room: mine, role: 'host' });
  assert.equal((await get(bound, mine)).status, 200);
  assertProblem(await get(bound, room), 403, 'forbidden');
  assertProblem(await send(server, room, { body: 1 }, { token: bound }), 403, 'forbidden');
  assertProblem(await ask(server, 'GET', `/v1/rooms/${room}/messages`, { token: bound }), 403, 'forbidden');
  assertProblem(await ask(server, 'DELETE', `/v1/rooms/${room}`, { token: bound }), 403, 'forbidden');
});

test('a token acts in its own app', async () => {
  const theirs = signToken(OTHER_SECRET, claims({ app: 'other', role: 'host' }));
  assertProblem(await get(theirs), 404, 'room_not_found');
  await ask(server, 'PUT', `/v1/rooms/${room}`, { token: theirs, body: { title: 'theirs' } });
  assert.equal((await get(theirs)).json.title, 'theirs');
  assert.equal((await get(KEY)).json.title, '');
});

test('what a token says of its user stands in the message', async () => {
  const t = token({ sub: 'ann-7', name: 'Ännchen 🌷' });
  const reader = new Reader(server, room, { token: KEY });
  await reader.poll();
  assert.equal((await send(server, room, { body: 'x', from: 'bob', name: 'Bob' }, { token: t, user: 'cid' })).status, 201);
  const { messages: [{ from, name }] } = await reader.poll(5);
  assert.deepEqual({ from, name }, { from: 'ann-7', name: 'Ännchen 🌷' });
  reader.close();
});

test('credentials may come in the query', async () => {
  for (const t of [token(), KEY]) {
    assert.equal((await ask(server, 'GET', `/v1/rooms/${room}/messages?token=${t}`)).status, 200);
  }
  assertProblem(await ask(server, 'GET', `/v1/rooms/${room}?token=x`), 401, 'unauthorized');
});

test('the scheme is Bearer, in any case', async () => {
  const by = (authorization) => ask(server, 'GET', `/v1/rooms/${room}`, { headers: { Authorization: authorization } });
  for (const scheme of ['Bearer', 'bearer', 'BEARER']) assert.equal((await by(`${scheme} ${KEY}`)).status, 200);
  for (const wrong of [`Basic ${KEY}`, KEY, 'Bearer', `Bearer${KEY}`, `Token ${KEY}`, `Bearer ${KEY}x`, `Bearer ${KEY} x`]) {
    assertProblem(await by(wrong), 401, 'unauthorized');
  }
});

test('tokens that prove nothing are refused', async () => {
  const text = claims();
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const publicPem = pair.publicKey.export({ type: 'spki', format: 'pem' });
  const rs256 = (() => {
    const unsigned = signToken('', text, { header: { alg: 'RS256', typ: 'JWT' }, hash: null });
    return unsigned + createSign('sha256').update(unsigned.slice(0, -1)).sign(pair.privateKey, 'base64url');
  })();
  const [head, payload, mac] = token().split('.');
  const bad = {
    none: signToken(SECRET, text, { header: { alg: 'none' }, hash: null }),
    'none, with a MAC': signToken(SECRET, text, { header: { alg: 'none' } }),
    'None': signToken(SECRET, text, { header: { alg: 'None' }, hash: null }),
    'no alg': signToken(SECRET, text, { header: { typ: 'JWT' } }),
    HS384: signToken(SECRET, text, { header: { alg: 'HS384' }, hash: 'sha384' }),
    'HS384 by name alone': signToken(SECRET, text, { header: { alg: 'HS384' } }),
    HS512: signToken(SECRET, text, { header: { alg: 'HS512' }, hash: 'sha512' }),
    hs256: signToken(SECRET, text, { header: { alg: 'hs256' } }),
    RS256: rs256,
    'RS256 by the secret': signToken(SECRET, text, { header: { alg: 'RS256' } }),
    'HS256 by a public key': signToken(publicPem, text),
    'two algs': signToken(SECRET, text, { header: '{"alg":"HS256","alg":"none"}' }),
    crit: signToken(SECRET, text, { header: { alg: 'HS256', crit: ['b64'], b64: false } }),
    'unknown crit': signToken(SECRET, text, { header: { alg: 'HS256', crit: ['x'], x: 1 } }),
    'a wrong secret': signToken(`${SECRET}!`, text),
    'the empty secret': signToken('', text),
    'the secret of another app': signToken(OTHER_SECRET, text),
    'another app\'s, with its own secret': signToken(SECRET, { ...text, app: 'other' }),
    'an app without a secret': signToken('', { ...text, app: 'keyonly' }),
    'an unknown app': signToken(SECRET, { ...text, app: 'nowhere' }),
    'a changed payload': `${head}.${Buffer.from(JSON.stringify(claims({ role: 'host' }))).toString('base64url')}.${mac}`,
    'a cut MAC': `${head}.${payload}.${mac.slice(0, -2)}`,
    'no MAC': `${head}.${payload}.`,
    'two parts': `${head}.${payload}`,
    'four parts': `${head}.${payload}.${mac}.x`,
    padding: `${head}.${payload}.${mac}=`,
    dots: '..',
    'too long': `${head}.${payload}${'A'.repeat(5000)}.${mac}`,
  };
  for (const [what, t] of Object.entries(bad)) {
    const answer = await get(t);
    assert.equal(answer.status, 401, `${what}: ${answer.text}`);
    assertProblem(answer, 401, 'unauthorized');
  }
});

test('tokens without the claims they need are refused', async () => {
  const without = (name) => {
    const { [name]: _, ...rest } = claims();
    return signToken(SECRET, rest);
  };
  const bad = {
    'no exp': without('exp'), 'no sub': without('sub'), 'no app': without('app'), 'no role': without('role'), 'no room': without('room'),
    'exp as text': token({ exp: `${inSeconds(600)}` }), 'exp as a fraction': token({ exp: inSeconds(600) + 0.5 }),
    'exp null': token({ exp: null }),
    'exp beyond 64 bits': signToken(SECRET, JSON.stringify(claims({ exp: 0 })).replace('"exp":0', '"exp":99999999999999999999')),
    'an unknown role': token({ role: 'admin' }), 'a role of the server\'s': token({ role: 'key' }),
    'role as a list': token({ role: ['host'] }),
    'an empty sub': token({ sub: '' }), 'sub as a number': token({ sub: 5 }), 'a sub with a line end': token({ sub: 'a\nb' }),
    'a sub that is too long': token({ sub: 'x'.repeat(65) }), 'a bad room': token({ room: 'a/b' }),
    'a name that is too long': token({ name: 'x'.repeat(65) }), 'a room that is too long': token({ room: 'x'.repeat(65) }),
    'a room that is no text': token({ room: 5 }),
    'not before tomorrow': token({ nbf: inSeconds(86_400) }), 'claims that are a list': signToken(SECRET, '[]'),
    'a claim twice': signToken(SECRET, `{"role":"host",${JSON.stringify(claims()).slice(1)}`),
  };
  for (const [what, t] of Object.entries(bad)) {
    const answer = await get(t);
    assert.equal(answer.status, 401, `${what}: ${answer.text}`);
  }
});

test('a token that has run out says so, also on a connection that it opened', async () => {
  const old = await get(token({ exp: inSeconds(-1) }));
  assertProblem(old, 401, 'token_expired');
  assert.equal(old.headers['www-authenticate'], 'Bearer');
  const client = new Client(server, { token: token({ exp: inSeconds(2) }) });
  const first = await client.ask('GET', `/v1/rooms/${room}`);
  assert.equal(first.status, 200, first.text);
  const { wire } = client;
  const late = await waitFor(async () => {
    const answer = await client.ask('GET', `/v1/rooms/${room}`);
    return answer.status === 200 ? null : answer;
  }, within(6000), 'the end of the token');
  assertProblem(late, 401, 'token_expired');
  assert.equal(client.wire, wire, 'it was one connection');
  const renewed = await client.ask('GET', `/v1/rooms/${room}`, { token: token() });
  assert.equal(renewed.status, 200);
  client.close();
});

test('two users on one connection are told apart', async () => {
  const client = new Client(server);
  for (const sub of ['one', 'two', 'one']) {
    const sent = await client.ask('POST', `/v1/rooms/${room}/messages`, { token: token({ sub }), body: { body: 'x' } });
    assert.equal(sent.status, 201);
    const { json } = await client.ask('GET', `/v1/rooms/${room}/messages?limit=1`, { token: KEY });
    assert.equal(json.messages[0].from, sub);
  }
  assertProblem(await client.ask('GET', `/v1/rooms/${room}`), 401, 'unauthorized');
  client.close();
});

test('SIGHUP takes new keys in and puts old ones out, on open connections too', async () => {
  const own = await Server.start({ config: config() });
  await putRoom(own, room, {}, KEY);
  const client = new Client(own, { token: KEY });
  const status = async (t) => (await client.ask('GET', `/v1/rooms/${room}`, { token: t })).status;
  assert.deepEqual([await status(KEY), await status('the-next-key-of-shop')], [200, 401]);
  own.writeConfig(config(`${KEY}, the-next-key-of-shop`));
  own.signal('SIGHUP');
  await waitFor(async () => await status('the-next-key-of-shop') === 200, within(5000), 'the new key');
  assert.equal(await status(KEY), 200);
  own.writeConfig(config('the-next-key-of-shop'));
  own.signal('SIGHUP');
  await waitFor(async () => await status(KEY) === 401, within(5000), 'the end of the old key');
  assert.equal(await status('the-next-key-of-shop'), 200);
  own.writeConfig('[app "shop"]\nkey = short\n');
  own.signal('SIGHUP');
  await waitFor(() => /not reloaded/.test(own.stderr), within(5000), 'the complaint');
  assert.match(own.stderr, /key: is too short/);
  assert.equal(await status('the-next-key-of-shop'), 200);
  client.close();
});
