/* The console's modules that need no page: requests and refusals, the beat, ranges, columns, numbers. */

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { Api, Refusal, advice } from '../console/api.mjs';
import { Beat } from '../console/beat.mjs';
import { certainty, count, lasting, moment, rate, toLocalInput } from '../console/format.mjs';
import { RANGES, rangeOf, stepOf, windowOf } from '../console/ranges.mjs';
import { Samples } from '../console/samples.mjs';
import { messageColumns, messagesOf, onlineColumns, peakOf } from '../console/series.mjs';

const LIMIT = { timeout: 10_000 };
const MINUTE = 60_000;
const T = 1_700_000_040_000; // a full minute

/* ---- requests ---- */

/** A server that hands each request to the test; ends with it. */
async function serve(t, handler) {
  const server = createServer(handler).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => { server.close(); server.closeAllConnections(); });
  return `http://127.0.0.1:${server.address().port}`;
}

const answering = (status, type, body) => (request, response) => response.writeHead(status, { 'Content-Type': type }).end(body);

async function refusalOf(promise) {
  const error = await promise.then(() => assert.fail('there was an answer'), (e) => e);
  assert.ok(error instanceof Refusal, `${error.stack}`);
  return error;
}

test('every request carries the key, the room escaped, and only what was given', LIMIT, async (t) => {
  const asked = [];
  const url = await serve(t, (request, response) => {
    asked.push([request.url, request.headers.authorization]);
    answering(200, 'application/json', '{"online":3}')(request, response);
  });
  const api = new Api({ key: 'the-key', url });
  assert.deepEqual(await api.online('a:b'), { online: 3 });
  await api.rooms({ limit: 1 });
  await api.users('r', { page: undefined, limit: 25, prefix: '' });
  await api.users('r', { page: 'p&q', limit: 25, prefix: 'é &' });
  await api.viewers('r');
  await api.viewers('r', { from: 1, to: 2 });
  await api.stats('r', { from: 1, to: 2, step_s: 60, range: 'not for the server' });
  await api.room('r');
  assert.deepEqual(asked.map(([path]) => path), [
    '/v1/rooms/a%3Ab/online', '/v1/rooms?limit=1', '/v1/rooms/r/online/users?limit=25', '/v1/rooms/r/online/users?page=p%26q&limit=25&prefix=%C3%A9+%26',
    '/v1/rooms/r/viewers', '/v1/rooms/r/viewers?from=1&to=2', '/v1/rooms/r/stats?from=1&to=2&step_s=60', '/v1/rooms/r',
  ]);
  for (const [, authorization] of asked) assert.equal(authorization, 'Bearer the-key');
});

test('a refusal says whom it concerns, and what to do', LIMIT, async (t) => {
  const cases = [
    [401, 'unauthorized', 'isOfKey', /Enter a key/],
    [403, 'forbidden', 'isOfKey', /not a token/],
    [404, 'room_not_found', 'isOfRoom', /pick a room/],
    [404, 'not_found', 'isOfVersion', /does not offer/],
    [501, 'not_implemented', 'isOfVersion', /does not offer/],
    [501, 'counting_off', undefined, /^Wait\.$/],
    [503, 'store_unavailable', 'isOfServer', /cannot answer now: Wait/],
    [429, 'overloaded', 'isOfServer', /cannot answer now: Wait/],
  ];
  for (const [status, code, concerns, words] of cases) {
    const url = await serve(t, answering(status, 'application/problem+json', JSON.stringify({ status, code, title: 'T', detail: 'Wait.', retry_after_ms: 700 })));
    const error = await refusalOf(new Api({ key: 'k', url }).room('r'));
    assert.deepEqual([error.status, error.code, error.retry_after_ms], [status, code, 700]);
    const kinds = ['isOfKey', 'isOfRoom', 'isOfServer', 'isOfVersion'].filter((kind) => error[kind]);
    assert.deepEqual(kinds, concerns ? [concerns] : [], code);
    assert.match(advice(error), words);
  }
  assert.match(advice(new TypeError('x')), /Load it again/);
});

