/* History: older messages, newest first, over both lists. */

import { before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Server } from './lib/server.mjs';
import { ask, assertProblem, compareIds, newRoom, putRoom, sendMany } from './lib/client.mjs';

let server;
before(async () => { server = await Server.start({ store: 'sqlite:' }); });

const history = async (room, query) => ask(server, 'GET', `/v1/rooms/${room}/messages?${query}`);

async function filledRoom(count) {
  const room = newRoom();
  await putRoom(server, room);
  const messages = Array.from({ length: count }, (_, i) => ({ body: i, priority: i % 3 === 0 ? 'high' : 'normal' }));
  return { room, ids: await sendMany(server, room, messages) };
}

test('pages from the newest to the oldest have every message once, newest first', async () => {
  const { room, ids } = await filledRoom(47);
  const bodies = [];
  let before_id = '9999999999999-0';
  for (let more = true; more;) {
    const { json } = await history(room, `before=${before_id}&limit=10`);
    assert.ok(json.messages.length > 0 && json.messages.length <= 10);
    for (const message of json.messages) {
      assert.ok(compareIds(message.id, before_id) < 0);
      before_id = message.id;
      bodies.push(message.body);
    }
    more = json.more;
  }
  assert.deepEqual(bodies, ids.map((_, i) => ids.length - 1 - i));
});

test('before is exclusive, and limit and more tell the truth at the edge', async () => {
  const { room, ids } = await filledRoom(6);
  const get = async (before_id, limit) => {
    const { json } = await history(room, `before=${before_id}&limit=${limit}`);
    return [json.messages.map((m) => m.body), json.more];
  };
  assert.deepEqual(await get(ids[5], 5), [[4, 3, 2, 1, 0], false]);
  assert.deepEqual(await get(ids[5], 4), [[4, 3, 2, 1], true]);
  assert.deepEqual(await get(ids[1], 50), [[0], false]);
  assert.deepEqual(await get(ids[0], 50), [[], false]);
});

test('history tells messages as the poll did', async () => {
  const { room, ids } = await filledRoom(4);
  const polled = (await ask(server, 'GET', `/v1/rooms/${room}/messages`)).json.messages;
  const { json } = await history(room, 'before=9999999999999-0');
  assert.deepEqual(json.messages.map((m) => m.id), [...ids].reverse());
  assert.deepEqual(json.messages, [...polled].sort((a, b) => compareIds(b.id, a.id)));
});

test('the default limit is 50, the largest 200', async () => {
  const { room } = await filledRoom(210);
  assert.equal((await history(room, 'before=9999999999999-0')).json.messages.length, 50);
  const { json } = await history(room, 'before=9999999999999-0&limit=200');
  assert.equal(json.messages.length, 200);
  assert.equal(json.more, true);
});

test('a bad before or limit is refused', async () => {
  const { room } = await filledRoom(1);
  for (const before_id of ['x', '1-', '-1', '1-2-3', '99999999999999999999-0', '1.5-0', '%zz']) {
    assertProblem(await history(room, `before=${before_id}`), 400, 'bad_request');
  }
  for (const limit of ['0', '201', 'x']) {
    assertProblem(await history(room, `before=9999999999999-0&limit=${limit}`), 400, 'bad_request');
  }
});

test('history outlives a crash', async () => {
  const { room, ids } = await filledRoom(5);
  await server.kill();
  await server.start();
  const { json } = await history(room, 'before=9999999999999-0');
  assert.deepEqual(json.messages.map((m) => m.id), [...ids].reverse());
});
