/*
 * churn.mjs: an audience that comes and goes at random, and what must be true of it.
 *
 * Each connection belongs to a visitor, who picks a user (several visitors may pick the same), joins, polls, and ends
 * the visit in one of the ways in ENDS. All choices come from the seed; what the machine makes of them in time does not.
 *
 * Every poll is kept with its beginning and end, so at any time each user is surely here, surely gone, or in between: within
 * a margin of the moment when that changes, which is the time that a request or an answer takes to be taken up, here and
 * there. `checkCount` holds the count against these bounds, `checkList` each user on the list. While the churn is
 * frozen nobody comes or goes; then `checkSettled` wants the exact number and the exact set.
 */

import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor, within } from './server.mjs';

const MARGIN_MS = 1000; // and as much as this process's own loop, or an answer to it, was late lately
const POLL_S = 5;
const VISIT_MS = 16_000;
const AWAY_MS = 5000;
const REST_MS = 4000; // between two polls of a visit, now and then

/* How visits end, with their weights. */
const ENDS = {
  reset: 4, // RST under a parked poll, as a killed process or a changed network does
  close: 4, // FIN under a parked poll, as a closed tab does
  idle: 2, // between two polls
  half: 1, // half a request, and then nothing but RST
  silent: 3, // stays connected, and polls no more: the parked poll times out
  leave: 2, // says so, by another connection
};

/** Seeded random numbers (mulberry32). */
function generator(seed) {
  let state = seed >>> 0;
  const unit = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (n) => Math.floor(unit() * n);
  const pick = (weights) => {
    let at = below(Object.values(weights).reduce((a, b) => a + b));
    return Object.keys(weights).find((key) => (at -= weights[key]) < 0);
  };
  return { unit, below, pick };
}

const now = () => performance.now();

/** A connection; one request at a time. Answers are { status, text }, or null when it was lost. */
class Connection {
  #socket;
  #bytes = '';
  #waiting = null;
  isOpen = false;

  static open({ host, port }, localAddress) {
    return new Promise((resolve) => {
      const connection = new Connection();
      const socket = connect({ host, port, noDelay: true, localAddress });
      connection.#socket = socket;
      socket.setEncoding('utf8');
      socket.once('connect', () => {
        connection.isOpen = true;
        resolve(connection);
      });
      socket.on('data', (text) => connection.#onText(text));
      socket.on('error', () => {});
      socket.once('close', () => {
        connection.isOpen = false;
        connection.#finish(null);
        resolve(connection);
      });
    });
  }

  #finish(answer) {
    const resolve = this.#waiting;
    this.#waiting = null;
    resolve?.(answer);
  }

