/* Those who ask who is here: the count, the list of users, and rooms that take only so many. */

import { before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Server, quiet, waitFor, within } from './lib/server.mjs';
import { Client, Reader, ask, assertProblem, inSeconds, newRoom, parked, putRoom, signToken } from './lib/client.mjs';

const SECRET = 'the-secret-that-signs-the-tokens-of-the-shop';
const KEY = 'a-key-of-the-shop-app';
const LINGER_MS = 4000; // long enough for a rest to be told

let server; // --dev, two workers
let patient; // the same, where nobody's time runs out during a test
let shop; // tokens
before(async () => {
  server = await Server.start({ flags: ['--workers', 2, '--linger-s', LINGER_MS / 1000] });
  patient = await Server.start({ flags: ['--workers', 2, '--linger-s', 600] });
  shop = await Server.start({
    flags: ['--workers', 2],
    config: `[app "shop"]\nkey = ${KEY}\nsecret = ${SECRET}\n[app "other"]\nkey = other-${KEY}\nauto_create = true\n`,
  });
});

const get = (room, path = 'online', { token = 'dev', on = server } = {}) => ask(on, 'GET', `/v1/rooms/${room}/${path}`, { token });
const count = async (room, on = server) => (await get(room, 'online', { on })).json.online;
const enter = async (room, user) => {
  const answer = await ask(server, 'GET', `/v1/rooms/${room}/messages?user=${encodeURIComponent(user)}`, { token: 'dev' });
  assert.equal(answer.status, 200, answer.text);
};

/** All users, page by page; `between` is called between two pages. */
async function list(room, { limit = 100, prefix = '', between = () => {}, on = server } = {}) {
  const users = [];
  for (let page = ''; page !== null; await between()) {
    const answer = await get(room, `online/users?limit=${limit}&page=${page}&prefix=${encodeURIComponent(prefix)}`, { on });
    assert.equal(answer.status, 200, answer.text);
    assert.ok(answer.json.users.length <= limit);
    users.push(...answer.json.users);
    page = answer.json.next_page;
  }
  return users;
}

const names = (users) => users.map(({ user }) => user).sort();
const many = (n, name = 'user') => Array.from({ length: n }, (_, i) => `${name}-${i}`);

async function enterMany(room, users, on = server) {
  const client = new Client(on, { token: 'dev' });
  for (const user of users) await client.ask('GET', `/v1/rooms/${room}/messages?user=${user}`);
  client.close();
}

/** Guests of a test in which nobody's time runs out: when this returns, all of them are counted. */
async function settle(room, users) {
  await enterMany(room, users, patient);
  await waitFor(async () => await count(room, patient) === users.length, within(5000), 'everybody');
}

test('the count, and when it was taken', async () => {
  const room = newRoom();
  await putRoom(server, room);
  const before_ms = Date.now();
  const empty = (await get(room)).json;
  assert.deepEqual(Object.keys(empty).sort(), ['as_of', 'online']);
  assert.equal(empty.online, 0);
  assert.ok(empty.as_of >= before_ms - 100 && empty.as_of <= Date.now() + 100, `${empty.as_of}`);
  await enter(room, 'ann');
  await enter(room, 'bob');
  await waitFor(async () => await count(room) === 2, within(2000), 'two');
});

test('a user on the list: since, and seen', async () => {
  const room = newRoom();
  const ann = new Reader(patient, room, { user: 'ann', token: 'dev' });
  const isBetween = (at, from, to) => assert.ok(at >= from - 100 && at <= to + 100, `${at - from}, ${to - at}`);
  const came_at = Date.now();
  await ann.poll();
  const answered_at = Date.now();
  const poll = ann.poll(60).catch(() => {});
  await parked(patient, 1);
  await quiet(2500); // parked for all that time
  const asked_at = Date.now();
  const [here] = await list(room, { on: patient });
  assert.equal(here.user, 'ann');
  isBetween(here.since, came_at, answered_at);
  isBetween(here.seen, asked_at, Date.now());
  const left_at = Date.now();
  ann.close();
  await poll;
  await parked(patient, 0);
  const gone_at = Date.now();
  await quiet(2500); // lingers, and that is told after two seconds
  const [lingers] = await list(room, { on: patient });
  assert.equal(lingers.since, here.since);
  isBetween(lingers.seen, left_at, gone_at);
});

