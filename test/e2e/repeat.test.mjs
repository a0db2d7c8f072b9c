/*
 * A poll that its connection sent before, with another cursor, is not read again (src/api/repeat.c): the answers are the
 * same, only a counter tells. And what edge-triggered sockets must not lose: what is left behind a full chunk, and the
 * end of the stream.
 */

import { before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { Server, waitFor, within } from './lib/server.mjs';
import { Wire, requestBytes } from './lib/wire.mjs';
import { ANSWER_MS, Client, ask, assertPollAnswer, assertProblem, metric, newRoom, parked, putRoom, sendMany } from './lib/client.mjs';

let server;
before(async () => { server = await Server.start({ flags: ['--workers', 1] }); });

const HEALTH = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n';
const READ_CHUNK = 65_536; // src/net/net_worker.h
const MAX_BODY = 131_072; // LIMIT_BODY_BYTES
const repeated = () => metric(server, 'stoa_requests_repeated_total');

/** A viewer whose requests are bytes: a room, a connection, a cursor, and what was received with it. */
class Viewer {
  bodies = [];

  static async join({ user = 'ann', token, timeout_s = 30 } = {}) {
    const viewer = new Viewer();
    Object.assign(viewer, { room: newRoom(), token, query: `user=${user}&timeout=${timeout_s}` });
    await putRoom(server, viewer.room);
    viewer.wire = await Wire.open(server);
    viewer.wire.write(requestBytes('GET', `/v1/rooms/${viewer.room}/messages?user=${user}`, { token }));
    await viewer.answer();
    return viewer;
  }

  get poll() {
    return requestBytes('GET', `/v1/rooms/${this.room}/messages?${this.query}&since=${this.cursor}`, { token: this.token });
  }

  /** Takes the next answer, which must be one of a poll. */
  async answer() {
    const { status, text } = await this.wire.response({ limit_ms: ANSWER_MS });
    assert.equal(status, 200, text);
    const answer = JSON.parse(text);
    assertPollAnswer(answer);
    this.cursor = answer.cursor;
    this.bodies.push(...answer.messages.map((m) => m.body));
    return answer;
  }

  send(body) {
    return sendMany(server, this.room, [{ body }]);
  }

  /** A poll that is parked, and then answered by a message. */
  async pollFor(body, write = (bytes) => this.wire.write(bytes)) {
    await write(this.poll);
    await parked(server, 1);
    await this.send(body);
    await this.answer();
  }

  /** A poll that was answered, so that the next one repeats it. Its cursor is behind all messages. */
  async pollOnce() {
    await this.pollFor('once');
    this.bodies = [];
  }
}

/** All that was written before has been read: the server has one worker, which takes events in their order. */
const readUpToHere = () => ask(server, 'GET', '/healthz');

const isStopped = () => readdirSync(`/proc/${server.pid}/task`).every((thread) => (
  / T /.test(readFileSync(`/proc/${server.pid}/task/${thread}/stat`, 'latin1').replace(/.*\)/, ''))));

/** Does this while the server stands still, so that all of it is there at once when it goes on. */
async function whileStopped(work) {
  server.signal('SIGSTOP');
  try {
    await waitFor(isStopped, within(5000), 'the stop of all threads');
    await work();
  } finally {
    server.signal('SIGCONT');
  }
}

/* ---- what repeats ---- */

for (const who of [{ user: 'ann' }, { user: 'bob', token: 'dev' }]) {
  test(`polls with fresh cursors are counted as repeated, and get each message once: ${JSON.stringify(who)}`, async () => {
    const viewer = await Viewer.join(who);
    const before = await repeated();
    await viewer.pollFor('first');
    assert.equal(await repeated(), before, 'the first is read');
    await viewer.pollFor('second');
    await viewer.pollFor('third');
    assert.equal(await repeated(), before + 2);
    await viewer.send('fourth');
    viewer.wire.write(viewer.poll); // answered at once
    await viewer.answer();
    assert.equal(await repeated(), before + 3);
    assert.deepEqual(viewer.bodies, ['first', 'second', 'third', 'fourth']);
    viewer.wire.destroy();
  });
}

test('a viewer without a name stays the same one when the poll repeats', async () => {
  const room = newRoom();
  await putRoom(server, room);
  const client = new Client(server);
  const target = `/v1/rooms/${room}/messages`;
  let { cursor, user } = (await client.ask('GET', target)).json;
  const before = await repeated();
  for (let i = 0; i < 3; i++) {
    const answer = (await client.ask('GET', `${target}?timeout=0&since=${cursor}`)).json;
    assertPollAnswer(answer);
    cursor = answer.cursor;
  }
  assert.equal(await repeated(), before + 2);
  const users = (await ask(server, 'GET', `/v1/rooms/${room}/online/users`, { token: 'dev' })).json;
  assert.deepEqual(users.users.map((u) => u.user ?? u), [user]);
  client.close();
});

