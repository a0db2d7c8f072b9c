/* curves.mjs: the two charts of a room, the switch of their range, and the numbers that come from the same columns. */

import { element } from '../element.mjs';
import { Chart } from './charts.mjs';
import { count, lasting, moment, rate } from './format.mjs';
import { RANGES, rangeOf, stepOf, windowOf } from './ranges.mjs';
import { Samples } from './samples.mjs';
import { messageColumns, onlineColumns, peakOf } from './series.mjs';

const SYNC = 'room';

export class Curves {
  #parts;
  #onRange;
  #samples = new Samples();
  #history = { points: [], step_s: 60 };
  #range;
  #online;
  #messages;
  #shown = {}; // columns as drawn
  #now_ms = 0;

  /** parts: elements by id. onRange: another range was picked, and its history is wanted. */
  constructor(parts, { range, onRange }) {
    this.#parts = parts;
    this.#onRange = onRange;
    this.#range = rangeOf(range);
    this.#makeSwitch();
    this.#online = new Chart(parts['online-chart'], {
      series: [{ column: 'peak', colour: '--gold', isThin: true }, { column: 'average', colour: '--sea', wash: '--sea-veil' }],
      sync: SYNC,
      onPoint: (index) => this.#readOnline(index),
    });
    this.#messages = new Chart(parts['messages-chart'], {
      series: [{ column: 'rate', colour: '--olive', wash: '--olive-veil', isStepped: true }],
      sync: SYNC,
      onPoint: (index) => this.#readMessages(index),
    });
  }

  get range() { return this.#range; }

  /** Asks for the history of the range and draws it. stats: ({ from, to, step_s }) => the answer. now: () => ms */
  async turn(stats, now) {
    const range = this.#range;
    const asked = windowOf(range, now());
    const { points } = await stats(asked);
    if (range !== this.#range) return; // another was picked meanwhile
    this.#history = { points, step_s: asked.step_s };
    this.draw(now());
  }

  addSample(at, online, now_ms) {
    this.#samples.add(at, online);
    this.draw(now_ms);
  }

  draw(now_ms) {
    this.#now_ms = now_ms;
    const span = { from_ms: now_ms - this.#range.span_s * 1000, to_ms: now_ms };
    const { points, step_s } = this.#history;
    const samples = this.#samples.all;
    const online = onlineColumns({ points, step_s, samples, now_ms });
    const messages = messageColumns({ points, step_s, now_ms });
    this.#shown = { online, messages };
    const peak = peakOf({ points: points.filter((point) => point.at + step_s * 1000 > span.from_ms), samples, from_ms: span.from_ms });
    this.#online.draw({ columns: online, ...span, says: this.#sayOnline(peak) });
    this.#messages.draw({ columns: messages, ...span, says: `Messages per minute, ${this.#range.said}.` });
    this.#showNumbers(peak, messages);
  }

  #makeSwitch() {
    for (const { id, label, said } of RANGES) {
      const radio = element('input', 'unseen');
      Object.assign(radio, { type: 'radio', name: 'range', value: id, checked: id === this.#range.id });
      radio.setAttribute('aria-label', said);
      radio.addEventListener('change', () => this.#pick(id));
      const choice = element('label', '');
      choice.append(radio, element('span', '', label));
      this.#parts.ranges.append(choice);
    }
  }

  #pick(id) {
    this.#range = rangeOf(id);
    this.#history = { points: [], step_s: stepOf(this.#range.span_s) };
    this.draw(this.#now_ms);
    this.#onRange(this.#range);
  }

  #showNumbers(peak, messages) {
    const parts = this.#parts;
    parts['peak-of'].textContent = this.#range.said;
    parts.peak.textContent = peak ? count(peak.online) : '–';
    parts['peak-at'].textContent = peak ? moment(peak.at, this.#range.span_s * 1000) : '';
    const last = messages.rate.at(-1);
    parts['rate-of'].textContent = `last ${lasting(this.#history.step_s * 1000)}`;
    parts.rate.textContent = last === undefined ? '–' : rate(last);
  }

  #sayOnline(peak) {
    const most = peak ? `at most ${count(peak.online)} at ${moment(peak.at, this.#range.span_s * 1000)}` : 'nothing known yet';
    return `People online, ${this.#range.said}: ${most}.`;
  }

  #readOnline(index) {
    const { x, average, peak } = this.#shown.online ?? {};
    const known = index !== null && average?.[index] != null;
    const most = known && peak[index] != null ? `, at most ${count(peak[index])}` : '';
    this.#parts['online-readout'].textContent = known ? `${this.#when(x[index])}: ${count(average[index])}${most}` : '';
  }

  #readMessages(index) {
    const { x, rate: rates } = this.#shown.messages ?? {};
    const known = index !== null && rates?.[index] != null;
    this.#parts['messages-readout'].textContent = known ? `${this.#when(x[index])}: ${rate(rates[index])}` : '';
  }

  #when(x) {
    return moment(x * 1000, this.#range.span_s * 1000);
  }
}
