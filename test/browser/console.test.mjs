/*
 * The console in Chromium. Most of it runs against answers out of formulas (lib/fake_api.mjs), with the page and its
 * headers from the real server; the last part asks the real server for everything, as far as it has it.
 *
 * STOA_SCREENSHOT=1 also takes the picture of docs/console.png.
 */

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { Server, waitFor } from '../e2e/lib/server.mjs';
import { Reader, ask, assertProblem, newRoom, putRoom, sendMany } from '../e2e/lib/client.mjs';
import { Complaints, SHOW_MS, launch } from './lib/chromium.mjs';
import { FakeApi, HOSTILE, KEY, PEOPLE, ROOM, onlineAt } from './lib/fake_api.mjs';

const REFUSED = /Failed to load resource: the server responded with a status of/;
const CUT = /Failed to load resource: net::ERR_/;
const PAGE_OF_PEOPLE = 25;
const SCREENSHOT = fileURLToPath(new URL('../../docs/console.png', import.meta.url));

let browser;
let server;
let shop; // without --dev
let api;
let hosts = [];
before(async () => {
  server = await Server.start();
  shop = await Server.start({ config: `[app "shop"]\nkey = ${KEY}\nauto_create = true\n`, flags: ['--workers', 1] });
  browser = await launch();
});
after(() => browser?.close());

/** A test against formulas. */
function testWithFormulas(name, body) {
  test(name, async () => {
    api = await new FakeApi(shop.url).start();
    try {
      await body();
      assert.deepEqual(complaints(), []);
    } finally {
      await leaveAll();
      await api.stop().catch(() => {}); // some tests have stopped it
    }
  });
}

const complaints = () => hosts.flatMap((host) => host.complaints.all);

async function leaveAll() {
  for (const host of hosts) await host.close();
  hosts = [];
}

/** Somebody at the console. */
class Host {
  page;
  complaints;
  #context;

  /** key: already in the tab's session. at: where; the fake API unless given. mayFail: what may be on the browser's console. */
  static async open(path, { key, at = api.url, mayFail = null, ...options } = {}) {
    const host = new Host();
    hosts.push(host);
    host.#context = await browser.newContext({ viewport: { width: 1200, height: 900 }, locale: 'en-GB', timezoneId: 'UTC', colorScheme: 'light', ...options });
    if (key) await host.#context.addInitScript(keepKeyOnce, key);
    host.page = await host.#context.newPage();
    host.complaints = new Complaints(host.page);
    host.complaints.mayFail = mayFail;
    host.page.setDefaultTimeout(SHOW_MS);
    await host.page.goto(at + path);
    return host;
  }

  close() { return this.#context.close(); }
  part(testid) { return this.page.getByTestId(testid); }
  text(testid) { return this.part(testid).textContent(); }

  /** Waits until the part says so. */
  says(testid, words) {
    const matches = (text) => (words instanceof RegExp ? words.test(text) : text === words);
    return waitFor(async () => matches(await this.text(testid)), SHOW_MS, `${testid} to say ${words}`);
  }

  inState(state) {
    return this.page.locator(`#state[data-state=${state}]`).waitFor();
  }

  async enter(key) {
    await this.page.fill('#key', key);
    await this.page.press('#key', 'Enter');
  }

  /** The first column of the rows. */
  rows(testid) {
    return this.part(testid).locator('tr th').evaluateAll((all) => all.map((cell) => cell.textContent));
  }

  showsRows(testid, expected) {
    return waitFor(async () => JSON.stringify(await this.rows(testid)) === JSON.stringify(expected), SHOW_MS, `${testid}: ${expected}`);
  }

  /** How much of a chart has the colour of that property of the page. */
  pixels(testid, property) {
    return this.part(testid).locator('canvas').evaluate((canvas, name) => {
      const copy = Object.assign(document.createElement('canvas'), { width: canvas.width, height: canvas.height });
      const probe = copy.getContext('2d', { willReadFrequently: true });
      probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name);
      probe.fillRect(0, 0, 1, 1);
      const wanted = probe.getImageData(0, 0, 1, 1).data;
      probe.clearRect(0, 0, 1, 1);
      probe.drawImage(canvas, 0, 0);
      const { data } = probe.getImageData(0, 0, canvas.width, canvas.height);
      let found = 0;
      for (let i = 0; i < data.length; i += 4) {
        if ([0, 1, 2].every((k) => Math.abs(data[i + k] - wanted[k]) < 12) && data[i + 3] > 200) found++;
      }
      return found;
    }, property);
  }

