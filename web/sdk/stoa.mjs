/*
 * stoa.mjs: the client of a Stoa room, for browsers and Node >= 18.
 *
 *   const room = new Room({ url: 'https://chat.example', room: 'lobby', token });
 *   room.on('messages', (messages) => show(messages));
 *   await room.join();
 *   await room.send({ text: 'Good evening' });
 *
 * What it promises, and how:
 *   - No message is lost or given twice by a dropped connection or a restarted server. The cursor moves only
 *     when an answer has been read whole, so a poll that breaks is asked again from the same place.
 *   - A crowd that is thrown off comes back spread out: back-off with full jitter, on top of whatever wait the
 *     server asked for. The server's poll_after_ms is obeyed to the millisecond.
 *   - A send is safe to retry: every attempt of one send() carries one Idempotency-Key.
 *   - What could not be given is told: `skipped` and `gap` events, never silence.
 *
 * States (setState() is the only way to move; `closed` and `failed` can be left by another join()):
 *
 *      idle ──► connecting ──► live ◄──► reconnecting
 *                   └───────────┴─────────────┴──► closed (left, or the room ended) | failed (with its error)
 *
 * Fields that travel on the wire, and anything with a unit, keep the protocol's snake_case.
 */

const MOVES = {
  idle: ['connecting', 'closed'],
  connecting: ['live', 'reconnecting', 'closed', 'failed'],
  live: ['reconnecting', 'closed', 'failed'],
  reconnecting: ['live', 'closed', 'failed'],
  closed: ['connecting'],
  failed: ['connecting', 'closed'],
};

/** Longest wait that a server may impose; also keeps setTimeout() inside its 31 bits. */
const WAIT_MAX_MS = 3_600_000;
/** Empty answers in a row that may come back at once before the client slows itself down. */
const QUICK_ANSWERS_FREE = 3;
const QUICK_ANSWER_MS = 200;

/** An error as the server told it; status 0 where no answer came at all. */
export class ProblemError extends Error {
  constructor({ status = 0, code = 'unknown', title = '', detail = '', retry_after_ms, cause } = {}) {
    super(detail || title || code, cause === undefined ? undefined : { cause });
    this.name = 'ProblemError';
    Object.assign(this, { status, code, title, detail, retry_after_ms });
  }

  /** Whether the same request may succeed later. */
  get retryable() {
    const { status } = this;
    return status === 0 || status === 408 || status === 429 || (status >= 500 && status !== 501);
  }
}

/** Orders two message ids ("ms-n") by time; negative when a is older. */
export function compareIds(a, b) {
  const [aMs, aN] = a.split('-').map(Number);
  const [bMs, bN] = b.split('-').map(Number);
  return aMs - bMs || aN - bN;
}

class RoomEvent extends Event { // Node 18 has no CustomEvent
  constructor(type, detail) {
    super(type);
    this.detail = detail;
  }
}

export class Room extends EventTarget {
  #options;
  #state = 'idle';
  #cursor;
  #user;
  #bearer = null; // what options.token() last gave; null: ask it
  #stop = null; // AbortController of the running poll loop; null when there is none
  #nap = null; // AbortController of a pause that wake() may cut short
  #joined = null; // { promise, resolve, reject } of the last join()
  #last = { high: null, normal: null }; // newest ids given out; read only when a cursor had to be thrown away
  #cursorLost = false; // the server refused our cursor, and the answer that makes up for it is still to come

