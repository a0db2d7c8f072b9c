/* pager.mjs: back and forth through pages that only know their next one. It remembers how it came where it is. */

import { element } from '../element.mjs';

export class Pager {
  #nav;
  #back = element('button', 'quiet', 'Previous');
  #place = element('span', '');
  #forth = element('button', 'quiet', 'Next');
  #way = [undefined]; // the page of each turn; the last is the one shown
  #next;

  constructor(nav, onTurn) {
    this.#nav = nav;
    for (const button of [this.#back, this.#forth]) button.type = 'button';
    this.#back.addEventListener('click', () => { this.#way.pop(); onTurn(); });
    this.#forth.addEventListener('click', () => { this.#way.push(this.#next); onTurn(); });
    nav.append(this.#back, this.#place, this.#forth);
    nav.hidden = true;
  }

  /** What to ask for; undefined is the first page. */
  get page() { return this.#way.at(-1); }

  reset() {
    this.#way = [undefined];
  }

  /** The page asked for is shown, and that one follows it, if any. */
  show(next) {
    this.#next = next ?? undefined;
    this.#nav.hidden = this.#way.length === 1 && this.#next === undefined;
    this.#back.disabled = this.#way.length === 1;
    this.#forth.disabled = this.#next === undefined;
    this.#place.textContent = `Page ${this.#way.length}`;
  }
}
