/*
 * console.mjs: begins the page that the address names: /console is the list of rooms, /console/rooms/{room} one of them.
 * Both need the app's key; `?range=` keeps the span that is shown.
 */

import { Api, Refusal, advice } from './api.mjs';
import { askForKey } from './door.mjs';
import { forgetKey, keepKey, keptKey } from './key.mjs';
import { RoomPage } from './room.mjs';
import { RoomsPage } from './rooms.mjs';

const ROOM_PATH = /^\/console\/rooms\/([^/]+)$/;
const ROOM_ID = /^[A-Za-z0-9_.:-]{1,64}$/;

const parts = Object.fromEntries(Array.from(document.querySelectorAll('[id]'), (part) => [part.id, part]));
parts.board = document.querySelector('.board');

/** The room of the address; null for the list; undefined where no room can have that name. */
function roomOf(pathname) {
  const written = ROOM_PATH.exec(pathname)?.[1];
  if (written === undefined) return null;
  try {
    const room = decodeURIComponent(written);
    return ROOM_ID.test(room) ? room : undefined;
  } catch {
    return undefined;
  }
}

async function start() {
  const room = roomOf(location.pathname);
  parts['all-rooms'].hidden = room === null;
  parts.forget.addEventListener('click', () => { forgetKey(); location.assign('/console'); });
  if (room !== null) parts.title.textContent = room ?? 'console';
  if (keptKey() === null) await letIn('');
  parts.forget.hidden = false;
  show(room, new Api({ key: keptKey() }));
}

function show(room, api) {
  if (room === undefined) {
    parts.trouble.textContent = advice(new Refusal({ status: 404, code: 'room_not_found' }));
  } else if (room === null) {
    new RoomsPage(parts, { api, onKeyRefused }).start();
  } else {
    const range = new URLSearchParams(location.search).get('range');
    new RoomPage(parts, { api, room, range, onRange: ({ id }) => history.replaceState(null, '', `?range=${id}`), onKeyRefused }).start();
  }
}

async function letIn(refusal) {
  keepKey(await askForKey(parts, { refusal, opens: (key) => new Api({ key }).rooms({ limit: 1 }) }));
}

/** The key was good once. With the next one everything begins anew. */
async function onKeyRefused(error) {
  forgetKey();
  parts.forget.hidden = true;
  await letIn(advice(error));
  location.reload();
}

start();