test('a repeated poll with a cursor of another room is refused, and the connection goes on', async () => {
  const viewer = await Viewer.join();
  const elsewhere = await Viewer.join({ user: 'bob' });
  await viewer.pollOnce();
  const before = await repeated();
  const { cursor } = viewer;
  viewer.cursor = elsewhere.cursor;
  viewer.wire.write(viewer.poll);
  assertProblem(await viewer.wire.response({ limit_ms: ANSWER_MS }), 400, 'bad_cursor');
  viewer.cursor = cursor;
  await viewer.pollFor('on');
  assert.deepEqual(viewer.bodies, ['on']);
  assert.equal(await repeated(), before + 2);
  for (const { wire } of [viewer, elsewhere]) wire.destroy();
});

/* ---- what is read all the same ---- */

test('a poll that comes in two segments is read, and so is the one behind it', async () => {
  const viewer = await Viewer.join();
  await viewer.pollOnce();
  const before = await repeated();
  const { length } = viewer.poll;
  const places = [1, viewer.poll.indexOf('since=') + 20, length - 2, length - 1];
  for (const at of places) {
    await viewer.pollFor(`split at ${at}`, async (bytes) => {
      viewer.wire.write(bytes.subarray(0, at));
      await readUpToHere();
      viewer.wire.write(bytes.subarray(at));
    });
  }
  await viewer.pollFor('whole');
  assert.equal(await repeated(), before);
  await viewer.pollFor('repeated');
  assert.equal(await repeated(), before + 1);
  assert.deepEqual(viewer.bodies, [...places.map((at) => `split at ${at}`), 'whole', 'repeated']);
  viewer.wire.destroy();
});

test('two polls in one segment are both answered, and read', async () => {
  const viewer = await Viewer.join();
  await viewer.pollOnce();
  const before = await repeated();
  viewer.wire.write(Buffer.concat([viewer.poll, viewer.poll]));
  await parked(server, 1);
  await viewer.send('for two');
  for (let i = 0; i < 2; i++) await viewer.answer();
  assert.deepEqual(viewer.bodies, ['for two', 'for two']); // the second had the same cursor
  assert.equal(await repeated(), before);
  viewer.wire.destroy();
});

test('a poll that comes while the one before is parked waits for its answer, and is read', async () => {
  const viewer = await Viewer.join();
  await viewer.pollOnce();
  const before = await repeated();
  viewer.wire.write(viewer.poll);
  await parked(server, 1);
  viewer.wire.write(viewer.poll);
  await readUpToHere();
  assert.equal(await metric(server, 'stoa_polls_parked'), 1);
  await viewer.send('for two');
  for (let i = 0; i < 2; i++) await viewer.answer();
  assert.deepEqual(viewer.bodies, ['for two', 'for two']);
  assert.equal(await repeated(), before + 1, 'the first of them');
  viewer.wire.destroy();
});

test('a body that is the bytes of the poll is a body', async () => {
  const viewer = await Viewer.join();
  await viewer.pollOnce();
  const before = await repeated();
  viewer.wire.write(`POST /v1/rooms/${viewer.room}/messages?user=ann HTTP/1.1\r\nHost: x\r\nContent-Length: ${viewer.poll.length}\r\n\r\n`);
  await readUpToHere();
  viewer.wire.write(viewer.poll);
  assertProblem(await viewer.wire.response({ limit_ms: ANSWER_MS }), 400, 'bad_json');
  assert.equal(await repeated(), before);
  await viewer.pollFor('on');
  assert.equal(await repeated(), before, 'the poll was forgotten');
  viewer.wire.destroy();
});

test('a poll whose body is the bytes of a poll is no reason to take those for a repetition', async () => {
  const viewer = await Viewer.join();
  const before = await repeated();
  await viewer.pollFor('with a body', async (bytes) => {
    viewer.wire.write(bytes.toString().replace(/\r\n$/, `Content-Length: ${bytes.length}\r\n\r\n`));
    await readUpToHere();
    viewer.wire.write(bytes);
  });
  await viewer.pollFor('without');
  assert.equal(await repeated(), before);
  assert.deepEqual(viewer.bodies, ['with a body', 'without']);
  viewer.wire.destroy();
});

/* ---- the end of the stream ---- */

