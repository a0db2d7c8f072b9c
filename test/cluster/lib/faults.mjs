/*
 * faults.mjs: random faults of the masters of a Redis Cluster while `high` messages are on their way to it, and the
 * account: every acknowledged one is in the store afterwards. A fault is one of
 *
 *   kill   SIGKILL of a master; started again when its replica is promoted
 *   stop   SIGSTOP of a master until its replica is promoted, then SIGCONT: what lies in its sockets then is answered by
 *          somebody who does not know yet that it was deposed
 *
 * The seed decides which, and of which master; what the machine makes of it in time it does not.
 */

import { Client, isPassing } from '../../e2e/lib/client.mjs';
import { waitFor } from '../../e2e/lib/server.mjs';
import { history } from './traffic.mjs';

const ROOMS = 6; // spread over the masters
const LANES = ROOMS; // connections that send, for each node
const PER_ROOM = 100_000; // quota
const TRIES_MS = 30_000;

/** Seeded random numbers below n (mulberry32). */
function generator(seed) {
  let state = seed >>> 0;
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) % n;
  };
}

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

export class Faults {
  acked = new Map(); // room -> [{ id, body }]
  tries = 0;
  #stopped = false;

  /** nodes: those that send, two at least. said: is told of each fault. between_ms: of sends of one lane. */
  constructor({ cluster, nodes, seed, said = () => {}, between_ms = 5 }) {
    Object.assign(this, { cluster, nodes, said, between_ms, random: generator(seed), prefix: `faults-${process.pid}-${seed}` });
  }

  async #prepare() {
    const client = new Client(this.nodes[0], { token: 'dev' });
    for (let i = 0; i < ROOMS; i++) {
      const room = `${this.prefix}-${i}`;
      const answer = await client.ask('PUT', `/v1/rooms/${room}`, { body: { high_per_s: PER_ROOM } });
      if (answer.status >= 300) throw new Error(answer.text);
      this.acked.set(room, []);
    }
    client.close();
  }

  /** Each message again with its key until it is acknowledged. */
  async #lane(name, node) {
    const client = new Client(node, { token: 'dev' });
    const room = [...this.acked.keys()][name % ROOMS];
    for (let n = 0; !this.#stopped; n++) {
      const message = { body: `${name}/${n}`, priority: 'high', from: 'faults' };
      for (let id = null; id === null && !this.#stopped;) {
        this.tries++;
        id = await this.#send(client, room, message);
        if (id !== null) this.acked.get(room).push({ id, body: message.body });
        await pause(id === null ? 50 : this.between_ms);
      }
    }
    client.close();
  }

  async #send(client, room, message) {
    try {
      const answer = await client.ask('POST', `/v1/rooms/${room}/messages`, {
        body: message, headers: { 'Idempotency-Key': message.body }, limit_ms: TRIES_MS });
      if (answer.status === 200 || answer.status === 201) return answer.json.id;
      if (answer.status !== 503) throw new Error(answer.text);
    } catch (error) {
      if (!isPassing(error)) throw error;
      client.close();
    }
    return null;
  }

  async #fault(i) {
    const { master, replica } = await this.cluster.owner(`{dev/${this.prefix}-${this.random(ROOMS)}}`);
    const kind = this.random(2) === 0 ? 'kill' : 'stop';
    const before = performance.now();
    if (kind === 'kill') await master.kill();
    else master.signal('SIGSTOP');
    await this.cluster.promoted(replica);
    const promoted_ms = Math.round(performance.now() - before);
    if (kind === 'kill') await master.start();
    else master.signal('SIGCONT');
    await this.cluster.whole();
    this.said({ fault: i + 1, kind, promoted_ms, acknowledged: this.#count() });
    return { kind, promoted_ms };
  }

  #count() { return [...this.acked.values()].reduce((sum, list) => sum + list.length, 0); }

  /** { faults, kills, stops, acknowledged, tries, missing, doubled, promoted_ms }: missing is what must be 0. */
  async run(count) {
    await this.#prepare();
    const lanes = this.nodes.flatMap((node, n) => Array.from({ length: LANES }, (_, i) => this.#lane(n * LANES + i, node)));
    const sending = Promise.all(lanes);
    const faults = [];
    try {
      for (let i = 0; i < count; i++) {
        const had = this.#count();
        await Promise.race([sending, waitFor(() => this.#count() > had + 100, 20_000, 'sends between two faults')]);
        faults.push(await Promise.race([this.#fault(i), sending.then(() => { throw new Error('sending ended'); })]));
      }
    } finally {
      this.#stopped = true;
    }
    await sending;
    return { ...this.#summary(faults), ...await this.#account() };
  }

  #summary(faults) {
    const kinds = (kind) => faults.filter((f) => f.kind === kind).length;
    const times = faults.map((f) => f.promoted_ms).sort((a, b) => a - b);
    return { faults: faults.length, kills: kinds('kill'), stops: kinds('stop'), acknowledged: this.#count(), tries: this.tries,
      promoted_ms: { min: times[0], median: times[times.length >> 1], max: times.at(-1) } };
  }

  async #account() {
    let missing = 0;
    let doubled = 0;
    for (const [room, acked] of this.acked) {
      const stored = (await history(this.nodes, room)).filter((m) => m.priority === 'high' && m.type === 'text');
      const bodies = new Map(stored.map((m) => [m.id, m.body]));
      missing += acked.filter((m) => bodies.get(m.id) !== m.body).length;
      doubled += stored.length - new Set(stored.map((m) => m.body)).size;
    }
    return { missing, doubled };
  }
}
