/*
 * The room page in Chromium, against the real server: two people enter, talk, give, and the server is killed between
 * them and started again. What each page shows is compared line by line.
 *
 * STOA_SCREENSHOT=1 also takes the picture of docs/room.png.
 */

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { Server, waitFor, within } from '../e2e/lib/server.mjs';
import { Reader, ask, newRoom, putRoom, sendMany } from '../e2e/lib/client.mjs';
import { Complaints, SHOW_MS, launch } from './lib/chromium.mjs';

const SCREENSHOT = fileURLToPath(new URL('../../docs/room.png', import.meta.url));

let browser;
let server;
before(async () => {
  server = await Server.start({ store: 'sqlite:', flags: ['--workers', 1] }); // one: then no count lags behind who came
  browser = await launch();
});
after(() => browser?.close());

/** Somebody at the page, with a profile of their own. */
class Visitor {
  #page;
  #complaints;

  static async open(query, options) {
    const visitor = new Visitor();
    const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, ...options });
    visitor.#page = await context.newPage();
    await visitor.#page.addInitScript(recordStates);
    visitor.#complaints = new Complaints(visitor.#page);
    visitor.#page.setDefaultTimeout(SHOW_MS);
    await visitor.#page.goto(`${server.url}/?${query}`);
    return visitor;
  }

  get page() { return this.#page; }
  get troubles() { return this.#complaints.all; }
  set mayLoseNetwork(may) { this.#complaints.mayFail = may ? /Failed to load resource: net::ERR_/ : null; }

  part(testid) {
    return this.#page.getByTestId(testid);
  }

  async say(text) {
    await this.#page.fill('#say', text);
    await this.#page.press('#say', 'Enter');
  }

  give(gift) {
    return this.#page.click(`[data-gift=${gift}]`);
  }

  /** The lines that came from the room: [id, words], from the top. */
  lines() {
    return this.part('messages').locator('li[data-id]').evaluateAll((all) => (
      all.map((line) => [line.dataset.id, line.querySelector('.words')?.textContent ?? line.textContent])));
  }

  async words() {
    return (await this.lines()).map(([, words]) => words);
  }

  shows(count) {
    return waitFor(async () => (await this.lines()).length >= count, SHOW_MS, `${count} lines`);
  }

  online(count) {
    return waitFor(async () => await this.part('online').textContent() === `${count}`, SHOW_MS, `${count} online`);
  }

  inState(state) {
    return this.#page.locator(`#state[data-state=${state}]`).waitFor();
  }

  states() {
    return this.#page.evaluate(() => window.statesSeen);
  }
}

/** Runs in the page, before its own scripts. */
function recordStates() {
  window.statesSeen = [];
  addEventListener('DOMContentLoaded', () => {
    const pill = document.getElementById('state');
    new MutationObserver(() => {
      if (window.statesSeen.at(-1) !== pill.dataset.state) window.statesSeen.push(pill.dataset.state);
    }).observe(pill, { attributes: true, attributeFilter: ['data-state'] });
  });
}

test('two people talk, the server crashes and comes back, and both see the same', async () => {
  const room = newRoom();
  const ann = await Visitor.open(`room=${room}`);
  await ann.page.fill('#name', 'Ann');
  await ann.page.press('#name', 'Enter');
  await ann.inState('live');
  const ben = await Visitor.open(`room=${room}&name=Ben`);
  await ben.inState('live');

  await ann.say('Good evening <b>all</b> & sundry');
  await ben.shows(1);
  await ben.say('Good evening, Ann 🌿');
  await ann.shows(2);
  await ben.give('lyre');
  await ann.shows(3);
  for (const visitor of [ann, ben]) await visitor.online(2); // the count comes with the messages
  assert.match(await ann.part('wall').textContent(), /Ben/);

  for (const visitor of [ann, ben]) visitor.mayLoseNetwork = true;
  await server.kill();
  for (const visitor of [ann, ben]) await visitor.inState('reconnecting');
  await ann.say('Is anybody there?');
  await ann.say('Hello?');
  await waitFor(async () => await ann.part('trouble').textContent() !== '', SHOW_MS, 'word of the trouble');
  await server.start();
  for (const visitor of [ann, ben]) {
    await visitor.shows(5);
    await visitor.inState('live');
    visitor.mayLoseNetwork = false;
  }
  await ben.say('Here again.');
  for (const visitor of [ann, ben]) await visitor.shows(6);

  const expected = ['Ann Good evening <b>all</b> & sundry', 'Ben Good evening, Ann 🌿', 'Ben gives a lyre', 'Ann Is anybody there?',
    'Ann Hello?', 'Ben Here again.'];
  for (const visitor of [ann, ben]) {
    assert.deepEqual(await visitor.words(), expected);
    assert.equal(await visitor.part('outbox').locator('li').count(), 0);
    assert.equal(await visitor.part('skipped').textContent(), '0');
    assert.equal(await visitor.part('gap-note').count(), 0);
    assert.deepEqual((await visitor.states()).slice(-3), ['live', 'reconnecting', 'live']);
    await visitor.online(2);
  }
  assert.deepEqual(await ann.lines(), await ben.lines());

  await ben.page.close({ runBeforeUnload: true }); // tells the server by a beacon
  await waitFor(async () => (await ask(server, 'GET', `/v1/rooms/${room}`)).json.online === 1, within(3000), 'word of the leave');
  for (const visitor of [ann, ben]) assert.deepEqual(visitor.troubles, []);
});

test('who comes later sees what was said, and older lines on request', async () => {
  const room = newRoom();
  await putRoom(server, room);
  await sendMany(server, room, Array.from({ length: 70 }, (_, i) => ({ body: { text: `line ${i}` }, from: 'host' })));
  const late = await Visitor.open(`room=${room}&name=Late`);
  await late.shows(50);
  assert.equal((await late.words()).at(-1), 'host line 69');
  await late.part('earlier').click();
  await late.shows(70);
  assert.deepEqual((await late.words()).filter((w) => w.startsWith('host')), Array.from({ length: 70 }, (_, i) => `host line ${i}`));
  assert.deepEqual(late.troubles, []);
});

const TALK = [
  ['Theo', 'Is the stream in sync for everybody?'], ['Mara', 'Yes, crisp here'], ['Iris', { gift: 'olive' }],
  ['Jonas', 'First time live, this is lovely'], ['Lea', 'The second movement gave me goosebumps'],
  ['Amir', { gift: 'laurel' }], ['Noor', '¡Saludos desde Sevilla!'], ['Kenji', 'Good morning from Kyoto'],
  ['Mara', 'Encore, encore!'], ['Sofia', { gift: 'lyre' }], ['Theo', 'Did anyone catch the name of the cellist?'],
  ['Lea', 'Elena Vasari. She is touring until March.'], ['Iris', 'That bow control…'], ['Sofia', { gift: 'lyre' }],
  ['Pavel', { gift: 'amphora' }], ['Jonas', 'Greetings to the back row!'], ['Noor', 'And now all together'],
  ['Amir', 'bravo!'],
];

test('a picture of a lively room', { skip: process.env.STOA_SCREENSHOT !== '1' }, async () => {
  const room = 'evening-concert';
  await putRoom(server, room, { title: 'Evening concert' });
  const crowd = [];
  const enter = async (reader) => {
    crowd.push(reader);
    await reader.poll();
    await reader.follow();
  };
  const following = [];
  const comeIn = (count) => {
    for (let i = 0; i < count; i++) following.push(enter(new Reader(server, room, { user: `guest-${following.length}` })));
  };
  comeIn(140);
  const visitor = await Visitor.open(`room=${room}&name=Mara`, { colorScheme: 'light', locale: 'en-GB' });
  await visitor.inState('live');
  for (const [name, words] of TALK) {
    comeIn(Math.round(2 + 9 * Math.random()));
    const isGift = typeof words === 'object';
    await sendMany(server, room, [{
      body: isGift ? words : { text: words }, from: name, ...(isGift ? { type: 'gift', priority: 'high' } : {}),
    }]);
    await new Promise((resolve) => { setTimeout(resolve, 1500); }); // so that the minute's curve has a shape
  }
  await visitor.shows(TALK.length);
  await visitor.page.fill('#say', 'Thank you for tonight');
  await visitor.page.screenshot({ path: SCREENSHOT });
  for (const reader of crowd) reader.stop();
  for (const reader of crowd) reader.close();
  await Promise.allSettled(following);
  assert.deepEqual(visitor.troubles, []);
});
