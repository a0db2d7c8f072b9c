// What scaling.sh runs (scaling.mjs FILE): a fleet with three masters, two cache nodes and three edges, measured from outside by
// the counters of Redis and of the nodes, and by the kernel's account of their CPU time.
import { execFile, execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Fleet } from '../../test/cluster/lib/fleet.mjs';
import { RedisCluster } from '../../test/cluster/lib/redis.mjs';
import { Server, waitFor } from '../../test/e2e/lib/server.mjs';
import { metric, putRoom } from '../../test/e2e/lib/client.mjs';

const AUDIENCES = [10, 1_000, 10_000];
const JOIN_S = 30; // for all to have come, and to have been named once
const MESSAGES_PER_S = 500;
const PARKED = 10_000;
const seconds = Number(process.env.SECONDS_EACH);
const machine = execFileSync('bash', ['-c', '. bench/lib/server.sh; machine'], { encoding: 'utf8' }).trim();
const number = (value, digits = 0) => value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
const total = (values) => values.reduce((sum, value) => sum + value, 0);

// A client in the background: { result }, which is there when it has ended.
function bench(servers, room, viewers, rate, secs) {
  const to = servers.map((s) => s.url).join(',');
  const args = ['bench', '--to', to, '--room', room, '--viewers', viewers, '--rate', rate, '--secs', secs, '--json'];
  const result = promisify(execFile)(process.env.STOA_BIN, args.map(String)).then(({ stdout }) => JSON.parse(stdout));
  result.catch(() => {});
  return { result };
}

// Seconds of CPU of all its threads so far, to the nanosecond.
function cpuOf(pid) {
  const runs = readdirSync(`/proc/${pid}/task`).map((task) => readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8'));
  return total(runs.map((line) => Number(line.split(' ')[0]))) / 1e9;
}

function field(text, name) {
  return Number(new RegExp(`^${name}:(.*)$`, 'm').exec(text)[1]);
}

// Of all masters: commands and CPU; of the edges: users named, which go through the cache nodes to Redis.
async function look({ masters, fleet }) {
  const infos = await Promise.all(masters.map((m) => m.ask('INFO', 'all')));
  return {
    at: performance.now() / 1000,
    commands: total(infos.map((text) => field(text, 'total_commands_processed'))),
    cpu: total(infos.map((text) => field(text, 'used_cpu_user') + field(text, 'used_cpu_sys'))),
    named: total(await Promise.all(fleet.edges.map((e) => metric(e, 'stoa_roll_up_total')))),
  };
}

async function during(secs, what) {
  const before = await look(what);
  await sleep(secs * 1000);
  const after = await look(what);
  const over = (name) => (after[name] - before[name]) / (after.at - before.at);
  return { commands: over('commands'), cpu: over('cpu'), named: over('named') };
}

async function audience(what, viewers) {
  const load = bench(what.fleet.edges, `audience-${viewers}`, viewers, 1, JOIN_S + seconds);
  await sleep(JOIN_S * 1000);
  const rates = await during(seconds, what);
  const { lost } = await load.result;
  await sleep(12_000); // they are gone, and so is their linger
  return { viewers, lost, ...rates };
}

// CPU of all cache nodes for a message, in us, with a viewer at each of so many edges.
async function message(fleet, edges) {
  const room = `edges-${edges}`;
  await putRoom(fleet.edges[0], room, { normal_per_s: 10 * MESSAGES_PER_S });
  const load = bench(fleet.edges.slice(0, edges), room, edges, MESSAGES_PER_S, 14);
  await sleep(3000);
  const cpu = () => total(fleet.caches.map((c) => cpuOf(c.pid)));
  const [cpuBefore, newsBefore, at] = [cpu(), await told(fleet), performance.now()];
  await sleep(8000);
  const us = (cpu() - cpuBefore) * 1e6 / ((performance.now() - at) / 1000 * MESSAGES_PER_S);
  const edgesTold = (await told(fleet) - newsBefore) / ((performance.now() - at) / 1000 * MESSAGES_PER_S);
  await load.result;
  return { edges, us, edgesTold };
}

const told = async (fleet) => total(await Promise.all(fleet.caches.map((c) => metric(c, 'stoa_peer_news_total'))));

// Bytes of the kernel's slabs for one end of a connection; both ends are on this machine.
async function kernelBytes() {
  const slab = () => Number(/^Slab:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))[1]) * 1024;
  const server = await Server.start({ store: 'memory:', flags: ['--workers', 1] });
  const before = slab();
  const load = bench([server], 'parked', PARKED, 0, 10);
  await waitFor(async () => await metric(server, 'stoa_polls_parked') === PARKED, 30_000, 'all are parked');
  await sleep(2000);
  const bytes = (slab() - before) / PARKED / 2;
  await load.result;
  await server.stop();
  return bytes;
}

function report({ audiences, messages, kernel }) {
  const [few, , many] = audiences;
  const perUser = many.named / many.viewers;
  const us = (many.cpu - few.cpu) / (many.named - few.named) * 1e6;
  const [one, , three] = messages;
  return `# Coefficients of scale

${new Date().toISOString().slice(0, 10)}. ${machine}. Made by \`SECONDS_EACH=${seconds} bench/scaling.sh\`: three Redis masters with a replica each, two cache nodes, three
edges and the viewers on the same machine.

## Redis, by audience

A message a second; after ${JOIN_S} s, when all have come. Commands and CPU of the masters, replication with it.

| viewers | commands a second | CPU, % of a core | users named a second | messages lost |
| --: | --: | --: | --: | --: |
${audiences.map((a) => `| ${number(a.viewers)} | ${number(a.commands, 1)} | ${number(a.cpu * 100, 2)} | ${number(a.named, 1)} | ${a.lost} |`).join('\n')}

| | |
| --- | --: |
| users named per user and minute | ${number(perUser * 60, 2)} |
| CPU of Redis for a user named (from ${number(few.viewers)} to ${number(many.viewers)} viewers), us | ${number(us, 2)} |

## A message, by edges

${MESSAGES_PER_S} messages a second into a room with one viewer at each edge: CPU of the room's cache node, all it does for sender, store and edges.

| edges | edges told of each message | CPU for a message, us |
| --: | --: | --: |
${messages.map((m) => `| ${m.edges} | ${number(m.edgesTold, 2)} | ${number(m.us, 1)} |`).join('\n')}

For each further edge: ${number((three.us - one.us) / 2, 1)} us.

## The kernel

One end of a parked connection, in slabs (sockets, files, epoll): ${number(kernel)} bytes. Of ${number(PARKED)}, read off \`/proc/meminfo\`.
`;
}

// A test, so that what lib/ starts is ended in any case.
test('scaling', { timeout: 20 * 60_000 }, async () => {
  process.exitCode = 2;
  const kernel = await kernelBytes();
  const cluster = await RedisCluster.start();
  const fleet = await Fleet.start({ store: cluster.url, sects: { one: 2 }, edges: 3 });
  const masters = cluster.nodes.slice(0, 3);
  const messages = [];
  for (const edges of [1, 2, 3]) messages.push(await message(fleet, edges));
  const audiences = [];
  for (const viewers of AUDIENCES) audiences.push(await audience({ masters, fleet }, viewers));
  writeFileSync(process.argv[2], report({ audiences, messages, kernel }));
  process.exitCode = 0;
});
