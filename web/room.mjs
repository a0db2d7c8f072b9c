/*
 * room.mjs: the room page. It joins the parts: the door (a name), the Room of the SDK, the transcript, the composer and
 * the numbers beside them. `?room=` picks the room, `?name=` walks straight in.
 *
 * The page is for `stoa serve --dev`: there `?user=` makes a speaker of anybody, and gifts, which are `high`, are sent with
 * the dev app's key. A real page would ask its own back end to send them.
 */

import { element, hueOf } from '/element.mjs';
import { Room } from '/sdk/stoa.mjs';
import { Transcript, drawing, giftOf } from '/view.mjs';

const DEV_KEY = 'dev';
const NAME_BYTES_MAX = 64;
const EARLIER_LIMIT = 50;
const WALL_MAX = 6;
const SAMPLE_MS = 1000;
const SAMPLES_MAX = 60;
const RATE_OVER_SAMPLES = 5;
const SPARK_SPAN_LEAST = 0.02;

const STATES = {
  idle: 'not joined',
  connecting: 'connecting…',
  live: 'live',
  reconnecting: 'reconnecting…',
  closed: 'closed',
  failed: 'stopped',
};

const $ = (id) => document.getElementById(id);
const params = new URLSearchParams(location.search);
const roomId = params.get('room') || 'lobby';
const count = new Intl.NumberFormat('en');

const transcript = new Transcript({ list: $('messages'), outbox: $('outbox'), scroller: $('scroller'), newest: $('newest') });

let room = null; // who we are in the room; a change of name makes another
let purse = null; // sends gifts on our behalf, with the app's key
let sending = Promise.resolve(); // the tail of what is being sent: words leave in the order they were typed
const total = { received: 0, skipped: 0 };
const samples = []; // { online, received } once a second, the newest last
const gifts = new Map(); // "user gift" -> { from, gift, times }, the latest last

/* ---- the door ---- */

function start() {
  $('title').textContent = roomId;
  $('door-room').textContent = roomId;
  document.title = `${roomId} · Stoa`;
  $('name').value = localStorage.getItem('stoa.name') ?? '';
  $('name').addEventListener('input', () => $('name').setCustomValidity(''));
  $('entry').addEventListener('submit', onEntry);
  $('door').addEventListener('close', () => { if (!room) $('door').showModal(); }); // Escape leads nowhere yet
  $('rename').addEventListener('click', () => $('door').showModal());
  $('composer').addEventListener('submit', onSay);
  for (const button of document.querySelectorAll('.gift')) button.addEventListener('click', () => give(button));
  $('earlier').addEventListener('click', showEarlier);
  addEventListener('pagehide', () => room?.leave());
  addEventListener('pageshow', ({ persisted }) => { if (persisted && room?.state === 'closed') room.join(); });
  addEventListener('online', () => room?.wake());
  document.addEventListener('visibilitychange', () => { if (!document.hidden) room?.wake(); });
  setInterval(sample, SAMPLE_MS);
  const name = cleanName(params.get('name') ?? '');
  if (name) enter(name);
  else $('door').showModal();
}

function onEntry(event) {
  const name = cleanName($('name').value);
  if (name) {
    if (name !== room?.user) enter(name);
    return; // the dialog closes itself
  }
  event.preventDefault();
  $('name').setCustomValidity('A name of 1 to 64 bytes, please.');
  $('name').reportValidity();
}

/** A user id as the protocol wants it, or null. */
function cleanName(text) {
  const name = text.replace(/\p{Cc}/gu, '').trim();
  const bytes = new TextEncoder().encode(name).length;
  return bytes >= 1 && bytes <= NAME_BYTES_MAX ? name : null;
}

function enter(name) {
  room?.leave();
  localStorage.setItem('stoa.name', name);
  $('rename').textContent = name;
  $('rename').className = `quiet ${hueOf(name)}`;
  $('rename').hidden = false;
  Object.assign(total, { received: 0, skipped: 0 });
  samples.length = 0;
  gifts.clear();
  transcript.reset(name);
  showTotals();
  showGifts();
  tell('');
  room = newRoom(name);
  purse = new Room({ room: roomId, token: DEV_KEY });
  room.join().then(onJoined, () => {}); // the `failed` state has told why
  $('say').focus();
}

/* ---- what comes from the room ---- */

function newRoom(name) {
  const joined = new Room({ room: roomId, user: name });
  // A room that was left must not draw on the page that now belongs to the next one.
  const on = (type, listener) => joined.on(type, (detail) => { if (joined === room) listener(detail); });
  on('state', onState);
  on('retry', ({ error, retry_in_ms }) => {
    $('state').title = `${error.message}. Trying again in ${seconds(retry_in_ms)}.`;
  });
  on('gap', ({ reason }) => {
    transcript.addGap(reason === 'bad_cursor' ? 'Joined anew; something may be missing here.'
      : 'Messages from while you were away are no longer kept.');
  });
  on('skipped', (skipped) => {
    total.skipped += skipped;
    transcript.addSkipped(skipped);
    showTotals();
  });
  on('messages', onMessages);
  on('online', showOnline);
  return joined;
}