  draws(testid, property, least = 300) {
    return waitFor(async () => await this.pixels(testid, property) >= least, SHOW_MS, `${property} in ${testid}`);
  }
}

/** Runs in the page, before its own scripts: as if the key had been entered in this tab. */
function keepKeyOnce(key) {
  if (!sessionStorage.getItem('test.kept')) sessionStorage.setItem('stoa.key', key);
  sessionStorage.setItem('test.kept', 'yes');
}

/* ---- what the server serves ---- */

test('the console is served with and without --dev, to whoever asks, and is closed off from everything else', async () => {
  const files = [['/console', 'text/html'], ['/console/', 'text/html'], ['/console/rooms/r', 'text/html'], ['/console/console.js', 'text/javascript'],
    ['/console/console.css', 'text/css'], ['/style.css', 'text/css'], ['/icon.svg', 'image/svg']];
  for (const [path, type] of files) {
    for (const at of [server, shop]) {
      const { status, headers } = await ask(at, 'GET', path);
      assert.equal(status, 200, path);
      assert.ok(headers['content-type'].startsWith(type), path);
      assert.equal(headers['cache-control'], 'no-cache');
      assert.match(headers['content-security-policy'], /^default-src 'none'; script-src 'self'; style-src 'self'; [^;]*; connect-src 'self';/);
    }
  }
  for (const path of ['/console/rooms/', '/console/rooms/a/b', '/console/nothing', '/consoles']) assertProblem(await ask(shop, 'GET', path), 404, 'not_found');
  assertProblem(await ask(shop, 'POST', '/console'), 405, 'method_not_allowed');
  assert.match((await ask(shop, 'GET', '/console/console.js')).text, /The MIT License/);
});

test('an operator may leave the console out', async () => {
  const closed = await Server.start({ flags: ['--console=off'] });
  for (const path of ['/console', '/console/rooms/r', '/console/console.js']) assertProblem(await ask(closed, 'GET', path), 404, 'not_found');
  assert.equal((await ask(closed, 'GET', '/style.css')).status, 200);
  await closed.stop();
});

/* ---- the door ---- */

testWithFormulas('a wrong key is told so, the right one opens, and it stays in the tab alone', async () => {
  const host = await Host.open('/console', { mayFail: REFUSED });
  for (const wrong of ['not-the-key', 'ключ']) {
    await host.enter(wrong);
    await host.says('refusal', /This key opens nothing here\. Enter a key/);
  }
  await host.page.keyboard.press('Escape'); // leads nowhere
  await host.page.keyboard.press('Escape');
  await host.page.locator('#door').waitFor();
  await host.enter(KEY);
  await host.inState('live');
  assert.deepEqual(await host.page.evaluate(() => [{ ...sessionStorage }, { ...localStorage }, document.cookie]), [{ 'stoa.key': KEY }, {}, '']);
  assert.equal(await host.page.locator('#key').inputValue(), '');

  await host.page.reload();
  await host.inState('live');
  await host.page.click('#forget');
  await host.page.locator('#door').waitFor();
  assert.equal(await host.page.evaluate(() => sessionStorage.getItem('stoa.key')), null);
});

testWithFormulas('a key that is taken back while the page is open leads to the door, and a new one back to the room', async () => {
  const host = await Host.open(`/console/rooms/${ROOM}`, { key: KEY, mayFail: REFUSED });
  await host.inState('live');
  api.key = 'a-newer-key-of-the-app';
  await host.says('refusal', /This key opens nothing here/);
  assert.equal(await host.page.locator('#room-view').isVisible(), false);
  await host.enter(api.key);
  await host.inState('live');
  await host.says('online', '1,204');
});

