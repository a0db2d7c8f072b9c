/* Sending: what is taken, what is refused, and that a retry stores nothing twice. */

import { before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Server } from './lib/server.mjs';
import { ask, assertProblem, newRoom, putRoom, send } from './lib/client.mjs';

let server;
before(async () => { server = await Server.start({ store: 'sqlite:' }); });

async function join(room) {
  return ask(server, 'GET', `/v1/rooms/${room}/messages?limit=200`);
}

/** POSTs this text as it stands. */
function sendText(room, text, headers = {}) {
  return ask(server, 'POST', `/v1/rooms/${room}/messages`, { token: 'dev', body: text, headers });
}

test('a send is answered by 201 with the id under which readers find it', async () => {
  const room = newRoom();
  const answer = await send(server, room, { body: 'hi' }, { user: 'ann' });
  assert.equal(answer.status, 201, answer.text);
  const { id, at, ...rest } = answer.json;
  assert.deepEqual(rest, {});
  assert.equal(at, Number(id.split('-')[0]));
  const { messages } = (await join(room)).json;
  assert.deepEqual(messages, [{ id, at, priority: 'normal', type: 'text', from: 'ann', body: 'hi' }]);
});

test('a body may be any JSON, and comes out as it went in', async () => {
  const room = newRoom();
  const bodies = [
    'text', '', 0, -7, 1.5, true, false, null, [], {}, [[[]]], { a: { b: [1, { c: null }] } },
    'line\nbreak\ttab "quotes" \\ / \u0001 \u001f \u007f', 'Ελληνικά 漢字 😀 \u2028 \u2029 \ufeff', { 'ключ 🗝': 'é' }, '</script><!--',
    { constructor: 1, type: 'room.closed', id: 'x' },
    [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 1e300, 5e-324, -0.1],
  ];
  for (const body of bodies) {
    const answer = await send(server, room, { body }, { token: 'dev' });
    assert.equal(answer.status, 201, `${JSON.stringify(body)}: ${answer.text}`);
  }
  const { messages } = (await join(room)).json;
  assert.deepEqual(messages.map((m) => m.body), bodies);
});

test('whole numbers of 64 bits keep every digit', async () => {
  const room = newRoom();
  const text = '[9007199254740993,9223372036854775807,-9223372036854775808]';
  assert.equal((await sendText(room, `{"body":${text}}`)).status, 201);
  assert.ok((await join(room)).text.includes(`"body":${text}`));
});

test('members keep their order, and escapes their meaning', async () => {
  const room = newRoom();
  assert.equal((await sendText(room, '{"body": {"z": 1, "a": "\\u00e9\\ud83d\\ude00\\/", "m": [1 , 2]} }')).status, 201);
  const { body } = (await join(room)).json.messages[0];
  assert.deepEqual(Object.entries(body), [['z', 1], ['a', 'é😀/'], ['m', [1, 2]]]);
});

for (const [what, text] of Object.entries({
  'cut short': '{"body":', 'no object': '["body"]', 'a bare string': '"body"', 'two values': '{"body":1} 2', 'no JSON': 'body=hi',
  'a member twice': '{"body":1,"body":2}', 'a member twice inside': '{"body":{"a":1,"a":2}}', 'NaN': '{"body":NaN}',
  'a comma too many': '{"body":1,}', 'single quotes': "{'body':1}", 'a bare line break': '{"body":"a\nb"}',
  'a number beyond 64 bits': '{"body":9223372036854775808}', 'a number beyond any': '{"body":1e999}',
  'nested too deep': `{"body":${'['.repeat(100)}${']'.repeat(100)}}`,
})) {
  test(`bad JSON: ${what}`, async () => {
    assertProblem(await sendText(newRoom(), text), 400, 'bad_json');
  });
}

test('bad UTF-8 is refused, in a body, a type and a name', async () => {
  const bad = (text) => Buffer.from(text, 'latin1');
  for (const bytes of ['\xff', '\xc3', '\xc0\x80', '\xed\xa0\x80', '\xf4\x90\x80\x80', '\xe2\x82']) {
    assertProblem(await sendText(newRoom(), bad(`{"body":"${bytes}"}`)), 400, 'bad_utf8');
  }
  assertProblem(await ask(server, 'GET', `/v1/rooms/${newRoom()}/messages?user=%ff`), 400, 'bad_utf8');
  for (const text of ['{"body":"\\ud800"}', '{"body":"\\udc00\\ud800"}', '{"body":"\\u0000"}']) {
    const answer = await sendText(newRoom(), text);
    assert.equal(answer.status, 400, text);
  }
});

