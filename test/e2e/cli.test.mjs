/* The command line: what each subcommand says, and its exit status. */

import { before, test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Server, newDirectory, run } from './lib/server.mjs';
import { ask, newRoom, putRoom, send } from './lib/client.mjs';

const SECRET = 'a secret of the shop app, long enough';
const KEY = 'a-key-of-the-shop-app';
const CONFIG = `[app "shop"]\nkey = ${KEY}\nsecret = ${SECRET}\n`;

let directory;
before(() => { directory = newDirectory(); });

function file(name, text) {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

async function refused(code, pattern, args, options) {
  const end = await run(args, options);
  assert.equal(end.code, code, `${args}: ${end.stderr}`);
  assert.match(end.stderr, pattern);
  assert.equal(end.stdout, '');
}

test('version', async () => {
  for (const args of [['version'], ['--version']]) {
    const { code, stdout } = await run(args);
    assert.equal(code, 0);
    assert.match(stdout, /\d+\.\d+\.\d+/);
  }
});

test('help goes to stdout and is no failure', async () => {
  const ofSubcommands = ['serve', 'token', 'replay', 'check-config'].map((name) => [name, '--help']);
  for (const args of [['help'], ['--help'], ['-h'], ['token', '-h'], ...ofSubcommands]) {
    const { code, stdout, stderr } = await run(args);
    assert.deepEqual([code, stderr], [0, ''], `${args}`);
    assert.match(stdout, /usage: stoa/);
  }
  assert.match((await run(['serve', '--help'])).stdout, /--ops-listen HOST:PORT/);
});

test('wrong usage is exit status 2, with a hint', async () => {
  await refused(2, /usage: stoa/, []);
  await refused(2, /unknown subcommand 'sevre': did you mean 'serve'\?/, ['sevre']);
  await refused(2, /unknown flag --lisen: did you mean --listen\?/, ['serve', '--lisen', 'x']);
  await refused(2, /--workers must be a whole number/, ['serve', '--dev', '--workers', 'many']);
  await refused(2, /--listen must be HOST:PORT/, ['serve', '--dev', '--listen', '8080']);
  await refused(2, /needs a value/, ['serve', '--dev', '--store']);
  await refused(2, /'x' is one argument too many/, ['serve', '--dev', 'x']);
  await refused(2, /there is no app to serve/, ['serve']);
  await refused(2, /cannot be opened/, ['serve', '--config', '/nowhere/stoa.ini']);
  await refused(2, /an argument is missing/, ['check-config']);
  await refused(2, /--user is missing/, ['token']);
});

test('--dev serves on loopback alone', async () => {
  for (const address of ['0.0.0.0:0', '[::]:0', '10.0.0.1:0']) {
    await refused(2, /loopback/, ['serve', '--dev', '--listen', address, '--store', 'memory:']);
  }
  await refused(2, /--ops-listen/, ['serve', '--dev', '--listen', '127.0.0.1:0', '--ops-listen', '0.0.0.0:0', '--store', 'memory:']);
  await refused(2, /loopback/, ['serve', '--dev', '--store', 'memory:'], { env: { STOA_LISTEN: '0.0.0.0:0' } });
});

test('a store that cannot be had is exit status 1', async () => {
  await refused(1, /unknown; use memory:, sqlite:PATH/, ['serve', '--dev', '--listen', '127.0.0.1:0', '--store', 'oracle:']);
  await refused(1, /\/nowhere\/stoa.db/, ['serve', '--dev', '--listen', '127.0.0.1:0', '--store', 'sqlite:/nowhere/stoa.db']);
  const text = file('text.db', 'this is no database, but long enough to be looked at by somebody who expects one'.repeat(20));
  await refused(1, /text\.db/, ['serve', '--dev', '--listen', '127.0.0.1:0', '--store', `sqlite:${text}`]);
});

test('a fault that is none is exit status 1', async () => {
  await refused(1, /test_faults/, ['serve', '--dev', '--listen', '127.0.0.1:0', '--store', 'memory:', '--test-faults', 'drop_new']);
});

test('a second server on the same file, or the same port, is refused', async () => {
  const server = await Server.start({ store: 'sqlite:' });
  await refused(1, new RegExp(`in use by another server \\(process ${server.pid}\\)`), [
    'serve', '--dev', '--listen', '127.0.0.1:0', '--store', server.store]);
  await refused(1, new RegExp(`${server.port}`), ['serve', '--dev', '--listen', `${server.host}:${server.port}`, '--store', 'memory:']);
  assert.equal((await ask(server, 'GET', '/healthz')).status, 200);
  await server.restart();
  await server.kill();
  await server.start(); // the lock of the dead is no obstacle
  await server.stop();
});

test('environment and file configure it too, and flags win', async () => {
  const server = await Server.start({
    config: `${CONFIG}[server]\nlisten = 127.0.0.1:1\n[store]\nurl = oracle:\n`, env: { STOA_LISTEN: '127.0.0.1:2', STOA_WORKERS: '1' },
  });
  const { text } = await ask(server, 'GET', '/metrics');
  assert.match(text, /worker="0"/);
  assert.doesNotMatch(text, /worker="1"/);
  await server.stop();
});

test('check-config takes what serve takes, and says where it does not', async () => {
  const good = await run(['check-config', file('good.ini', CONFIG)]);
  assert.deepEqual([good.code, good.stderr], [0, '']);
  assert.match(good.stdout, /good\.ini: ok, 1 app/);
  const cases = {
    'bad.ini:4: .*sevrer.*did you mean \\[server\\]': `${CONFIG}[sevrer]\n`,
    'bad.ini:5: .*wokers.*did you mean \'workers\'': `${CONFIG}[server]\nwokers = 2\n`,
    'bad.ini:5: .*workers: must be a whole number': `${CONFIG}[server]\nworkers = two\n`,
    'bad.ini:1: .*before any \\[section\\]': 'workers = 1\n',
    'bad.ini:2: .*without quotes': '[app "shop"]\nkey = "a-key-of-the-shop-app"\n',
    'bad.ini:3: .*twice': '[app "shop"]\nsecret = a\nsecret = b\n',
    'bad.ini:2: is neither': '[server]\nnonsense\n',
    'bad.ini:1: .*secret: is too short': '[app "shop"]\nsecret = short\n',
    'bad.ini:1: .*key: is too short': '[app "shop"]\nkey = short\n',
    'bad.ini:4: .*another app has the same': `${CONFIG}[app "other"]\nkey = ${KEY}\n`,
    'bad.ini: there is no app': '[server]\nworkers = 1\n',
    '\\[pace\\] table: "10:600 20:500" is not up to 8 of AUDIENCE:MS, both rising': `${CONFIG}[pace]\ntable = 10:600 20:500\n`,
    '\\[pace\\] table: "many" is not': `${CONFIG}[pace]\ntable = many\n`,
    'bad.ini:1: .*origins': `${CONFIG}origins = https://x/path\n`,
  };
  for (const [pattern, text] of Object.entries(cases)) {
    await refused(1, new RegExp(pattern), ['check-config', file('bad.ini', text)]);
    await refused(2, new RegExp(pattern), ['serve', '--config', file('bad.ini', text)]);
  }
});

test('token makes tokens that the server takes', async () => {
  const server = await Server.start({ config: CONFIG });
  const room = newRoom();
  await putRoom(server, room, {}, KEY);
  const make = async (args, options) => {
    const { code, stdout, stderr } = await run(['token', '--app', 'shop', '--user', 'ann', ...args], options);
    assert.equal(code, 0, stderr);
    return stdout.trim();
  };
  const host = await make(['--role', 'host', '--room', room], { env: { STOA_SECRET: SECRET } });
  assert.equal((await send(server, room, { body: 1, priority: 'high' }, { token: host })).status, 201);
  const viewer = await make(['--config', file('good.ini', CONFIG)]);
  assert.equal((await ask(server, 'GET', `/v1/rooms/${room}`, { token: viewer })).status, 200);
  assert.equal((await send(server, room, { body: 1 }, { token: viewer })).status, 403);
  const wrong = await make(['--secret', `${SECRET}!`]);
  assert.equal((await ask(server, 'GET', `/v1/rooms/${room}`, { token: wrong })).status, 401);
  await refused(2, /secret of app shop is not known/, ['token', '--app', 'shop', '--user', 'ann']);
  await refused(2, /--role must be/, ['token', '--user', 'ann', '--role', 'king']);
  await server.stop();
});

test('the app dev has a token without further ado', async () => {
  const server = await Server.start();
  const { stdout } = await run(['token', '--user', 'ann', '--role', 'speaker']);
  assert.equal((await send(server, newRoom(), { body: 1 }, { token: stdout.trim() })).status, 201);
  await server.stop();
});

function recording() {
  const gift = (n) => ({ type: 'gift', priority: 'high', body: { gift: 'lyre', n } });
  const lines = Array.from({ length: 300 }, (_, i) => ({
    t_ms: i * 10, user: `u${i % 20}`, ...(i % 10 === 0 ? gift(i) : { body: `line ${i} ✓` }),
  }));
  return lines.map((l) => `${JSON.stringify(l)}\n`).join('');
}

test('replay plays a recording and finds every message at every viewer', async () => {
  const server = await Server.start({ store: 'sqlite:' });
  const room = newRoom();
  await putRoom(server, room);
  const how = ['--to', server.url, '--room', room, '--speed', 10, '--viewers', 20, '--json'];
  const end = await run(['replay', file('chat.ndjson', recording()), ...how]);
  assert.equal(end.code, 0, end.stderr + end.stdout);
  const result = JSON.parse(end.stdout);
  assert.equal(result.ok, true);
  assert.deepEqual([result.lists.high.sent, result.lists.normal.sent], [30, 270]);
  assert.equal(result.lists.high.received, 30 * 20);
  assert.equal(result.lists.normal.received + result.lists.normal.skipped, 270 * 20);
  await server.stop();
});

test('replay says what is wrong with a recording, and when no server is there', async () => {
  const to = ['--to', 'http://127.0.0.1:1', '--room', 'r'];
  await refused(2, /bad\.ndjson:2: /, ['replay', file('bad.ndjson', '{"t_ms":1,"user":"a","body":1}\n{"t_ms":2}\n'), ...to]);
  await refused(2, /--room is missing/, ['replay', file('chat.ndjson', recording()), '--to', 'http://127.0.0.1:1']);
  assert.equal(existsSync(join(directory, 'stoa.db')), false);
});
