/*
 * room.mjs: the page of one room. It joins the parts: what is asked for and how often, the panels that show it, and the
 * standing with the server. Times are the server's: `as_of` tells how far its clock is from ours.
 */

import { advice } from './api.mjs';
import { Beat } from './beat.mjs';
import { count } from './format.mjs';
import { Curves } from './curves.mjs';
import { People } from './people.mjs';
import { Standing } from './standing.mjs';
import { OwnWindow, Viewers } from './viewers.mjs';

/** How often each is asked for. */
const EVERY_MS = { online: 2000, room: 10_000, people: 10_000, viewers: 15_000, stats: 30_000 };
/** A clock that is less off is as good as ours: the count may be as old as this. */
const SKEW_LEAST_MS = 5000;

export class RoomPage {
  #api;
  #room;
  #parts;
  #onKeyRefused;
  #standing;
  #curves;
  #people;
  #viewers;
  #beats = new Map();
  #skew_ms = 0;

  /** onKeyRefused: (error) => …, after which the page asks nothing any more. */
  constructor(parts, { api, room, range, onRange, onKeyRefused }) {
    this.#api = api;
    this.#room = room;
    this.#parts = parts;
    this.#onKeyRefused = onKeyRefused;
    this.#standing = new Standing(parts);
    parts['room-view'].hidden = false; // before the charts look for their size
    this.#curves = new Curves(parts, {
      range,
      onRange: (picked) => { onRange(picked); this.#beats.get('stats').wake(); },
    });
    this.#people = new People(parts, () => this.#beats.get('people').wake());
    this.#viewers = new Viewers(parts);
    new OwnWindow(parts, { onCount: (span) => api.viewers(room, span), told: advice, now_ms: this.#now() });
  }

  start() {
    const { 'stats-note': stats, 'unique-note': unique, 'people-note': people } = this.#parts;
    const now = () => this.#now();
    this.#curves.draw(now());
    this.#beat('room', async (signal) => this.#showRoom(await this.#api.room(this.#room, signal)));
    this.#beat('online', async (signal) => this.#showOnline(await this.#api.online(this.#room, signal)));
    this.#beat('stats', (signal) => this.#curves.turn((asked) => this.#api.stats(this.#room, asked, signal), now), stats);
    this.#beat('viewers', (signal) => this.#viewers.turn((span) => this.#api.viewers(this.#room, span, signal), now), unique);
    this.#beat('people', (signal) => this.#people.turn((asked) => this.#api.users(this.#room, asked, signal), now), people);
    for (const beat of this.#beats.values()) beat.run();
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.#wake(); });
    addEventListener('online', () => this.#wake());
  }

  #beat(source, turn, note) {
    this.#beats.set(source, new Beat({
      every_ms: EVERY_MS[source],
      turn,
      onFine: () => this.#onFine(source, note),
      onTrouble: (error) => this.#onTrouble(source, error, note),
    }));
  }

  #onFine(source, note) {
    const wasTroubled = this.#standing.isTroubledBy(source);
    this.#standing.fine(source, note);
    if (wasTroubled) this.#wake(); // the server is back: for all of them
  }

  #onTrouble(source, error, note) {
    const trouble = source === 'online' && error.isOfVersion ? null : error; // GET room has the count as well
    if (error.isOfKey || error.isOfRoom) this.#end(error);
    else if (trouble) this.#standing.trouble(source, trouble, note);
    return false;
  }

  #end(error) {
    for (const beat of this.#beats.values()) beat.stop();
    this.#standing.end(error);
    this.#parts['room-view'].hidden = true;
    if (error.isOfKey) this.#onKeyRefused(error);
  }

  #wake() {
    for (const beat of this.#beats.values()) beat.wake();
  }

  #showRoom({ title, state, online }) {
    this.#parts.title.textContent = title || this.#room;
    document.title = `${title || this.#room} · Stoa console`;
    this.#standing.setClosed(state === 'closed');
    if (this.#parts.online.dataset.asOf === undefined) this.#parts.online.textContent = count(online);
  }

  #showOnline({ online, as_of }) {
    const skew_ms = as_of - Date.now();
    this.#skew_ms = Math.abs(skew_ms) < SKEW_LEAST_MS ? 0 : skew_ms;
    this.#parts.online.textContent = count(online);
    this.#parts.online.dataset.asOf = as_of;
    this.#curves.addSample(as_of, online, this.#now());
  }

  #now() {
    return Date.now() + this.#skew_ms;
  }
}
