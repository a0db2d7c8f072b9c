/*
 * Edges in front of cache nodes, all of them real processes: what is sent at one edge is read at the others, and nodes
 * that are killed, stopped or refuse cost no message and no order.
 */

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Server, newDirectory, quiet, run, waitFor, within } from './lib/server.mjs';
import { Client, Reader, ask, compareIds, isPassing, metric, newRoom, putRoom, send, sendMany } from './lib/client.mjs';

const SECRET = 'a secret that all nodes of this test know';
const env = { STOA_LINK_SECRET: SECRET };
const STUCK_MS = 2000; // for the answer to a ping; test/store/link_test.c has how soon a node is left
const SILENCE_MS = 15_000; // what would end a link without pings

/** A port of loopback that is free, outside of the range of outgoing connections. */
async function freePort(host) {
  for (let port = 20_000 + (process.pid % 10_000); ; port++) {
    const probe = createServer();
    const isFree = await new Promise((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(port, host, () => resolve(true));
    });
    await new Promise((resolve) => { probe.close(resolve); });
    if (isFree) return port;
  }
}

let hosts = 0;
async function newLink() {
  const host = `127.${200 + (hosts++ % 50)}.${process.pid % 250}.1`;
  return `${host}:${await freePort(host)}`;
}

const startNode = (link, { flags = [], ...more } = {}) =>
  Server.start({ flags: ['--link', link, ...flags], env, ...more });
const startEdge = (...links) => Server.start({ store: `link://${links.join(',')}`, env });

const linked = (edge, count = 1) =>
  waitFor(async () => await metric(edge, 'stoa_edge_links') === count, within(5_000), `${count} links`);

/** Sends numbered messages one after the other until stopped, each until it is acknowledged. */
async function talk(server, room, state) {
  const client = new Client(server, { token: 'dev' });
  state.acked = new Map();
  state.longest_ms = 0;
  for (let n = 0; !state.isOver; n++) {
    const message = { body: n, priority: n % 3 === 0 ? 'high' : 'normal' };
    const started = performance.now();
    for (;;) {
      const answer = await client.ask('POST', `/v1/rooms/${room}/messages`, {
        body: message, headers: { 'Idempotency-Key': `${room}-${n}` },
      }).catch((error) => { if (!isPassing(error)) throw error; return { status: 503 }; });
      if (answer.status === 201 || answer.status === 200) { state.acked.set(n, answer.json.id); break; }
      assert.equal(answer.status, 503, answer.text);
      await quiet(5);
    }
    state.longest_ms = Math.max(state.longest_ms, performance.now() - started);
    await quiet(2);
  }
  client.close();
}

/** Every acknowledged message once, in order; normal ones may be counted as skipped instead. */
function checkReader(reader, { acked }) {
  const ids = reader.messages.map((m) => m.id);
  assert.equal(new Set(ids).size, ids.length, 'none twice');
  for (const priority of ['high', 'normal']) {
    const got = reader.of(priority);
    got.forEach((m, i) => assert.ok(i === 0 || compareIds(got[i - 1].id, m.id) < 0, 'in order'));
    const wanted = [...acked].filter(([n]) => (n % 3 === 0) === (priority === 'high')).map(([, id]) => id);
    const missing = wanted.filter((id) => !reader.ids.has(id));
    if (priority === 'high') assert.deepEqual(missing, [], 'no high message is lost');
    else assert.ok(missing.length <= reader.skipped, `${missing.length} lost, ${reader.skipped} skipped`);
  }
  assert.equal(reader.gaps, 0);
}

test('what is sent at one edge is read at another, and at the node itself', async () => {
  const link = await newLink();
  const node = await startNode(link, { store: 'sqlite:' });
  const [one, other] = [await startEdge(link), await startEdge(link)];
  const room = newRoom();
  await putRoom(one, room, { title: 'over a link' });
  assert.equal((await ask(other, 'GET', `/v1/rooms/${room}`, { token: 'dev' })).json.title, 'over a link');
  const readers = [one, other, node].map((server) => new Reader(server, room, { user: `at-${server.port}` }));
  for (const reader of readers) await reader.poll();
  const polls = readers.map((reader) => reader.poll(20));
  await waitFor(async () => await metric(other, 'stoa_polls_parked') === 1, within(5_000), 'a parked poll');
  const { status, json } = await send(one, room, { body: { hello: '"wörld"' }, priority: 'normal' }, { user: 'ann' });
  assert.equal(status, 201);
  for (const answer of await Promise.all(polls)) {
    const [message] = answer.messages;
    assert.equal(message.id, json.id);
    assert.equal(message.from, 'ann');
    assert.deepEqual(message.body, { hello: '"wörld"' });
  }
  const ids = await sendMany(other, room, Array.from({ length: 40 }, (_, i) => ({ body: i })));
  const history = await ask(one, 'GET', `/v1/rooms/${room}/messages?before=9999999999999-0&limit=40`, { token: 'dev' });
  assert.deepEqual(history.json.messages.map((m) => m.id), [...ids].reverse());
  // Nobody polls the store for that: the copy of the node has it.
  await waitFor(async () => await metric(node, 'stoa_peer_reads_copied_total') > 0, within(5_000), 'a read from the copy');
  assert.equal(await metric(node, 'stoa_links'), 2);
  for (const reader of readers) reader.close();
});

