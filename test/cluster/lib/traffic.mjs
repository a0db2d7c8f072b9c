/*
 * traffic.mjs: people who talk and people who read while parts of a fleet fail, and the account of it: what was
 * acknowledged as `high` is at every reader, once and in order, and in the history.
 */

import assert from 'node:assert/strict';
import { ask, Client, Reader, compareIds, isPassing, sendMany } from '../../e2e/lib/client.mjs';
import { waitFor, within } from '../../e2e/lib/server.mjs';

const BETWEEN_MS = 5; // sends of one talker

/** Sends numbered messages one after the other, each until it is acknowledged, at the next node after a failure. */
class Talker {
  acked = []; // { id, body, priority }
  refusals = []; // { status, headers } of answers that were not an acknowledgement
  #stopped = false;

  constructor(servers, room, name) {
    Object.assign(this, { servers: [...servers], room, name });
  }

  async run() {
    let client = new Client(this.servers[0], { token: 'dev' });
    for (let n = 0; !this.#stopped; n++) {
      const message = { body: `${this.name}/${n}`, priority: n % 2 === 0 ? 'high' : 'normal', from: this.name };
      const headers = { 'Idempotency-Key': message.body };
      const begun = performance.now();
      for (let id = null; id === null && !this.#stopped;) {
        try {
          const answer = await client.ask('POST', `/v1/rooms/${this.room}/messages`, { body: message, headers });
          if (answer.status === 201 || answer.status === 200) id = answer.json.id;
          else this.refusals.push(answer);
          if (id !== null) this.acked.push({ id, ...message, begun });
          else assert.equal(answer.status, 503, answer.text);
          await pause(id === null ? 20 : BETWEEN_MS);
        } catch (error) {
          if (!isPassing(error)) throw error;
          client.close();
          this.servers.push(this.servers.shift());
          client = new Client(this.servers[0], { token: 'dev' });
          await pause(5);
        }
      }
    }
    client.close();
  }

  stop() { this.#stopped = true; }
}

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

export class Traffic {
  /** Readers join first, spread over the servers; then talkers begin, each at another server. */
  static async start(t, servers, room, { readers = 4, talkers = 2 } = {}) {
    const traffic = new Traffic();
    const from = (i) => [...servers.slice(i % servers.length), ...servers.slice(0, i % servers.length)];
    Object.assign(traffic, { room, servers });
    traffic.readers = Array.from({ length: readers }, (_, i) => new Reader(from(i), room, { user: `reader-${i}`, limit: 200 }));
    for (const reader of traffic.readers) await reader.poll();
    traffic.talkers = Array.from({ length: talkers }, (_, i) => new Talker(from(i), room, `t${i}`));
    traffic.reading = Promise.all(traffic.readers.map((r) => r.follow({ timeout_s: 2 })));
    traffic.talking = Promise.all(traffic.talkers.map((r) => r.run()));
    traffic.failed = Promise.race([traffic.reading, traffic.talking]);
    traffic.failed.catch(() => {});
    traffic.reading.catch(() => {});
    t.after(() => traffic.end());
    await traffic.more(10);
    return traffic;
  }

  get acked() { return this.talkers.flatMap((talker) => talker.acked); }
  get high() { return this.acked.filter((m) => m.priority === 'high').sort((a, b) => compareIds(a.id, b.id)); }

  /** Until that many more messages are acknowledged, by every talker. */
  async more(count, limit_ms = 15_000) {
    const wanted = this.talkers.map((talker) => talker.acked.length + count);
    await Promise.race([this.failed, waitFor(
      () => this.talkers.every((talker, i) => talker.acked.length >= wanted[i]), within(limit_ms), `${count} more sends`)]);
  }

  /** Milliseconds until every reader has a message that was first sent after now. */
  async delivered(limit_ms = 15_000) {
    const since = performance.now();
    const isNew = (reader) => {
      const ids = new Set(this.acked.filter((m) => m.begun > since).map((m) => m.id));
      return reader.messages.slice(-200).some((m) => ids.has(m.id));
    };
    await Promise.race([this.failed, waitFor(() => this.readers.every(isNew), within(limit_ms), 'a message at every reader')])
      .catch((error) => { throw new Error(`${error.message}: ${this.#describe(since, isNew)}`); });
    return Math.round(performance.now() - since);
  }

  #describe(since, isNew) {
    const acked = this.talkers.map(({ acked, refusals }) => ({ acked: acked.filter((m) => m.begun > since).length,
      refused: refusals.slice(-3).map((answer) => answer.text) }));
    const readers = this.readers.map((r) => ({ isNew: isNew(r), polls: r.polls, lost: r.lost, last: r.messages.at(-1)?.id }));
    return JSON.stringify({ acked, readers });
  }

  end() {
    for (const one of [...this.talkers, ...this.readers]) one.stop();
    for (const reader of this.readers) reader.close();
  }

  /** Stops talking, lets readers catch up, and checks all. isWhole: nothing normal may be missing either. */
  async settle({ isWhole = true } = {}) {
    for (const talker of this.talkers) talker.stop();
    await this.talking;
    const { high } = this;
    assert.ok(high.length > 0);
    await Promise.race([this.failed, waitFor(
      () => this.readers.every((r) => high.every((m) => r.ids.has(m.id))), within(10_000), 'every high at every reader')]);
    const stored = (await history(this.servers, this.room)).filter((m) => m.priority === 'high' && m.type === 'text');
    for (const reader of this.readers) {
      const got = reader.of('high').filter((m) => m.type === 'text');
      assert.equal(new Set(got.map((m) => m.body)).size, got.length, 'no message twice');
      for (let i = 1; i < got.length; i++) assert.ok(compareIds(got[i - 1].id, got[i].id) < 0, 'in order');
      if (isWhole) assert.equal(reader.gaps, 0);
    }
    const kept = new Map(stored.map((m) => [m.id, m.body]));
    for (const m of high) assert.equal(kept.get(m.id), m.body, `${m.id} was acknowledged`);
    if (isWhole) await this.#checkNormal();
    await this.#sendHome();
    return { high: high.length, all: this.acked.length };
  }

  /** A last message wakes the polls that are parked. */
  async #sendHome() {
    for (const reader of this.readers) reader.stop();
    await sendMany(this.servers.find((s) => s.isRunning), this.room, [{ body: 'end', priority: 'high' }]);
    await this.reading;
  }

  async #checkNormal() {
    const normal = this.acked.filter((m) => m.priority === 'normal').length;
    const has = (reader) => reader.of('normal').length + reader.skipped >= normal;
    await waitFor(() => this.readers.every(has), within(10_000), 'normal messages, or to be told of them');
  }
}

/** All that is kept of a room, oldest first. */
export async function history(servers, room) {
  const server = servers.find((s) => s.isRunning);
  const messages = [];
  for (let before = '9999999999999-0', more = true; more && before;) {
    const answer = await ask(server, 'GET', `/v1/rooms/${room}/messages?before=${before}&limit=200`, { token: 'dev' });
    assert.equal(answer.status, 200, answer.text);
    messages.push(...answer.json.messages);
    before = answer.json.messages.at(-1)?.id;
    ({ more } = answer.json);
  }
  return messages.reverse();
}
