/*
 * api.mjs: what the console asks of the server, with the app's key, and what each refusal means for the person before it.
 * Every answer is JSON or throws a Refusal; no request outlives ANSWER_MS.
 */

const ANSWER_MS = 10_000;
/** What a key may hold; anything else could not even be sent in a header. */
const KEY = /^[\x21-\x7e]{1,256}$/;

/** Why there is no answer. status 0: none came at all. */
export class Refusal extends Error {
  constructor({ status = 0, code = 'no_answer', title = '', detail = '', retry_after_ms } = {}) {
    super(detail || title || code);
    this.name = 'Refusal';
    Object.assign(this, { status, code, retry_after_ms });
  }

  /** The key opens nothing (any more). */
  get isOfKey() { return this.status === 401 || (this.status === 403 && this.code === 'forbidden'); }
  /** Nothing of this room can be shown. */
  get isOfRoom() { return this.code === 'room_not_found'; }
  /** The server is away, or has too much to do: all of the page stands still. */
  get isOfServer() { return this.status === 0 || this.status === 429 || this.status === 502 || this.status === 503 || this.status === 504; }
  /** This server does not have this resource. */
  get isOfVersion() { return (this.status === 501 && this.code !== 'counting_off') || this.code === 'not_found' || this.code === 'method_not_allowed'; }
}

/** What happened, and what to do. */
export function advice(error) {
  if (!(error instanceof Refusal)) return 'Something is wrong with this page. Load it again.';
  if (error.status === 401) return 'This key opens nothing here. Enter a key of an app, as the configuration of the server has it.';
  if (error.isOfKey) return 'This is not enough for the console. Enter a key of the app, not a token.';
  if (error.isOfRoom) return 'There is no such room in the app of this key. Check the id, or pick a room from the list.';
  if (error.isOfVersion) return 'This version of the server does not offer this yet.';
  if (error.status === 0) return 'The server does not answer. See whether it runs, and whether you are connected.';
  if (error.isOfServer) return `The server cannot answer now: ${error.message}`;
  return error.message;
}

export class Api {
  #key;
  #fetch;
  #url;
  #answer_ms;

  constructor({ key, url = '', fetch = (...args) => globalThis.fetch(...args), answer_ms = ANSWER_MS }) {
    this.#key = key;
    this.#fetch = fetch;
    this.#url = url;
    this.#answer_ms = answer_ms;
  }

  /** page: the next_page of the page before; undefined begins. */
  rooms({ page, limit }, signal) { return this.#get('/v1/rooms', { page, limit }, signal); }
  room(room, signal) { return this.#get(path(room), {}, signal); }
  online(room, signal) { return this.#get(`${path(room)}/online`, {}, signal); }
  users(room, { page, limit, prefix }, signal) { return this.#get(`${path(room)}/online/users`, { page, limit, prefix }, signal); }
  /** Without from: since the room began. */
  viewers(room, { from, to } = {}, signal) { return this.#get(`${path(room)}/viewers`, { from, to }, signal); }
  stats(room, { from, to, step_s }, signal) { return this.#get(`${path(room)}/stats`, { from, to, step_s }, signal); }

  async #get(resource, query, signal) {
    if (!KEY.test(this.#key)) throw new Refusal({ status: 401, code: 'unauthorized' });
    const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
    const search = given.length ? `?${new URLSearchParams(given)}` : '';
    const stop = new AbortController();
    const abort = () => stop.abort();
    const limit = setTimeout(abort, this.#answer_ms);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      if (signal?.aborted) abort();
      return await this.#read(await this.#fetch(`${this.#url}${resource}${search}`, {
        headers: { Authorization: `Bearer ${this.#key}` }, cache: 'no-store', credentials: 'omit', signal: stop.signal,
      }));
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw error instanceof Refusal ? error : new Refusal();
    } finally {
      clearTimeout(limit);
      signal?.removeEventListener('abort', abort);
    }
  }

  async #read(response) {
    const isJson = /\bjson\b/.test(response.headers.get('content-type') ?? '');
    const body = isJson ? await response.json() : null;
    if (response.ok && body) return body;
    // A proxy on the way has pages of its own.
    throw new Refusal({ ...body, status: response.ok ? 502 : response.status, code: body?.code ?? 'unknown', title: body?.title ?? response.statusText });
  }
}

function path(room) {
  return `/v1/rooms/${encodeURIComponent(room)}`;
}
