/* A room's history: a point for each step in which something happened. */

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Server, quiet, waitFor, within } from './lib/server.mjs';
import { Client, Reader, ask, assertProblem, metric, newRoom, putRoom, sendMany } from './lib/client.mjs';

const getStats = (server, room, query = '') => ask(server, 'GET', `/v1/rooms/${room}/stats${query}`, { token: 'dev' });
async function points(server, room, query) {
  const answer = await getStats(server, room, query);
  assert.equal(answer.status, 200, answer.text);
  return answer.json.points;
}

const sum = (list, of) => list.reduce((total, point) => total + point[of], 0);
const many = (count, priority) => Array.from({ length: count }, (_, i) => ({ body: i, priority }));

/** A stop ends the minute under way: then history can be looked at without waiting for its end. */
async function withHistory(then) {
  const server = await Server.start({ store: 'sqlite:', flags: ['--linger-s', 1] });
  const room = newRoom();
  await putRoom(server, room);
  const readers = ['ann', 'bob', 'cid'].map((user) => new Reader(server, room, { user }));
  for (const reader of readers) await reader.poll();
  await sendMany(server, room, [...many(4, 'normal'), ...many(2, 'high')]);
  await quiet(600);
  for (const reader of readers) reader.close();
  await server.restart();
  await then(server, room);
}

test('what happened in a minute is in its point', () => withHistory(async (server, room) => {
  const list = await points(server, room);
  assert.ok(list.length >= 1 && list.length <= 2, 'a minute may have ended meanwhile');
  for (const point of list) {
    assert.deepEqual(Object.keys(point),
      ['at', 'span_s', 'online_avg', 'online_peak', 'joins', 'messages', 'high', 'unique']);
    assert.equal(point.at % 60_000, 0);
    assert.ok(Math.abs(point.at - Date.now()) < 180_000);
    assert.equal(point.span_s, 60);
  }
  assert.equal(sum(list, 'joins'), 3);
  assert.equal(sum(list, 'messages'), 6);
  assert.equal(sum(list, 'high'), 2);
  assert.equal(Math.max(...list.map((p) => p.online_peak)), 3);
  assert.equal(list.at(-1).unique, 3);
  // The average of the minute that has not ended is over what of it has passed.
  const online_s = list.reduce((total, p) => total + p.online_avg * Math.min(60, (Date.now() - p.at) / 1000), 0);
  assert.ok(online_s > 3 * 0.5 && online_s < 3 * 10, `${online_s}`);
}));

test('steps add up, and parts of a minute from before and after a restart too', () => withHistory(async (server, room) => {
  const client = new Client(server);
  assert.equal((await client.ask('GET', `/v1/rooms/${room}/messages?user=dee`)).status, 200);
  client.close();
  await sendMany(server, room, many(1, 'normal'));
  await server.restart();
  for (const step_s of [60, 300, 86_400]) {
    const list = await points(server, room, `?step_s=${step_s}`);
    assert.ok(list.length >= 1 && list.length <= 3);
    for (const point of list) assert.equal(point.at % (step_s * 1000), 0);
    assert.equal(sum(list, 'joins'), 4);
    assert.equal(sum(list, 'messages'), 7);
    assert.ok(list.at(-1).unique >= 3, 'as far as it was stored when the last part ended');
  }
  const now = Date.now();
  assert.deepEqual(await points(server, room, `?from=${now - 7_200_000}&to=${now - 3_600_000}`), []);
}));

test('a minute comes by itself when it is over', async () => {
  const server = await Server.start({ store: 'sqlite:' });
  const room = newRoom();
  await putRoom(server, room);
  const reader = new Reader(server, room, { user: 'ann' });
  const following = reader.follow({ timeout_s: 10 });
  await waitFor(async () => (await points(server, room)).length > 0, within(70_000), 'the first minute');
  const [point] = await points(server, room);
  assert.equal(point.joins, 1);
  assert.equal(point.online_peak, 1);
  // 0.00, where the room began in the last moments of its minute.
  assert.ok(point.online_avg >= 0 && point.online_avg <= 1, `${point.online_avg}`);
  assert.ok(await metric(server, 'stoa_samples_total') >= 1);
  await server.kill(); // and it is on the disk
  await server.start();
  assert.deepEqual((await points(server, room))[0], point);
  reader.stop();
  reader.close();
  await following.catch(() => {});
});

test('a room in which nothing happens has no points', async () => {
  const server = await Server.start({ store: 'sqlite:' });
  const room = newRoom();
  await putRoom(server, room);
  await server.restart();
  assert.deepEqual(await points(server, room), []);
  assert.equal(await metric(server, 'stoa_samples_total'), 0);
});

for (const [what, query, detail] of [
  ['a step below a minute', '?step_s=30', /step_s/],
  ['a step between minutes', '?step_s=90', /multiple of 60/],
  ['a step that is no number', '?step_s=hour', /step_s/],
  ['more points than fit', '?from=1732000000000&to=1732864000000', /raise step_s to \d+/],
]) {
  test(`${what} is refused`, async () => {
    const server = await Server.start();
    const room = newRoom();
    await putRoom(server, room);
    const problem = assertProblem(await getStats(server, room, query), 400, 'bad_request');
    assert.match(problem.detail, detail);
    const step_s = /raise step_s to (\d+)/.exec(problem.detail)?.[1];
    if (step_s !== undefined) assert.equal((await getStats(server, room, `${query}&step_s=${step_s}`)).status, 200);
    await server.stop();
  });
}

test('1500 points fit', async () => {
  const server = await Server.start();
  const room = newRoom();
  await putRoom(server, room);
  const to = Date.now();
  assert.equal((await getStats(server, room, `?from=${to - 1500 * 60_000}&to=${to}`)).status, 200);
  assertProblem(await getStats(server, room, `?from=${to - 1502 * 60_000}&to=${to}`), 400, 'bad_request');
});