test('what a proxy answers in place of the server is the server being away', LIMIT, async (t) => {
  for (const status of [200, 502, 504]) {
    const url = await serve(t, answering(status, 'text/html', '<h1>Bad gateway</h1>'));
    assert.ok((await refusalOf(new Api({ key: 'k', url }).room('r'))).isOfServer, `${status}`);
  }
  const broken = await serve(t, answering(200, 'application/json', '{"online":'));
  assert.ok((await refusalOf(new Api({ key: 'k', url: broken }).room('r'))).isOfServer);
});

test('no answer, or none in time, is status 0', LIMIT, async (t) => {
  const silent = await serve(t, () => {});
  assert.equal((await refusalOf(new Api({ key: 'k', url: silent, answer_ms: 20 }).room('r'))).status, 0);
  assert.equal((await refusalOf(new Api({ key: 'k', url: 'http://127.0.0.1:1' }).room('r'))).status, 0);
});

test('who aborts gets the reason back, not a refusal', LIMIT, async (t) => {
  const url = await serve(t, () => {});
  const stop = new AbortController();
  const asked = new Api({ key: 'k', url }).room('r', stop.signal);
  stop.abort(new Error('enough'));
  await assert.rejects(asked, /enough/);
  await assert.rejects(new Api({ key: 'k', url }).room('r', stop.signal), /enough/);
});

test('a key that no header could carry is refused here', LIMIT, async () => {
  const api = (key) => new Api({ key, fetch: () => assert.fail('was sent') });
  for (const key of ['', 'a b', 'clé', 'a\r\nX: y', 'k'.repeat(257)]) {
    assert.ok((await refusalOf(api(key).room('r'))).isOfKey, JSON.stringify(key));
  }
});

/* ---- the beat ---- */

/** A beat whose turns are the given functions, then it stops; resolves to the waits after its troubles. */
async function beaten(turns, { isHidden, random = () => 1 } = {}) {
  const waits = [];
  let fine = 0;
  const beat = new Beat({
    every_ms: 2,
    turn: async (signal) => {
      const turn = turns.shift();
      if (!turns.length) beat.stop();
      return turn?.(signal, beat);
    },
    onFine: () => { fine++; },
    onTrouble: (error, wait_ms) => { waits.push(wait_ms); },
    isHidden,
    random,
  });
  await beat.run();
  return { waits, fine };
}

const fails = (fields) => () => { throw new Refusal(fields); };

test('a beat goes on after troubles, later and later, and is quick again when all is well', LIMIT, async () => {
  const { waits, fine } = await beaten([fails(), fails(), fails(), () => {}, fails(), () => {}, () => {}]);
  assert.deepEqual(waits, [2, 4, 8, 2]);
  assert.equal(fine, 2); // the last turn was stopped
});

test('a beat waits as long as the server says', LIMIT, async () => {
  assert.deepEqual((await beaten([fails({ status: 503, retry_after_ms: 30 }), () => {}])).waits, [30]);
});

test('a trouble that is the last one ends the beat', LIMIT, async () => {
  let turns = 0;
  await new Beat({ every_ms: 1, turn: async () => { turns++; throw new Refusal(); }, onTrouble: () => true }).run();
  assert.equal(turns, 1);
});

test('a beat rests while nobody looks, and goes on when woken', LIMIT, async () => {
  let hidden = true;
  let turns = 0;
  const beat = new Beat({ every_ms: 1, turn: async () => { turns++; beat.stop(); }, isHidden: () => hidden });
  const running = beat.run();
  await new Promise(setImmediate);
  assert.equal(turns, 0);
  hidden = false;
  beat.wake();
  await running;
  assert.equal(turns, 1);
});

test('a beat that is woken in the middle of a turn takes another at once', LIMIT, async () => {
  let turns = 0;
  const beat = new Beat({
    every_ms: 3_600_000,
    turn: async () => { if (++turns === 1) beat.wake(); else beat.stop(); },
    isHidden: () => false,
  });
  await beat.run();
  assert.equal(turns, 2);
});

/* ---- ranges ---- */