for (const isRepeated of [false, true]) {
  const what = isRepeated ? 'a repeated poll' : 'a poll';

  test(`${what} that is parked ends when its client has shut its side, together with the poll or later`, async () => {
    for (const isTogether of [true, false]) {
      const viewer = await Viewer.join();
      if (isRepeated) await viewer.pollOnce();
      const before = await repeated();
      if (isTogether) {
        await whileStopped(() => {
          viewer.wire.write(viewer.poll);
          return viewer.wire.finish();
        });
      } else {
        viewer.wire.write(viewer.poll);
        await parked(server, 1);
        viewer.wire.finish();
      }
      assert.equal(await viewer.wire.closed(ANSWER_MS), '', 'no answer');
      await parked(server, 0);
      assert.equal(await repeated(), before + (isRepeated ? 1 : 0));
      viewer.wire.destroy();
    }
  });

  test(`${what} that has its answer at once gets it, also when its client has shut its side`, async () => {
    const viewer = await Viewer.join();
    if (isRepeated) await viewer.pollOnce();
    const before = await repeated();
    await viewer.send('news');
    await whileStopped(() => {
      viewer.wire.write(viewer.poll);
      return viewer.wire.finish();
    });
    await viewer.answer();
    assert.deepEqual(viewer.bodies, ['news']);
    assert.equal(await viewer.wire.closed(ANSWER_MS), '');
    assert.equal(await repeated(), before + (isRepeated ? 1 : 0));
    viewer.wire.destroy();
  });
}

test('a poll with a request behind it is waited for, also when its client has shut its side', async () => {
  const viewer = await Viewer.join();
  await viewer.pollOnce();
  await whileStopped(() => {
    viewer.wire.write(Buffer.concat([viewer.poll, Buffer.from(HEALTH)]));
    return viewer.wire.finish();
  });
  await parked(server, 1);
  await viewer.send('news');
  await viewer.answer();
  assert.deepEqual(viewer.bodies, ['news']);
  assert.equal((await viewer.wire.response({ limit_ms: ANSWER_MS })).text, '{"status":"ok"}');
  assert.equal(await viewer.wire.closed(ANSWER_MS), '');
  viewer.wire.destroy();
});

test('a long pipeline is answered to its end, also when its client has shut its side', async () => {
  const wire = await Wire.open(server);
  const count = 4000; // 140 kB
  await readUpToHere();
  await whileStopped(() => {
    wire.write(HEALTH.repeat(count));
    wire.finish(); // not waited for: more than a socket may hold
  });
  for (let i = 0; i < count; i++) assert.equal((await wire.response({ limit_ms: ANSWER_MS })).text, '{"status":"ok"}');
  assert.equal(await wire.closed(ANSWER_MS), '');
  wire.destroy();
});

/* ---- full chunks ---- */

/** A send of this many bytes in all: of a message of 60 kB, and blanks. */
function sendOfLength(room, length) {
  const of = (blanks) => requestBytes('POST', `/v1/rooms/${room}/messages`, {
    token: 'dev', body: `{"body":"${'xyz'.repeat(20_000)}"${' '.repeat(blanks)}}`,
  });
  for (let blanks = length - of(0).length; ; blanks--) {
    const bytes = of(blanks);
    if (bytes.length === length) return bytes;
    assert.ok(bytes.length > length, 'the number of digits is all that may differ');
  }
}

test('a request that fills the read chunk, or several, is taken whole', async () => {
  const room = newRoom();
  await putRoom(server, room, { max_body_bytes: 65_536 });
  const wire = await Wire.open(server);
  await readUpToHere();
  const lengths = [READ_CHUNK - 1, READ_CHUNK, READ_CHUNK + 1, 2 * READ_CHUNK - 1, 2 * READ_CHUNK, 2 * READ_CHUNK + 1];
  for (const length of lengths) {
    const bytes = sendOfLength(room, length);
    await whileStopped(() => wire.write(bytes));
    const answer = await wire.response({ limit_ms: ANSWER_MS });
    assert.equal(answer.status, 201, `${length}: ${answer.text}`);
  }
  const { json } = await ask(server, 'GET', `/v1/rooms/${room}/messages`, { token: 'dev' });
  const bodies = json.messages.filter((m) => m.type === 'text').map((m) => m.body);
  assert.deepEqual(bodies, lengths.map(() => 'xyz'.repeat(20_000)));
  wire.destroy();
});

test('the largest body is taken whole, one byte more is refused', async () => {
  const room = newRoom();
  const of = (length) => requestBytes('POST', `/v1/rooms/${room}/messages`, { token: 'dev', body: '{"body":1}'.padEnd(length) });
  const wire = await Wire.open(server);
  wire.write(Buffer.concat([of(MAX_BODY), Buffer.from(HEALTH), of(MAX_BODY + 1)]));
  for (const status of [201, 200, 413]) assert.equal((await wire.response({ limit_ms: ANSWER_MS })).status, status);
  assert.equal(await wire.closed(ANSWER_MS), '');
  wire.destroy();
});
