/* Who is here: a poll that is parked, or one that ended a moment ago; gone at once when they say so. */

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Server, quiet, waitFor, within } from './lib/server.mjs';
import { Client, Reader, ask, assertProblem, newRoom, parked, putRoom } from './lib/client.mjs';

const LINGER_MS = 1000;
const start = (workers = 1, linger_s = LINGER_MS / 1000) =>
  Server.start({ flags: ['--workers', workers, '--linger-s', linger_s] });
/** Where nobody's time runs out during a test. */
const startPatient = (workers) => start(workers, 600);

const onlineIn = async (server, room) => (await ask(server, 'GET', `/v1/rooms/${room}`, { token: 'dev' })).json.online;
const onlineIs = (server, room, count) => waitFor(
  async () => await onlineIn(server, room) === count, within(LINGER_MS + 4000), `${count} online`);
const leave = (server, room, user) => ask(server, 'POST', `/v1/rooms/${room}/leave?user=${user}`);

async function enter(server, room, ...users) {
  const readers = users.map((user) => new Reader(server, room, { user }));
  for (const reader of readers) await reader.poll();
  return readers;
}

test('who comes is counted, who goes is counted out when the linger is over', async () => {
  const server = await start();
  const room = newRoom();
  const [ann, bob] = await enter(server, room, 'ann', 'bob');
  const polls = [ann, bob].map((r) => r.poll(60).catch(() => {}));
  await onlineIs(server, room, 2);
  const left_at = performance.now();
  bob.close(); // as a browser does that is shut
  await onlineIs(server, room, 1);
  assert.ok(performance.now() - left_at > LINGER_MS - 100, 'not before');
  ann.close();
  await onlineIs(server, room, 0);
  await Promise.all(polls);
  await server.stop();
});

test('the linger begins when the connection ends, however long nothing happened before', async () => {
  const server = await start();
  const room = newRoom();
  const [ann] = await enter(server, room, 'ann');
  const poll = ann.poll(60).catch(() => {});
  await onlineIs(server, room, 1);
  await quiet(LINGER_MS + 500);
  const left_at = performance.now();
  ann.close();
  await onlineIs(server, room, 0);
  assert.ok(performance.now() - left_at > LINGER_MS - 100);
  await poll;
  await server.stop();
});

test('between two polls one is still here', async () => {
  const server = await start(1, 2);
  const room = newRoom();
  const [ann] = await enter(server, room, 'ann');
  await onlineIs(server, room, 1);
  const until = performance.now() + 3 * LINGER_MS;
  while (performance.now() < until) {
    await ann.poll(1); // parked for a second, then answered, then back
    assert.equal(await onlineIn(server, room), 1);
  }
  ann.close();
  await onlineIs(server, room, 0);
  await server.stop();
});

test('leaving counts at once, and answers the polls that are parked', async () => {
  const server = await startPatient(2);
  const room = newRoom();
  const [bob] = await enter(server, room, 'bob');
  const anns = await enter(server, room, ...Array(6).fill('ann'));
  const polls = anns.map((r) => r.poll(60));
  await parked(server, 6);
  await onlineIs(server, room, 2);
  const asked_at = performance.now();
  assert.equal((await leave(server, room, 'ann')).status, 204);
  assert.equal(await onlineIn(server, room), 1);
  for (const answer of await Promise.all(polls)) assert.deepEqual(answer.messages, []);
  assert.ok(performance.now() - asked_at < 30_000, 'long before their own time is over');
  assert.equal(await onlineIn(server, room), 1);
  const back = await anns[0].poll(0);
  assert.ok(back.online >= 1);
  await onlineIs(server, room, 2);
  for (const reader of [bob, ...anns]) reader.close();
  await server.stop();
});