test('a message without a body, of a wrong type or priority is refused', async () => {
  const wrong = [
    {}, { type: 'text' }, { body: 1, type: '' }, { body: 1, type: 'Text' }, { body: 1, type: 'a b' }, { body: 1, type: 'é' },
    { body: 1, type: 'x'.repeat(33) }, { body: 1, type: 5 }, { body: 1, type: null }, { body: 1, priority: 'urgent' },
    { body: 1, priority: 5 }, { body: 1, priority: '' }, { body: 1, from: '' }, { body: 1, from: 'a\nb' },
    { body: 1, from: 'x'.repeat(65) }, { body: 1, from: 7 }, { body: 1, from: 'a', name: 'x'.repeat(65) },
  ];
  for (const fields of wrong) {
    const answer = await send(server, newRoom(), fields, { token: 'dev' });
    assert.equal(answer.status, 400, `${JSON.stringify(fields)}: ${answer.text}`);
    assertProblem(answer, 400, 'bad_request');
  }
  assertProblem(await sendText(newRoom(), ''), 400, 'bad_request');
});

test('types of 1 to 32 of a-z0-9._- are taken, but room.* is the server\'s own', async () => {
  const room = newRoom();
  for (const type of ['a', 'x'.repeat(32), 'gift', 'a.b-c_d9', 'room', 'rooms.x', '9']) {
    assert.equal((await send(server, room, { body: 1, type }, { token: 'dev' })).status, 201, type);
  }
  for (const type of ['room.', 'room.closed', 'room.anything']) {
    assertProblem(await send(server, room, { body: 1, type }, { token: 'dev' }), 400, 'bad_request');
  }
});

test('unknown fields are ignored', async () => {
  assert.equal((await send(server, newRoom(), { body: 1, colour: 'red', id: 'x' }, { user: 'ann' })).status, 201);
});

test('a key sends for whom it names, anybody else for themselves', async () => {
  const room = newRoom();
  await send(server, room, { body: 1, from: 'bob', name: 'Bob' }, { token: 'dev' });
  await send(server, room, { body: 2 }, { token: 'dev', user: 'cid' });
  await send(server, room, { body: 3 }, { token: 'dev' });
  await send(server, room, { body: 4, from: 'bob', name: 'Bob' }, { user: 'ann' });
  const { messages } = (await join(room)).json;
  assert.deepEqual(messages.map(({ body, from, name }) => ({ body, from, name })), [
    { body: 1, from: 'bob', name: 'Bob' }, { body: 2, from: 'cid', name: undefined },
    { body: 3, from: undefined, name: undefined }, { body: 4, from: 'ann', name: undefined },
  ]);
});

test('high is for hosts and the key', async () => {
  const room = newRoom();
  assertProblem(await send(server, room, { body: 1, priority: 'high' }, { user: 'ann' }), 403, 'forbidden');
  assert.equal((await send(server, room, { body: 1, priority: 'high' }, { token: 'dev' })).status, 201);
});

test('a retry with its key gives the first id again, and stores nothing', async () => {
  const room = newRoom();
  const first = await send(server, room, { body: 'once' }, { user: 'ann', key: 'k1' });
  assert.equal(first.status, 201);
  const again = await send(server, room, { body: 'once' }, { user: 'ann', key: 'k1' });
  assert.equal(again.status, 200);
  assert.deepEqual(again.json, { ...first.json, duplicate: true });
  assert.equal((await send(server, room, { body: 'twice' }, { user: 'ann', key: 'k2' })).status, 201);
  assert.deepEqual((await join(room)).json.messages.map((m) => m.body), ['once', 'twice']);
});

test('a key holds in its room alone, over a crash, and for whoever shows it', async () => {
  const [room, other] = [newRoom(), newRoom()];
  const first = await send(server, room, { body: 1 }, { user: 'ann', key: 'shared' });
  assert.equal((await send(server, other, { body: 1 }, { user: 'ann', key: 'shared' })).status, 201);
  await server.kill();
  await server.start();
  const again = await send(server, room, { body: 2 }, { user: 'bob', key: 'shared' });
  assert.deepEqual([again.status, again.json.id], [200, first.json.id]);
});

test('of many at once with one key, one is stored', async () => {
  const room = newRoom();
  await putRoom(server, room);
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => (
    send(server, room, { body: i, from: `user-${i}` }, { token: 'dev', key: 'race' }))));
  assert.deepEqual(answers.map((a) => a.status).sort(), [...Array(19).fill(200), 201]);
  assert.equal(new Set(answers.map((a) => a.json.id)).size, 1);
  assert.equal((await join(room)).json.messages.filter((m) => m.type === 'text').length, 1);
});

test('a key is 1 to 64 characters', async () => {
  const room = newRoom();
  assert.equal((await send(server, room, { body: 1 }, { token: 'dev', key: 'x'.repeat(64) })).status, 201);
  assertProblem(await send(server, room, { body: 1 }, { token: 'dev', key: 'x'.repeat(65) }), 400, 'bad_request');
  const [a, b] = [await sendText(room, '{"body":"none"}', { 'Idempotency-Key': '' }), await sendText(room, '{"body":"none"}')];
  assert.ok(a.status === 201 || a.status === 400);
  assert.equal(b.status, 201);
});

test('a message is stored before it is acknowledged', async () => {
  const room = newRoom();
  const { json } = await send(server, room, { body: 'durable' }, { token: 'dev' });
  await server.kill();
  await server.start();
  assert.deepEqual((await join(room)).json.messages.map((m) => [m.id, m.body]), [[json.id, 'durable']]);
});
