/* Nodes and sects, as operators see them: which nodes there are, which room is where, by hand and by the switch. */

import { before, test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { Server, waitFor, within } from './lib/server.mjs';
import { Client, ask, assertProblem, inSeconds, metric, newRoom, parked, putRoom, signToken } from './lib/client.mjs';

const SECRET = 'a secret of the shop app, long enough';
const KEY = 'a-key-of-the-shop-app';
const OTHER_KEY = 'a-key-of-the-other-app';
const CONFIG = `
[app "shop"]
key = ${KEY}
secret = ${SECRET}
[app "other"]
key = ${OTHER_KEY}
`;
const SOON_MS = within(5_000);

const inSect = (sect, more = []) => ['--sect', sect, '--advertise', '10.9.8.7:7000', ...more];
const putSect = (server, room, sect, token = KEY) =>
  ask(server, 'PUT', `/v1/rooms/${room}/sect`, { token, body: { sect } });
const getSect = async (server, room, token = KEY) => (await ask(server, 'GET', `/v1/rooms/${room}`, { token })).json.sect;
const sects = async (server, token = KEY) => (await ask(server, 'GET', '/v1/sects', { token })).json;
const nodes = async (server, token = KEY) => (await ask(server, 'GET', '/v1/nodes', { token })).json.nodes;

/** What a node says of itself reaches the store with its first beat. */
const ready = async (server, token = KEY) => {
  await waitFor(async () => (await nodes(server, token)).length > 0, SOON_MS, 'the node is listed');
  return server;
};

/** People of the dev app who stay; the function that lets them go. */
async function audience(server, room, count) {
  const clients = [];
  for (let i = 0; i < count; i++) {
    const client = new Client(server);
    const { json } = await client.ask('GET', `/v1/rooms/${room}/messages?user=viewer-${i}`);
    client.ask('GET', `/v1/rooms/${room}/messages?user=viewer-${i}&since=${json.cursor}&timeout=60`).catch(() => {});
    clients.push(client);
  }
  await parked(server, count);
  return async () => {
    for (const client of clients) client.close();
    await parked(server, 0);
  };
}

let server; // a cache node
before(async () => { server = await ready(await Server.start({ config: CONFIG, flags: inSect('main') })); });

test('a server alone is one node, in no sect', async () => {
  const alone = await ready(await Server.start(), 'dev');
  const [node, ...others] = await nodes(alone, 'dev');
  assert.deepEqual(others, []);
  assert.match(node.node, /^n[0-9a-f]{16}$/);
  assert.equal(node.sect, null);
  assert.equal(node.link, null);
  assert.equal(node.vip, false);
  assert.match(node.version, /^\d+\.\d+/);
  assert.ok(Math.abs(node.started_at - Date.now()) < 60_000);
  for (const field of ['busy_percent', 'rooms', 'online', 'connections', 'links']) assert.ok(node[field] >= 0, field);
  const { sects: none, assigned } = await sects(alone, 'dev');
  assert.deepEqual([none, assigned], [[], []]);
  const refused = await putSect(alone, newRoom(), 'main', 'dev');
  assertProblem(refused, 400, 'bad_request');
  assert.match(refused.text, /no node is in one/);
  await alone.stop();
});

test('a node tells its load, and its largest rooms', async () => {
  const room = newRoom();
  const alone = await ready(await Server.start(), 'dev');
  const go = await audience(alone, room, 3);
  const [node] = await waitFor(async () => {
    const list = await nodes(alone, 'dev');
    return list[0].hot[0]?.online === 3 && list;
  }, SOON_MS, 'three people');
  assert.deepEqual(node.hot, [{ app: 'dev', room, online: 3, deliveries_per_s: 0 }]);
  assert.equal(node.rooms, 1);
  assert.equal(node.online, 3);
  assert.ok(node.connections >= 3);
  await go();
  await alone.stop();
});

test('nodes and sects take the key of an app', async () => {
  const viewer = signToken(SECRET, { app: 'shop', sub: 'ann', room: '*', role: 'host', exp: inSeconds(600) });
  for (const path of ['/v1/nodes', '/v1/sects']) {
    assertProblem(await ask(server, 'GET', path), 401, 'unauthorized');
    assertProblem(await ask(server, 'GET', path, { token: viewer }), 403, 'forbidden');
    assert.equal((await ask(server, 'GET', path, { token: KEY })).status, 200);
    assert.equal((await ask(server, 'POST', path, { token: KEY, body: {} })).status, 405);
  }
  const room = newRoom();
  await putRoom(server, room, {}, KEY);
  assertProblem(await putSect(server, room, 'main', viewer), 403, 'forbidden');
  assertProblem(await ask(server, 'PUT', `/v1/rooms/${room}`, { token: viewer, body: { sect: 'main' } }), 403, 'forbidden');
  assert.equal((await ask(server, 'PUT', `/v1/rooms/${room}`, { token: viewer, body: { title: 'mine' } })).status, 200);
});

test('a sect has its nodes and its load', async () => {
  const { sects: [main, ...others], version } = await sects(server);
  assert.deepEqual(others, []);
  assert.equal(main.sect, 'main');
  assert.equal(main.vip, false);
  assert.equal(main.nodes, 1);
  for (const field of ['busy_percent', 'rooms', 'links', 'rooms_assigned']) assert.ok(main[field] >= 0, field);
  assert.match(version, /^[0-9a-f]{16}$/);
  const [node] = await nodes(server);
  assert.equal(node.sect, 'main');
  assert.equal(node.link, '10.9.8.7:7000');
});

test('a room is assigned by hand, and all that tells of it says so', async () => {
  const room = newRoom();
  assert.equal((await putRoom(server, room, {}, KEY)).sect, null);
  const answer = await putSect(server, room, 'main');
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(answer.json, { room, sect: 'main' });
  await waitFor(async () => await getSect(server, room) === 'main', SOON_MS, 'the sect in the room');
  const { assigned } = await sects(server);
  const { since, ...own } = assigned.find((a) => a.room === room);
  assert.deepEqual(own, { app: 'shop', room, sect: 'main', serving: 'main', by: 'operator' });
  assert.ok(Math.abs(since - Date.now()) < 60_000);
  const list = (await ask(server, 'GET', '/v1/rooms', { token: KEY })).json.rooms;
  assert.equal(list.find((r) => r.room === room).sect, 'main');
  assert.deepEqual((await putSect(server, room, null)).json, { room, sect: null });
  await waitFor(async () => await getSect(server, room) === null, SOON_MS, 'no sect in the room');
});

test('the sect is among the settings of a room as well', async () => {
  const room = newRoom();
  assert.equal((await putRoom(server, room, { sect: 'main' }, KEY)).sect, 'main');
  assert.ok((await sects(server)).assigned.some((a) => a.room === room));
  assert.equal((await putRoom(server, room, { sect: null }, KEY)).sect, null);
  assert.ok(!(await sects(server)).assigned.some((a) => a.room === room));
});

test('a sect that is not there is refused with those that are', async () => {
  const room = newRoom();
  await putRoom(server, room, { title: 'before' }, KEY);
  for (const answer of [
    await putSect(server, room, 'vip-9'),
    await ask(server, 'PUT', `/v1/rooms/${room}`, { token: KEY, body: { sect: 'vip-9', title: 'after' } }),
  ]) {
    assertProblem(answer, 400, 'bad_request');
    assert.match(answer.text, /no sect \\"vip-9\\": there are \\"main\\"/);
  }
  assert.equal((await ask(server, 'GET', `/v1/rooms/${room}`, { token: KEY })).json.title, 'before');
});

for (const [what, body] of Object.entries({
  'no member': {}, 'a number': { sect: 5 }, 'an odd name': { sect: 'a b' }, 'a long name': { sect: 'x'.repeat(65) },
})) {
  test(`PUT …/sect: ${what} is refused`, async () => {
    const room = newRoom();
    await putRoom(server, room, {}, KEY);
    assertProblem(await ask(server, 'PUT', `/v1/rooms/${room}/sect`, { token: KEY, body }), 400, 'bad_request');
  });
}

test('a room that is not there takes no sect, unless it comes into being by itself', async () => {
  assertProblem(await putSect(server, newRoom(), 'main'), 404, 'room_not_found');
  const dev = await ready(await Server.start({ flags: inSect('main') }), 'dev');
  const room = newRoom();
  assert.equal((await putSect(dev, room, 'main', 'dev')).status, 200);
  assertProblem(await ask(dev, 'GET', `/v1/rooms/${room}`, { token: 'dev' }), 404, 'room_not_found');
  await dev.stop();
});

test('an app sees its own rooms among the assigned and the large ones', async () => {
  const room = newRoom();
  await putRoom(server, room, { sect: 'main' }, KEY);
  assert.ok((await sects(server)).assigned.some((a) => a.room === room));
  assert.deepEqual((await sects(server, OTHER_KEY)).assigned, []);
  const [main] = (await sects(server, OTHER_KEY)).sects;
  assert.ok(main.rooms_assigned >= 1);
});

test('an assignment outlives a crash', async () => {
  const own = await ready(await Server.start({ config: CONFIG, store: 'sqlite:', flags: inSect('main') }));
  const room = newRoom();
  await putRoom(own, room, { sect: 'main' }, KEY);
  await own.kill();
  await own.start();
  await waitFor(async () => await getSect(own, room) === 'main', SOON_MS, 'the sect in the room');
  await own.stop();
});

test('ops_listen takes nodes and sects off the port of the clients', async () => {
  const host = '127.250.250.2';
  const listener = createServer().listen(0, host);
  await once(listener, 'listening');
  const { port } = listener.address();
  listener.close();
  await once(listener, 'close');
  const own = await Server.start({ config: CONFIG, flags: inSect('main', ['--ops-listen', `${host}:${port}`]) });
  const ops = await ready({ host, port }, undefined);
  for (const path of ['/v1/nodes', '/v1/sects']) {
    assertProblem(await ask(own, 'GET', path, { token: KEY }), 404, 'not_found');
    assert.equal((await ask(ops, 'GET', path)).status, 200);
  }
  for (const token of [KEY, OTHER_KEY]) await putRoom(own, 'same', { sect: 'main' }, token);
  const { assigned } = await sects(ops, undefined);
  assert.deepEqual(assigned.map((a) => a.app), ['other', 'shop']);
  await own.stop();
});

test('metrics tell the routes, and nodes by sect', async () => {
  await waitFor(async () => {
    const { text } = await ask(server, 'GET', '/metrics');
    return text.includes('stoa_sect_nodes{sect="main"} 1\n');
  }, SOON_MS, 'the sect in the metrics');
  assert.ok(await metric(server, 'stoa_routes_version') > 0);
  assert.equal(await metric(server, 'stoa_beats_failed_total'), 0);
});

const SWITCH = ['--vip', '--switch-up-online', 2, '--switch-down-online', 1, '--switch-up-s', 1, '--switch-down-s', 1,
  '--linger-s', 1];

test('the switch assigns a large room to a VIP sect, and takes it back', async () => {
  const own = await ready(await Server.start({ flags: inSect('vip-1', SWITCH) }), 'dev');
  const room = newRoom();
  const go = await audience(own, room, 2);
  await waitFor(async () => await getSect(own, room, 'dev') === 'vip-1', within(15_000), 'the promotion');
  assert.equal((await sects(own, 'dev')).assigned[0].by, 'switch');
  assert.equal(await metric(own, 'stoa_switch_promotions_total'), 1);
  assert.equal(await metric(own, 'stoa_switch_lease'), 1);
  assert.match(own.stderr, /dev\/\S+ assigned to vip-1: 2 online/);
  await go();
  await waitFor(async () => await getSect(own, room, 'dev') === null, within(15_000), 'the demotion');
  assert.equal(await metric(own, 'stoa_switch_demotions_total'), 1);
  assert.match(own.stderr, /taken back from vip-1/);
  await own.stop();
});

test('the switch leaves alone what an operator assigned', async () => {
  const own = await ready(await Server.start({ flags: inSect('vip-1', SWITCH) }), 'dev');
  const [kept, moved] = [newRoom(), newRoom()];
  assert.equal((await putSect(own, kept, 'vip-1', 'dev')).status, 200);
  const go = await audience(own, moved, 2);
  await waitFor(async () => await getSect(own, moved, 'dev') === 'vip-1', within(15_000), 'the promotion');
  await go();
  await waitFor(async () => await getSect(own, moved, 'dev') === null, within(15_000), 'the demotion');
  const { assigned } = await sects(own, 'dev'); // nobody was ever in this one
  assert.deepEqual(assigned.map((a) => [a.room, a.by]), [[kept, 'operator']]);
  await own.stop();
});

test('a dry switch only says what it would do', async () => {
  const own = await ready(await Server.start({ flags: inSect('vip-1', [...SWITCH, '--switch-dry-run']) }), 'dev');
  const room = newRoom();
  const go = await audience(own, room, 2);
  await waitFor(() => /would be assigned to vip-1/.test(own.stderr), within(15_000), 'the log line');
  assert.equal(await metric(own, 'stoa_switch_dry_total'), 1);
  assert.deepEqual((await sects(own, 'dev')).assigned, []);
  await go();
  await waitFor(() => /would be taken back from vip-1/.test(own.stderr), within(15_000), 'the log line');
  await own.stop();
});
