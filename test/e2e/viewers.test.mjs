/* Who was here: counted once, told to hosts, kept over crashes, learned again from those who are still here. */

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Server, waitFor, within } from './lib/server.mjs';
import { Client, Reader, ask, assertProblem, inSeconds, metric, newRoom, putRoom, signToken } from './lib/client.mjs';

const FLUSH_MS = 5000; // between two batches of a room
const BUCKET_MS = 300_000;
const SECRET = 'a-secret-of-thirty-two-bytes-at-least';
const KEY = 'a-key-of-the-shop-app';
const CONFIG = `
[app "shop"]
key = ${KEY}
secret = ${SECRET}
`;

const getViewers = (server, room, query = '', token = 'dev') =>
  ask(server, 'GET', `/v1/rooms/${room}/viewers${query}`, { token });
const viewers = async (server, room, query) => {
  const answer = await getViewers(server, room, query);
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
};
const roomOf = async (server, room) => (await ask(server, 'GET', `/v1/rooms/${room}`, { token: 'dev' })).json;
const viewersAre = (server, room, count) => waitFor(
  async () => (await viewers(server, room)).unique === count, within(FLUSH_MS + 4000), `${count} viewers`);
const join = (client, room, user) => client.ask('GET', `/v1/rooms/${room}/messages?limit=1&user=${user}`);

async function joinAll(server, room, from, to) {
  const client = new Client(server);
  for (let i = from; i < to; i++) assert.equal((await join(client, room, `user-${i}`)).status, 200);
  client.close();
}

test('who comes counts once, however often and whoever is still here', async () => {
  const server = await Server.start({ store: 'sqlite:', flags: ['--linger-s', 1] });
  const room = newRoom();
  await putRoom(server, room);
  assert.deepEqual(await viewers(server, room), { unique: 0, exact: true, standard_error: 0 });
  await joinAll(server, room, 0, 30);
  await joinAll(server, room, 20, 40);
  await viewersAre(server, room, 40);
  await waitFor(async () => (await roomOf(server, room)).online === 0, within(4000), 'nobody online');
  assert.deepEqual(await viewers(server, room), { unique: 40, exact: true, standard_error: 0 });
  assert.equal((await roomOf(server, room)).unique, 40);
  const { json } = await ask(server, 'GET', '/v1/rooms', { token: 'dev' });
  assert.equal(json.rooms.find((r) => r.room === room).unique, 40);
  assert.equal(await metric(server, 'stoa_viewers_waiting'), 0);
});

test('unique in the room is never behind online', async () => {
  const server = await Server.start();
  const room = newRoom();
  await joinAll(server, room, 0, 10);
  const { online, unique } = await waitFor(async () => {
    const it = await roomOf(server, room);
    return it.online === 10 && it;
  }, within(3000), 'all online');
  assert.equal(unique, online);
});

test('windows are of whole buckets', async () => {
  const server = await Server.start();
  const room = newRoom();
  const began = Date.now();
  await joinAll(server, room, 0, 5);
  await viewersAre(server, room, 5);
  const first = began - began % BUCKET_MS;
  assert.equal((await viewers(server, room, `?from=${began}&to=${Date.now() + 1}`)).unique, 5);
  assert.equal((await viewers(server, room, `?from=${first}`)).unique, 5);
  assert.equal((await viewers(server, room, `?from=${first - BUCKET_MS}&to=${first}`)).unique, 0);
  assert.equal((await viewers(server, room, `?from=${first + 2 * BUCKET_MS}`)).unique, 0);
  assert.equal((await viewers(server, room, `?to=${first + 2 * BUCKET_MS}`)).unique, 5);
});

test('after a crash what was stored is there, and those who are still here are learned again', async () => {
  const server = await Server.start({ store: 'sqlite:' });
  const room = newRoom();
  await putRoom(server, room);
  await joinAll(server, room, 0, 50);
  await viewersAre(server, room, 50);
  const stayed = Array.from({ length: 3 }, (_, i) => new Reader(server, room, { user: `stays-${i}` }));
  for (const reader of stayed) await reader.poll();
  await server.kill(); // the three may be within the last five seconds
  await server.start();
  assert.ok([50, 53].includes((await viewers(server, room)).unique));
  const following = stayed.map((reader) => reader.follow({ timeout_s: 5 }));
  await viewersAre(server, room, 53);
  assert.equal((await roomOf(server, room)).unique, 53);
  for (const reader of stayed) {
    reader.stop();
    reader.close();
  }
  await Promise.allSettled(following);
});