test('what two edges saw of a room is one history', async () => {
  const link = await newLink();
  const node = await startNode(link, { store: 'sqlite:' });
  const edges = [await startEdge(link), await startEdge(link)];
  const room = newRoom();
  await putRoom(node, room);
  const readers = ['ann', 'bob', 'cid'].map((user, i) => new Reader(edges[i % 2], room, { user }));
  for (const reader of readers) await reader.poll();
  await sendMany(edges[0], room, Array.from({ length: 4 }, (_, i) => ({ body: i })));
  for (const reader of readers) await waitFor(async () => (await reader.poll(1), reader.messages.length === 4), within(5_000), 'four');
  const online = (edge) => ask(edge, 'GET', `/v1/rooms/${room}/online`, { token: 'dev' });
  for (const edge of edges) await waitFor(async () => (await online(edge)).json.online === 3, within(10_000), 'three online');
  for (const reader of readers) reader.close();
  for (const edge of edges) await edge.stop(); // which stores what it has counted
  const { json: { points } } = await ask(node, 'GET', `/v1/rooms/${room}/stats`, { token: 'dev' });
  const sum = (member) => points.reduce((all, point) => all + point[member], 0);
  assert.deepEqual([sum('joins'), sum('messages')], [3, 4], JSON.stringify(points));
  assert.equal(Math.max(...points.map((point) => point.online_peak)), 3);
});

test('a cache node is killed and started again: nothing is lost, doubled or out of order', async (t) => {
  const link = await newLink();
  const node = await startNode(link, { store: 'sqlite:' });
  const [one, other] = [await startEdge(link), await startEdge(link)];
  const room = newRoom();
  await putRoom(one, room);
  const reader = new Reader(other, room, { user: 'bob', limit: 200 });
  await reader.poll();
  const following = reader.follow({ timeout_s: 5 });
  const state = {};
  const talking = talk(one, room, state);
  for (let i = 0; i < 3; i++) {
    const before = reader.messages.length;
    await waitFor(() => reader.messages.length > before + 20, within(20_000), 'messages');
    await node.kill();
    await node.start();
  }
  const before = reader.messages.length;
  await waitFor(() => reader.messages.length > before + 20, within(20_000), 'messages after the last start');
  state.isOver = true;
  await talking;
  const last = [...state.acked.values()].at(-1);
  await waitFor(() => reader.ids.has(last), within(10_000), 'the last message');
  reader.stop();
  await following;
  checkReader(reader, state);
  t.diagnostic(`${state.acked.size} messages, the longest took ${Math.round(state.longest_ms)} ms`);
});

/** Two cache nodes over one store: the second is an edge of the first, as far as the store goes. */
async function startPair() {
  const [base, a, b] = [await newLink(), await newLink(), await newLink()];
  const store = await startNode(base, { store: 'sqlite:' });
  const nodes = [];
  for (const link of [a, b])
    nodes.push(await startNode(link, {
      store: `link://${base}`, flags: ['--sect', 'main', '--advertise', link],
    }));
  return { store, nodes, links: [a, b] };
}

