/* Rooms as resources: made, changed, listed, closed. */

import { before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Server } from './lib/server.mjs';
import { Reader, ask, assertProblem, newRoom, putRoom, send } from './lib/client.mjs';

const KEY = 'a-key-of-the-shop-app';
const OTHER_KEY = 'a-key-of-the-other-app';
const CONFIG = `
[app "shop"]
key = ${KEY}
[app "other"]
key = ${OTHER_KEY}
`;
const DEFAULTS = {
  title: '', slow_mode_s: 0, max_body_bytes: 4096, normal_per_s: 200, high_per_s: 50, max_online: 0, sect: null,
};

let server;
before(async () => { server = await Server.start({ config: CONFIG, store: 'sqlite:' }); });

const put = (room, body, token = KEY) => ask(server, 'PUT', `/v1/rooms/${room}`, { token, body });
const get = (room, token = KEY) => ask(server, 'GET', `/v1/rooms/${room}`, { token });
const close = (room) => ask(server, 'DELETE', `/v1/rooms/${room}`, { token: KEY });

test('a room is made with the settings it is given, and defaults for the others', async () => {
  const room = newRoom();
  const made = await put(room, { title: 'Späte Runde 🎉', slow_mode_s: 3 });
  assert.equal(made.status, 201, made.text);
  const { created_at, ...rest } = made.json;
  assert.deepEqual(rest, { ...DEFAULTS, title: 'Späte Runde 🎉', slow_mode_s: 3, room, state: 'open', online: 0, unique: 0 });
  assert.ok(Math.abs(created_at - Date.now()) < 60_000);
  assert.deepEqual((await get(room)).json, made.json);
});

test('a second PUT changes what it names, and nothing else', async () => {
  const room = newRoom();
  const made = await put(room, { title: 'one', max_body_bytes: 100, max_online: 7 });
  const changed = await put(room, { title: 'two', high_per_s: 9 });
  assert.equal(changed.status, 200);
  assert.deepEqual(changed.json, { ...made.json, title: 'two', high_per_s: 9 });
});

test('readers learn of new settings by a high room.updated', async () => {
  const room = newRoom();
  await put(room, {});
  const reader = new Reader(server, room, { token: KEY });
  await reader.poll();
  await put(room, { title: 'new title' });
  const { messages } = await reader.poll(5);
  assert.equal(messages.length, 1);
  assert.equal(messages[0].type, 'room.updated');
  assert.equal(messages[0].priority, 'high');
  assert.equal(messages[0].body.title, 'new title');
  reader.close();
});

test('an empty PUT makes a room too, and unknown fields are ignored', async () => {
  assert.equal((await ask(server, 'PUT', `/v1/rooms/${newRoom()}`, { token: KEY })).status, 201);
  assert.equal((await put(newRoom(), { colour: 'red' })).status, 201);
});

for (const [what, body] of Object.entries({
  'a negative number': { slow_mode_s: -1 },
  'a number as a string': { normal_per_s: '5' },
  'a fraction': { high_per_s: 1.5 },
  'a number that is too large': { max_body_bytes: 65_537 },
  'no room for any body': { max_body_bytes: 0 },
  'a title that is a number': { title: 5 },
  'a title that is too long': { title: 'x'.repeat(257) },
  'a title with a line end': { title: 'a\nb' },
  'a sect that is too long': { sect: 'x'.repeat(65) },
})) {
  test(`settings: ${what} is refused, and no room comes of it`, async () => {
    const room = newRoom();
    assertProblem(await put(room, body), 400, 'bad_request');
    assertProblem(await get(room), 404, 'room_not_found');
  });
}

test('settings that are no JSON object are refused', async () => {
  for (const body of ['{', '[]', '"x"', 'nul', '{"title":"a","title":"b"}', '{} {}']) {
    assertProblem(await put(newRoom(), body), 400, 'bad_json');
  }
});

test('room ids are checked', async () => {
  assert.equal((await put(`${newRoom()}:A_z.9-`, {})).status, 201);
  assert.equal((await put(encodeURIComponent(`${newRoom()}:x`), {})).status, 201);
  for (const id of ['x'.repeat(65), 'a%20b', 'a%2Fb', '%C3%A4', 'a%00b', '*']) {
    assertProblem(await put(id, {}), 400, 'bad_request');
  }
  assertProblem(await put('bad%zzescape', {}), 400, 'bad_request');
});