/* ---- the rooms ---- */

testWithFormulas('the rooms are listed page by page, and lead to their pages', async () => {
  const host = await Host.open('/console', { key: KEY });
  const names = Array.from({ length: 70 }, (_, i) => `room-${String(i + 1).padStart(3, '0')}`);
  await host.showsRows('rooms', ['after-hours', `Evening <b>concert</b> ${ROOM}`, ...names.slice(0, 48)]);
  assert.match(await host.part('rooms').locator('tr').first().textContent(), /closed\s*0$/);
  await host.page.getByRole('button', { name: 'Next' }).click();
  await host.showsRows('rooms', names.slice(48));
  assert.ok(await host.page.getByRole('button', { name: 'Next' }).isDisabled());
  await host.page.getByRole('button', { name: 'Previous' }).click();
  await host.page.getByRole('link', { name: 'Evening' }).click();
  await host.says('online', '1,204');
  assert.equal(new URL(host.page.url()).pathname, `/console/rooms/${ROOM}`);
  await host.page.getByRole('link', { name: 'All rooms' }).click();
  await host.page.fill('#room-id', 'after-hours');
  await host.page.press('#room-id', 'Enter');
  await host.inState('closed');
});

/* ---- a room ---- */

testWithFormulas('the numbers of a room are there, and the curves are drawn', async () => {
  const host = await Host.open(`/console/rooms/${ROOM}`, { key: KEY });
  await host.inState('live');
  await host.says('online', '1,204');
  assert.equal(await host.page.locator('#title').textContent(), 'Evening <b>concert</b>');
  await host.says('unique', /So far84,210 ± 0\.8 %Last 5 minutes1,425 exactLast hour1,700 exactLast 24 hours8,600 exact/);
  for (const property of ['--sea', '--gold']) await host.draws('online-chart', property);
  await host.draws('messages-chart', '--olive');
  const [{ query }] = api.asked('stats');
  assert.equal(query.step_s, '60');
  const minutes = Array.from({ length: 62 }, (_, i) => onlineAt(Number(query.from) / 60_000 + i) + 12);
  const peak = Number((await host.text('peak')).replace(',', ''));
  assert.ok(peak === 1204 || minutes.includes(peak), `${peak}`);
  assert.ok(peak >= 1204);
  assert.match(await host.text('rate'), /^\d+(\.\d)?$/);
  assert.match(await host.part('online-chart').getAttribute('aria-label'), /^People online, last hour: at most [\d,]+ at \d\d:\d\d\.$/);

  api.online = 987_654;
  await host.says('online', '987,654');
  await host.says('peak', '987,654'); // the live curve is part of it
});

testWithFormulas('the reader points at a moment and both charts say what was then', async () => {
  const host = await Host.open(`/console/rooms/${ROOM}`, { key: KEY });
  await host.draws('online-chart', '--sea');
  const box = await host.part('online-chart').boundingBox();
  await host.page.mouse.move(box.x + box.width * 0.3, box.y + box.height / 2);
  await host.says('online-readout', /^\d\d:\d\d: [\d,]+, at most [\d,]+$/);
  await host.says('messages-readout', /^\d\d:\d\d: \d+$/);
  await host.page.mouse.move(0, 0);
  await host.says('online-readout', '');
});

testWithFormulas('another range asks for another history, at most 1500 points of it, and is kept in the address', async () => {
  const host = await Host.open(`/console/rooms/${ROOM}`, { key: KEY });
  await host.draws('online-chart', '--sea');
  const seen = new Set();
  for (const [label, step_s, span_h] of [['24 h', 60, 24], ['7 d', 600, 168], ['30 d', 3600, 720]]) {
    await host.page.locator('#ranges').getByText(label, { exact: true }).click();
    await waitFor(() => api.asked('stats').some(({ query }) => query.to - query.from >= span_h * 3_600_000), SHOW_MS, `${label} of history`);
    const { query } = api.asked('stats').at(-1);
    assert.equal(Number(query.step_s), step_s);
    assert.ok((query.to - query.from) / (step_s * 1000) <= 1500);
    await waitFor(async () => Number(await host.part('online-chart').getAttribute('data-points')) > 600, SHOW_MS, 'the points');
    seen.add(await host.text('peak'));
  }
  assert.match(host.page.url(), /\?range=30d$/);
  await host.page.reload();
  await host.draws('online-chart', '--sea');
  assert.equal(Number(api.asked('stats').at(-1).query.step_s), 3600);
  assert.ok(await host.page.locator('#ranges input[value="30d"]').isChecked());
  assert.match(await host.part('ranges').locator('input:checked').getAttribute('aria-label'), /30 days/);
});