test('again and again: no crash loses what was told', async () => {
  const server = await Server.start({ store: 'sqlite:' });
  const room = newRoom();
  await putRoom(server, room);
  let told = 0;
  for (let round = 0; round < 6; round++) {
    await joinAll(server, room, round * 20, round * 20 + 20);
    await waitFor(async () => (await viewers(server, room)).unique > told, within(FLUSH_MS + 4000), 'more viewers');
    told = (await viewers(server, room)).unique;
    await server.kill();
    await server.start();
    const { unique, exact } = await viewers(server, room);
    assert.ok(unique >= told && unique <= (round + 1) * 20, `${told} were told, ${unique} are there`);
    assert.equal(exact, true);
  }
});

test('a stop loses nobody', async () => {
  const server = await Server.start({ store: 'sqlite:' });
  const room = newRoom();
  await putRoom(server, room);
  await joinAll(server, room, 0, 20);
  await viewersAre(server, room, 20);
  await joinAll(server, room, 20, 45); // the next batch is five seconds away
  await server.restart();
  assert.equal((await viewers(server, room)).unique, 45);
});

test('polls of nobody are nobody', async () => {
  const server = await Server.start();
  const room = newRoom();
  await putRoom(server, room);
  await ask(server, 'GET', `/v1/rooms/${room}/messages`, { token: 'dev' });
  await joinAll(server, room, 0, 1);
  await viewersAre(server, room, 1);
});

test('hosts and the key may ask, viewers and speakers may not', async () => {
  const server = await Server.start({ config: CONFIG });
  const room = newRoom();
  await putRoom(server, room, {}, KEY);
  const token = (role, more) => signToken(SECRET, { app: 'shop', sub: 'ann', room, role, exp: inSeconds(60), ...more });
  for (const path of ['viewers', 'stats']) {
    const get = (credentials) => ask(server, 'GET', `/v1/rooms/${room}/${path}`, { token: credentials });
    assert.equal((await get(KEY)).status, 200);
    assert.equal((await get(token('host'))).status, 200);
    assertProblem(await get(token('viewer')), 403, 'forbidden');
    assertProblem(await get(token('speaker')), 403, 'forbidden');
    assertProblem(await get(token('host', { room: 'another' })), 403, 'forbidden');
    assertProblem(await get(undefined), 401, 'unauthorized');
  }
});

for (const [what, query] of Object.entries({
  'from behind to': '?from=20&to=10',
  'an empty window': '?from=10&to=10',
  'a time that is no number': '?from=yesterday',
  'a negative time': '?to=-5',
  'a time with a fraction': '?from=1.5',
  'a time beyond all calendars': '?to=99999999999999999',
  'an empty value': '?from=',
})) {
  test(`${what} is refused`, async () => {
    const server = await Server.start();
    const room = newRoom();
    await putRoom(server, room);
    for (const path of ['viewers', 'stats']) {
      const problem = assertProblem(
        await ask(server, 'GET', `/v1/rooms/${room}/${path}${query}`, { token: 'dev' }), 400, 'bad_request');
      assert.match(problem.detail, /\b(from|to)\b/);
    }
    await server.stop();
  });
}

test('a room that is not there is 404', async () => {
  const server = await Server.start({ store: 'sqlite:' });
  for (const path of ['viewers', 'viewers?from=1', 'stats'])
    assertProblem(await ask(server, 'GET', `/v1/rooms/${newRoom()}/${path}`, { token: 'dev' }), 404, 'room_not_found');
});

test('with counting off nobody is counted, and that is told', async () => {
  const server = await Server.start({ store: 'sqlite:', flags: ['--counting=off'] });
  const room = newRoom();
  await putRoom(server, room);
  await joinAll(server, room, 0, 5);
  await waitFor(async () => (await roomOf(server, room)).online === 5, within(3000), 'five online');
  assert.equal((await roomOf(server, room)).unique, null);
  assertProblem(await getViewers(server, room), 501, 'counting_off');
  assertProblem(await ask(server, 'GET', `/v1/rooms/${room}/stats`, { token: 'dev' }), 501, 'counting_off');
  assert.equal(await metric(server, 'stoa_store_viewers_total'), 0);
  assert.equal(await metric(server, 'stoa_viewers_total'), 0);
});