test('a cache node that is alive but stuck is left', async (t) => {
  const { nodes, links } = await startPair();
  const edge = await startEdge(...links);
  await linked(edge, 2);
  const rooms = Array.from({ length: 6 }, newRoom);
  for (const room of rooms) await putRoom(edge, room);
  const readers = rooms.map((room) => new Reader(edge, room, { user: 'bob', limit: 200 }));
  for (const reader of readers) await reader.poll();
  const following = readers.map((reader) => reader.follow({ timeout_s: 5 }));
  const states = rooms.map(() => ({}));
  const talking = rooms.map((room, i) => talk(edge, room, states[i]));
  await waitFor(() => readers.every((r) => r.messages.length > 10), within(10_000), 'messages in all rooms');
  nodes[0].signal('SIGSTOP');
  const counts = readers.map((r) => r.messages.length);
  const stopped = performance.now();
  try {
    await waitFor(() => readers.every((r, i) => r.messages.length > counts[i] + 20), within(6_000), 'messages again');
    await waitFor(async () => await metric(edge, 'stoa_edge_links') === 1, within(6_000), 'that it is noticed');
    await waitFor(() => readers.every((r, i) => r.messages.length > counts[i] + 40), within(6_000), 'messages again');
  } finally {
    nodes[0].signal('SIGCONT');
  }
  const back_ms = Math.round(performance.now() - stopped);
  await linked(edge, 2); // and its rooms go back
  const after = readers.map((r) => r.messages.length);
  await waitFor(() => readers.every((r, i) => r.messages.length > after[i] + 20), within(10_000), 'messages after that');
  for (const state of states) state.isOver = true;
  await Promise.all(talking);
  for (const [i, reader] of readers.entries())
    await waitFor(() => reader.ids.has([...states[i].acked.values()].at(-1)), within(10_000), 'the last message');
  for (const reader of readers) reader.stop();
  await Promise.all(following);
  readers.forEach((reader, i) => checkReader(reader, states[i]));
  const longest_ms = Math.max(...states.map((s) => s.longest_ms));
  t.diagnostic(`the longest send took ${Math.round(longest_ms)} ms; all rooms went on after ${back_ms} ms`);
  assert.ok(longest_ms < SILENCE_MS, `${longest_ms} ms`);
  assert.ok(await metric(edge, 'stoa_edge_rooms_moved_total') > 0);
});

test('a cache node that is told to stop is left at once', async (t) => {
  const { nodes, links } = await startPair();
  const edge = await startEdge(...links);
  await linked(edge, 2);
  const rooms = Array.from({ length: 6 }, newRoom);
  for (const room of rooms) await putRoom(edge, room);
  const states = rooms.map(() => ({}));
  const talking = rooms.map((room, i) => talk(edge, room, states[i]));
  await waitFor(() => states.every((s) => s.acked?.size > 20), within(10_000), 'messages in all rooms');
  await nodes[0].stop();
  const counts = states.map((s) => s.acked.size);
  await waitFor(() => states.every((s, i) => s.acked.size > counts[i] + 20), within(10_000), 'messages after that');
  for (const state of states) state.isOver = true;
  await Promise.all(talking);
  const longest_ms = Math.max(...states.map((s) => s.longest_ms));
  t.diagnostic(`the longest send took ${Math.round(longest_ms)} ms`);
  assert.ok(longest_ms < STUCK_MS, `${longest_ms} ms, and not as if it were stuck`);
});

test('a wrong secret is refused, and the logs of both say what to do', async () => {
  const link = await newLink();
  const node = await startNode(link);
  const edge = await Server.start({ store: `link://${link}`, env: { STOA_LINK_SECRET: 'another secret, quite as long as that' } });
  await waitFor(() => /wrong secret: give all nodes the same/.test(edge.stderr), within(5_000), 'the log of the edge');
  await waitFor(() => /refused a connection from 127\.0\.0\.1: wrong secret/.test(node.stderr), within(5_000), 'the log of the node');
  assert.equal((await ask(edge, 'GET', '/readyz')).status, 503);
  assert.ok(await metric(node, 'stoa_links_refused_total') >= 1);
  assert.equal(await metric(node, 'stoa_links'), 0);
  for (const { stderr } of [node, edge]) assert.ok(!stderr.includes(SECRET));
});

test('a secret is taken from the environment or a file, and never from a flag', async () => {
  const link = await newLink();
  const serve = (args, more = {}) => run(['serve', '--dev', '--listen', '127.0.0.1:0', '--link', link, ...args], more);
  const flag = await serve(['--link-secret', SECRET]);
  assert.equal(flag.code, 2);
  assert.match(flag.stderr, /STOA_LINK_SECRET/);
  assert.ok(!flag.stderr.includes(SECRET));
  const none = await serve([]);
  assert.equal(none.code, 2);
  assert.match(none.stderr, /\[link\] secret/);
  const short = await serve([], { env: { STOA_LINK_SECRET: 'short' } });
  assert.equal(short.code, 2);
  const missing = await serve(['--link-secret-file', join(newDirectory(), 'nowhere')]);
  assert.match(missing.stderr, /secret_file: cannot be opened/);
});