testWithFormulas('who is here: page by page, by the beginning of the id, and as text whatever the id', async () => {
  const host = await Host.open(`/console/rooms/${ROOM}`, { key: KEY });
  await host.showsRows('people', PEOPLE.slice(0, PAGE_OF_PEOPLE));
  assert.equal((await host.rows('people'))[0], HOSTILE);
  assert.equal(await host.page.locator('main img').count(), 0);
  assert.match(await host.part('people').locator('tr').nth(1).textContent(), /ana-0002 min9 s ago$/);

  const next = host.part('people-pager').getByRole('button', { name: 'Next' });
  await next.click();
  await host.showsRows('people', PEOPLE.slice(PAGE_OF_PEOPLE, 2 * PAGE_OF_PEOPLE));
  await host.says('people-pager', /Page 2/);
  await host.page.fill('#prefix', 'ana-11');
  await host.showsRows('people', PEOPLE.filter((user) => user.startsWith('ana-11')));
  assert.equal(await host.part('people-pager').isVisible(), false);
  await host.page.fill('#prefix', 'zoë');
  await host.showsRows('people', ['zoë-1', 'zoë-2']);
  await host.page.fill('#prefix', '<b>nobody</b>');
  await host.says('people-note', 'Nobody here has an id that begins with “<b>nobody</b>”.');
  await host.page.fill('#prefix', '');
  await host.showsRows('people', PEOPLE.slice(0, PAGE_OF_PEOPLE));
  for (let page = 2; page <= 5; page++) {
    await next.click();
    await host.says('people-pager', new RegExp(`Page ${page}`));
  }
  await host.showsRows('people', PEOPLE.slice(4 * PAGE_OF_PEOPLE));
  assert.ok(await next.isDisabled());
  await host.part('people-pager').getByRole('button', { name: 'Previous' }).click();
  await host.showsRows('people', PEOPLE.slice(3 * PAGE_OF_PEOPLE, 4 * PAGE_OF_PEOPLE));
});

testWithFormulas('a page of users that is of an earlier run of the server gives way to the first', async () => {
  const host = await Host.open(`/console/rooms/${ROOM}`, { key: KEY, mayFail: REFUSED });
  const next = host.part('people-pager').getByRole('button', { name: 'Next' });
  await next.click();
  await host.says('people-pager', /Page 2/);
  api.run++;
  await next.click();
  await host.showsRows('people', PEOPLE.slice(0, PAGE_OF_PEOPLE));
  await host.says('people-pager', /Page 1/);
  await next.click();
  await host.showsRows('people', PEOPLE.slice(PAGE_OF_PEOPLE, 2 * PAGE_OF_PEOPLE));
  assert.equal(await host.text('people-note'), '');
});

testWithFormulas('viewers of a window of one\'s own', async () => {
  const host = await Host.open(`/console/rooms/${ROOM}`, { key: KEY });
  await host.page.getByRole('button', { name: 'Count' }).click();
  await host.says('window-count', '1,700 exact'); // the hour that is there at first
  await host.page.fill('#window-from', '2026-01-05T20:00');
  await host.page.fill('#window-to', '2026-01-05T19:00');
  await host.page.getByRole('button', { name: 'Count' }).click();
  await host.says('window-count', /ends before it begins/);
  await host.page.fill('#window-to', '2026-01-05T22:30');
  await host.page.getByRole('button', { name: 'Count' }).click();
  await host.says('window-count', '2,150 exact');
  const { query } = api.asked('viewers').find(({ query: { to } }) => to === `${Date.UTC(2026, 0, 5, 22, 30)}`);
  assert.equal(query.from, `${Date.UTC(2026, 0, 5, 20)}`);
});

