/* Limits on sending: of a user, of a room, of a body. Whoever is refused is told for how long. */

import { before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Server, waitFor, within } from './lib/server.mjs';
import { Client, ask, assertProblem, newRoom, putRoom, send } from './lib/client.mjs';

let server;
before(async () => { server = await Server.start(); });

const USER_PER_S = 2;
const USER_BURST = 5;

/** Sends so many at once: { taken, refused, seconds }. */
async function burst(count, room, fields, options) {
  const started = performance.now();
  const answers = await Promise.all(Array.from({ length: count }, () => send(server, room, fields, options)));
  const seconds = (performance.now() - started) / 1000;
  return { taken: answers.filter((a) => a.status === 201), refused: answers.filter((a) => a.status !== 201), seconds };
}

test('a user may send a burst of 5, then 2 a second, and is told when to go on', async () => {
  const room = newRoom();
  await putRoom(server, room);
  const { taken, refused, seconds } = await burst(20, room, { body: 1 }, { user: 'ann' });
  assert.ok(taken.length >= USER_BURST, `${taken.length}`);
  assert.ok(taken.length <= USER_BURST + Math.ceil(seconds * USER_PER_S), `${taken.length} in ${seconds} s`);
  for (const answer of refused) {
    const { retry_after_ms } = assertProblem(answer, 429, 'user_rate');
    assert.ok(retry_after_ms > 0 && retry_after_ms <= 500, `${retry_after_ms}`);
  }
  assert.equal((await send(server, room, { body: 1 }, { user: 'bob' })).status, 201);
  await waitFor(async () => (await send(server, room, { body: 1 }, { user: 'ann' })).status === 201, within(2000), 'the next second');
});

test('a user has that rate in each room', async () => {
  const [room, other] = [newRoom(), newRoom()];
  await burst(20, room, { body: 1 }, { user: 'ann' });
  assert.equal((await send(server, other, { body: 1 }, { user: 'ann' })).status, 201);
});

test('no user\'s rate applies to a key, for whomever it sends', async () => {
  const room = newRoom();
  await putRoom(server, room);
  const { refused } = await burst(50, room, { body: 1, from: 'ann' }, { token: 'dev' });
  assert.deepEqual(refused, []);
});

test('slow mode: one normal message in that time from each user', async () => {
  const room = newRoom();
  await putRoom(server, room, { slow_mode_s: 60 });
  const sent_at = performance.now();
  assert.equal((await send(server, room, { body: 1 }, { user: 'ann' })).status, 201);
  const problem = assertProblem(await send(server, room, { body: 2 }, { user: 'ann' }), 429, 'slow_mode');
  const passed_ms = performance.now() - sent_at;
  assert.ok(problem.retry_after_ms >= 60_000 - passed_ms - 100 && problem.retry_after_ms <= 60_000);
  assert.equal((await send(server, room, { body: 1 }, { user: 'bob' })).status, 201);
  for (let i = 0; i < 3; i++) assert.equal((await send(server, room, { body: i, from: 'ann' }, { token: 'dev' })).status, 201);
  await putRoom(server, room, { slow_mode_s: 0 });
  await waitFor(async () => (await send(server, room, { body: 3 }, { user: 'ann' })).status === 201, within(2000), 'the end of slow mode');
});

test('slow mode: the time runs out', async () => {
  const room = newRoom();
  await putRoom(server, room, { slow_mode_s: 1 });
  const client = new Client(server);
  const sends = () => client.ask('POST', `/v1/rooms/${room}/messages?user=ann`, { body: { body: 1 } });
  assert.equal((await sends()).status, 201);
  const started = performance.now();
  await waitFor(async () => (await sends()).status === 201, within(4000), 'the next message');
  assert.ok(performance.now() - started > 900);
  client.close();
});

test('a retry of what was taken is no new message: slow mode and the user\'s rate leave it alone', async () => {
  const room = newRoom();
  await putRoom(server, room, { slow_mode_s: 60 });
  const first = await send(server, room, { body: 1 }, { user: 'ann', key: 'slow' });
  assert.equal(first.status, 201);
  const again = await send(server, room, { body: 1 }, { user: 'ann', key: 'slow' });
  assert.equal(again.status, 200, again.text);
  assert.deepEqual(again.json, { ...first.json, duplicate: true });
});

test('a room takes its rate of normal messages; high has a quota of its own', async () => {
  const room = newRoom();
  await putRoom(server, room, { normal_per_s: 3, high_per_s: 2 });
  const normal = await burst(20, room, { body: 1 }, { token: 'dev' });
  assert.ok(normal.taken.length >= 3 && normal.taken.length <= 3 + Math.ceil(3 * normal.seconds));
  for (const answer of normal.refused) {
    const { retry_after_ms } = assertProblem(answer, 429, 'room_rate');
    assert.ok(retry_after_ms > 0 && retry_after_ms <= 1000);
  }
  const high = await burst(20, room, { body: 1, priority: 'high' }, { token: 'dev' });
  assert.ok(high.taken.length >= 2 && high.taken.length <= 2 + Math.ceil(2 * high.seconds));
  for (const answer of high.refused) assertProblem(answer, 429, 'room_rate');
});

test('a body up to max_body_bytes is taken, one byte more is not', async () => {
  const room = newRoom();
  await putRoom(server, room, { max_body_bytes: 10 });
  assert.equal((await send(server, room, { body: 'x'.repeat(8) }, { token: 'dev' })).status, 201);
  assertProblem(await send(server, room, { body: 'x'.repeat(9) }, { token: 'dev' }), 413, 'body_too_large');
  assertProblem(await send(server, room, { body: 'ääää!' }, { token: 'dev' }), 413, 'body_too_large');
  assert.equal((await send(server, room, { body: 1234567890 }, { token: 'dev' })).status, 201);
});

test('the largest room takes bodies of 64 KiB', async () => {
  const room = newRoom();
  await putRoom(server, room, { max_body_bytes: 65_536 });
  assert.equal((await send(server, room, { body: 'x'.repeat(65_534) }, { token: 'dev' })).status, 201);
  assertProblem(await send(server, room, { body: 'x'.repeat(65_535) }, { token: 'dev' }), 413, 'body_too_large');
  const { json } = await ask(server, 'GET', `/v1/rooms/${room}/messages`, { token: 'dev' });
  assert.equal(json.messages.find((m) => m.type === 'text').body.length, 65_534);
});
