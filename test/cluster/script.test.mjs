/* scripts/fleet.sh: up, a drill, down; nothing is left behind. */

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BIN, newDirectory, waitFor, within } from '../e2e/lib/server.mjs';

const SCRIPT = fileURLToPath(new URL('../../scripts/fleet.sh', import.meta.url));
const env = { ...process.env, STOA_BIN: BIN, FLEET_DIR: join(newDirectory(), 'fleet'), FLEET_BASE: `${8400 + (process.pid % 50) * 40}` };

function fleet(...args) {
  return new Promise((resolve) => {
    const child = spawn(SCRIPT, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const said = { stdout: '', stderr: '' };
    child.stdout.on('data', (bytes) => { said.stdout += bytes; });
    child.stderr.on('data', (bytes) => { said.stderr += bytes; });
    child.once('close', (code) => resolve({ code, ...said }));
  });
}

const stateOf = async (name) => (await fleet('status')).stdout.split('\n').find((l) => l.startsWith(`${name} `))?.split(/ +/)[3];

test('a fleet goes up, survives a drill, and goes down without a trace', async (t) => {
  t.after(() => fleet('clean'));
  const up = await fleet('up');
  assert.equal(up.code, 0, up.stderr);
  const urls = up.stdout.trim().split('\n');
  assert.equal(urls.length, 3);
  const room = (url, more = '') => `${url}/v1/rooms/demo/messages?user=ann${more}`;
  const sent = await fetch(room(urls[0]), { method: 'POST', body: JSON.stringify({ body: 'hello' }) });
  assert.equal(sent.status, 201);
  await waitFor(async () => (await (await fetch(room(urls[2]))).json()).messages.length > 0, within(5000), 'it elsewhere');

  assert.equal((await fleet('kill', 'one-a')).code, 0);
  await waitFor(async () => await stateOf('one-a') === 'down', within(5000), 'a dead node');
  assert.equal((await fleet('stop', 'two-a')).code, 0);
  assert.equal(await stateOf('two-a'), 'stopped');
  assert.equal((await fetch(room(urls[1]), { method: 'POST', body: JSON.stringify({ body: 'again' }) })).status, 201);
  assert.equal((await fleet('start', 'one-a')).code, 0);
  assert.match((await fleet('kill', 'nobody')).stderr, /there is no nobody; there are: redis-1/);
  assert.match((await fleet('up')).stderr, /is running/);

  const pids = readdirSync(join(env.FLEET_DIR, 'pid')).map((name) => readFileSync(join(env.FLEET_DIR, 'pid', name), 'utf8').split(' ')[0]);
  assert.equal(pids.length, 15);
  assert.equal((await fleet('down')).code, 0);
  for (const pid of pids) assert.ok(!existsSync(`/proc/${pid}`), `${pid} is left`);
});