/* ---- when something is wrong ---- */

testWithFormulas('a room that is not there', async () => {
  const host = await Host.open('/console/rooms/nowhere', { key: KEY, mayFail: REFUSED });
  await host.says('trouble', /There is no such room .* pick a room from the list/);
  await host.inState('failed');
  assert.equal(await host.page.locator('#room-view').isVisible(), false);
  const odd = await Host.open('/console/rooms/no%20room%3Cb%3E', { key: KEY });
  await odd.says('trouble', /There is no such room/);
});

testWithFormulas('a server that goes away and comes back', async () => {
  const host = await Host.open(`/console/rooms/${ROOM}`, { key: KEY, mayFail: CUT });
  await host.inState('live');
  await api.stop();
  await host.says('trouble', /The server does not answer\. See whether it runs/);
  await host.inState('reconnecting');
  assert.equal(await host.text('online'), '1,204', 'what was known stays');
  api.online = 77;
  await api.start();
  await host.inState('live');
  await host.says('online', '77');
  await host.says('trouble', '');
});

testWithFormulas('a server that has too much to do is not asked before its time, and says so on the page', async () => {
  const host = await Host.open(`/console/rooms/${ROOM}`, { key: KEY, mayFail: REFUSED });
  await host.inState('live');
  const retry_after_ms = 4000; // more than the page would wait by itself
  api.refusals.set('online', { status: 503, code: 'overloaded', detail: 'Come back later.', retry_after_ms });
  await host.says('trouble', /The server cannot answer now: Come back later\./);
  const refused = api.asked('online').at(-1);
  api.refusals.clear();
  await host.says('trouble', '');
  const again = api.asked('online').find(({ at }) => at > refused.at);
  assert.ok(again.at - refused.at >= retry_after_ms - 50, `${again.at - refused.at} ms`);
});

testWithFormulas('what this server does not have is told in its own panel; the rest goes on', async () => {
  for (const [part, code] of [['stats', 'not_implemented'], ['viewers', 'not_implemented'], ['users', 'not_found']]) {
    api.refusals.set(part, { status: code === 'not_found' ? 404 : 501, code });
  }
  const host = await Host.open(`/console/rooms/${ROOM}`, { key: KEY, mayFail: REFUSED });
  for (const note of ['stats-note', 'unique-note', 'people-note']) await host.says(note, 'This version of the server does not offer this yet.');
  await host.says('online', '1,204');
  await host.inState('live');
  assert.equal(await host.text('trouble'), '');
  await waitFor(async () => Number(await host.part('online-chart').getAttribute('data-points')) >= 2, SHOW_MS, 'a curve of what was seen live');
});

/* ---- by night, and on a phone ---- */

testWithFormulas('the page follows the scheme, its charts too, and fits a phone', async () => {
  const host = await Host.open(`/console/rooms/${ROOM}`, { key: KEY, viewport: { width: 390, height: 800 } });
  await host.draws('online-chart', '--sea');
  const byDay = await host.page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue('--sea'));
  await host.page.emulateMedia({ colorScheme: 'dark' });
  await host.draws('online-chart', '--sea');
  assert.notEqual(await host.page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue('--sea')), byDay);
  assert.ok(await host.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out');
});

/* ---- the real server ---- */

/** Why what the resource shows cannot be tested on this server, or false. */
async function lacks(room, resource) {
  const { status, json } = await ask(shop, 'GET', `/v1/rooms/${room}/${resource}`, { token: KEY });
  const isAbsent = json?.code === 'not_found' || status === 501;
  return isAbsent && `GET …/${resource.split('?')[0]} is not in this version of the server (${status} ${json.code})`;
}

