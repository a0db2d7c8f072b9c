/* Redis fails: a master dies, or stops and comes back as somebody who was deposed; a server comes back empty. */

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Reader, isPassing, newRoom, putRoom, sendMany } from '../e2e/lib/client.mjs';
import { within, waitFor } from '../e2e/lib/server.mjs';
import { Faults } from './lib/faults.mjs';
import { Fleet, ready } from './lib/fleet.mjs';
import { Redis, RedisCluster } from './lib/redis.mjs';
import { Traffic } from './lib/traffic.mjs';

test('a Redis master is killed: sends are told to come back, polls go on, no acknowledged high is lost', async (t) => {
  const cluster = await RedisCluster.start();
  const fleet = await Fleet.start({ store: cluster.url, sects: { one: 2 }, edges: 2 });
  const room = newRoom();
  await putRoom(fleet.edges[0], room);
  const traffic = await Traffic.start(t, fleet.edges, room);
  const { master, replica } = await cluster.owner(`{dev/${room}}`);
  const polls = traffic.readers.map((r) => r.polls);
  const killed = performance.now();
  await master.kill();
  await cluster.promoted(replica);
  await master.start(); // as a replica of the new one, without which no high is acknowledged
  await traffic.delivered(10_000);
  t.diagnostic(`delivered ${Math.round(performance.now() - killed)} ms after the kill`);
  const refusals = traffic.talkers.flatMap((talker) => talker.refusals);
  for (const answer of refusals) assert.ok(Number(answer.headers['retry-after']) >= 1, answer.text);
  t.diagnostic(`${refusals.length} sends were put off`);
  traffic.readers.forEach((reader, i) => assert.ok(reader.polls > polls[i], 'polls went on'));
  await cluster.whole();
  await traffic.more(10);
  t.diagnostic(JSON.stringify(await traffic.settle({ isWhole: false })));

  await t.test('and again, by a few random faults', async (sub) => {
    const faults = new Faults({ cluster, nodes: fleet.caches, seed: 1 });
    const outcome = await faults.run(1);
    sub.diagnostic(JSON.stringify(outcome));
    assert.equal(outcome.missing, 0);
    assert.ok(outcome.acknowledged > 0);
  });
});

test('a Redis comes back empty: rooms go on, and who is behind is told of a gap', async (t) => {
  const redis = await Redis.start();
  const fleet = await Fleet.start({ store: redis.url, sects: { one: 1 }, edges: 2, drain_s: 0 });
  const room = newRoom();
  await putRoom(fleet.edges[0], room);
  const behind = new Reader(fleet.edges[0], room, { user: 'behind' });
  const tail = new Reader(fleet.edges[1], room, { user: 'tail' });
  t.after(() => [behind, tail].forEach((reader) => reader.close()));
  await behind.poll();
  await sendMany(fleet.edges[0], room, [1, 2, 3].map((n) => ({ body: n, priority: 'high' })));
  await tail.poll();
  await redis.kill();
  redis.wipe();
  await redis.start();
  await sendWhenPossible(fleet.edges[1], room, 'after');
  await until(tail, 'after');
  assert.equal(tail.gaps, 0);
  assert.deepEqual(tail.bodies('high').filter((body) => body !== undefined && typeof body !== 'object'), ['after']);
  // Nobody has the lost messages in memory any more.
  for (const node of [...fleet.caches, ...fleet.edges]) await node.restart();
  await Promise.all(fleet.edges.map(ready));
  await until(behind, 'after');
  assert.ok(behind.gaps > 0, 'what is missing is told');
  await sendWhenPossible(fleet.edges[0], room, 'again');
  for (const reader of [behind, tail]) await until(reader, 'again');
  assert.equal(tail.gaps, 0);
});

const sendWhenPossible = (edge, room, body) => waitFor(
  () => sendMany(edge, room, [{ body, priority: 'high' }]).then(() => true, () => false), within(10_000), 'a send');

const until = (reader, body) => waitFor(async () => {
  await reader.poll(1).catch((error) => assert.ok(isPassing(error), error.stack));
  return reader.bodies('high').includes(body);
}, within(10_000), `${body} at a reader`);