function onState({ state, error, reason }) {
  const pill = $('state');
  pill.textContent = STATES[state];
  pill.dataset.state = state;
  pill.title = '';
  if (reason === 'room_closed') {
    endTalk();
  } else if (state === 'failed') {
    tell(error.message);
  } else if (state === 'live') {
    tell('');
    allowSending(true);
  }
}

async function onJoined({ messages }) {
  $('earlier').hidden = messages.length === 0;
  const info = await room.info().catch(() => null); // the page does without a title
  showTitle(info?.title);
  if (info?.state === 'closed') endTalk();
}

function onMessages(messages) {
  total.received += messages.length;
  transcript.add(messages);
  for (const message of messages) {
    if (message.type.startsWith('room.recall')) transcript.recall(message.body?.id);
    if (message.type === 'room.updated') showTitle(message.body?.title);
    if (message.type === 'gift') countGift(message);
  }
  showTotals();
  if (messages.some((m) => m.type === 'gift')) showGifts();
}

async function showEarlier() {
  const button = $('earlier');
  button.disabled = true;
  try {
    const before = transcript.oldestId;
    const { messages, more } = await room.history({ before, limit: EARLIER_LIMIT });
    transcript.addEarlier(messages);
    button.hidden = !more;
  } catch (error) {
    tell(error.message);
  } finally {
    button.disabled = false;
  }
}

/* ---- what goes to the room ---- */

function onSay(event) {
  event.preventDefault();
  const text = $('say').value.trim();
  if (!text || !room) return;
  $('say').value = '';
  const pending = transcript.pending(text);
  const speaker = room;
  sending = sending.then(() => say(speaker, text, pending));
}

async function say(speaker, text, pending) {
  try {
    const { id } = await speaker.send({ text }, { onRetry: tellRetry });
    pending.settle(id);
    tell('');
  } catch (error) {
    pending.drop();
    tell(error.message);
    if ($('say').value === '') $('say').value = text; // nobody likes to type a thing twice
  }
}

async function give(button) {
  if (!room) return;
  const { gift } = button.dataset;
  button.classList.add('giving');
  try {
    await purse.send({ gift }, { type: 'gift', priority: 'high', from: room.user, onRetry: tellRetry });
    tell('');
  } catch (error) {
    tell(error.message);
  } finally {
    button.classList.remove('giving');
  }
}

function tellRetry({ error, retry_in_ms }) {
  tell(`${error.message.replace(/\.$/, '')}. Trying again in ${seconds(retry_in_ms)}.`);
}

/** In plain words, next to the input; '' takes it away. */
function tell(text) {
  $('trouble').textContent = text;
}

function endTalk() {
  tell('The room is closed.');
  allowSending(false);
}

function allowSending(allowed) {
  for (const part of document.querySelectorAll('#say, #send, .gift')) part.disabled = !allowed;
}

function seconds(ms) {
  return ms < 950 ? 'a moment' : `${Math.round(ms / 1000)} s`;
}

/* ---- the numbers, and the title ---- */

function showTitle(title) {
  $('title').textContent = title || roomId;
}

function showOnline(online) {
  $('online').textContent = count.format(online);
  $('online').dataset.count = online;
}

function showTotals() {
  $('received').textContent = count.format(total.received);
  $('skipped').textContent = count.format(total.skipped);
  $('skipped').dataset.count = total.skipped;
}

function sample() {
  if (!room) return;
  samples.push({ online: Number($('online').dataset.count ?? 0), received: total.received });
  if (samples.length > SAMPLES_MAX) samples.shift();
  const past = samples.at(-1 - RATE_OVER_SAMPLES) ?? samples[0];
  const rate = (total.received - past.received) / RATE_OVER_SAMPLES;
  $('rate').textContent = rate === 0 || rate >= 10 ? count.format(Math.round(rate)) : rate.toFixed(1);
  drawSpark();
}

/** The last minute of the audience, from its least to its most. */
function drawSpark() {
  const values = samples.map((s) => s.online);
  const least = Math.min(...values);
  const most = Math.max(...values);
  const span = Math.max(most - least, most * SPARK_SPAN_LEAST, 1); // a ripple is not to look like a wave
  const x = (i) => (120 * (i + SAMPLES_MAX - values.length)) / (SAMPLES_MAX - 1);
  const y = (value) => 18 - (30 * (value - (most + least) / 2)) / span;
  const points = values.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`);
  $('spark-line').setAttribute('points', points.join(' '));
  $('spark-area').setAttribute('points', `${x(0).toFixed(1)},36 ${points.join(' ')} 120,36`);
}

function countGift({ from, name, body }) {
  const gift = giftOf(body) ?? 'laurel';
  const key = `${from} ${gift}`;
  const times = (gifts.get(key)?.times ?? 0) + 1;
  gifts.delete(key);
  gifts.set(key, { from, name: name || from, gift, times });
  if (gifts.size > WALL_MAX) gifts.delete(gifts.keys().next().value);
}

function showGifts() {
  $('patrons').hidden = gifts.size === 0;
  $('wall').replaceChildren(...Array.from(gifts.values(), ({ from, name, gift, times }) => {
    const row = element('li', '');
    row.append(drawing(gift), element('b', `name ${hueOf(from)}`, name));
    row.append(element('span', 'times', `× ${times}`), element('span', 'unseen', ` ${gift}`));
    return row;
  }).reverse());
}

start();
