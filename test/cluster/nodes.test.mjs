/* Nodes that die, are stuck, or are told to stop, and a room that moves, while people talk: nothing is lost, and it goes on. */

import { test, before } from 'node:test';
import assert from 'node:assert/strict';
import { ask, newRoom, putRoom } from '../e2e/lib/client.mjs';
import { Fleet, ready } from './lib/fleet.mjs';
import { Redis } from './lib/redis.mjs';
import { Traffic } from './lib/traffic.mjs';

let fleet;
before(async () => {
  const redis = await Redis.start();
  fleet = await Fleet.start({ store: redis.url, sects: { one: 2, vip: 1 }, edges: 3 });
});

/** A room with people in it. */
async function talkingRoom(t) {
  const room = newRoom();
  await putRoom(fleet.edges[0], room);
  return Traffic.start(t, fleet.edges, room, { readers: 6, talkers: 3 });
}

const serving = (traffic) => fleet.serving(() => traffic.more(10));

test('an edge is killed: its clients go on elsewhere with their cursors', async (t) => {
  const traffic = await talkingRoom(t);
  await fleet.edges[1].kill();
  t.diagnostic(`delivered after ${await traffic.delivered(5000)} ms`);
  await fleet.edges[1].start();
  await ready(fleet.edges[1]);
  await traffic.more(10);
  t.diagnostic(JSON.stringify(await traffic.settle()));
});

test('a cache node is killed: edges take the next one of the sect', async (t) => {
  const traffic = await talkingRoom(t);
  const cache = await serving(traffic);
  await cache.kill();
  t.diagnostic(`delivered after ${await traffic.delivered(5000)} ms`);
  await cache.start();
  await traffic.more(10);
  t.diagnostic(JSON.stringify(await traffic.settle()));
});

test('a cache node is alive but stuck: edges move on', async (t) => {
  const traffic = await talkingRoom(t);
  const cache = await serving(traffic);
  cache.signal('SIGSTOP');
  t.after(() => cache.isRunning && cache.signal('SIGCONT'));
  const took = await traffic.delivered(10_000);
  t.diagnostic(`delivered after ${took} ms`);
  assert.ok(took < 14_000, `${took} ms, and not the 15 s after which silence alone ends a link`);
  cache.signal('SIGCONT');
  await traffic.more(10);
  t.diagnostic(JSON.stringify(await traffic.settle()));
});

test('an edge is told to stop: nothing is lost', async (t) => {
  const traffic = await talkingRoom(t);
  await fleet.edges[2].restart();
  await traffic.more(10);
  t.diagnostic(JSON.stringify(await traffic.settle()));
});

test('a cache node is told to stop: nothing is lost', async (t) => {
  const traffic = await talkingRoom(t);
  const cache = await serving(traffic);
  await cache.restart();
  await traffic.more(10);
  t.diagnostic(JSON.stringify(await traffic.settle()));
});

test('a room is moved to the VIP sect and back: nothing is lost', async (t) => {
  const traffic = await talkingRoom(t);
  for (const sect of ['vip', null]) {
    const answer = await ask(fleet.edges[0], 'PUT', `/v1/rooms/${traffic.room}/sect`, { token: 'dev', body: { sect } });
    assert.equal(answer.status, 200, answer.text);
    await traffic.delivered(5000);
    await traffic.more(20);
  }
  t.diagnostic(JSON.stringify(await traffic.settle()));
});
