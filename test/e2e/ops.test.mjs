/* For operators: health, readiness, metrics, and a listener of their own. */

import { before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { Server, within } from './lib/server.mjs';
import { Wire, requestBytes } from './lib/wire.mjs';
import { Reader, ask, assertProblem, metric, newRoom, parked, putRoom, send, sendMany } from './lib/client.mjs';

let server;
before(async () => { server = await Server.start({ store: 'sqlite:' }); });

/** Prometheus text, version 0.0.4: name -> { type, help, samples: [{ labels, value }] }. */
function parseMetrics(text) {
  const families = new Map();
  let family = null;
  assert.ok(text.endsWith('\n'));
  for (const line of text.slice(0, -1).split('\n')) {
    const help = /^# HELP ([a-z_]+) (.+)$/.exec(line);
    const type = /^# TYPE ([a-z_]+) (counter|gauge)$/.exec(line);
    const sample = /^([a-z_]+)(\{[^}]*\})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/.exec(line);
    if (help) {
      assert.ok(!families.has(help[1]), `${help[1]} twice`);
      family = { name: help[1], help: help[2], type: null, samples: [] };
      families.set(help[1], family);
    } else if (type) {
      assert.equal(type[1], family.name);
      assert.equal(family.type, null);
      family.type = type[2];
    } else {
      assert.ok(sample, `not a line of this format: ${line}`);
      assert.equal(sample[1], family.name, 'samples stand with their family');
      family.samples.push({ labels: sample[2] ?? '', value: Number(sample[3]) });
    }
  }
  return families;
}

test('healthz and readyz say so', async () => {
  for (const path of ['/healthz', '/readyz']) {
    const answer = await ask(server, 'GET', path);
    assert.equal(answer.status, 200);
    assert.equal(typeof answer.json.status, 'string');
  }
});

test('metrics are in the text format, each family once, with help and samples', async () => {
  const answer = await ask(server, 'GET', '/metrics');
  assert.equal(answer.status, 200);
  assert.match(answer.headers['content-type'], /^text\/plain; version=0\.0\.4/);
  const families = parseMetrics(answer.text);
  assert.ok(families.size > 40, `${families.size}`);
  for (const [name, { type, help, samples }] of families) {
    assert.match(name, /^stoa_[a-z][a-z_]*[a-z]$/);
    assert.ok(help.length > 3, name);
    assert.equal(type === 'counter', name.endsWith('_total'), `${name} is a ${type}`);
    assert.ok(samples.length > 0, name);
    assert.equal(new Set(samples.map((s) => s.labels)).size, samples.length, name);
    for (const { value } of samples) assert.ok(value >= 0, `${name} ${value}`);
  }
});

test('counters count', async () => {
  const room = newRoom();
  await putRoom(server, room);
  const names = ['stoa_requests_total', 'stoa_connections_total', 'stoa_polls_total', 'stoa_answers_total', 'stoa_deliveries_total',
    'stoa_appends_total', 'stoa_appends_duplicate_total', 'stoa_appends_refused_total', 'stoa_requests_bad_total',
    'stoa_bytes_in_total', 'stoa_bytes_out_total', 'stoa_store_commits_total', 'stoa_skipped_total', 'stoa_polls_refused_total'];
  const values = async () => Object.fromEntries(await Promise.all(names.map(async (name) => [name, await metric(server, name)])));
  const earlier = await values();
  const reader = new Reader(server, room, { user: 'ann', limit: 1 });
  await reader.poll();
  await sendMany(server, room, [{ body: 1 }, { body: 2 }, { body: 3, priority: 'high' }]);
  for (let i = 0; i < 2; i++) await send(server, room, { body: 4 }, { token: 'dev', key: 'k' });
  await send(server, room, { body: 'x'.repeat(5000) }, { token: 'dev' });
  await ask(server, 'GET', `/v1/rooms/${room}/messages?since=x`);
  await ask(server, 'GET', '/healthz', { headers: { Host: 'a b' } });
  await reader.poll();
  const later = await values();
  const grown = Object.fromEntries(names.map((name) => [name.slice('stoa_'.length, -'_total'.length), later[name] - earlier[name]]));
  for (const [name, by] of Object.entries(grown)) assert.ok(by > 0, `${name} did not move`);
  assert.equal(grown.appends, 4);
  assert.equal(grown.appends_duplicate, 1);
  assert.equal(grown.appends_refused, 1);
  assert.equal(grown.requests_bad, 1);
  assert.equal(grown.polls, 3);
  assert.equal(grown.deliveries, 2);
  assert.equal(grown.skipped, 2);
  reader.close();
});