test('no range asks for more than 1500 points, nor for finer ones than are kept', () => {
  assert.deepEqual(RANGES.map(({ span_s }) => stepOf(span_s)), [60, 60, 600, 3600]);
  for (const range of RANGES) {
    for (const now of [T, T + 1, T + 59_999, T + 1_234_567]) {
      const { from, to, step_s } = windowOf(range, now);
      assert.ok((to - from) / (step_s * 1000) <= 1500, range.id);
      assert.ok(from % (step_s * 1000) === 0 && to % (step_s * 1000) === 0);
      assert.ok(from <= now - range.span_s * 1000 && to > now, 'all that is shown is asked for');
    }
  }
  assert.ok(366 * 86400 / stepOf(366 * 86400) <= 1500);
});

test('a range is known by its id; the first stands for the unknown', () => {
  assert.equal(rangeOf('7d').span_s, 7 * 86400);
  assert.equal(rangeOf(null), RANGES[0]);
  assert.equal(rangeOf('constructor'), RANGES[0]);
});

/* ---- columns ---- */

const point = (at, online, messages = 0, span_s = 60) => ({ at, span_s, online_avg: online, online_peak: online + 1, joins: 0, messages, unique: 0 });

test('history is drawn in the middle of its steps, and a step that is not there as nobody', () => {
  const points = [point(T, 10), point(T + MINUTE, 20), point(T + 4 * MINUTE, 30), point(T + 6 * MINUTE, 40)];
  const { x, average, peak } = onlineColumns({ points, step_s: 60, samples: [], now_ms: T + 10 * MINUTE });
  assert.deepEqual(average, [10, 20, 0, 0, 30, 0, 0, 40]);
  assert.deepEqual(peak, [11, 21, 0, 0, 31, 0, 0, 41]);
  assert.deepEqual(x.slice(0, 5), [0.5, 1.5, 2.5, 3.5, 4.5].map((minutes) => (T + minutes * MINUTE) / 1000));
  assertRising(x);
});

test('points that stand for more than the step are no holes', () => {
  const points = [point(T, 10, 60, 3600), point(T + 60 * MINUTE, 20, 60, 3600), point(T + 120 * MINUTE, 30, 10, 600)];
  const now_ms = T + 200 * MINUTE;
  const { x, average } = onlineColumns({ points, step_s: 600, samples: [], now_ms });
  assert.deepEqual(average, [10, 20, 30]);
  assertRising(x);
  assert.deepEqual(messageColumns({ points, step_s: 600, now_ms }).rate, [1, 1, 1, 1]);
});

test('the step under way is drawn by the samples, where there are any', () => {
  const points = [point(T, 10, 0, 120), point(T + 2 * MINUTE, 20, 0, 120)];
  const now_ms = T + 3 * MINUTE;
  const samples = [{ at: T + 50_000, online: 1 }, { at: T + 2 * MINUTE + 2000, online: 21 }, { at: T + 2 * MINUTE + 4000, online: 22 }];
  const live = onlineColumns({ points, step_s: 120, samples, now_ms });
  assert.deepEqual(live.average, [10, 21, 22]);
  assert.deepEqual(live.peak, [11, null, null]);
  assertRising(live.x);
  assert.deepEqual(onlineColumns({ points, step_s: 120, samples: [], now_ms }).average, [10, 20]);
});

test('without history there are the samples, and without both nothing', () => {
  const samples = [{ at: T, online: 5 }, { at: T + 2000, online: 6 }];
  assert.deepEqual(onlineColumns({ points: [], step_s: 60, samples, now_ms: T + 3000 }).average, [5, 6]);
  assert.deepEqual(onlineColumns({ points: [], step_s: 60, samples: [], now_ms: T }).x, []);
});

test('between history and samples: the minute that is not told yet is bridged, a longer while was quiet', () => {
  const after = (ms) => onlineColumns({ points: [point(T, 10)], step_s: 60, samples: [{ at: T + MINUTE + ms, online: 5 }], now_ms: T + MINUTE + ms });
  assert.deepEqual(after(90_000).average, [10, 5]);
  assert.deepEqual(after(10 * MINUTE).average, [10, 0, 0, 5]);
  assertRising(after(10 * MINUTE).x);
});

