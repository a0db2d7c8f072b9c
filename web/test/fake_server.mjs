/*
 * A room server of a hundred lines for the SDK's tests: it follows the protocol where a client can see it (join,
 * parked polls, cursors, idempotency, problems) and does nothing else. What it holds outlives stop() and start(), as
 * a store outlives a node. `script(handler)` hands the next request to the test instead.
 */

import { createServer } from 'node:http';
import { once } from 'node:events';

export class FakeServer {
  requests = []; // { method, path, query, headers, body }, oldest first
  messages = []; // stored, in the order of arrival
  online = 1;
  #clock = 1_700_000_000_000;
  #keys = new Map();
  #parked = new Set();
  #scripted = [];
  #server = null;
  #port = 0;

  async start() {
    this.#server = createServer((request, response) => this.#serve(request, response));
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = this.#server.address().port;
    return this;
  }

  /** As a crash does it: parked polls are cut, the port refuses, the store stays. */
  async stop() {
    this.#parked.clear();
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  get url() { return `http://127.0.0.1:${this.#port}`; }
  get polls() { return this.requests.filter((r) => r.method === 'GET' && r.path.endsWith('/messages')); }
  get parkedCount() { return this.#parked.size; }

  /** The next request goes to handler(request, response, serve), where serve() does what would have been done. */
  script(...handlers) {
    this.#scripted.push(...handlers);
  }

  post(body, { type = 'text', priority = 'normal', from = 'host' } = {}) {
    const at = ++this.#clock;
    const message = { id: `${at}-0`, at, priority, type, from, body };
    this.messages.push(message);
    for (const poll of [...this.#parked]) poll();
    return message;
  }

  /** Answers whoever is parked with nothing, as the end of a hold does. */
  endHolds() {
    for (const poll of [...this.#parked]) poll(true);
  }

  async #serve(incoming, response) {
    const url = new URL(incoming.url, this.url);
    let text = '';
    for await (const chunk of incoming) text += chunk;
    const request = {
      method: incoming.method,
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      headers: incoming.headers,
      body: text === '' ? null : JSON.parse(text),
    };
    this.requests.push(request);
    const serve = () => this.#route(request, response);
    const scripted = this.#scripted.shift();
    if (scripted) scripted(request, response, serve);
    else serve();
  }

  #route(request, response) {
    const { method, path, query } = request;
    if (method === 'POST' && path.endsWith('/leave')) return response.writeHead(204).end();
    if (method === 'POST') return this.#append(request, response);
    if (!path.endsWith('/messages')) return json(response, 200, { room: 'lobby', title: 'Lobby', state: 'open' });
    if (query.before) return this.#history(query, response);
    if (query.since !== undefined && !/^c\d+$/.test(query.since)) {
      return problem(response, { status: 400, code: 'bad_cursor', title: 'Bad cursor' });
    }
    return this.#poll(query, response);
  }

  /** The cursor is how many stored messages its owner has seen. */
  #poll(query, response) {
    const from = query.since === undefined ? Math.max(0, this.messages.length - Number(query.limit ?? 50))
      : Number(query.since.slice(1));
    const answer = (evenEmpty) => {
      const fresh = this.messages.slice(from);
      if (!fresh.length && !evenEmpty) return;
      this.#parked.delete(answer);
      const user = query.user === undefined ? { user: 'anon-7' } : {};
      json(response, 200, { ...page(`c${this.messages.length}`, highFirst(fresh)), online: this.online, ...user });
    };
    if (query.since === undefined || query.timeout === '0') return answer(true);
    this.#parked.add(answer);
    response.on('close', () => this.#parked.delete(answer));
    return answer(false);
  }

  #history({ before, limit }, response) {
    const older = this.messages.filter((m) => m.id < before).reverse();
    json(response, 200, { messages: older.slice(0, limit), more: older.length > limit });
  }

  #append({ headers, body, query }, response) {
    const key = headers['idempotency-key'];
    const known = this.#keys.get(key);
    if (known) return json(response, 200, { ...known, duplicate: true });
    const { id, at } = this.post(body.body, { ...body, from: body.from ?? query.user });
    if (key) this.#keys.set(key, { id, at });
    return json(response, 201, { id, at });
  }
}

/** An answer of a poll with the fields that say "nothing special". */
export function page(cursor, messages = []) {
  return { cursor, messages, online: 1, poll_after_ms: 0, skipped: 0, gap: false };
}

export function json(response, status, value, headers = {}) {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(value));
}

export function problem(response, fields, headers = {}) {
  json(response, fields.status, fields, { 'Content-Type': 'application/problem+json', ...headers });
}

function highFirst(messages) {
  const high = messages.filter((m) => m.priority === 'high');
  return [...high, ...messages.filter((m) => m.priority !== 'high')];
}
