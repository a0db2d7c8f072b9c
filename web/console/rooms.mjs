/* rooms.mjs: the list of the app's rooms, page by page. */

import { element } from '../element.mjs';
import { Beat } from './beat.mjs';
import { count } from './format.mjs';
import { Pager } from './pager.mjs';
import { Standing } from './standing.mjs';

const EVERY_MS = 5000;
const LIMIT = 50;
const NONE = 'No room yet. A back end makes one with PUT /v1/rooms/{room}; with auto_create it is there when it is first used.';

export class RoomsPage {
  #parts;
  #api;
  #onKeyRefused;
  #standing;
  #pager;
  #beat;

  constructor(parts, { api, onKeyRefused }) {
    this.#parts = parts;
    this.#api = api;
    this.#onKeyRefused = onKeyRefused;
    this.#standing = new Standing(parts);
    this.#pager = new Pager(parts['rooms-pager'], () => this.#beat.wake());
    parts['rooms-view'].hidden = false;
    parts['open-room'].addEventListener('submit', (event) => {
      event.preventDefault();
      location.assign(addressOf(parts['room-id'].value));
    });
  }

  start() {
    this.#beat = new Beat({
      every_ms: EVERY_MS,
      turn: (signal) => this.#turn(signal),
      onFine: () => this.#standing.fine('rooms'),
      onTrouble: (error) => this.#onTrouble(error),
    });
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.#beat.wake(); });
    this.#beat.run();
  }

  async #turn(signal) {
    const { page } = this.#pager;
    const { rooms, next_page } = await this.#api.rooms({ page, limit: LIMIT }, signal);
    if (page !== this.#pager.page) return; // another was turned to meanwhile
    keepFocus(this.#parts.rooms, () => this.#parts.rooms.replaceChildren(...rooms.map(row)));
    this.#parts['rooms-note'].textContent = rooms.length ? '' : NONE;
    this.#pager.show(next_page);
  }

  #onTrouble(error) {
    if (!error.isOfKey) {
      this.#standing.trouble('rooms', error);
      return false;
    }
    this.#standing.end(error);
    this.#parts['rooms-view'].hidden = true;
    this.#onKeyRefused(error);
    return true;
  }
}

export function addressOf(room) {
  return `/console/rooms/${encodeURIComponent(room)}`;
}

function row({ room, title, state, online }) {
  const made = element('tr', '');
  const name = element('th', '');
  const link = element('a', '', title || room);
  link.href = addressOf(room);
  name.scope = 'row';
  name.append(link);
  if (title) name.append(' ', element('small', '', room));
  const standing = element('td', '');
  standing.append(element('span', `mark-${state}`, state));
  made.append(name, standing, element('td', 'number', count(online)));
  return made;
}

/** Replaces rows; who stood on one of them by the keyboard stands there still. */
function keepFocus(body, replace) {
  const { activeElement } = document;
  const href = body.contains(activeElement) ? activeElement.getAttribute('href') : null;
  replace();
  if (href) Array.from(body.querySelectorAll('a')).find((link) => link.getAttribute('href') === href)?.focus();
}