test('without auto_create a room has to be made first', async () => {
  const room = newRoom();
  assertProblem(await get(room), 404, 'room_not_found');
  assertProblem(await ask(server, 'GET', `/v1/rooms/${room}/messages`, { token: KEY }), 404, 'room_not_found');
  assertProblem(await send(server, room, { body: 1 }, { token: KEY }), 404, 'room_not_found');
  assertProblem(await close(room), 404, 'room_not_found');
  await put(room, {});
  assert.equal((await send(server, room, { body: 1 }, { token: KEY })).status, 201);
});

test('with auto_create a room comes into being by a poll and by a send', async () => {
  const dev = await Server.start();
  const [polled, sent] = [newRoom(), newRoom()];
  assert.equal((await ask(dev, 'GET', `/v1/rooms/${polled}/messages`)).status, 200);
  assert.equal((await send(dev, sent, { body: 1 })).status, 201);
  for (const room of [polled, sent]) assert.equal((await ask(dev, 'GET', `/v1/rooms/${room}`)).status, 200);
  await dev.stop();
});

test('the list has every room of the app once, in pages', async () => {
  const made = Array.from({ length: 7 }, (_, i) => `list-${i}`);
  for (const room of made) await put(room, { title: room });
  await put('list-elsewhere', {}, OTHER_KEY);
  const seen = [];
  let page = '';
  for (let pages = 0; page !== null; pages++) {
    assert.ok(pages < 100);
    const answer = await ask(server, 'GET', `/v1/rooms?limit=3${page && `&page=${encodeURIComponent(page)}`}`, { token: KEY });
    assert.equal(answer.status, 200, answer.text);
    assert.ok(answer.json.rooms.length <= 3);
    seen.push(...answer.json.rooms);
    page = answer.json.next_page;
  }
  const ids = seen.map((r) => r.room);
  assert.equal(new Set(ids).size, ids.length);
  assert.deepEqual(ids.filter((id) => id.startsWith('list-')), made);
  assert.equal(seen.find((r) => r.room === 'list-3').title, 'list-3');
  for (const query of ['limit=0', 'limit=1001', 'limit=x', 'page=a%20b']) {
    assertProblem(await ask(server, 'GET', `/v1/rooms?${query}`, { token: KEY }), 400, 'bad_request');
  }
});

test('an app does not see the rooms of another one', async () => {
  const room = newRoom();
  await put(room, { title: 'mine' });
  assertProblem(await get(room, OTHER_KEY), 404, 'room_not_found');
  await put(room, { title: 'theirs' }, OTHER_KEY);
  assert.equal((await get(room)).json.title, 'mine');
});

test('closing: readers are told, sends are refused, and it stays closed', async () => {
  const room = newRoom();
  await put(room, {});
  await send(server, room, { body: 'before' }, { token: KEY });
  const reader = new Reader(server, room, { token: KEY });
  await reader.poll();
  const parkedPoll = reader.poll(10);
  const closed = await close(room);
  assert.equal(closed.status, 200, closed.text);
  assert.equal(closed.json.state, 'closed');
  const { messages } = await parkedPoll;
  assert.deepEqual(messages.map((m) => [m.type, m.priority]), [['room.closed', 'high']]);
  assertProblem(await send(server, room, { body: 'after' }, { token: KEY }), 409, 'room_closed');
  assertProblem(await put(room, { title: 'again' }), 409, 'room_closed');
  assert.equal((await close(room)).status, 200);
  assert.deepEqual((await reader.poll()).messages, []);
  assert.equal((await get(room)).json.state, 'closed');
  reader.close();
});

test('settings and state outlive a crash', async () => {
  const [open, closed] = [newRoom(), newRoom()];
  await put(open, { title: 'kept', max_online: 3 });
  await put(closed, {});
  await close(closed);
  await server.kill();
  await server.start();
  const { title, max_online } = (await get(open)).json;
  assert.deepEqual({ title, max_online }, { title: 'kept', max_online: 3 });
  assert.equal((await get(closed)).json.state, 'closed');
  assertProblem(await send(server, closed, { body: 1 }, { token: KEY }), 409, 'room_closed');
});

test('what a closed room held stays readable', async () => {
  const room = newRoom();
  await putRoom(server, room, {}, KEY);
  await send(server, room, { body: 'kept' }, { token: KEY });
  await close(room);
  const { json } = await ask(server, 'GET', `/v1/rooms/${room}/messages`, { token: KEY });
  assert.deepEqual(json.messages.map((m) => m.type), ['room.closed', 'text']);
});
