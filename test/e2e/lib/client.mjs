/*
 * client.mjs: asking the server as its clients do. `ask()` is one request, `Client` a connection kept alive, `Reader`
 * somebody in a room who follows it with a cursor and checks every answer against the protocol.
 */

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { Wire, WireError, requestBytes } from './wire.mjs';
import { waitFor, within } from './server.mjs';

export const ANSWER_MS = within(5_000);

let rooms = 0;
/** A room that no other test uses. */
export const newRoom = () => `room-${process.pid}-${++rooms}`;

/** A connection that is kept alive; one request at a time. */
export class Client {
  #server;
  #wire = null;
  #defaults;

  /** defaults: token, headers for all requests. */
  constructor(server, defaults = {}) {
    this.#server = server;
    this.#defaults = defaults;
  }

  get wire() { return this.#wire; }

  /** The answer: { status, headers, text, json, at }. A connection that the server closed is made anew. */
  async ask(method, target, { limit_ms = ANSWER_MS, ...request } = {}) {
    if (!this.#wire || this.#wire.ended) this.#wire = await Wire.open(this.#server);
    const wire = this.#wire;
    const { token = this.#defaults.token } = request;
    wire.write(requestBytes(method, target, { ...request, token }));
    const answer = await wire.response({ limit_ms, isHead: method === 'HEAD' });
    if (answer.headers.connection === 'close') this.close();
    return withJson(answer);
  }

  close() {
    this.#wire?.destroy();
    this.#wire = null;
  }
}

function withJson(answer) {
  const isJson = /json/.test(answer.headers['content-type'] ?? '') && answer.text !== '';
  return { ...answer, json: isJson ? JSON.parse(answer.text) : undefined };
}

/** One request on a connection of its own. */
export async function ask(server, method, target, request) {
  const client = new Client(server);
  try {
    return await client.ask(method, target, request);
  } finally {
    client.close();
  }
}

/** POSTs a message; fields: body, type, priority, from. Options: key (for Idempotency-Key), user, token. */
export function send(server, room, fields, { key, user, token, ...more } = {}) {
  const query = user === undefined ? '' : `?user=${encodeURIComponent(user)}`;
  return ask(server, 'POST', `/v1/rooms/${room}/messages${query}`, {
    body: fields, token, headers: key === undefined ? {} : { 'Idempotency-Key': key }, ...more,
  });
}

/** Sends many with the app's key over one connection, and gives their ids; all must be taken. */
export async function sendMany(server, room, messages, token = 'dev') {
  const client = new Client(server, { token });
  const ids = [];
  for (const message of messages) {
    const answer = await client.ask('POST', `/v1/rooms/${room}/messages`, { body: message });
    assert.equal(answer.status, 201, answer.text);
    ids.push(answer.json.id);
  }
  client.close();
  return ids;
}

/** A room with quotas that no test reaches by accident. */
export async function putRoom(server, room, settings = {}, token = 'dev') {
  const answer = await ask(server, 'PUT', `/v1/rooms/${room}`, {
    token, body: { normal_per_s: 100_000, high_per_s: 100_000, ...settings },
  });
  assert.ok([200, 201].includes(answer.status), answer.text);
  return answer.json;
}

/** Checks that an answer is this problem, with all that the protocol says of problems. */
export function assertProblem(answer, status, code) {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.headers['content-type'], 'application/problem+json');
  const problem = JSON.parse(answer.text);
  assert.equal(problem.status, status);
  assert.equal(problem.code, code);
  assert.ok(problem.title.length > 0 && problem.detail.length > 0);
  if (status === 429 || status === 503) {
    assert.ok(Number.isInteger(problem.retry_after_ms) && problem.retry_after_ms >= 0, answer.text);
    assert.equal(answer.headers['retry-after'], `${Math.ceil(problem.retry_after_ms / 1000)}`);
  } else {
    assert.equal(problem.retry_after_ms, undefined);
  }
  return problem;
}

/** The value of a metric, summed over the workers. */
export async function metric(server, name) {
  const { text } = await ask(server, 'GET', '/metrics');
  const lines = text.split('\n').filter((l) => l.startsWith(`${name} `) || l.startsWith(`${name}{`));
  assert.ok(lines.length > 0, `no metric ${name}`);
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

/** Resolves when that many polls are parked. */
export function parked(server, count) {
  return waitFor(async () => await metric(server, 'stoa_polls_parked') === count, within(5_000), `${count} parked polls`);
}

/* ---- tokens ---- */

const base64 = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A token as a back end signs it. `header` and `hash` are for those who sign it wrong. */
export function signToken(secret, claims, { header = { alg: 'HS256', typ: 'JWT' }, hash = 'sha256' } = {}) {
  const text = `${base64(header)}.${base64(claims)}`;
  return `${text}.${hash === null ? '' : createHmac(hash, secret).update(text).digest('base64url')}`;
}

export const inSeconds = (s) => Math.floor(Date.now() / 1000) + s;

/* ---- reading ---- */

export const compareIds = (a, b) => {
  const [aMs, aN] = a.split('-').map(Number);
  const [bMs, bN] = b.split('-').map(Number);
  return aMs - bMs || aN - bN;
};

/** Checks what holds for every answer of a poll. */
export function assertPollAnswer(answer) {
  const { cursor, messages, online, poll_after_ms, skipped, gap } = answer;
  assert.equal(typeof cursor, 'string');
  for (const number of [online, poll_after_ms, skipped]) assert.ok(Number.isInteger(number) && number >= 0, `${number}`);
  assert.equal(typeof gap, 'boolean');
  const firstNormal = messages.findIndex((m) => m.priority === 'normal');
  messages.forEach((m, i) => {
    assert.match(m.id, /^\d{13}-\d+$/);
    assert.equal(m.at, Number(m.id.split('-')[0]));
    assert.ok(['high', 'normal'].includes(m.priority));
    assert.equal(typeof m.type, 'string');
    assert.ok('body' in m);
    assert.equal(m.priority === 'normal', firstNormal >= 0 && i >= firstNormal, 'high comes first');
    if (i > 0 && messages[i - 1].priority === m.priority) assert.ok(compareIds(messages[i - 1].id, m.id) < 0, 'in order');
  });
}

/**
 * Somebody in a room: a cursor, and what was received with it. Gets over lost connections by itself in follow(); of
 * several servers it goes to the next one then.
 */
export class Reader {
  cursor = null;
  messages = []; // in the order they came
  ids = new Set();
  skipped = 0;
  gaps = 0;
  polls = 0;
  lost = 0; // connections
  last = null; // answer
  #servers;
  #token;
  #client;
  #target;
  #stop = false;

  /** servers: one, or a list, of which the first is asked first. */
  constructor(servers, room, { user, token, limit = 50 } = {}) {
    this.#servers = [servers].flat();
    this.#token = token;
    this.#client = new Client(this.#servers[0], { token });
    const who = user === undefined ? '' : `&user=${encodeURIComponent(user)}`;
    this.#target = `/v1/rooms/${room}/messages?limit=${limit}${who}`;
  }

  /** One poll from the cursor; without one yet, a join, whose messages are not counted. */
  async poll(timeout_s = 0) {
    const isJoin = this.cursor === null;
    const since = isJoin ? '' : `&since=${this.cursor}&timeout=${timeout_s}`;
    const answer = await this.#client.ask('GET', this.#target + since, { limit_ms: timeout_s * 1000 + ANSWER_MS });
    if (answer.status !== 200) throw Object.assign(new Error(answer.text), { status: answer.status, answer });
    this.#take(answer.json, isJoin);
    return answer.json;
  }

  #take(answer, isJoin) {
    assertPollAnswer(answer);
    this.polls++;
    this.last = answer;
    this.cursor = answer.cursor;
    if (isJoin) return;
    for (const message of answer.messages) {
      assert.ok(!this.ids.has(message.id), `${message.id} came twice`);
      this.ids.add(message.id);
      this.messages.push(message);
    }
    this.skipped += answer.skipped;
    this.gaps += answer.gap ? 1 : 0;
  }

  of(priority) {
    return this.messages.filter((m) => m.priority === priority);
  }

  bodies(priority) {
    return this.of(priority).map((m) => m.body);
  }

  /** Polls until stop(), over every lost connection and every "later"; resolves when stopped. */
  async follow({ timeout_s = 25 } = {}) {
    while (!this.#stop) {
      try {
        const { poll_after_ms } = await this.poll(timeout_s);
        if (poll_after_ms > 0) await new Promise((resolve) => { setTimeout(resolve, poll_after_ms); });
      } catch (error) {
        if (!isPassing(error)) throw error;
        this.lost++;
        this.#goElsewhere();
        await new Promise((resolve) => { setTimeout(resolve, error.answer?.json.retry_after_ms ?? 2); });
      }
    }
    this.#client.close();
  }

  #goElsewhere() {
    this.#client.close();
    this.#servers.push(this.#servers.shift());
    this.#client = new Client(this.#servers[0], { token: this.#token });
  }

  stop() {
    this.#stop = true;
  }

  close() {
    this.#client.close();
  }
}

/** The server is away, or said "later": asking again is right. */
export function isPassing(error) {
  return error instanceof WireError || error.status === 503 || ['ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(error.code);
}
