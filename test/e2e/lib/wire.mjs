/*
 * wire.mjs: HTTP/1.1 over a bare socket. Tests say which bytes go out and when, and see each answer as it came: in
 * order, with what stood on the wire, on a connection whose end they can watch. Node's own client hides all of that.
 */

import { connect } from 'node:net';

/** The peer closed, or the limit passed, before the whole answer was there. */
export class WireError extends Error {}

export class Wire {
  #socket;
  #bytes = Buffer.alloc(0); // received and not read yet
  #wake = []; // those who wait for more of it
  ended = false; // the peer closed, or reset
  sent = 0;

  /** Resolves when connected. */
  static open({ host, port }) {
    return new Promise((resolve, reject) => {
      const wire = new Wire();
      wire.#socket = connect({ host, port, noDelay: true, allowHalfOpen: true });
      wire.#socket.once('connect', () => resolve(wire));
      wire.#socket.once('error', reject);
      wire.#socket.on('data', (bytes) => {
        wire.#bytes = wire.#bytes.length ? Buffer.concat([wire.#bytes, bytes]) : bytes;
        wire.#woken();
      });
      for (const event of ['end', 'close', 'error']) wire.#socket.on(event, () => wire.#onEnd());
    });
  }

  #onEnd() {
    this.ended = true;
    this.#woken();
  }

  #woken() {
    for (const wake of this.#wake.splice(0)) wake();
  }

  write(bytes) {
    this.sent += bytes.length;
    this.#socket.write(bytes);
  }

  /** No more will come from here; answers are still read. Resolves when the kernel has been told, behind all that was written. */
  finish() {
    return new Promise((resolve) => { this.#socket.end(resolve); });
  }

  /** Stops reading, so that the peer's writes back up. */
  pause() {
    this.#socket.pause();
  }

  destroy() {
    this.#socket.destroy();
  }

  /** Waits until `found()` gives something; undefined means not yet. */
  async #until(found, limit_ms, what) {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#woken();
    }, limit_ms);
    try {
      for (;;) {
        const value = found();
        if (value !== undefined) return value;
        const seen = JSON.stringify(this.#bytes.toString('latin1').slice(0, 300));
        if (this.ended) throw new WireError(`closed while waiting for ${what}; received ${seen}`);
        if (late) throw new WireError(`no ${what} within ${limit_ms} ms; received ${seen}`);
        await new Promise((resolve) => this.#wake.push(resolve));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** The next answer. isHead: it has no body, whatever its length says. 1xx answers are answers too. */
  async response({ limit_ms, isHead = false }) {
    const head = await this.#until(() => this.#takeHead(), limit_ms, 'an answer');
    const length = Number(head.headers['content-length'] ?? 0);
    const hasBody = !isHead && head.status >= 200 && head.status !== 204;
    const body = hasBody ? await this.#until(() => this.#take(length), limit_ms, `${length} bytes of a body`) : '';
    return { ...head, text: body.toString(), at: performance.now() };
  }

  /** Resolves with what else came, when the peer has closed. */
  async closed(limit_ms) {
    await this.#until(() => (this.ended ? true : undefined), limit_ms, 'end of the connection').catch((error) => {
      if (!this.ended) throw error;
    });
    return this.#bytes.toString();
  }

  get unread() {
    return this.#bytes.toString();
  }

  #take(length) {
    if (this.#bytes.length < length) return undefined;
    const taken = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return taken;
  }

  #takeHead() {
    const end = this.#bytes.indexOf('\r\n\r\n');
    if (end < 0) return undefined;
    const raw = this.#take(end + 4).toString('latin1');
    const [line, ...fields] = raw.slice(0, -4).split('\r\n');
    const match = /^HTTP\/1\.1 (\d{3}) (.*)$/.exec(line);
    if (!match) throw new WireError(`not a status line: ${JSON.stringify(line)}`);
    const headers = {};
    for (const field of fields) {
      const colon = field.indexOf(':');
      const name = field.slice(0, colon).toLowerCase();
      if (name in headers) throw new WireError(`two fields ${name} in ${JSON.stringify(raw)}`);
      headers[name] = field.slice(colon + 1).trim();
    }
    return { status: Number(match[1]), reason: match[2], headers };
  }
}

/** The bytes of a request. A body that is no string goes out as JSON. */
export function requestBytes(method, target, { headers = {}, body, token } = {}) {
  const text = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  const fields = { Host: 'stoa.test', ...headers };
  if (token !== undefined) fields.Authorization = `Bearer ${token}`;
  if (text !== undefined) fields['Content-Length'] = Buffer.byteLength(text);
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\n${head}\r\n`), Buffer.from(text ?? '')]);
}
