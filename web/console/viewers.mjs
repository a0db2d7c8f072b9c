/* viewers.mjs: how many different people there were: so far, in the last while, and in a window of one's own. */

import { element } from '../element.mjs';
import { certainty, count, toLocalInput } from './format.mjs';

const HOUR_MS = 3_600_000;
const GRAIN_MS = HOUR_MS / 12;
const WINDOWS = [
  { label: 'So far' },
  { label: 'Last 5 minutes', span_ms: GRAIN_MS },
  { label: 'Last hour', span_ms: HOUR_MS },
  { label: 'Last 24 hours', span_ms: 24 * HOUR_MS },
];

export class Viewers {
  #cells;

  constructor(parts) {
    this.#cells = WINDOWS.map(({ label }) => {
      const line = element('div', '');
      const cell = element('dd', '', '–');
      line.append(element('dt', '', label), cell);
      parts.unique.append(line);
      return cell;
    });
  }

  /** Asks for all of them, one after the other. viewers: ({ from, to }) => the answer. */
  async turn(viewers, now) {
    for (const [i, { span_ms }] of WINDOWS.entries()) {
      const to = now();
      const answer = await viewers(span_ms ? { from: to - span_ms, to } : {});
      this.#cells[i].replaceChildren(...counted(answer));
    }
  }
}

/** The window that the reader picks. onCount: ({ from, to }) => the answer, told: error => its text. */
export class OwnWindow {
  #parts;

  constructor(parts, { onCount, told, now_ms }) {
    this.#parts = parts;
    const to = Math.ceil((now_ms + 1) / GRAIN_MS) * GRAIN_MS;
    parts['window-from'].value = toLocalInput(to - HOUR_MS);
    parts['window-to'].value = toLocalInput(to);
    parts.window.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#count(onCount, told);
    });
  }

  async #count(onCount, told) {
    const [from, to] = ['window-from', 'window-to'].map((id) => new Date(this.#parts[id].value).getTime());
    const result = this.#parts['window-count'];
    if (!(from < to)) {
      result.textContent = 'The window ends before it begins: change one of the two.';
      return;
    }
    try {
      result.replaceChildren(...counted(await onCount({ from, to })));
    } catch (error) {
      result.textContent = told(error);
    }
  }
}

function counted(answer) {
  return [element('span', '', count(answer.unique)), ' ', element('small', '', certainty(answer))];
}
