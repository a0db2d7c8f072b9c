/* Who is here, page by page, asked at another node for each page: everybody who stays is listed once. */

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Client, ask, assertProblem, newRoom, putRoom } from '../e2e/lib/client.mjs';
import { Server, waitFor, within } from '../e2e/lib/server.mjs';
import { Fleet } from './lib/fleet.mjs';
import { Redis } from './lib/redis.mjs';

const KEY = 'a-key-of-the-shop-app';
const SECRETS = ['the-first-secret-of-the-shop-app-for-tokens', 'the-other-secret-of-the-shop-app-for-tokens'];
const STAY = ['--linger-s', 600]; // nobody's time runs out during a test

const many = (n, name) => Array.from({ length: n }, (_, i) => `${name}-${i}`);

async function enter(node, room, users, token = 'dev') {
  const client = new Client(node, { token });
  for (const user of users) assert.equal((await client.ask('GET', `/v1/rooms/${room}/messages?user=${user}`)).status, 200);
  client.close();
}

const leave = (node, room, user) => ask(node, 'POST', `/v1/rooms/${room}/leave?user=${user}`, { token: 'dev' });

const pageOf = (node, room, { page = '', limit = 10, token = 'dev' } = {}) =>
  ask(node, 'GET', `/v1/rooms/${room}/online/users?limit=${limit}&page=${page}`, { token });

/** The ids of all users: the first page from the first node, the next from the next one, and so on. */
async function list(nodes, room, { limit = 10, token = 'dev', between = () => {} } = {}) {
  const users = [];
  for (let page = '', i = 0; page !== null; i++) {
    const answer = await pageOf(nodes[i % nodes.length], room, { page, limit, token });
    assert.equal(answer.status, 200, answer.text);
    users.push(...answer.json.users.map(({ user }) => user));
    page = answer.json.next_page;
    await between(i);
  }
  return users;
}

const allHere = (nodes, room, users, token = 'dev') => waitFor(
  async () => (await list(nodes, room, { limit: 1000, token })).length === users.length, within(10_000), 'everybody');

/** Guests come by one node and leave by another between the pages. */
async function checkPages(nodes, room) {
  const stay = many(120, 'stays');
  for (let i = 0; i < nodes.length; i++) await enter(nodes[i], room, stay.filter((_, at) => at % nodes.length === i));
  await allHere(nodes, room, stay);
  for (const limit of [1, 7, 100]) assert.deepEqual((await list(nodes, room, { limit })).sort(), [...stay].sort());
  const listed = await list(nodes, room, {
    between: async (i) => {
      await enter(nodes[i % nodes.length], room, many(5, `guest-${i}`));
      if (i > 0) for (const user of many(3, `guest-${i - 1}`)) await leave(nodes[(i + 1) % nodes.length], room, user);
    },
  });
  assert.deepEqual(listed.filter((user) => user.startsWith('stays')).sort(), [...stay].sort());
  assert.equal(new Set(listed).size, listed.length, 'nobody twice');
}

test('over Redis, at edges and cache nodes in turn', async () => {
  const redis = await Redis.start();
  const fleet = await Fleet.start({ store: redis.url, sects: { one: 2 }, edges: 2, cacheFlags: STAY, edgeFlags: STAY, drain_s: 0 });
  const room = newRoom();
  await putRoom(fleet.edges[0], room);
  await checkPages([...fleet.edges, ...fleet.caches], room);
});

test('over a file behind a link, and after its node was started anew', async () => {
  const fleet = await Fleet.start({ store: 'sqlite:', sects: { one: 1 }, edges: 2, cacheFlags: STAY, edgeFlags: STAY, drain_s: 0 });
  const room = newRoom();
  await putRoom(fleet.edges[0], room);
  await checkPages([...fleet.edges, ...fleet.caches], room);
  const { json: { next_page } } = await pageOf(fleet.caches[0], room);
  await fleet.caches[0].restart();
  await waitFor(async () => (await pageOf(fleet.edges[1], room, { page: next_page })).status === 200, within(10_000), 'the next page');
});

/** Nodes that have no secret of a cluster: what they share is the store and the apps. */
async function equals(count, configs) {
  const redis = await Redis.start();
  return Promise.all(configs.slice(0, count).map((config) => Server.start({ store: redis.url, config, flags: STAY })));
}

const shop = (secret) => `[app "shop"]\nkey = ${KEY}\n${secret === undefined ? '' : `secret = ${secret}\n`}`;

test('at equal nodes, for an app without a secret too', async () => {
  for (const secret of [undefined, SECRETS[0]]) {
    const nodes = await equals(2, [shop(secret), shop(secret)]);
    const room = newRoom();
    const users = many(30, 'user');
    await putRoom(nodes[0], room, {}, KEY);
    await enter(nodes[0], room, users, KEY);
    await allHere(nodes, room, users, KEY);
    assert.deepEqual((await list(nodes, room, { token: KEY })).sort(), [...users].sort());
  }
});

test('another secret ends the pages that were sealed before, and the answer says so', async () => {
  const nodes = await equals(2, [shop(SECRETS[0]), shop(SECRETS[0])]);
  const room = newRoom();
  const users = many(30, 'user');
  await putRoom(nodes[0], room, {}, KEY);
  await enter(nodes[0], room, users, KEY);
  await allHere(nodes, room, users, KEY);
  const { json: { next_page: page } } = await pageOf(nodes[0], room, { token: KEY });
  nodes[1].writeConfig(shop(SECRETS[1]));
  nodes[1].signal('SIGHUP');
  const answer = await waitFor(async () => {
    const got = await pageOf(nodes[1], room, { page, token: KEY });
    return got.status === 200 ? null : got;
  }, within(5000), 'the end of the old page');
  assertProblem(answer, 400, 'bad_request');
  assert.match(answer.json.detail, /begin again without page/i);
  assert.equal((await pageOf(nodes[0], room, { page, token: KEY })).status, 200, 'where the old secret still is');
  nodes[0].writeConfig(shop(SECRETS[1]));
  nodes[0].signal('SIGHUP');
  await waitFor(async () => (await pageOf(nodes[0], room, { page, token: KEY })).status === 400, within(5000), 'the reload');
  assert.deepEqual((await list(nodes, room, { token: KEY })).sort(), [...users].sort());
});