test('whoever has lingered long enough is on no list', async () => {
  const room = newRoom();
  await enter(room, 'ann');
  await waitFor(async () => await count(room) === 0, within(LINGER_MS + 1000), 'nobody');
  assert.deepEqual(await list(room), []);
});

test('pages of any size list everybody once', async () => {
  const room = newRoom();
  const users = many(57);
  await settle(room, users);
  for (const limit of [1, 10, 56, 57, 58, 1000]) assert.deepEqual(names(await list(room, { limit, on: patient })), [...users].sort(), `${limit}`);
});

test('who stays is listed once, whoever comes and goes between two pages', async () => {
  const room = newRoom();
  const stay = many(300, 'stays');
  await settle(room, stay);
  let guests = 0;
  const between = async () => {
    await enterMany(room, many(30, `guest-${guests++}`), patient);
    if (guests > 1) for (const user of many(15, `guest-${guests - 2}`)) await ask(patient, 'POST', `/v1/rooms/${room}/leave?user=${user}`);
  };
  const listed = names(await list(room, { limit: 20, between, on: patient }));
  assert.deepEqual(listed.filter((user) => user.startsWith('stays')), [...stay].sort());
  assert.equal(new Set(listed).size, listed.length);
});

test('search by prefix', async () => {
  const room = newRoom();
  const users = [...many(40), 'Ünal', 'Über', 'a b&c'];
  for (const user of users) await enter(room, user);
  assert.deepEqual(names(await list(room, { prefix: 'user-3', limit: 3 })), users.filter((u) => u.startsWith('user-3')).sort());
  assert.deepEqual(names(await list(room, { prefix: 'Ü' })), ['Ünal', 'Über'].sort());
  assert.deepEqual(names(await list(room, { prefix: 'a b&' })), ['a b&c']);
  assert.deepEqual(await list(room, { prefix: 'nobody' }), []);
});

test('what is asked wrongly is refused', async () => {
  const room = newRoom();
  await enterMany(room, many(5));
  const { json: { next_page } } = await get(room, 'online/users?limit=2');
  const forged = ['x', 'AAAA', next_page.slice(0, -1), `${next_page}A`, next_page.replace(/^./, 'B'), '%00', '%ZZ'];
  for (const page of forged) assertProblem(await get(room, `online/users?page=${page}`), 400, 'bad_request');
  const elsewhere = newRoom();
  await enterMany(elsewhere, many(5));
  assertProblem(await get(elsewhere, `online/users?page=${next_page}`), 400, 'bad_request');
  for (const limit of ['0', '1001', '-1', 'x']) assertProblem(await get(room, `online/users?limit=${limit}`), 400, 'bad_request');
  assertProblem(await get(room, `online/users?prefix=${'u'.repeat(65)}`), 400, 'bad_request');
  assertProblem(await get(room, 'online/users?prefix=%C3'), 400, 'bad_request');
  assert.equal((await get(room, `online/users?page=${next_page}&limit=1000`)).json.users.length, 3);
});

test('where the list is one process\'s own, its pages end with the process', async () => {
  const alone = await Server.start({ store: 'sqlite:' });
  const room = newRoom();
  await putRoom(alone, room);
  await enterMany(room, many(5), alone);
  const { json: { next_page } } = await get(room, 'online/users?limit=2', { on: alone });
  assert.equal((await get(room, `online/users?page=${next_page}`, { on: alone })).status, 200);
  await alone.restart();
  await enterMany(room, many(5), alone);
  const answer = await get(room, `online/users?page=${next_page}`, { on: alone });
  assertProblem(answer, 400, 'bad_request');
  assert.match(answer.json.detail, /begin again without page/i);
});

