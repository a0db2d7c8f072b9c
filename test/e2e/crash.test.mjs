/*
 * The server is killed (SIGKILL) again and again while people talk. What holds afterwards:
 *   - every acknowledged message is in the history, once, as it was sent;
 *   - no id was given twice, and no message was stored twice, however often its sender had to try;
 *   - every reader got each high message exactly once, and each normal one once or counted as skipped.
 */

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Server, waitFor, within } from './lib/server.mjs';
import { Client, Reader, ask, compareIds, isPassing, newRoom, putRoom } from './lib/client.mjs';

const KILLS = 50;
const SENDERS = 6;
const READERS = 4;
const HIGH_EVERY = 4;
const SENDS_PER_KILL = 24; // at most, and by chance

/** Sends numbered messages one after the other, each until it is acknowledged. */
class Sender {
  acked = new Map(); // id -> body
  tries = 0;
  duplicates = 0;
  #stopped = false;

  constructor(server, room, name) {
    Object.assign(this, { server, room, name });
  }

  async run() {
    const client = new Client(this.server, { token: 'dev' });
    for (let n = 0; !this.#stopped; n++) {
      const body = `${this.name}/${n}`;
      const priority = n % HIGH_EVERY === 0 ? 'high' : 'normal';
      const { id, duplicate } = await this.#sendOnce(client, { body, priority, from: this.name });
      assert.ok(!this.acked.has(id), `${id} given twice`);
      this.acked.set(id, body);
      if (duplicate) this.duplicates++;
    }
    client.close();
  }

  async #sendOnce(client, message) {
    const headers = { 'Idempotency-Key': message.body };
    for (;;) {
      if (this.#stopped && !this.server.isRunning) throw new Error('stopped before it was acknowledged');
      this.tries++;
      try {
        const answer = await client.ask('POST', `/v1/rooms/${this.room}/messages`, { body: message, headers });
        if (answer.status === 201 || answer.status === 200) return answer.json;
        assert.equal(answer.status, 503, answer.text);
      } catch (error) {
        if (!isPassing(error)) throw error;
        client.close();
        await new Promise((resolve) => { setTimeout(resolve, 2); }); // the server is down: not to spin
      }
    }
  }

  stop() {
    this.#stopped = true;
  }
}

async function wholeHistory(server, room) {
  const messages = [];
  for (let before = '9999999999999-0', more = true; more; before = messages.at(-1).id) {
    const { json } = await ask(server, 'GET', `/v1/rooms/${room}/messages?before=${before}&limit=200`, { token: 'dev' });
    messages.push(...json.messages);
    more = json.more;
  }
  return messages.filter((m) => m.type === 'text').reverse();
}

test(`${KILLS} crashes under load lose nothing and double nothing`, async (t) => {
  const server = await Server.start({ store: 'sqlite:', flags: ['--retention-normal-count', 0, '--retention-high-count', 0] });
  const room = newRoom();
  await putRoom(server, room);
  const readers = Array.from({ length: READERS }, (_, i) => new Reader(server, room, { user: `reader-${i}`, limit: i === 0 ? 1 : 50 }));
  for (const reader of readers) await reader.poll();
  const senders = Array.from({ length: SENDERS }, (_, i) => new Sender(server, room, `s${i}`));
  const talking = Promise.all(senders.map((s) => s.run()));
  const reading = Promise.all(readers.map((r) => r.follow()));
  const failed = Promise.race([talking, reading]); // neither ends by itself before it is told to
  failed.catch(() => {}); // the test fails where it waits for it
  t.after(() => { // also when an assertion fails: these would try for ever
    for (const one of [...senders, ...readers]) one.stop();
    for (const reader of readers) reader.close();
  });
  const ackedCount = () => senders.reduce((sum, s) => sum + s.acked.size, 0);

  for (let i = 0; i < KILLS; i++) {
    const enough = ackedCount() + 1 + Math.random() * SENDS_PER_KILL;
    await Promise.race([failed, waitFor(() => ackedCount() >= enough, within(10_000), `sends after crash ${i}`)]);
    await server.kill();
    await server.start();
  }
  for (const sender of senders) sender.stop();
  await talking;

  const history = await wholeHistory(server, room);
  const acked = new Map(senders.flatMap((s) => [...s.acked]));
  assert.equal(acked.size, ackedCount(), 'ids of all senders differ');
  assert.equal(new Set(history.map((m) => m.id)).size, history.length, 'no id twice');
  for (let i = 1; i < history.length; i++) assert.ok(compareIds(history[i - 1].id, history[i].id) < 0);
  assert.deepEqual(new Map(history.map((m) => [m.id, m.body])), new Map([...acked].sort(([a], [b]) => compareIds(a, b))));
  assert.equal(new Set(history.map((m) => m.body)).size, history.length, 'no message twice');

  const sent = (priority) => history.filter((m) => m.priority === priority);
  const [lastHigh, lastNormal] = [sent('high').at(-1).id, sent('normal').at(-1).id];
  await Promise.race([failed, waitFor(
    () => readers.every((r) => r.ids.has(lastHigh) && r.ids.has(lastNormal)), within(10_000), 'readers to catch up')]);
  for (const reader of readers) reader.stop();
  for (const reader of readers) reader.close();
  await reading.catch((error) => assert.ok(isPassing(error)));

  for (const reader of readers) {
    assert.deepEqual(reader.bodies('high'), sent('high').map((m) => m.body));
    assert.equal(reader.of('normal').length + reader.skipped, sent('normal').length);
    assert.equal(reader.gaps, 0);
    const bodies = new Map(history.map((m) => [m.id, m.body]));
    for (const message of reader.messages) assert.equal(message.body, bodies.get(message.id));
  }
  const sum = (of) => senders.reduce((total, s) => total + s[of], 0);
  t.diagnostic(`${history.length} messages, ${sum('tries')} tries, ${sum('duplicates')} already stored when tried again; `
    + `readers lost ${readers.map((r) => r.lost)} connections, skipped ${readers.map((r) => r.skipped)}`);
});
