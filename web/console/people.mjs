/* people.mjs: who is here, page by page, with search by the beginning of the user's id. */

import { element, hueOf } from '../element.mjs';
import { lasting } from './format.mjs';
import { Pager } from './pager.mjs';

const LIMIT = 25;
const TYPING_MS = 200;
/** Seen so recently is here in this moment. */
const NOW_MS = 5000;

export class People {
  #parts;
  #pager;
  #asked = {}; // what the list is to show; another object for every wish
  #typing;
  #onWish;

  /** parts: elements by id. onWish: something else is to be shown, so turn() is wanted soon. */
  constructor(parts, onWish) {
    this.#parts = parts;
    this.#onWish = onWish;
    this.#pager = new Pager(parts['people-pager'], () => this.#wish());
    parts['people-search'].addEventListener('submit', (event) => { event.preventDefault(); this.#search(); });
    parts.prefix.addEventListener('input', () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.#search(), TYPING_MS);
    });
  }

  /** Asks for the page and shows it. users: ({ page, limit, prefix }) => the answer. now: () => ms */
  async turn(users, now) {
    const asked = this.#asked;
    const prefix = this.#parts.prefix.value;
    const { page } = this.#pager;
    const answer = await users({ page, limit: LIMIT, prefix }).catch((error) => this.#onRefusal(error, page));
    if (asked !== this.#asked) return; // another wish was made meanwhile
    this.#show(answer, prefix, now());
  }

  /** Pages are of one run of the server: after another start they are gone through from the first. */
  #onRefusal(error, page) {
    if (error.status !== 400 || page === undefined) throw error;
    this.#search();
  }

  #search() {
    clearTimeout(this.#typing);
    this.#pager.reset();
    this.#wish();
  }

  #wish() {
    this.#asked = {};
    this.#onWish();
  }

  #show({ users, next_page }, prefix, now_ms) {
    this.#parts.people.replaceChildren(...users.map((user) => row(user, now_ms)));
    this.#pager.show(next_page);
    const nobody = prefix ? `Nobody here has an id that begins with “${prefix}”.` : 'Nobody is here.';
    this.#parts['people-note'].textContent = users.length ? '' : nobody;
  }
}

function row({ user, since, seen }, now_ms) {
  const made = element('tr', '');
  const name = element('th', '');
  name.scope = 'row';
  name.append(element('b', `name ${hueOf(user)}`, user));
  made.append(name, element('td', 'number', lasting(now_ms - since)), element('td', 'number', now_ms - seen < NOW_MS ? 'now' : `${lasting(now_ms - seen)} ago`));
  return made;
}
