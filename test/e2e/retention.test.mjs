/* What is no longer kept: told as a gap or as skipped, never silently missing. */

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Server, waitFor, within } from './lib/server.mjs';
import { Reader, ask, newRoom, putRoom, sendMany } from './lib/client.mjs';

const many = (count, priority) => Array.from({ length: count }, (_, i) => ({ body: i, priority }));
const NEWEST = '9999999999999-0';

async function countKept(server, room) {
  const { json } = await ask(server, 'GET', `/v1/rooms/${room}/messages?before=${NEWEST}&limit=200`);
  return json.messages.length;
}

test('a reader who was away too long is told of the gap once, and gets what is left', async () => {
  const server = await Server.start({ store: 'sqlite:', flags: ['--retention-high-count', 5] });
  const room = newRoom();
  await putRoom(server, room);
  const reader = new Reader(server, room, { user: 'ann' });
  await reader.poll();
  await sendMany(server, room, many(30, 'high'));
  await waitFor(async () => await countKept(server, room) === 5, within(5000), 'trimming');
  await server.restart();
  const answer = await reader.poll();
  assert.equal(answer.gap, true);
  assert.deepEqual(answer.messages.map((m) => m.body), [25, 26, 27, 28, 29]);
  assert.equal((await reader.poll()).gap, false);
  await sendMany(server, room, [{ body: 'next', priority: 'high' }]);
  const next = await reader.poll(5);
  assert.equal(next.gap, false);
  assert.deepEqual(next.messages.map((m) => m.body), ['next']);
  reader.close();
});

test('normal messages that are gone are counted as skipped', async () => {
  const server = await Server.start({ store: 'sqlite:', flags: ['--retention-normal-count', 5] });
  const room = newRoom();
  await putRoom(server, room);
  const reader = new Reader(server, room, { user: 'ann' });
  await reader.poll();
  await sendMany(server, room, many(30, 'normal'));
  await waitFor(async () => await countKept(server, room) === 5, within(5000), 'trimming');
  await server.restart();
  const answer = await reader.poll();
  assert.deepEqual(answer.messages.map((m) => m.body), [25, 26, 27, 28, 29]);
  assert.equal(answer.skipped, 25);
  assert.equal(answer.gap, false);
  reader.close();
});

test('a cursor from beyond the end of the store is told as a gap', async () => {
  const server = await Server.start({ store: 'memory:' });
  const room = newRoom();
  await putRoom(server, room);
  const reader = new Reader(server, room, { user: 'ann' });
  await reader.poll();
  await sendMany(server, room, [...many(3, 'high'), ...many(3, 'normal')]);
  await reader.poll();
  await server.restart(); // and with it all that the memory held
  const answer = await reader.poll();
  assert.equal(answer.gap, true);
  await sendMany(server, room, [{ body: 'anew' }]);
  const next = await reader.poll(5);
  assert.deepEqual([next.gap, next.messages.map((m) => m.body)], [false, ['anew']]);
  reader.close();
});
