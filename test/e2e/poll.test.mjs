/* The long poll: joining, what comes in which order, what is skipped, and how long it waits. */

import { before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Server, waitFor, within } from './lib/server.mjs';
import {
  Client, Reader, ask, assertPollAnswer, assertProblem, metric, newRoom, parked, putRoom, sendMany,
} from './lib/client.mjs';

let server;
before(async () => { server = await Server.start({ flags: ['--workers', 1] }); });

const normal = (body) => ({ body });
const high = (body) => ({ body, priority: 'high' });
const numbers = (count) => Array.from({ length: count }, (_, i) => i);

async function newReader(options) {
  const room = newRoom();
  await putRoom(server, room);
  const reader = new Reader(server, room, { user: 'ann', ...options });
  await reader.poll();
  return { room, reader };
}

test('joining an empty room gives a cursor and nothing else', async () => {
  const { reader } = await newReader();
  const { cursor, ...rest } = reader.last;
  assert.ok(cursor.length > 0);
  assert.deepEqual(rest, { messages: [], online: 1, poll_after_ms: 0, skipped: 0, gap: false });
  reader.close();
});

test('joining gives the newest messages of both lists, at most limit', async () => {
  const room = newRoom();
  await putRoom(server, room);
  await sendMany(server, room, [normal(1), high(2), normal(3), normal(4), high(5), normal(6)]);
  const join = async (limit) => (await ask(server, 'GET', `/v1/rooms/${room}/messages?limit=${limit}`)).json;
  const bodies = async (limit) => (await join(limit)).messages.map((m) => m.body);
  assert.deepEqual(await bodies(1), [6]);
  assert.deepEqual(await bodies(3), [5, 4, 6]);
  assert.deepEqual(await bodies(200), [2, 5, 1, 3, 4, 6]);
  const answer = await join(2);
  assertPollAnswer(answer);
  assert.equal(answer.skipped, 0);
  assert.equal(answer.gap, false);
});

test('a cursor from a join is behind everything, also what the limit left out', async () => {
  const room = newRoom();
  await putRoom(server, room);
  await sendMany(server, room, [high(1), high(2), normal(3), normal(4)]);
  const reader = new Reader(server, room, { limit: 1 });
  await reader.poll();
  assert.deepEqual(await reader.poll(0), { ...reader.last, messages: [], skipped: 0 });
  reader.close();
});

test('what comes after the cursor comes once: high first, then normal, each in order', async () => {
  const { room, reader } = await newReader();
  await sendMany(server, room, [normal('n1'), high('h1'), normal('n2'), high('h2'), normal('n3')]);
  const answer = await reader.poll();
  assert.deepEqual(answer.messages.map((m) => m.body), ['h1', 'h2', 'n1', 'n2', 'n3']);
  assert.deepEqual((await reader.poll()).messages, []);
  reader.close();
});

test('a message says who sent it, when, and what it is', async () => {
  const { room, reader } = await newReader();
  const earliest = Date.now();
  const [id] = await sendMany(server, room, [{ body: { gift: 'lyre' }, type: 'gift', priority: 'high', from: 'bob' }]);
  const { messages: [message] } = await reader.poll();
  assert.deepEqual(message, { id, at: message.at, priority: 'high', type: 'gift', from: 'bob', body: { gift: 'lyre' } });
  assert.ok(message.at >= earliest - 1 && message.at <= Date.now() + 1);
  reader.close();
});

test('limit bounds the normal messages; what falls out is counted as skipped', async () => {
  const { room, reader } = await newReader({ limit: 4 });
  await sendMany(server, room, [...numbers(10).map(normal), high('h')]);
  const answer = await reader.poll();
  assert.deepEqual(answer.messages.map((m) => m.body), ['h', 6, 7, 8, 9]);
  assert.equal(answer.skipped, 6);
  assert.equal((await reader.poll()).skipped, 0);
  reader.close();
});

test('more than 200 high messages come in two answers, at once and without loss', async () => {
  const { room, reader } = await newReader({ limit: 1 });
  await sendMany(server, room, [...numbers(250).map(high), normal('n')]);
  const first = await reader.poll(25);
  assert.equal(first.messages.filter((m) => m.priority === 'high').length, 200);
  assert.equal(first.poll_after_ms, 0);
  const started = performance.now();
  const second = await reader.poll(25);
  assert.ok(performance.now() - started < 20_000, 'not at the end of the poll');
  assert.equal(second.messages.filter((m) => m.priority === 'high').length, 50);
  assert.deepEqual(reader.bodies('high'), numbers(250));
  assert.deepEqual(reader.bodies('normal'), ['n']);
  assert.deepEqual([reader.skipped, reader.gaps], [0, 0]);
  reader.close();
});

test('a cursor older than what the server holds in memory still gets every high message', async () => {
  const { room, reader } = await newReader({ limit: 200 });
  await sendMany(server, room, numbers(1100).flatMap((i) => [high(i), normal(i)]));
  while (reader.bodies('high').at(-1) !== 1099) await reader.poll();
  assert.deepEqual(reader.bodies('high'), numbers(1100));
  assert.equal(reader.of('normal').length + reader.skipped, 1100);
  assert.equal(reader.gaps, 0);
  reader.close();
});

test('a parked poll is answered by a send, at once', async () => {
  const { room, reader } = await newReader();
  const poll = reader.poll(30);
  await parked(server, 1);
  const before = await metric(server, 'stoa_fallback_messages_total');
  await sendMany(server, room, [normal('hello')]);
  const { messages } = await poll;
  assert.deepEqual(messages.map((m) => m.body), ['hello']);
  assert.equal(await metric(server, 'stoa_fallback_messages_total'), before, 'no fallback poll found it');
  reader.close();
});