  constructor(options) {
    super();
    this.#options = {
      url: globalThis.location?.origin,
      timeout_s: 25,
      limit: 50,
      backoff_base_ms: 500,
      backoff_cap_ms: 10_000,
      hang_ms: 10_000,
      send_limit_ms: 15_000,
      fetch: globalThis.fetch?.bind(globalThis),
      random: Math.random,
      now: Date.now,
      sleep,
      store: null,
      ...options,
    };
    if (!this.#options.room) throw new TypeError('Room: options.room is required');
    if (!this.#options.url) throw new TypeError('Room: options.url is required outside a page');
    this.#cursor = this.#options.cursor ?? null;
    this.#user = this.#options.user ?? null;
  }

  get state() { return this.#state; }
  get cursor() { return this.#cursor; }
  /** The name in use: the option, or the one that the server gave to an anonymous viewer. */
  get user() { return this.#user; }
  get room() { return this.#options.room; }

  /** addEventListener for one who wants the detail alone; returns the function that undoes it. */
  on(type, listener) {
    const call = (event) => listener(event.detail);
    this.addEventListener(type, call);
    return () => this.removeEventListener(type, call);
  }

  /** Starts to receive. Resolves with the first answer; rejects with what made joining impossible. */
  join() {
    if (this.#stop) return this.#joined.promise;
    this.#stop = new AbortController();
    this.#bearer = null;
    this.#joined = deferred();
    this.#joined.promise.catch(() => {}); // the `failed` state tells it too: not listening here is no crash
    this.#setState('connecting');
    this.#run(this.#stop.signal).catch((error) => this.#end('failed', { error }));
    return this.#joined.promise;
  }

  /** Stops receiving and tells the server, so that the online count falls at once. Safe in `pagehide`. */
  async leave() {
    this.#end('closed', { reason: 'left' });
    const { token } = this.#options;
    const auth = { user: this.#user, token: typeof token === 'function' ? this.#bearer : token };
    if (globalThis.navigator?.sendBeacon?.(this.#url('/leave', auth))) return; // a beacon carries no header
    try {
      await this.#request('POST', '/leave', { keepalive: true, limit_ms: this.#options.hang_ms });
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error; // gone is gone: the server forgets us by itself in seconds
    }
  }

  /** Retries now instead of at the end of a back-off: call it when the network is known to be back. */
  wake() {
    this.#nap?.abort();
  }

  /**
   * Sends one message; resolves with { id, at, duplicate? } when it is stored durably.
   * Tries again with the same key until send_limit_ms is spent, then rejects with the last problem. That error
   * carries `key`: handing it back as options.key makes even a later, manual retry safe.
   */
  async send(body, { type = 'text', priority = 'normal', from, key = this.#newKey(), send_limit_ms, onRetry } = {}) {
    const { now } = this.#options;
    const deadline = now() + (send_limit_ms ?? this.#options.send_limit_ms);
    const message = { body, type, priority, ...(from === undefined ? {} : { from }) };
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#request('POST', '/messages', {
          body: message,
          headers: { 'Idempotency-Key': key },
          limit_ms: Math.max(1, Math.min(this.#options.hang_ms, deadline - now())),
        });
      } catch (error) {
        error.key = key;
        const retry_in_ms = this.#backoff(error, attempt);
        if (!error.retryable || now() + retry_in_ms > deadline) throw error;
        onRetry?.({ error, retry_in_ms });
        await this.#options.sleep(retry_in_ms);
      }
    }
  }

  /** Older messages, newest first: { messages, more }. */
  history({ before, limit = 50 }) {
    return this.#request('GET', '/messages', { query: { before, limit }, limit_ms: this.#options.hang_ms });
  }

  /** The room itself: title, state, online, settings. */
  info() {
    return this.#request('GET', '', { limit_ms: this.#options.hang_ms });
  }

  /* ---- the poll loop ---- */

  async #run(signal) {
    const { store, timeout_s, sleep: pause, now } = this.#options;
    if (this.#cursor === null && store) this.#cursor = (await store.load()) ?? null;
    let failures = 0;
    let quick = 0;
    while (!signal.aborted) {
      // The first poll after a break does not park: it shows at once that the line is good again.
      const wait_s = this.#state === 'live' ? timeout_s : 0;
      const asked_at = now();
      let answer;
      try {
        answer = await this.#poll(wait_s, signal);
      } catch (error) {
        if (signal.aborted) return;
        const again = this.#recover(error);
        if (again === 'never') return;
        if (again === 'later') await this.#standBack(error, failures++, signal);
        continue;
      }
      if (signal.aborted) return; // left while the answer was read: the cursor stays before it
      failures = 0;
      await this.#take(answer);
      if (signal.aborted) return;
      if (answer.poll_after_ms > 0) await pause(Math.min(answer.poll_after_ms, WAIT_MAX_MS), signal);
      // Nine tabs of one user push each other out of the server's eight parked polls. Nobody gains by the race.
      const idle = wait_s > 0 && !answer.messages.length && !answer.poll_after_ms;
      quick = idle && now() - asked_at < QUICK_ANSWER_MS ? quick + 1 : 0;
      if (quick > QUICK_ANSWERS_FREE) await pause(this.#jitter(quick - QUICK_ANSWERS_FREE), signal);
    }
  }

  async #poll(wait_s, signal) {
    const { limit, hang_ms } = this.#options;
    const query = this.#cursor === null ? { limit } : { since: this.#cursor, timeout: wait_s, limit };
    const answer = await this.#request('GET', '/messages', { query, signal, limit_ms: wait_s * 1000 + hang_ms });
    if (typeof answer?.cursor !== 'string' || !Array.isArray(answer.messages)) throw badAnswer();
    return answer;
  }

  /** Decides what an error of a poll means: ask again 'now', 'later' or 'never'. */
  #recover(error) {
    if (!(error instanceof ProblemError)) throw error;
    if (error.retryable) return 'later';
    if (error.code === 'bad_cursor' && this.#cursor !== null) {
      this.#cursor = null; // join anew; without a cursor the same error cannot come twice
      this.#cursorLost = true;
      return 'now';
    }
    if (error.code === 'room_closed') this.#end('closed', { reason: 'room_closed', error });
    else this.#end('failed', { error });
    return 'never';
  }

  async #standBack(error, failures, signal) {
    const retry_in_ms = this.#backoff(error, failures);
    if (this.#state !== 'reconnecting') this.#setState('reconnecting', { error });
    this.#emit('retry', { error, retry_in_ms });
    if (error.retry_after_ms) { // a wait that the server asked for is not ours to cut short
      await this.#options.sleep(retry_in_ms, signal);
      return;
    }
    const nap = new AbortController();
    const stop = () => nap.abort();
    this.#nap = nap;
    signal.addEventListener('abort', stop, { once: true });
    await this.#options.sleep(retry_in_ms, nap.signal);
    signal.removeEventListener('abort', stop);
    if (this.#nap === nap) this.#nap = null;
  }

  /** Gives an answer out, then moves the cursor past it. */
  async #take(answer) {
    const cursorLost = this.#cursorLost;
    this.#cursorLost = false;
    const messages = cursorLost ? answer.messages.filter((m) => this.#isNew(m)) : answer.messages;
    if (answer.user && !this.#user) this.#user = answer.user;
    if (this.#state !== 'live') this.#setState('live');
    if (answer.gap || cursorLost) this.#emit('gap', { reason: cursorLost ? 'bad_cursor' : 'retention' });
    if (answer.skipped > 0) this.#emit('skipped', answer.skipped);
    if (messages.length) this.#emit('messages', messages);
    for (const { priority, id } of messages) this.#last[priority === 'high' ? 'high' : 'normal'] = id;
    if (typeof answer.online === 'number') this.#emit('online', answer.online);
    if (answer.cursor !== this.#cursor) {
      this.#cursor = answer.cursor;
      this.#emit('cursor', answer.cursor);
      await this.#options.store?.save(answer.cursor);
    }
    this.#joined.resolve(answer);
    if (saysClosed(messages)) this.#end('closed', { reason: 'room_closed' });
  }

  /** After a rejoin without a cursor only: the newest messages may be ones already given out. */
  #isNew({ priority, id }) {
    const last = this.#last[priority === 'high' ? 'high' : 'normal'];
    return last === null || compareIds(id, last) > 0;
  }

  #end(state, detail) {
    const stop = this.#stop;
    this.#stop = null;
    if (this.#state !== state) this.#setState(state, detail);
    this.#joined?.reject(detail.error ?? new ProblemError({ code: detail.reason, title: 'The room was left' }));
    stop?.abort();
  }

  #setState(state, detail = {}) {
    const previous = this.#state;
    if (!MOVES[previous].includes(state)) throw new Error(`Room: ${previous} -> ${state} is not a move`);
    this.#state = state;
    this.#emit('state', { state, previous, ...detail });
  }

  #emit(type, detail) {
    this.dispatchEvent(new RoomEvent(type, detail));
  }

  /* ---- waiting ---- */

  /** What the server asked for, and full jitter on top of it (Brooker, "Exponential Backoff And Jitter"). */
  #backoff(error, attempt) {
    return (error.retry_after_ms ?? 0) + this.#jitter(attempt);
  }

  #jitter(attempt) {
    const { backoff_base_ms, backoff_cap_ms, random } = this.#options;
    return random() * Math.min(backoff_cap_ms, backoff_base_ms * 2 ** Math.min(attempt, 30));
  }

  /* ---- one request ---- */

  #url(path, query) {
    const { url, room } = this.#options;
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined && value !== null) search.set(name, value);
    }
    const id = encodeURIComponent(room).replaceAll('%3A', ':');
    const address = `${url.replace(/\/+$/, '')}/v1/rooms/${id}${path}`;
    const tail = `${search}`.replaceAll('+', '%20'); // a space that every server reads as one
    return tail === '' ? address : `${address}?${tail}`;
  }

  /** The parsed answer, or null for an empty one. Every failure is a ProblemError. */
  async #request(method, path, { query = {}, renewed = false, ...request }) {
    const bearer = await this.#token();
    const headers = { Accept: 'application/json', ...request.headers };
    if (bearer) headers.Authorization = `Bearer ${bearer}`;
    if (request.body !== undefined) headers['Content-Type'] = 'application/json';
    const { response, text } = await this.#exchange(this.#url(path, { ...query, user: this.#user }), {
      method,
      headers,
      body: request.body === undefined ? undefined : JSON.stringify(request.body),
      keepalive: request.keepalive,
      cache: 'no-store',
      credentials: 'omit',
    }, request);
    if (response.status === 401 && typeof this.#options.token === 'function' && !renewed) {
      this.#bearer = null; // a token that has run out is asked for anew, once
      return this.#request(method, path, { query, renewed: true, ...request });
    }
    if (!response.ok) throw problemOf(response, text, this.#options.now());
    if (text === '') return null;
    const answer = parse(text);
    if (answer === undefined) throw badAnswer();
    return answer;
  }

  /** fetch() with a limit on its time, up to the last byte of the answer. */
  async #exchange(url, init, { signal, limit_ms }) {
    const controller = new AbortController();
    const abort = () => controller.abort();
    const timer = setTimeout(abort, limit_ms);
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    try {
      const response = await this.#options.fetch(url, { ...init, signal: controller.signal });
      return { response, text: await response.text() };
    } catch (cause) {
      if (controller.signal.aborted && !signal?.aborted) {
        throw new ProblemError({ code: 'timeout', title: 'The server did not answer in time', cause });
      }
      throw new ProblemError({ code: 'unreachable', title: 'The server cannot be reached', cause });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }

  async #token() {
    const { token } = this.#options;
    if (typeof token !== 'function') return token ?? null;
    try {
      this.#bearer ??= await token();
    } catch (cause) { // whoever issues tokens is away: as good a reason to wait as any
      throw new ProblemError({ code: 'no_token', title: 'No token could be had', cause });
    }
    return this.#bearer;
  }