test('a pause in the samples is a hole: nobody knows what was', () => {
  const samples = [{ at: T, online: 5 }, { at: T + 2000, online: 6 }, { at: T + 20 * MINUTE, online: 7 }];
  const { x, average } = onlineColumns({ points: [], step_s: 60, samples, now_ms: T + 20 * MINUTE });
  assert.deepEqual(average, [5, 6, null, 7]);
  assertRising(x);
});

test('messages are told per minute, whatever the step, and by the whole minutes of it that have passed', () => {
  const points = [point(T, 1, 50, 600), point(T + 600_000, 1, 100, 600)];
  const { x, rate: rates } = messageColumns({ points, step_s: 600, now_ms: T + 600_000 + 130_000 });
  assert.deepEqual(rates, [5, 50, 50]);
  assert.deepEqual(x, [T, T + 600_000, T + 720_000].map((at) => at / 1000));
  assert.deepEqual(messageColumns({ points, step_s: 600, now_ms: T + 600_000 + 63_000 }).rate, [5, 5], 'no minute of it is told yet');
  assert.deepEqual(messageColumns({ points: [], step_s: 60, now_ms: T }).rate, []);
});

test('between steps with messages there were none', () => {
  const { x, rate: rates } = messageColumns({ points: [point(T, 1, 3), point(T + 3 * MINUTE, 1, 4)], step_s: 60, now_ms: T + 9 * MINUTE });
  assert.deepEqual(rates, [3, 0, 4, 4]);
  assertRising(x);
});

test('messages may be one number or a number for each list', () => {
  assert.equal(messagesOf({ messages: 7 }), 7);
  assert.equal(messagesOf({ messages: { high: 2, normal: 5 } }), 7);
  assert.equal(messagesOf({}), 0);
});

test('the peak is the most of history and of what was seen live', () => {
  const points = [point(T, 10), point(T + MINUTE, 30)];
  assert.deepEqual(peakOf({ points, samples: [], from_ms: T }), { online: 31, at: T + MINUTE });
  assert.deepEqual(peakOf({ points, samples: [{ at: T + 2 * MINUTE, online: 40 }], from_ms: T }), { online: 40, at: T + 2 * MINUTE });
  assert.deepEqual(peakOf({ points: [], samples: [{ at: T - 1, online: 40 }], from_ms: T }), null);
});

test('samples keep an hour, in order, each once', () => {
  const samples = new Samples();
  samples.add(T, 1);
  samples.add(T, 2);
  samples.add(T - 1, 3);
  assert.deepEqual(samples.all, [{ at: T, online: 1 }]);
  for (let i = 1; i <= 5000; i++) samples.add(T + i * 2000, i);
  assert.equal(samples.all.length, 1800);
  assert.equal(samples.all.at(-1).online, 5000);
});

function assertRising(x) {
  for (let i = 1; i < x.length; i++) assert.ok(x[i] > x[i - 1], `x[${i}] does not rise: ${x}`);
}

/* ---- numbers ---- */

test('numbers read as people write them', () => {
  assert.equal(count(1234567.4), '1,234,567');
  assert.deepEqual([0, 0.44, 7.5, 12.4, 1204].map(rate), ['0', '0.4', '7.5', '12', '1,204']);
  assert.deepEqual([-5, 999, 59_999, MINUTE, 3_599_999, 3_600_000, 90_000_000].map(lasting), ['0 s', '0 s', '59 s', '1 min', '59 min', '1 h', '1 d']);
  assert.equal(certainty({ exact: true, standard_error: 0 }), 'exact');
  assert.equal(certainty({ exact: false, standard_error: 0.0081 }), '± 0.8 %');
  assert.equal(certainty({ exact: false, standard_error: 0.123 }), '± 12 %');
});

test('moments name the day where more than one is shown', () => {
  assert.match(moment(T), /^\d\d:\d\d$/);
  assert.match(moment(T, 86_400_000), /\d\d:\d\d/);
  assert.notEqual(moment(T, 86_400_000), moment(T));
});

test('what a local input holds is read back as the same minute', () => {
  for (const at of [T, T + 183 * 86_400_000]) assert.equal(new Date(toLocalInput(at)).getTime(), at);
});