test('the real server: a room with people in it', async (t) => {
  const room = newRoom();
  const people = ['ana-1', 'ana-2', 'bea-1', HOSTILE];
  await putRoom(shop, room, { title: 'Real' }, KEY);
  const readers = people.map((user) => new Reader(shop, room, { user, token: KEY }));
  for (const reader of readers) await reader.poll();
  const following = readers.map((reader) => reader.follow());
  await sendMany(shop, room, [{ body: 'hello', from: 'ana-1' }, { body: 'there', from: 'ana-1' }], KEY);
  const at = { at: shop.url, key: KEY, mayFail: REFUSED };
  const host = await Host.open(`/console/rooms/${room}`, at);
  t.after(async () => {
    await leaveAll();
    for (const reader of readers) reader.stop();
    for (const reader of readers) reader.close();
    await Promise.allSettled(following);
  });

  await t.test('its title and its count', async () => {
    await host.says('online', '4');
    await waitFor(async () => await host.page.locator('#title').textContent() === 'Real', SHOW_MS, 'the title');
    await host.inState('live');
  });
  await t.test('it is in the list', async () => {
    const list = await Host.open('/console', at);
    await list.showsRows('rooms', [`Real ${room}`]);
  });
  await t.test('the live count', { skip: await lacks(room, 'online') }, async () => {
    await host.draws('online-chart', '--sea', 2); // some seconds of an hour
    await host.says('peak', '4');
  });
  await t.test('who is here', { skip: await lacks(room, 'online/users') }, async () => {
    await waitFor(async () => JSON.stringify((await host.rows('people')).sort()) === JSON.stringify([...people].sort()), SHOW_MS, 'all of them');
    await host.page.fill('#prefix', 'ana-');
    await waitFor(async () => JSON.stringify((await host.rows('people')).sort()) === '["ana-1","ana-2"]', SHOW_MS, 'the two');
    const { json } = await ask(shop, 'GET', `/v1/rooms/${room}/online/users?limit=3`, { token: KEY });
    assert.equal(json.users.length, 3);
    assert.ok(json.next_page, 'the list has pages');
  });
  await t.test('unique viewers', { skip: await lacks(room, 'viewers') }, async () => {
    const isCounted = async () => (await ask(shop, 'GET', `/v1/rooms/${room}/viewers`, { token: KEY })).json.unique === people.length;
    await waitFor(isCounted, SHOW_MS, 'all of them to be counted');
    await host.page.reload();
    await host.says('unique', /So far4 exactLast 5 minutes4 exactLast hour4 exactLast 24 hours4 exact/);
    await host.page.getByRole('button', { name: 'Count' }).click();
    await host.says('window-count', '4 exact');
  });
  await t.test('history', { skip: await lacks(room, `stats?from=${Date.now() - 3_600_000}&to=${Date.now()}&step_s=60`) }, async () => {
    for (const label of ['24 h', '7 d', '30 d', '1 h']) {
      const answered = host.page.waitForResponse((response) => response.url().includes('/stats?'));
      await host.page.locator('#ranges').getByText(label, { exact: true }).click();
      const answer = await answered;
      assert.equal(answer.status(), 200, label);
      for (const point of (await answer.json()).points) {
        for (const name of ['at', 'online_avg', 'online_peak', 'joins', 'unique']) assert.equal(typeof point[name], 'number', name);
      }
      assert.equal(await host.text('stats-note'), '');
    }
  });
  assert.deepEqual(complaints(), []);
});

/* ---- the picture ---- */

const picture = process.env.STOA_SCREENSHOT === '1' ? testWithFormulas : (name) => test(name, { skip: true });
picture('a picture of the console', async () => {
  api.online = onlineAt(Math.floor(Date.now() / 60_000));
  Object.assign(api, { title: 'Evening concert', people: ['amir', 'elena', 'iris', 'jonas', 'kenji', 'lea', 'mara'], pause: null });
  const host = await Host.open(`/console/rooms/${ROOM}?range=24h`, { key: KEY, viewport: { width: 1200, height: 800 } });
  await host.draws('online-chart', '--sea');
  await host.says('unique', /So far/);
  await host.page.screenshot({ path: SCREENSHOT });
});