  #onText(text) {
    this.#bytes += text;
    const end = this.#bytes.indexOf('\r\n\r\n');
    if (end < 0) return;
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(this.#bytes.slice(0, end))?.[1] ?? 0);
    const body = this.#bytes.slice(end + 4);
    if (Buffer.byteLength(body) < length) return;
    const status = Number(this.#bytes.slice(9, 12));
    this.#bytes = '';
    this.#finish({ status, text: body });
  }

  ask(method, target) {
    return new Promise((resolve) => {
      if (!this.isOpen) {
        resolve(null);
        return;
      }
      this.#waiting = resolve;
      this.#socket.write(`${method} ${target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer dev\r\n\r\n`);
    });
  }

  half(target) { this.#socket.write(`GET ${target} HTTP/1.1\r\nHo`); }
  reset() { this.#socket.resetAndDestroy(); }
  close() { this.#socket.destroy(); }
}

/** What is known of one user from this side: polls, and when they said that they left. */
class User {
  polls = []; // { begin, end }; end null: under way
  left = null; // { begin, end } of the last leave; end null: not answered yet

  constructor(name) { this.name = name; }

  begin() {
    const poll = { begin: now(), end: null };
    this.polls.push(poll);
    return poll;
  }

  /** Was here all the time from `from` to `to`, by the word of some poll. */
  isSurelyHere(from, to, linger_ms, margin_ms) {
    return this.polls.some(({ begin, end }) => begin + margin_ms <= from
      && (end === null || end + linger_ms - margin_ms >= to)
      && (this.left === null || (this.left.end !== null && begin > this.left.end)));
  }

  /** May have been here at some time between `from` and `to`. */
  isPossiblyHere(from, to, linger_ms, margin_ms) {
    const isWiped = (poll) => this.left !== null && this.left.end !== null && this.left.end < from
      && poll.begin + margin_ms < this.left.begin;
    return this.polls.some((poll) => poll.begin <= to && !isWiped(poll)
      && (poll.end === null || poll.end + linger_ms + margin_ms >= from));
  }

  forget(before) {
    this.polls = this.polls.filter(({ end }) => end === null || end > before);
  }
}

export class Churn {
  stats = { visits: 0, polls: 0, refused: 0, lost: [], late_ms: 0, ends: {}, counts: 0, lists: 0, settled: 0, inBetween: 0 };
  #server;
  #room;
  #linger_ms;
  #random;
  #users;
  #inside = new Map(); // visitors' users while a visit goes on
  #stopped = false;
  #frozen = false;
  #woken = new Set(); // resolve functions of those who wait for a change of the two above
  #running = [];
  #lags = []; // { at, ms } of this loop, and of the server
  #asker = null;

  /** server: { host, port }. users: how many names there are for that many connections. */
  constructor({ server, room, connections, users, linger_s, seed }) {
    this.#server = server;
    this.#room = room;
    this.#linger_ms = linger_s * 1000;
    this.#random = generator(seed);
    this.#users = Array.from({ length: users }, (_, i) => new User(`user-${i}`));
    this.connections = connections;
    for (const end of Object.keys(ENDS)) this.stats.ends[end] = 0;
  }

  start() {
    this.#watchLag();
    for (let i = 0; i < this.connections; i++) {
      const random = generator(this.#random.below(2 ** 32));
      this.#running.push(this.#visitor(i, random));
    }
  }

  /** From now on nobody comes and nobody goes; who is in the middle of something is here or gone at once. */
  freeze() {
    this.#frozen = true;
    this.#wake();
  }

  thaw() {
    this.#frozen = false;
    this.#wake();
  }

  /** All go; resolves when they have. */
  async stop() {
    this.#stopped = true;
    this.#frozen = false;
    this.#wake();
    await Promise.all(this.#running);
    this.#asker?.close();
  }

  #wake() {
    for (const wake of this.#woken) wake();
    this.#woken.clear();
  }

  /** Passes time that does not pass while frozen; false: frozen or stopped before its end. */
  async #pass(ms) {
    if (this.#stopped || this.#frozen) return false;
    let wake;
    const changed = new Promise((resolve) => {
      wake = () => resolve(false);
      this.#woken.add(wake);
    });
    const timer = new AbortController();
    const passed = await Promise.race([sleep(ms, true, { signal: timer.signal }).catch(() => false), changed]);
    timer.abort();
    this.#woken.delete(wake);
    return passed;
  }

  async #thawed() {
    while (this.#frozen && !this.#stopped) await new Promise((resolve) => { this.#woken.add(resolve); });
  }

  /** The promise's value, or undefined as soon as the churn is frozen or stopped. */
  async #unlessFrozen(promise) {
    const late = this.#pass(2 ** 30).then(() => undefined);
    return Promise.race([promise, late]);
  }

  /* ---- visitors ---- */

  async #visitor(i, random) {
    await this.#pass(random.below(AWAY_MS)); // they do not all come at once
    while (!this.#stopped) {
      await this.#thawed();
      if (this.#stopped) return;
      await this.#visit(i, this.#users[random.below(this.#users.length)], random);
      await this.#pass(random.below(AWAY_MS));
    }
  }

  #target(user) { return `/v1/rooms/${this.#room}/messages?user=${user.name}`; }

  /** Polls until it is time to go, and goes; a poll may be under way then. */
  async #visit(i, user, random) {
    this.stats.visits++;
    this.#inside.set(i, user);
    const connection = await Connection.open(this.#server, `127.0.${1 + (i % 8)}.1`);
    let until = now() + random.below(VISIT_MS);
    let cursor = '';
    while (connection.isOpen) {
      const poll = user.begin();
      this.stats.polls++;
      const asked = connection.ask('GET', `${this.#target(user)}&since=${cursor}&timeout=${random.below(POLL_S + 1)}`)
        .then((answer) => {
          poll.end = now();
          return answer;
        });
      const answer = await this.#orTimeToGo(asked, until);
      if (answer === 'go') return this.#end(i, user, connection, asked, random);
      cursor = this.#cursorOf(answer, cursor);
      if (random.below(8) === 0) {
        const rested_at = now();
        await this.#pass(random.below(REST_MS));
        if (this.#frozen) until += now() - rested_at;
      }
    }
    return this.#inside.delete(i);
  }

  /** The answer, or 'go' when the time has come before it; never while frozen. */
  async #orTimeToGo(asked, until) {
    const answered = asked.then((answer) => answer ?? { status: 0, text: '' });
    for (;;) {
      if (this.#stopped) return 'go';
      const isTime = this.#frozen ? new Promise((resolve) => { this.#woken.add(() => resolve(null)); })
        : this.#pass(Math.max(0, until - now())).then((passed) => (passed ? 'go' : null));
      const first = await Promise.race([answered, isTime]);
      if (first !== null) return first;
    }
  }

  /** A join that the pace holds has no cursor that it could be told, when its user leaves elsewhere: it is refused. */
  #cursorOf({ status, text }, before) {
    if (status === 200) return JSON.parse(text).cursor;
    if (status === 503 && before === '') this.stats.refused++;
    else this.#lose(`a poll: ${status} ${text}`);
    return before;
  }

  async #end(i, user, connection, asked, random) {
    const end = random.pick(ENDS);
    this.#inside.delete(i);
    this.stats.ends[end]++;
    if (end !== 'reset' && end !== 'close' && end !== 'leave') await this.#unlessFrozen(asked); // it ends by itself
    if (end === 'silent') await this.#pass(random.below(AWAY_MS));
    if (end === 'half') connection.half(this.#target(user));
    if (end === 'reset' || end === 'half') connection.reset();
    else connection.close();
    await asked;
    if (end === 'leave') await this.#leave(user);
  }

  async #leave(user) {
    const left = { begin: now(), end: null };
    user.left = left;
    const connection = await Connection.open(this.#server);
    const answer = await connection.ask('POST', `/v1/rooms/${this.#room}/leave?user=${user.name}`);
    if (answer?.status !== 204) this.#lose(`a leave: ${answer?.status} ${answer?.text}`);
    left.end = now();
    connection.close();
  }

  /** Nothing here ends a connection or refuses but for a mistake. */
  #lose(what) {
    this.stats.lost.push(what);
  }

  /* ---- checks ---- */

  async #ask(path) {
    if (!this.#asker?.isOpen) this.#asker = await Connection.open(this.#server);
    const from = now();
    const answer = await this.#asker.ask('GET', `/v1/rooms/${this.#room}/${path}`);
    if (answer?.status !== 200) throw new Error(`${path}: ${answer?.status} ${answer?.text}`);
    const to = now();
    this.#lags.push({ at: to, ms: to - from });
    return { from, to, json: JSON.parse(answer.text) };
  }

  async count() { return (await this.#ask('online')).json.online; }

  async #list() {
    const users = [];
    const begun = now();
    for (let page = ''; page !== null;) {
      const { json } = await this.#ask(`online/users?limit=1000&page=${page}`);
      users.push(...json.users.map(({ user }) => user));
      page = json.next_page;
    }
    return { users, from: begun, to: now() };
  }

  #watchLag() {
    const STEP_MS = 50;
    let last = now();
    setInterval(() => {
      const at = now();
      this.#lags.push({ at, ms: Math.max(0, at - last - STEP_MS) });
      this.#lags = this.#lags.filter((lag) => lag.at > at - this.#linger_ms - 5000);
      last = at;
    }, STEP_MS).unref();
  }

  get #margin_ms() {
    const late_ms = Math.max(0, ...this.#lags.map(({ ms }) => ms));
    this.stats.late_ms = Math.max(this.stats.late_ms, late_ms);
    return MARGIN_MS + late_ms;
  }

  /** The count lies between those who are surely here and those who may be. */
  async checkCount() {
    const { from, to, json: { online } } = await this.#ask('online');
    const margin_ms = this.#margin_ms;
    const least = this.#users.filter((u) => u.isSurelyHere(from, to, this.#linger_ms, margin_ms)).length;
    const most = this.#users.filter((u) => u.isPossiblyHere(from, to, this.#linger_ms, margin_ms)).length;
    this.stats.counts++;
    this.stats.inBetween = Math.max(this.stats.inBetween, most - least);
    if (online < least || online > most) throw new Error(`online is ${online}, the truth ${least} to ${most}`);
    for (const user of this.#users) user.forget(now() - this.#linger_ms - 10_000);
  }

  /** Who is surely here is listed, who is surely gone is not, and nobody twice. */
  async checkList() {
    const { users, from, to } = await this.#list();
    const listed = new Set(users);
    const margin_ms = this.#margin_ms;
    const name = (user) => user.name;
    if (listed.size !== users.length) throw new Error('a user was listed twice');
    const missing = this.#users.filter((u) => u.isSurelyHere(from, to, this.#linger_ms, margin_ms) && !listed.has(u.name));
    const ghosts = this.#users.filter((u) => !u.isPossiblyHere(from, to, this.#linger_ms, margin_ms) && listed.has(u.name));
    this.stats.lists++;
    if (missing.length) throw new Error(`not listed, but here: ${missing.map(name)}`);
    if (ghosts.length) throw new Error(`listed, but gone: ${ghosts.map(name)}`);
  }

  /** Frozen for longer than the linger: exactly those are here who poll, or soon will be. Returns how many. */
  async checkSettled() {
    const expected = new Set([...this.#inside.values()].map(({ name }) => name));
    const isExact = async () => await this.count() === expected.size;
    await waitFor(isExact, within(5000), `${expected.size} online`).catch(() => {}); // the number itself says more
    const online = await this.count();
    const { users } = await this.#list();
    const listed = new Set(users);
    this.stats.settled++;
    if (online !== expected.size) throw new Error(`online is ${online}, the truth ${expected.size}`);
    if (users.length !== expected.size || users.some((user) => !expected.has(user)) || listed.size !== users.length) {
      throw new Error(`the list has ${users.length} users, of ${expected.size} who are here`);
    }
    return online;
  }
}

/**
 * Periods of churn, each followed by a freeze and an exact check a second after the linger; then all go, and nobody is
 * left. `said` is told each exact number.
 */
export async function runChurn(churn, { periods, period_ms, linger_s, list_every_ms, said = () => {} }) {
  churn.start();
  for (let period = 0; period < periods; period++) {
    const until = now() + period_ms;
    for (let listed_at = now(); now() < until; await sleep(250)) {
      await churn.checkCount();
      if (now() - listed_at < list_every_ms) continue;
      listed_at = now();
      await churn.checkList();
    }
    churn.freeze();
    await sleep((linger_s + 1) * 1000);
    said(await churn.checkSettled());
    churn.thaw();
  }
  await churn.stop();
  await sleep((linger_s + 1) * 1000);
  said(await churn.checkSettled());
}
