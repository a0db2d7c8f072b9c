/*
 * standing.mjs: how the page stands with the server. Each source (one thing asked for again and again) is fine or in
 * trouble; the banner tells the trouble of all, a panel's own note what concerns that panel alone.
 */

import { advice } from './api.mjs';

const LABELS = { connecting: 'connecting…', live: 'live', reconnecting: 'reconnecting…', closed: 'closed', failed: 'stopped' };

export class Standing {
  #parts;
  #troubled = new Set(); // sources that the server leaves without an answer
  #noted = new Map(); // source -> its trouble, as the note of its panel tells it
  #isClosed = false;

  constructor(parts) {
    this.#parts = parts;
    this.#setState('connecting');
  }

  isTroubledBy(source) {
    return this.#troubled.has(source);
  }

  /** note: the panel's, if it has one. */
  fine(source, note) {
    this.#troubled.delete(source);
    if (note && note.textContent === this.#noted.get(source)) note.textContent = '';
    this.#noted.delete(source);
    if (!this.#troubled.size) this.#tell('');
    this.#settle();
  }

  trouble(source, error, note) {
    if (error.isOfServer) {
      this.#troubled.add(source);
      this.#tell(`${advice(error)} This page goes on by itself.`);
      this.#settle();
    } else if (note) {
      note.textContent = advice(error);
      this.#noted.set(source, note.textContent);
    } else {
      this.#tell(advice(error));
    }
  }

  /** Nothing more will be asked. */
  end(error) {
    this.#tell(advice(error));
    this.#setState('failed');
  }

  setClosed(isClosed) {
    this.#isClosed = isClosed;
    this.#settle();
  }

  #settle() {
    this.#setState(this.#troubled.size ? 'reconnecting' : this.#isClosed ? 'closed' : 'live');
  }

  #setState(state) {
    this.#parts.state.dataset.state = state;
    if (this.#parts.state.textContent !== LABELS[state]) this.#parts.state.textContent = LABELS[state];
    this.#parts.board.classList.toggle('stale', state === 'reconnecting');
  }

  #tell(text) {
    if (this.#parts.trouble.textContent !== text) this.#parts.trouble.textContent = text;
  }
}