test('a room that nobody made is not found, and not made by asking', async () => {
  const room = newRoom();
  for (let i = 0; i < 2; i++) {
    assertProblem(await get(room), 404, 'room_not_found');
    assertProblem(await get(room, 'online/users'), 404, 'room_not_found');
  }
});

test('readers may ask for the count, hosts and keys for the list', async () => {
  const room = newRoom();
  await putRoom(shop, room, {}, KEY);
  const token = (role, claims = {}) =>
    signToken(SECRET, { app: 'shop', sub: 'ann', room, role, exp: inSeconds(60), ...claims });
  const asks = (path, by) => get(room, path, { token: by, on: shop });
  for (const by of [token('viewer'), token('speaker'), token('host'), KEY]) assert.equal((await asks('online', by)).status, 200);
  for (const role of ['viewer', 'speaker']) assertProblem(await asks('online/users', token(role)), 403, 'forbidden');
  for (const by of [token('host'), KEY]) assert.equal((await asks('online/users', by)).status, 200);
  assertProblem(await asks('online', token('host', { room: 'elsewhere' })), 403, 'forbidden');
  assertProblem(await asks('online/users', token('host', { room: 'elsewhere' })), 403, 'forbidden');
  assertProblem(await asks('online', `other-${KEY}`), 404, 'room_not_found'); // another app's room of that name
  for (const path of ['online', 'online/users']) assertProblem(await asks(path, 'nobody'), 401, 'unauthorized');
});

test('in a rush on both workers no more get in than the room takes', async () => {
  const LIMIT = 20;
  const USERS = 150;
  const room = newRoom();
  await putRoom(server, room, { max_online: LIMIT });
  const clients = many(USERS).map((user) => ({ user, client: new Client(server, { token: 'dev' }) }));
  await Promise.all(clients.map(({ client }) => client.ask('GET', '/healthz'))); // all connected
  const answers = await Promise.all(clients.map(async ({ user, client }) => ({
    user, answer: await client.ask('GET', `/v1/rooms/${room}/messages?user=${user}`),
  })));
  const inside = answers.filter(({ answer }) => answer.status === 200);
  assert.equal(inside.length, LIMIT);
  for (const { answer } of answers) {
    if (answer.status === 200) assert.ok(answer.json.online <= LIMIT, `${answer.json.online}`);
    else assertProblem(answer, 429, 'room_full');
  }
  assert.deepEqual(names(await list(room)), inside.map(({ user }) => user).sort());
  // Who is in gets in again, by whatever worker takes the connection.
  await Promise.all([1, 2, 3, 4].flatMap(() => inside.map(({ user }) => enter(room, user))));
  assert.equal(await count(room), LIMIT);
  for (const { client } of clients) client.close();
});

test('a place that becomes free is given to one', async () => {
  const room = newRoom();
  await putRoom(server, room, { max_online: 3 });
  await enterMany(room, ['ann', 'bob', 'cid']);
  for (let round = 0; round < 10; round++) {
    const [gone] = await list(room, { limit: 1 });
    assert.equal((await ask(server, 'POST', `/v1/rooms/${room}/leave?user=${gone.user}`)).status, 204);
    const tries = await Promise.all(many(8, `new-${round}`).map((user) =>
      ask(server, 'GET', `/v1/rooms/${room}/messages?user=${user}`, { token: 'dev' })));
    assert.equal(tries.filter(({ status }) => status === 200).length, 1);
    assert.equal(await count(room), 3);
  }
});

test('whoever lingers in a full room has not lost the place', async () => {
  const room = newRoom();
  await putRoom(server, room, { max_online: 1 });
  const ann = new Reader(server, room, { user: 'ann', token: 'dev' });
  await ann.poll();
  const poll = ann.poll(60).catch(() => {});
  await parked(server, 1);
  ann.close();
  await poll;
  for (let i = 0; i < 6; i++) await enter(room, 'ann'); // on either worker
  assertProblem(await ask(server, 'GET', `/v1/rooms/${room}/messages?user=bob`, { token: 'dev' }), 429, 'room_full');
});
