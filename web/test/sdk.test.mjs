/*
 * The SDK against a fake server. Time is the test's: every pause of the client goes through `naps`, which either
 * holds it until the test lets go (`naps.next()`) or lets all of them pass. Nothing here sleeps to wait for something.
 */

import { test, beforeEach, afterEach } from 'node:test';
import assert from 'node:assert/strict';
import { ProblemError, Room, compareIds } from '../sdk/stoa.mjs';
import { FakeServer, json, page, problem } from './fake_server.mjs';

const LIMIT = { timeout: 10_000 };

let server;
let naps;
let rooms;

beforeEach(async () => {
  server = await new FakeServer().start();
  naps = new Naps();
  rooms = [];
});

afterEach(async () => {
  naps.letAllPass();
  for (const room of rooms) await room.leave();
  await server.stop().catch(() => {});
});

/** A sleep() whose pauses the test can see, and ends by hand. */
class Naps {
  #asleep = [];
  #awaited = [];
  #open = false;
  all = []; // ms of every pause so far

  sleep = (ms, signal) => new Promise((resolve) => {
    this.all.push(ms);
    if (this.#open || signal?.aborted) return setImmediate(resolve);
    signal?.addEventListener('abort', resolve, { once: true });
    const nap = { ms, end: resolve };
    const waiting = this.#awaited.shift();
    if (waiting) waiting(nap);
    else this.#asleep.push(nap);
  });

  next() {
    const nap = this.#asleep.shift();
    return nap ? Promise.resolve(nap) : new Promise((resolve) => this.#awaited.push(resolve));
  }

  letAllPass() {
    this.#open = true;
    for (const nap of this.#asleep.splice(0)) nap.end();
  }
}

function newRoom(options = {}) {
  const room = new Room({ url: server.url, room: 'lobby', user: 'ana', sleep: naps.sleep, random: () => 0.5, ...options });
  room.given = []; // bodies, in order
  room.on('messages', (messages) => room.given.push(...messages.map((m) => m.body)));
  rooms.push(room);
  return room;
}

/** The detail of the next event of that type that passes. */
function next(room, type, passes = () => true) {
  return new Promise((resolve) => {
    const off = room.on(type, (detail) => {
      if (!passes(detail)) return;
      off();
      resolve(detail);
    });
  });
}

function inState(room, state) {
  return room.state === state ? Promise.resolve() : next(room, 'state', (change) => change.state === state);
}

/** Resolves when so many messages have been given out. */
async function given(room, count) {
  while (room.given.length < count) await next(room, 'messages');
}

/* ---- receiving ---- */

test('joins without a cursor, then polls from the cursor it got', LIMIT, async () => {
  server.post('before');
  const room = newRoom({ timeout_s: 7, limit: 20 });
  const answer = await room.join();
  assert.equal(answer.cursor, 'c1');
  assert.deepEqual(room.given, ['before']);
  server.post('after');
  await given(room, 2);
  assert.deepEqual(server.polls[0].query, { limit: '20', user: 'ana' });
  assert.deepEqual(server.polls[1].query, { since: 'c1', timeout: '7', limit: '20', user: 'ana' });
  assert.deepEqual(room.given, ['before', 'after']);
  assert.equal(room.cursor, 'c2');
});

test('gives an answer in its own order and tells what is missing first', LIMIT, async () => {
  const room = newRoom();
  const seen = [];
  for (const type of ['gap', 'skipped', 'messages', 'online', 'cursor']) room.on(type, () => seen.push(type));
  const messages = [
    { id: '9-0', at: 9, priority: 'high', type: 'gift', body: 'gift' },
    { id: '5-0', at: 5, priority: 'normal', type: 'text', body: 'line' },
  ];
  server.script((_, response) => json(response, 200, { ...page('c0', messages), skipped: 12, gap: true, online: 3 }));
  const skipped = next(room, 'skipped');
  const gap = next(room, 'gap');
  await room.join();
  assert.equal(await skipped, 12);
  assert.deepEqual(await gap, { reason: 'retention' });
  assert.deepEqual(room.given, ['gift', 'line']);
  assert.deepEqual(seen, ['gap', 'skipped', 'messages', 'online', 'cursor']);
});

test('keeps the name that the server gave to an anonymous viewer', LIMIT, async () => {
  const room = newRoom({ user: undefined });
  await room.join();
  server.post('x');
  await given(room, 1);
  assert.equal(room.user, 'anon-7');
  assert.equal(server.polls[0].query.user, undefined);
  assert.equal(server.polls[1].query.user, 'anon-7');
});

test('waits exactly poll_after_ms before the next poll', LIMIT, async () => {
  server.script((_, response) => json(response, 200, { ...page('c0'), poll_after_ms: 1750 }));
  const room = newRoom();
  await room.join();
  const nap = await naps.next();
  assert.equal(nap.ms, 1750);
  assert.equal(server.polls.length, 1);
  assert.equal(room.state, 'live');
  nap.end();
  server.post('x');
  await given(room, 1);
  assert.equal(server.polls.length, 2);
});

test('slows down by itself when polls keep coming back empty at once', LIMIT, async () => {
  const room = newRoom({ now: () => 0, backoff_base_ms: 100 });
  const empty = (_, response) => json(response, 200, page('c0'));
  server.script(empty, empty, empty, empty, empty);
  await room.join();
  const nap = await naps.next();
  assert.equal(nap.ms, 0.5 * 100 * 2);
  assert.equal(server.polls.length, 5);
});

/* ---- breaking and coming back ---- */

test('backs off with full jitter, doubling up to the cap', LIMIT, async () => {
  let draw = 0;
  const draws = [0, 0.999, 0.25, 0.999, 0.5, 0.999];
  const room = newRoom({ random: () => draws[draw++], backoff_base_ms: 100, backoff_cap_ms: 1000 });
  await server.stop();
  room.join();
  const waits = [];
  for (const _ of draws) {
    const nap = await naps.next();
    waits.push(nap.ms);
    nap.end();
  }
  assert.deepEqual(waits, [0, 0.999 * 200, 0.25 * 400, 0.999 * 800, 0.5 * 1000, 0.999 * 1000]);
  assert.equal(room.state, 'reconnecting');
});

test('adds its jitter to the wait that the server asks for', LIMIT, async () => {
  server.script(
    (_, response) => problem(response, { status: 503, code: 'draining', poll_after_ms: 1300 }),
    (_, response) => problem(response, { status: 429, code: 'room_full', retry_after_ms: 800 }, { 'Retry-After': '9' }),
    (_, response) => response.writeHead(502, { 'Retry-After': '2' }).end('<html>'),
  );
  const room = newRoom({ backoff_base_ms: 100 });
  const joined = room.join();
  for (const expected of [1300 + 50, 800 + 100, 2000 + 200]) {
    const nap = await naps.next();
    assert.equal(nap.ms, expected);
    nap.end();
  }
  await joined;
  assert.equal(room.state, 'live');
});

test('wake() cuts a back-off short, but not a wait that the server asked for', LIMIT, async () => {
  server.script(
    (_, response) => response.destroy(),
    (_, response) => problem(response, { status: 503, code: 'overloaded', retry_after_ms: 5000 }),
  );
  const room = newRoom();
  const joined = room.join();
  await naps.next();
  room.wake();
  const asked = await naps.next();
  room.wake();
  assert.equal(server.polls.length, 2);
  asked.end();
  await joined;
  assert.equal(server.polls.length, 3);
});

test('a restart in the middle loses nothing and doubles nothing', LIMIT, async () => {
  const room = newRoom();
  await room.join();
  server.post(1);
  await given(room, 1);
  await server.stop();
  await inState(room, 'reconnecting');
  server.post(2);
  server.post(3, { priority: 'high' });
  (await naps.next()).end(); // still down: refused
  const nap = await naps.next();
  await server.start();
  const polls = server.polls.length;
  nap.end();
  await inState(room, 'live');
  server.post(4);
  await given(room, 4);
  assert.deepEqual(room.given, [1, 3, 2, 4]);
  assert.deepEqual(server.polls[polls].query, { since: 'c1', timeout: '0', limit: '50', user: 'ana' });
  assert.equal(server.polls[polls + 1].query.timeout, '25');
});

test('twenty restarts while a crowd talks: every message once, in order', LIMIT, async () => {
  naps.letAllPass();
  const room = newRoom();
  await room.join();
  for (let i = 0; i < 20; i++) {
    server.post(2 * i);
    await server.stop();
    server.post(2 * i + 1);
    await server.start();
  }
  await given(room, 40);
  assert.deepEqual(room.given, Array.from({ length: 40 }, (_, i) => i));
});

test('an answer that is cut in the middle is asked for again', LIMIT, async () => {
  const room = newRoom();
  await room.join();
  server.script((_, response) => {
    const whole = JSON.stringify(page('c1', [{ id: '1-0', at: 1, priority: 'normal', type: 'text', body: 'once' }]));
    response.writeHead(200, { 'Content-Length': whole.length });
    response.write(whole.slice(0, 40), () => response.destroy());
  });
  server.endHolds();
  const nap = await naps.next();
  server.post('once');
  nap.end();
  await given(room, 1);
  assert.deepEqual(room.given, ['once']);
});

test('gives up a poll that never answers, and polls again', LIMIT, async () => {
  server.script(() => {});
  const room = newRoom({ hang_ms: 20 });
  const joined = room.join();
  const { error } = await next(room, 'retry');
  assert.equal(error.code, 'timeout');
  naps.letAllPass();
  await joined;
});

test('a cursor that the server refuses: joins anew, tells the gap, doubles nothing', LIMIT, async () => {
  const room = newRoom();
  server.post('seen');
  await room.join();
  server.script((_, response) => problem(response, { status: 400, code: 'bad_cursor', title: 'Bad cursor' }));
  const gap = next(room, 'gap');
  server.post('next'); // whether the poll of now or the one after it meets the refusal
  assert.deepEqual(await gap, { reason: 'bad_cursor' });
  server.post('new');
  await given(room, 3);
  assert.deepEqual(room.given, ['seen', 'next', 'new']);
  assert.equal(naps.all.length, 0);
});

test('continues from a stored cursor and stores each new one before it polls again', LIMIT, async () => {
  const saved = [];
  const store = {
    load: async () => 'c1',
    save: (cursor) => saved.push([cursor, server.polls.length]),
  };
  server.post('old');
  server.post('missed');
  const room = newRoom({ store });
  const stored = next(room, 'cursor', (cursor) => cursor === 'c3');
  await room.join();
  server.post('live');
  await stored;
  assert.deepEqual(room.given, ['missed', 'live']);
  assert.deepEqual(saved, [['c2', 1], ['c3', 2]]);
});

/* ---- the end ---- */

for (const [status, code] of [[401, 'unauthorized'], [403, 'banned'], [404, 'room_not_found']]) {
  test(`${status} ${code} is final`, LIMIT, async () => {
    server.script((_, response) => problem(response, { status, code, title: 'No', detail: 'Ask the host.' }));
    const room = newRoom();
    const failed = next(room, 'state', ({ state }) => state === 'failed');
    await assert.rejects(room.join(), { name: 'ProblemError', status, code, detail: 'Ask the host.' });
    assert.equal((await failed).error.code, code);
    assert.equal(naps.all.length, 0);
    await room.join(); // and can be tried again by hand
    assert.equal(room.state, 'live');
  });
}

test('a token function is asked again when the token has run out', LIMIT, async () => {
  let issued = 0;
  server.script((_, response) => problem(response, { status: 401, code: 'token_expired' }));
  const room = newRoom({ token: async () => `t${++issued}` });
  await room.join();
  assert.deepEqual(server.polls.slice(0, 2).map((p) => p.headers.authorization), ['Bearer t1', 'Bearer t2']);
});

test('room.closed ends the loop; a room opened again since does not', LIMIT, async () => {
  const room = newRoom();
  server.post('', { type: 'room.closed', priority: 'high' });
  server.post('open again');
  await room.join();
  assert.equal(room.state, 'live');
  const closed = next(room, 'state');
  server.post('', { type: 'room.closed', priority: 'high' });
  assert.deepEqual(await closed, { state: 'closed', previous: 'live', reason: 'room_closed' });
  assert.equal(server.parkedCount, 0);
});

test('leave() ends the parked poll and tells the server', LIMIT, async () => {
  const room = newRoom({ token: 'secret' });
  await room.join();
  await room.leave();
  const { method, path, headers } = server.requests.at(-1);
  assert.deepEqual([method, path, headers.authorization], ['POST', '/v1/rooms/lobby/leave', 'Bearer secret']);
  assert.equal(room.state, 'closed');
});

test('leave() in a page is a beacon, with the identity in its address', LIMIT, async (t) => {
  const beacons = [];
  const real = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  Object.defineProperty(globalThis, 'navigator', {
    configurable: true,
    value: { sendBeacon: (url) => beacons.push(url) > 0 },
  });
  t.after(() => (real ? Object.defineProperty(globalThis, 'navigator', real) : delete globalThis.navigator));
  const room = newRoom({ room: 'a:b', token: 'k&y' });
  await room.join();
  await room.leave();
  assert.deepEqual(beacons, [`${server.url}/v1/rooms/a:b/leave?user=ana&token=k%26y`]);
});

/* ---- sending ---- */

test('sends and tells where it went', LIMIT, async () => {
  const room = newRoom({ token: 'dev' });
  const receipt = await room.send({ gift: 'lyre' }, { type: 'gift', priority: 'high', from: 'ana' });
  assert.equal(receipt.id, server.messages[0].id);
  assert.deepEqual(server.requests[0].body, { body: { gift: 'lyre' }, type: 'gift', priority: 'high', from: 'ana' });
  assert.match(server.requests[0].headers['idempotency-key'], /^[\w-]{32,36}$/);
});

test('retries with the same key when the answer is lost: stored once', LIMIT, async () => {
  naps.letAllPass();
  server.script(
    (_, response) => response.destroy(), // lost before it was stored
    (request, response, serve) => { // and after
      response.writeHead = () => response;
      response.end = () => response.destroy();
      serve();
    },
    (_, response) => problem(response, { status: 503, code: 'store_unavailable' }),
  );
  const receipt = await newRoom().send('once');
  assert.equal(receipt.duplicate, true);
  assert.equal(server.messages.length, 1);
  assert.equal(new Set(server.requests.map((r) => r.headers['idempotency-key'])).size, 1);
  assert.equal(server.requests.length, 4);
});

test('waits out a rate limit and says so meanwhile', LIMIT, async () => {
  server.script((_, response) => problem(response, {
    status: 429, code: 'user_rate', title: 'Too fast', detail: 'At most 2 messages a second.', retry_after_ms: 800,
  }));
  const told = [];
  const sent = newRoom({ now: () => 0 }).send('x', { onRetry: (retry) => told.push(retry) });
  const nap = await naps.next();
  assert.equal(nap.ms, 800 + 250);
  assert.equal(told[0].error.message, 'At most 2 messages a second.');
  assert.equal(told[0].retry_in_ms, nap.ms);
  nap.end();
  assert.equal((await sent).duplicate, undefined);
});

test('does not wait for what would take longer than its limit', LIMIT, async () => {
  server.script((_, response) => problem(response, { status: 429, code: 'slow_mode', retry_after_ms: 60_000 }));
  await assert.rejects(newRoom().send('x'), { code: 'slow_mode', retry_after_ms: 60_000 });
  assert.equal(naps.all.length, 0);
});

test('gives up at its limit on a dead server, and hands the key back', LIMIT, async () => {
  let clock = 0;
  const sleep = async (ms) => { clock += ms; };
  const room = newRoom({ now: () => clock, sleep });
  await server.stop();
  const error = await room.send('x', { key: 'mine', send_limit_ms: 4000 }).catch((e) => e);
  assert.ok(error instanceof ProblemError);
  assert.deepEqual([error.status, error.code, error.key], [0, 'unreachable', 'mine']);
  assert.ok(clock > 1000 && clock <= 4000, `gave up at ${clock}`);
});

test('what cannot succeed is not retried, and the problem surfaces whole', LIMIT, async () => {
  const fields = { status: 403, code: 'muted', title: 'Muted', detail: 'You may speak again in 9 minutes.' };
  server.script((_, response) => problem(response, fields));
  await assert.rejects(newRoom().send('x'), { name: 'ProblemError', ...fields, message: fields.detail });
  assert.equal(server.requests.length, 1);
});

test('history goes back from a message', LIMIT, async () => {
  const ids = ['a', 'b', 'c'].map((body) => server.post(body).id);
  const { messages, more } = await newRoom().history({ before: ids[2], limit: 1 });
  assert.deepEqual([messages.map((m) => m.body), more], [['b'], true]);
});

test('ids are ordered as numbers', () => {
  assert.ok(compareIds('9-0', '10-0') < 0);
  assert.ok(compareIds('10-10', '10-9') > 0);
  assert.equal(compareIds('10-1', '10-1'), 0);
});
