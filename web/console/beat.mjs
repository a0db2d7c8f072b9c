/*
 * beat.mjs: does a thing again and again. The next turn begins `every_ms` after the last one ended, later and later
 * while turns fail (with jitter, and never before the server's retry_after_ms), and not while nobody looks at the page.
 *
 *   every_ms   between two turns
 *   turn       async (signal) => …; what it throws is told to onTrouble
 *   onFine     after a turn that went well
 *   onTrouble  (error, wait_ms); returns true to end the beat
 */

const WAIT_MAX_MS = 30_000;

export class Beat {
  #options;
  #stop = new AbortController();
  #wake = () => {};
  #isAwaited = false; // woken in the middle of a turn: another follows at once
  #failures = 0;

  constructor({ every_ms, turn, onFine = () => {}, onTrouble = () => false, isHidden = () => globalThis.document?.hidden ?? false, random = Math.random }) {
    this.#options = { every_ms, turn, onFine, onTrouble, isHidden, random };
  }

  /** Resolves when the beat has ended. */
  async run() {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      this.#isAwaited = false;
      const wait_ms = this.#options.isHidden() ? Infinity : await this.#turn(signal);
      if (!signal.aborted && !this.#isAwaited) await this.#pause(wait_ms);
    }
  }

  /** The next turn begins now: somebody wants it, or looks at the page again. */
  wake() {
    this.#failures = 0;
    this.#isAwaited = true;
    this.#wake();
  }

  stop() {
    this.#stop.abort();
    this.#wake();
  }

  async #turn(signal) {
    const { every_ms, turn, onFine, onTrouble } = this.#options;
    try {
      await turn(signal);
      if (signal.aborted) return 0;
      this.#failures = 0;
      onFine();
      return every_ms;
    } catch (error) {
      if (signal.aborted) return 0;
      if (error.status === undefined) console.error(error); // no answer of a server: our own mistake
      const wait_ms = this.#waitAfter(error);
      if (onTrouble(error, wait_ms)) this.#stop.abort();
      return wait_ms;
    }
  }

  #waitAfter({ retry_after_ms = 0 }) {
    const { every_ms, random } = this.#options;
    const grown = Math.min(every_ms * 2 ** this.#failures++, Math.max(WAIT_MAX_MS, every_ms));
    return Math.round(Math.max(grown * (0.5 + random() / 2), every_ms / 2, retry_after_ms));
  }

  #pause(wait_ms) {
    return new Promise((resolve) => {
      const timer = wait_ms === Infinity ? undefined : setTimeout(resolve, wait_ms);
      this.#wake = () => { clearTimeout(timer); resolve(); };
    });
  }
}
