/* The pace, held by the server: with a table by which one reader is an audience. */

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Server, waitFor, within } from './lib/server.mjs';
import { Client, Reader, ask, metric, newRoom, putRoom, sendMany } from './lib/client.mjs';

const INTERVAL_MS = 400;
const HIGH_GAP_MS = 200;
const ROUNDS = 4;

const start = (...flags) => Server.start({ flags: ['--workers', 1, '--pace-table', `1:${INTERVAL_MS}`, ...flags] });

/** A room in which there is always something new. */
async function busyRoom(server) {
  const room = newRoom();
  await putRoom(server, room);
  await sendMany(server, room, Array.from({ length: 5 }, (_, i) => ({ body: i })));
  return room;
}

/** Polls `count` times, each at once after the answer; how long that took. `since` makes the query from the answer before. */
async function pollInALoop(server, room, user, count, since) {
  const client = new Client(server);
  let last = null;
  const begun = performance.now();
  for (let i = 0; i <= count; i++) {
    const answer = await client.ask('GET', `/v1/rooms/${room}/messages?user=${user}&timeout=0${since(last)}`);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.json.poll_after_ms, 0, 'the hold is at the server');
    last = answer.json.cursor;
  }
  client.close();
  return performance.now() - begun;
}

/** The same place, but the answer was given at another time: the last 8 bytes. */
function forge(cursor, at_ms) {
  const bytes = Buffer.from(cursor, 'base64url');
  bytes.writeBigInt64BE(BigInt(at_ms), bytes.length - 8);
  return bytes.toString('base64url');
}

test('a client that ignores everything gains nothing', async () => {
  const server = await start();
  const room = await busyRoom(server);
  const old = (await ask(server, 'GET', `/v1/rooms/${room}/messages?user=first`)).json.cursor;
  const ways = { honest: (last) => (last ? `&since=${last}` : ''), anew: () => '', old: () => `&since=${old}`,
    long_ago: (last) => `&since=${forge(last ?? old, 0)}`,
    just_now: (last) => `&since=${forge(last ?? old, Date.now())}`,
    later: (last) => `&since=${forge(last ?? old, Date.now() + 3_600_000)}` };
  await Promise.all(Object.entries(ways).map(async ([name, since]) => {
    const took = await pollInALoop(server, room, name, ROUNDS, since);
    assert.ok(took >= ROUNDS * INTERVAL_MS - 20, `${name}: ${ROUNDS} intervals in ${took} ms`);
  }));
  assert.ok(await metric(server, 'stoa_polls_held_total') >= Object.keys(ways).length * ROUNDS);
  assert.equal(await metric(server, 'stoa_polls_held'), 0);
  await server.stop();
});

test('leaving and coming back does not shorten the hold', async () => {
  const server = await start();
  const room = await busyRoom(server);
  const client = new Client(server);
  const begun = performance.now();
  for (let i = 0; i <= ROUNDS; i++) {
    const answer = await client.ask('GET', `/v1/rooms/${room}/messages?user=ann`);
    assert.equal(answer.status, 200, answer.text);
    assert.equal((await client.ask('POST', `/v1/rooms/${room}/leave?user=ann`)).status, 204);
  }
  const took = performance.now() - begun;
  assert.ok(took >= ROUNDS * INTERVAL_MS - 20, `${ROUNDS} intervals in ${took} ms`);
  client.close();
  await server.stop();
});

test('who is held is counted, and a high message frees them all', async () => {
  const server = await start('--pace-table', '1:60000');
  const room = await busyRoom(server);
  const readers = Array.from({ length: 5 }, (_, i) => new Reader(server, room, { user: `r${i}` }));
  for (const reader of readers) await reader.poll();
  const polls = readers.map((r) => r.poll(30));
  await waitFor(async () => await metric(server, 'stoa_polls_held') === readers.length, within(5000), 'all to be held');
  await sendMany(server, room, [{ body: 'a' }, { body: 'b' }, { body: 'now', priority: 'high' }]);
  for (const answer of await Promise.all(polls)) {
    assert.equal(answer.messages[0].body, 'now');
    assert.equal(answer.messages.length + answer.skipped, 3);
  }
  assert.equal(await metric(server, 'stoa_polls_held'), 0);
  assert.ok(await metric(server, 'stoa_holds_broken_total') >= readers.length);
  for (const reader of readers) reader.close();
  await server.stop();
});

test('a held reader gets all that came in one answer, and a high message at once', async () => {
  const server = await start();
  const room = await busyRoom(server);
  const client = new Client(server);
  const poll = (since) => client.ask('GET', `/v1/rooms/${room}/messages?user=ann${since ? `&since=${since}` : ''}`);
  const joined = await poll();
  const held = poll(joined.json.cursor);
  await sendMany(server, room, [{ body: 'a' }, { body: 'b' }, { body: 'c' }]);
  const answer = (await held).json;
  assert.deepEqual(answer.messages.map((m) => m.body), ['a', 'b', 'c']);

  const begun = performance.now();
  const broken = poll(answer.cursor);
  await sendMany(server, room, [{ body: 'now', priority: 'high' }]);
  assert.deepEqual((await broken).json.messages.map((m) => m.body), ['now']);
  const took = performance.now() - begun;
  assert.ok(took >= HIGH_GAP_MS - 20, `nobody is answered twice within ${HIGH_GAP_MS} ms, but after ${took}`);
  client.close();
  await server.stop();
});

test('without the pace nobody is held', async () => {
  const server = await start('--pace=off');
  const room = await busyRoom(server);
  await pollInALoop(server, room, 'ann', 20, () => '');
  assert.equal(await metric(server, 'stoa_polls_held_total'), 0);
  await server.stop();
});

test('a table that is none is refused, and said why', async () => {
  await assert.rejects(start('--pace-table', '1000:5 10:6'), /\[pace\] table: "1000:5 10:6" is not/);
});