  #newKey() {
    const { crypto } = globalThis; // randomUUID wants a secure context; Node 18 has no global crypto at all
    if (crypto?.randomUUID) return crypto.randomUUID();
    const bytes = new Uint8Array(16);
    if (crypto?.getRandomValues) crypto.getRandomValues(bytes);
    else bytes.forEach((_, i) => { bytes[i] = this.#options.random() * 256; });
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
}

/* ---- small parts ---- */

/** Resolves after ms, or as soon as the signal is aborted. */
function sleep(ms, signal) {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
    signal?.addEventListener('abort', done, { once: true });
  });
}

function deferred() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function badAnswer() { // something between us and the server spoke, or cut the answer short: worth another try
  return new ProblemError({ code: 'bad_answer', title: 'The answer is not one of this protocol' });
}

function problemOf(response, text, now_ms) {
  const problem = parse(text) ?? {};
  const wait = problem.retry_after_ms ?? problem.poll_after_ms ?? retryAfter(response.headers.get('Retry-After'), now_ms);
  return new ProblemError({
    status: response.status,
    code: problem.code ?? `http_${response.status}`,
    title: problem.title ?? response.statusText,
    detail: problem.detail,
    retry_after_ms: wait > 0 ? Math.min(wait, WAIT_MAX_MS) : undefined,
  });
}

/** RFC 9110, 10.2.3: seconds, or a date. */
function retryAfter(value, now_ms) {
  if (!value) return undefined;
  return /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now_ms;
}

/** A room that was closed and opened again has said something since. */
function saysClosed(messages) {
  const closed = messages.findLast((m) => m.type === 'room.closed');
  return closed !== undefined && !messages.some((m) => compareIds(m.id, closed.id) > 0);
}