test('timeout=0 answers at once, timeout=1 after a second, both with nothing', async () => {
  const { reader } = await newReader();
  for (const timeout_s of [0, 1]) {
    const started = performance.now();
    const { messages, cursor } = await reader.poll(timeout_s);
    const took = performance.now() - started;
    assert.deepEqual(messages, []);
    assert.ok(cursor.length > 0);
    assert.ok(took >= timeout_s * 1000 - 20 && took < 20_000, `${took} ms, and not the 25 s of a poll that names no time`);
  }
  reader.close();
});

test('limit, timeout and since are checked', async () => {
  const { room, reader } = await newReader();
  const get = (query) => ask(server, 'GET', `/v1/rooms/${room}/messages?${query}`);
  for (const query of ['limit=0', 'limit=201', 'limit=-1', 'limit=x', 'limit=', 'limit=1.5', 'limit=99999999999999999999']) {
    assertProblem(await get(query), 400, 'bad_request');
  }
  for (const timeout of ['61', '-1', 'x']) {
    assertProblem(await get(`since=${reader.cursor}&timeout=${timeout}`), 400, 'bad_request');
  }
  for (const query of ['limit=1', 'limit=200', `since=${reader.cursor}&timeout=0`]) {
    assert.equal((await get(query)).status, 200, query);
  }
  for (const query of ['since=%zz', 'limit=%zz']) assertProblem(await get(query), 400, 'bad_request');
  reader.close();
});

test('a cursor that is not one of this room is refused', async () => {
  const { room, reader } = await newReader();
  const { reader: elsewhere } = await newReader();
  const { cursor } = reader;
  const bad = ['x', '0', cursor.slice(1), `${cursor}A`, `${cursor.slice(0, -8)}!!!!!!!!`, elsewhere.cursor, '1732441234567-0'];
  for (const since of bad) {
    const answer = await ask(server, 'GET', `/v1/rooms/${room}/messages?since=${encodeURIComponent(since)}&timeout=0`);
    assertProblem(answer, 400, 'bad_cursor');
  }
  reader.close();
  elsewhere.close();
});

test('of nine polls of one user in one room, the oldest is answered empty', async () => {
  const { room, reader } = await newReader();
  const polls = [];
  for (let i = 0; i < 9; i++) {
    const one = new Reader(server, room, { user: 'ann' });
    one.cursor = reader.cursor;
    polls.push({ one, answered: false, answer: one.poll(30) });
    polls[i].answer.then(() => { polls[i].answered = true; });
    await parked(server, Math.min(i + 1, 8));
  }
  const first = await polls[0].answer;
  assert.deepEqual(first.messages, []);
  assert.equal(polls.filter((p) => p.answered).length, 1);
  await sendMany(server, room, [normal('for eight')]);
  const answers = await Promise.all(polls.slice(1).map((p) => p.answer));
  for (const answer of answers) assert.equal(answer.messages[0].body, 'for eight');
  for (const { one } of polls) one.close();
  reader.close();
});

test('an anonymous viewer is told a name, which stays theirs on this connection', async () => {
  const room = newRoom();
  const client = new Client(server);
  const join = () => client.ask('GET', `/v1/rooms/${room}/messages`);
  const { user } = (await join()).json;
  assert.match(user, /^anon-\w{4,}$/);
  assert.equal((await join()).json.user, user);
  const sent = await client.ask('POST', `/v1/rooms/${room}/messages`, { body: { body: 'hi' } });
  assert.equal(sent.json.user, user);
  assert.equal((await join()).json.messages[0].from, user);
  const other = await ask(server, 'GET', `/v1/rooms/${room}/messages`);
  assert.notEqual(other.json.user, user);
  const named = await ask(server, 'GET', `/v1/rooms/${room}/messages?user=ann`);
  assert.equal('user' in named.json, false);
  client.close();
});

test('every answer tells how many are here; the poll of a key is nobody', async () => {
  const room = newRoom();
  const readers = ['ann', 'bob', 'cid'].map((user) => new Reader(server, room, { user }));
  for (const reader of readers) await reader.poll();
  await waitFor(async () => (await readers[0].poll()).online === 3, within(3000), 'three online');
  const { json } = await ask(server, 'GET', `/v1/rooms/${room}/messages`, { token: 'dev' });
  assert.equal('user' in json, false);
  await readers[0].poll();
  assert.equal((await ask(server, 'GET', `/v1/rooms/${room}`)).json.online, 3);
  for (const reader of readers) reader.close();
});

test('many readers with one cursor get the same answer', async () => {
  const { room, reader } = await newReader();
  const readers = numbers(20).map((i) => Object.assign(new Reader(server, room, { user: `r${i}` }), { cursor: reader.cursor }));
  const polls = readers.map((r) => r.poll(30));
  await parked(server, 20);
  await sendMany(server, room, [high('one for all')]);
  const answers = await Promise.all(polls);
  const firsts = new Set(answers.map((a) => JSON.stringify(a.messages)));
  assert.equal(firsts.size, 1);
  for (const r of [reader, ...readers]) r.close();
});

test('a viewer who goes away while parked is forgotten', async () => {
  const { reader } = await newReader();
  const poll = reader.poll(30).catch(() => 'gone');
  await parked(server, 1);
  reader.close();
  await parked(server, 0);
  assert.equal(await poll, 'gone');
});