/** CPU time of the thread of that name, in us: ticks of 10 ms. */
function threadTime(pid, name) {
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const [, comm, rest] = /\((.*)\) (.*)/.exec(readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8'));
    const fields = rest.split(' ');
    if (comm === name) return (Number(fields[11]) + Number(fields[12])) * 10_000;
  }
  throw new Error(`no thread ${name}`);
}

test('the time that a worker is busy is what the pace is told', async () => {
  const own = await Server.start({ flags: ['--workers', 1] });
  const wire = await Wire.open(own);
  const asks = 8000, request = requestBytes('GET', '/metrics');
  wire.write(Buffer.concat(Array(asks).fill(request)));
  for (let i = 0; i < asks; i++) assert.equal((await wire.response({ limit_ms: within(20_000) })).status, 200);
  wire.destroy();
  const busy = await metric(own, 'stoa_busy_us_total'), used = threadTime(own.pid, 'stoa-worker-0');
  assert.ok(used >= 40_000, `${asks} answers in ${used} us are no load`);
  assert.ok(busy >= 0.7 * used, `busy for ${busy} us, of ${used} us of CPU time`);
  await own.stop();
});

test('gauges go up and down', async () => {
  const room = newRoom();
  const idle = await metric(server, 'stoa_polls_parked');
  const readers = ['ann', 'bob'].map((user) => new Reader(server, room, { user }));
  for (const reader of readers) await reader.poll();
  const polls = readers.map((r) => r.poll(30).catch(() => {}));
  await parked(server, idle + 2);
  assert.ok(await metric(server, 'stoa_connections') >= 2);
  assert.ok(await metric(server, 'stoa_rooms_active') >= 1);
  for (const reader of readers) reader.close();
  await parked(server, idle);
  await Promise.all(polls);
});

/** A port that was free a moment ago, on an address that is one server's own. */
async function portOn(host) {
  const listener = createServer().listen(0, host);
  await once(listener, 'listening');
  const { port } = listener.address();
  listener.close();
  await once(listener, 'close');
  return port;
}

test('ops_listen takes the metrics off the port of the clients', async () => {
  const host = '127.250.250.1';
  const port = await portOn(host);
  const own = await Server.start({ flags: ['--ops-listen', `${host}:${port}`] });
  assertProblem(await ask(own, 'GET', '/metrics'), 404, 'not_found');
  const ops = { host, port };
  assert.equal((await ask(ops, 'GET', '/healthz')).status, 200);
  const { status, text } = await ask(ops, 'GET', '/metrics');
  assert.equal(status, 200);
  assert.ok(parseMetrics(text).size > 40);
  assertProblem(await ask(ops, 'GET', '/v1/rooms/r', { token: 'dev' }), 404, 'not_found');
  assertProblem(await ask(ops, 'GET', '/'), 404, 'not_found');
  assert.equal((await ask(own, 'GET', '/healthz')).status, 200);
  await own.stop();
});

test('it logs to stderr, one line each, and says where it listens', async () => {
  const own = await Server.start();
  await own.stop();
  const lines = own.stderr.trimEnd().split('\n');
  assert.ok(lines.some((l) => l.includes(`listening on ${own.host}:${own.port}`)), own.stderr);
  assert.match(lines.at(-1), /stopped/);
});