test('both workers of the node take connections, and know of the same users', async () => {
  const server = await startPatient(2);
  const room = newRoom();
  const users = Array.from({ length: 40 }, (_, i) => `user-${i}`);
  const readers = await enter(server, room, ...users);
  const { text } = await ask(server, 'GET', '/metrics');
  const taken = [...text.matchAll(/^stoa_connections_total\{worker="\d"\} (\d+)$/gm)].map((m) => Number(m[1]));
  assert.equal(taken.length, 2);
  for (const count of taken) assert.ok(count > 0, `${taken}`);
  const polls = readers.map((r) => r.poll(60));
  await parked(server, 40);
  await onlineIs(server, room, 40);
  for (const user of users.slice(1)) await leave(server, room, user);
  assert.equal(await onlineIn(server, room), 1);
  await Promise.all(polls.slice(1));
  await leave(server, room, users[0]);
  await polls[0];
  for (const reader of readers) reader.close();
  await onlineIs(server, room, 0);
  await server.stop();
});

test('a beacon, a poll and a leave of nobody', async () => {
  const server = await start();
  const room = newRoom();
  const [ann] = await enter(server, room, 'ann');
  await onlineIs(server, room, 1);
  const beacon = await ask(server, 'POST', `/v1/rooms/${room}/leave?user=ann`, {
    headers: { 'Content-Type': 'text/plain;charset=UTF-8', Origin: server.url }, body: '',
  });
  assert.equal(beacon.status, 204);
  assert.equal(beacon.text, '');
  assert.equal(await onlineIn(server, room), 0);
  assert.equal((await leave(server, room, 'never-seen')).status, 204);
  assert.equal((await leave(server, newRoom(), 'ann')).status, 204);
  assertProblem(await ask(server, 'POST', `/v1/rooms/${room}/leave`, { token: 'dev' }), 400, 'bad_request');
  ann.close();
  await server.stop();
});

test('one user with two connections is one, until both are gone', async () => {
  const server = await start(2);
  const room = newRoom();
  const [one, two] = await enter(server, room, 'ann', 'ann');
  const polls = [one, two].map((r) => r.poll(60).catch(() => {}));
  await parked(server, 2);
  await onlineIs(server, room, 1);
  one.close();
  await parked(server, 1);
  const until = performance.now() + LINGER_MS + 500;
  while (performance.now() < until) assert.equal(await onlineIn(server, room), 1);
  two.close();
  await onlineIs(server, room, 0);
  await Promise.all(polls);
  await server.stop();
});

test('max_online: whoever comes too many is told to wait, whoever is in stays in', async () => {
  const server = await startPatient();
  const room = newRoom();
  await putRoom(server, room, { max_online: 2 });
  const [ann, bob] = await enter(server, room, 'ann', 'bob');
  const polls = [ann, bob].map((r) => r.poll(60).catch(() => {}));
  const join = (user) => ask(server, 'GET', `/v1/rooms/${room}/messages?user=${user}`);
  assertProblem(await join('cid'), 429, 'room_full');
  assert.equal((await join('ann')).status, 200);
  assert.equal((await ask(server, 'GET', `/v1/rooms/${room}/messages`, { token: 'dev' })).status, 200);
  assert.equal(await onlineIn(server, room), 2);
  assert.equal((await leave(server, room, 'bob')).status, 204);
  await waitFor(async () => (await join('cid')).status === 200, within(3000), 'a place');
  ann.close();
  await Promise.all(polls);
  await server.stop();
});

test('the count in answers follows', async () => {
  const server = await startPatient();
  const room = newRoom();
  const client = new Client(server);
  const seen = async (user) => (await client.ask('GET', `/v1/rooms/${room}/messages?user=${user}`)).json.online;
  assert.equal(await seen('ann'), 1, 'nobody is told a count without themselves');
  const others = await enter(server, room, 'bob', 'cid', 'dee');
  await waitFor(async () => await seen('ann') === 4, within(3000), 'four in the answer');
  await onlineIs(server, room, 4); // an answer may know before the hub, which is what a leave asks
  for (const user of ['bob', 'cid', 'dee']) assert.equal((await leave(server, room, user)).status, 204);
  await waitFor(async () => await seen('ann') === 1, within(3000), 'one in the answer');
  for (const reader of others) reader.close();
  client.close();
  await server.stop();
});
