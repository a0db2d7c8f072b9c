/* SIGTERM: everybody is told to come back, what was begun is finished, and then the server is gone, cleanly. */

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Room } from '../../web/sdk/stoa.mjs';
import { Server, waitFor, within } from './lib/server.mjs';
import { Wire } from './lib/wire.mjs';
import { Client, Reader, ask, isPassing, newRoom, parked, putRoom, sendMany } from './lib/client.mjs';

const DRAIN_S = 2;

test('parked polls are answered with a time to come back, spread over the drain', async () => {
  const server = await Server.start({ drain_s: DRAIN_S });
  const room = newRoom();
  const readers = Array.from({ length: 30 }, (_, i) => new Reader(server, room, { user: `r${i}` }));
  for (const reader of readers) await reader.poll();
  const polls = readers.map((r) => r.poll(60));
  await parked(server, readers.length);
  const started = performance.now();
  server.signal('SIGTERM');
  const answers = await Promise.all(polls);
  assert.ok(performance.now() - started < 30_000, 'long before their own time is over');
  const waits = answers.map((a) => a.poll_after_ms);
  for (const answer of answers) assert.deepEqual(answer.messages, []);
  assert.ok(Math.max(...waits) <= DRAIN_S * 1000, `${waits}`);
  assert.ok(new Set(waits).size > 10, 'they are spread');
  await server.ended();
  await assert.rejects(Wire.open(server), { code: 'ECONNREFUSED' });
  for (const reader of readers) reader.close();
});

test('idle connections are closed, and the process ends without waiting for the whole drain', async () => {
  const server = await Server.start({ drain_s: 30 });
  const client = new Client(server);
  await client.ask('GET', '/healthz');
  const { wire } = client;
  const started = performance.now();
  server.signal('SIGTERM');
  assert.equal(await wire.closed(within(5000)), '');
  await server.ended();
  assert.ok(performance.now() - started < server.drain_s * 1000);
  client.close();
});

test('whatever was acknowledged during a stop is there after it', async () => {
  const server = await Server.start({ store: 'sqlite:', drain_s: 1 });
  const room = newRoom();
  await putRoom(server, room);
  const ids = [];
  const talk = async (i) => {
    const client = new Client(server, { token: 'dev' });
    for (let n = 0; ; n++) {
      try {
        const answer = await client.ask('POST', `/v1/rooms/${room}/messages`, { body: { body: `${i}/${n}` } });
        if (answer.status === 201) ids.push(answer.json.id);
        else assert.equal(answer.status, 503, answer.text);
      } catch (error) {
        assert.ok(isPassing(error), error.stack);
        if (error.code === 'ECONNREFUSED') return;
      }
    }
  };
  const talking = Promise.all(Array.from({ length: 16 }, (_, i) => talk(i)));
  await waitFor(() => ids.length > 100, within(10_000), 'a hundred messages');
  server.signal('SIGTERM');
  await server.ended();
  await talking;
  await server.start();
  const kept = new Set();
  for (let before = '9999999999999-0', more = true; more;) {
    const { json } = await ask(server, 'GET', `/v1/rooms/${room}/messages?before=${before}&limit=200`, { token: 'dev' });
    for (const message of json.messages) kept.add(message.id);
    before = json.messages.at(-1).id;
    more = json.more;
  }
  for (const id of ids) assert.ok(kept.has(id), `${id} was acknowledged`);
  await server.stop();
});

test('a second signal ends it at once', async () => {
  const server = await Server.start({ drain_s: 60 });
  const room = newRoom();
  await putRoom(server, room, { max_body_bytes: 65_536 });
  await sendMany(server, room, Array.from({ length: 60 }, () => ({ body: 'x'.repeat(60_000) })));
  const wire = await Wire.open(server); // does not read: its answer keeps the drain waiting
  wire.pause();
  wire.write(`GET /v1/rooms/${room}/messages?user=ann&limit=200 HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(20));
  await waitFor(async () => {
    const { text } = await ask(server, 'GET', '/metrics');
    return /^stoa_writes_queued_total\{worker="\d"\} [1-9]/m.test(text);
  }, within(5000), 'a full socket');
  const started = performance.now();
  server.signal('SIGTERM');
  await waitFor(() => /draining/.test(server.stderr), within(5000), 'the drain');
  assert.ok(server.isRunning);
  await server.stop();
  assert.ok(performance.now() - started < server.drain_s * 1000);
  wire.destroy();
});

test('readers with the SDK get over a restart without loss', async (t) => {
  const server = await Server.start({ store: 'sqlite:', drain_s: 1 });
  const room = newRoom();
  await putRoom(server, room);
  const readers = Array.from({ length: 5 }, (_, i) => {
    const reader = new Room({ url: server.url, room, user: `sdk-${i}`, backoff_base_ms: 20, backoff_cap_ms: 200 });
    reader.given = [];
    reader.skippedCount = 0;
    reader.gapCount = 0;
    reader.on('messages', (messages) => reader.given.push(...messages.map((m) => m.body)));
    reader.on('skipped', (count) => { reader.skippedCount += count; });
    reader.on('gap', () => { reader.gapCount++; });
    return reader;
  });
  t.after(() => Promise.all(readers.map((r) => r.leave())));
  await Promise.all(readers.map((r) => r.join()));
  for (const reader of readers) reader.given.length = 0; // the notice of the room that was made
  const sent = [];
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 5; i++) {
      const body = `${round}/${i}`;
      sent.push(body);
      await readers[0].send(body, { key: body });
    }
    await server.restart();
  }
  await waitFor(() => readers.every((r) => r.given.length + r.skippedCount >= sent.length), within(10_000), 'all messages');
  for (const reader of readers) {
    assert.deepEqual(reader.given, sent);
    assert.deepEqual([reader.skippedCount, reader.gapCount], [0, 0]);
    assert.notEqual(reader.state, 'failed');
  }
});
