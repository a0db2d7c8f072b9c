/* Every notification is lost: the fallback poll finds each message within about a second. */

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Server } from './lib/server.mjs';
import { Reader, metric, newRoom, parked, putRoom, sendMany } from './lib/client.mjs';

const ROUNDS = 4;
const WITHIN_MS = 1250; // a busy machine may miss it once, but not every time; test/sim/latency_test.c has it to the millisecond
const READ_BY_NOBODY_MS = 4500; // how often the store is asked for a room without readers, at least

for (const store of ['memory:', 'sqlite:']) {
  test(`without notifications (${store}) messages come after a second, and are counted`, async (t) => {
    const server = await Server.start({ store, flags: ['--test-faults', 'drop_news'] });
    const room = newRoom();
    await putRoom(server, room);
    const reader = new Reader(server, room, { user: 'ann' });
    await reader.poll();
    const took = [];
    for (let i = 0; i < ROUNDS; i++) {
      const poll = reader.poll(30);
      await parked(server, 1);
      const started = performance.now();
      await sendMany(server, room, [{ body: `n${i}` }, { body: `h${i}`, priority: 'high' }]);
      const { messages } = await poll;
      took.push(Math.round(performance.now() - started));
      assert.ok(took[i] < READ_BY_NOBODY_MS, `${took[i]} ms`);
      while (reader.messages.length < 2 * (i + 1)) await reader.poll(2); // the fallback may have come between the two
      assert.ok(messages.length > 0);
    }
    t.diagnostic(`${took} ms`);
    assert.ok(Math.min(...took) < WITHIN_MS, `${took} ms`);
    assert.deepEqual(reader.bodies('normal'), ['n0', 'n1', 'n2', 'n3']);
    assert.deepEqual(reader.bodies('high'), ['h0', 'h1', 'h2', 'h3']);
    assert.deepEqual([reader.skipped, reader.gaps], [0, 0]);
    assert.equal(await metric(server, 'stoa_fallback_messages_total'), 2 * ROUNDS);
    assert.equal(await metric(server, 'stoa_news_applied_total'), 0);
    reader.close();
    await server.stop();
  });
}
