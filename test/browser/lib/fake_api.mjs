/*
 * fake_api.mjs: the resources that the console asks for, answered out of formulas, so that every number on the page is
 * known to the test. Everything else (the page itself, with its headers) is fetched from a real server.
 *
 *   evening-concert   PEOPLE users, history of 30 days with a pause in the last hour, viewers beyond exactness
 *   after-hours       closed, nobody there
 *   room-001 …        so that the list has pages
 */

import { createServer } from 'node:http';
import { once } from 'node:events';

export const KEY = 'a-key-of-the-fake-app';
export const ROOM = 'evening-concert';
export const HOSTILE = '<img src=x onerror=alert(1)>';
/** In the order of the server's pages. */
export const PEOPLE = [HOSTILE, ...Array.from({ length: 120 }, (_, i) => `ana-${String(i).padStart(3, '0')}`), 'béla', 'zoë-1', 'zoë-2'];

const MINUTE_MS = 60_000;
const ROOMS = [{ room: 'after-hours', title: '', state: 'closed', online: 0 }, { room: ROOM, title: '', state: 'open', online: 0 },
  ...Array.from({ length: 70 }, (_, i) => ({ room: `room-${String(i + 1).padStart(3, '0')}`, title: '', state: 'open', online: i }))];

/** People online in that minute: an hour that swells above the days, with a ripple on it. */
export function onlineAt(minute) {
  const ago = minute - now();
  const swell = 880 * Math.exp(-(((ago + 40) / 230) ** 2)) + 330 * Math.sin(minute / 457) ** 2;
  return Math.round(swell + 9 * Math.sin(minute / 3.1) + 14 * Math.sin(minute / 11.3) + 60);
}

const now = () => Math.floor(Date.now() / MINUTE_MS);

function messagesAt(minute) {
  return Math.round(onlineAt(minute) / 9 + 8 * Math.sin(minute / 3) ** 2);
}

export class FakeApi {
  requests = []; // { at, path, query }, oldest first
  online = 1204;
  title = 'Evening <b>concert</b>';
  people = PEOPLE;
  pause = { from: 20, to: 26 }; // minutes ago, within the last hour, in which nobody was there; null: none
  key = KEY;
  run = 1; // of the server; pages of users are of one run
  refusals = new Map(); // last part of the path -> { status, code, … }
  #pages;
  #server = null;
  #port = 0;

  /** pages: URL of the server whose console is under test. */
  constructor(pages) {
    this.#pages = pages;
  }

  get url() { return `http://127.0.0.1:${this.#port}`; }

  async start() {
    this.#server = createServer((request, response) => this.#serve(request, response));
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = this.#server.address().port;
    return this;
  }

  async stop() {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  asked(part) {
    return this.requests.filter(({ path }) => path.split('/').at(-1) === part);
  }

  async #serve(request, response) {
    const url = new URL(request.url, this.url);
    if (!url.pathname.startsWith('/v1/')) return this.#page(url.pathname, response);
    this.requests.push({ at: Date.now(), path: url.pathname, query: Object.fromEntries(url.searchParams) });
    if (request.headers.authorization !== `Bearer ${this.key}`) return problem(response, { status: 401, code: 'unauthorized' });
    const refusal = this.refusals.get(url.pathname.split('/').at(-1));
    if (refusal) return problem(response, refusal);
    return this.#answer(url, response);
  }

  async #page(path, response) {
    const answer = await fetch(this.#pages + path);
    const headers = ['content-type', 'content-security-policy', 'x-content-type-options', 'cache-control'];
    response.writeHead(answer.status, Object.fromEntries(headers.map((name) => [name, answer.headers.get(name) ?? ''])));
    response.end(Buffer.from(await answer.arrayBuffer()));
  }

  #answer(url, response) {
    const query = Object.fromEntries(url.searchParams);
    const [, , , room, ...rest] = url.pathname.split('/');
    const rooms = ROOMS.map((one) => (one.room === ROOM ? { ...one, title: this.title, online: this.online } : one));
    if (room === undefined) return json(response, paged(rooms, query, 'rooms'));
    const found = rooms.find((one) => one.room === decodeURIComponent(room));
    if (!found) return problem(response, { status: 404, code: 'room_not_found' });
    const isHere = found.room === ROOM;
    const [run, page] = (query.page ?? '').split(':');
    if (page && Number(run) !== this.run) return problem(response, { status: 400, code: 'bad_request', detail: 'page is of another run.' });
    const resources = {
      '': () => ({ ...found, unique: 0 }),
      online: () => ({ online: found.online, as_of: Date.now() }),
      'online/users': () => users(isHere ? this.people : [], query, this.run),
      viewers: () => viewers(query),
      stats: () => ({ points: isHere ? history(query, this.pause) : [] }),
    };
    const resource = resources[rest.join('/')];
    return resource ? json(response, resource()) : problem(response, { status: 404, code: 'not_found' });
  }
}

function paged(all, { page = '0', limit = '100' }, name) {
  const end = Number(page) + Number(limit);
  return { [name]: all.slice(Number(page), end), next_page: end < all.length ? `${end}` : null };
}

function users(people, { prefix = '', page = ':0', limit }, run) {
  const at = Date.now();
  const matching = people.filter((user) => user.startsWith(prefix));
  const all = matching.map((user, i) => ({ user, since: at - (i + 1) * 70_000, seen: at - (i % 3) * 9000 }));
  const { next_page, ...answer } = paged(all, { page: page.split(':')[1], limit }, 'users');
  return { ...answer, next_page: next_page && `${run}:${next_page}` };
}

/** Exact for a window, an estimate for the life of the room. */
function viewers({ from, to }) {
  if (from === undefined) return { unique: 84_210, exact: false, standard_error: 0.0081 };
  return { unique: 1400 + Math.round((Number(to) - Number(from)) / MINUTE_MS) * 5, exact: true, standard_error: 0 };
}

/** As the server tells it: no step in which nothing was, and of the one under way the whole minutes. */
function history({ from, to, step_s }, pause) {
  const points = [];
  const step_ms = Number(step_s) * 1000;
  const steps = Math.min(5000, (Number(to) - Number(from)) / step_ms);
  for (let i = 0; i < steps; i++) {
    const at = Number(from) + i * step_ms;
    const minute = Math.floor(at / MINUTE_MS);
    const ago = now() - minute;
    if (ago < 1 || (pause && step_ms === MINUTE_MS && ago >= pause.from && ago < pause.to)) continue;
    const online = onlineAt(minute);
    const messages = Math.round((messagesAt(minute) * Math.min(step_ms, now() * MINUTE_MS - at)) / MINUTE_MS);
    points.push({ at, span_s: Number(step_s), online_avg: online - 7.5, online_peak: online + 12, joins: 9, messages, unique: online + 40 });
  }
  return points;
}

function json(response, value) {
  response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' }).end(JSON.stringify(value));
}

function problem(response, fields) {
  response.writeHead(fields.status, { 'Content-Type': 'application/problem+json' }).end(JSON.stringify({ title: fields.code, detail: '', ...fields }));
}
