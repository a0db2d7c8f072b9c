/*
 * The full churn: test/e2e/lib/churn.mjs with thousands of connections, and what came of it as Markdown.
 *
 *   node bench/lib/churn.mjs HOST:PORT SERVER-PID     settings as in bench/churn.sh
 */

import { readFileSync } from 'node:fs';
import { Churn, runChurn } from '../../test/e2e/lib/churn.mjs';

const [address, pid] = process.argv.slice(2);
const [host, port] = address.split(':');
const setting = (name) => Number(process.env[name]);
const [connections, users, seconds, seed] = ['CONNECTIONS', 'USERS', 'SECONDS_IN_ALL', 'SEED'].map(setting);
const LINGER_S = 10;
const PERIODS = 9;

/** CPU time of the server in seconds, and its memory in MiB. */
function ofServer() {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  const rss = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1];
  return { cpu_s: (Number(fields[11]) + Number(fields[12])) / 100, peak_mib: rss / 1024 };
}

async function metrics(names) {
  const text = await (await fetch(`http://${address}/metrics`)).text();
  const sum = (name) => text.split('\n').filter((l) => l.startsWith(`${name} `) || l.startsWith(`${name}{`))
    .reduce((total, line) => total + Number(line.split(' ').at(-1)), 0);
  return Object.fromEntries(names.map((name) => [name, sum(`stoa_${name}`)]));
}

const server = { host, port };
const room = 'churn';
await fetch(`http://${address}/v1/rooms/${room}`, { method: 'PUT', headers: { Authorization: 'Bearer dev' }, body: '{}' });
const churn = new Churn({ server, room, connections, users, linger_s: LINGER_S, seed });
const exact = [];
const begun = performance.now();
await runChurn(churn, {
  periods: PERIODS, period_ms: seconds * 1000 / PERIODS, linger_s: LINGER_S, list_every_ms: 4000,
  said: (online) => {
    exact.push(online);
    process.stderr.write(`${((performance.now() - begun) / 1000).toFixed(0)} s: ${online} here, as the truth is\n`);
  },
});
const { stats } = churn;
const { online_users, attendees, polls_timed_out_total, polls_evicted_total } =
  await metrics(['online_users', 'attendees', 'polls_timed_out_total', 'polls_evicted_total']);
const { cpu_s, peak_mib } = ofServer();
if (stats.lost.length > 0 || online_users !== 0 || attendees !== 0) {
  throw new Error(`${online_users} still online, ${attendees} attendees; lost: ${stats.lost.slice(0, 10).join('; ')}`);
}
const ends = Object.entries(stats.ends).map(([end, count]) => `${count} ${end}`).join(', ');
console.log(`| | |
|---|---|
| connections at once, at the most; users | ${connections}; ${users} |
| churn, without the pauses for exact checks; seed | ${seconds} s; ${seed} |
| visits, each on a connection of its own | ${stats.visits} |
| polls; of these ended by their time-out, by a ninth poll | ${stats.polls}; ${polls_timed_out_total}, ${polls_evicted_total} |
| joins refused because their user left elsewhere meanwhile | ${stats.refused} |
| ends of visits | ${ends} |
| exact checks, 11 s after the last change: count and list against the truth | ${stats.settled}, all equal: ${exact.join(', ')} |
| checks of the count under churn, between who is surely here and who may be | ${stats.counts}, all within |
| at the most, users of whom that is not known at that moment | ${stats.inBetween} |
| checks of the list under churn, user by user | ${stats.lists}, none missing, none too many, none twice |
| left over at the end | 0 |
| the driver's own loop was late by, at the most | ${stats.late_ms.toFixed(0)} ms |
| server: CPU, peak memory | ${cpu_s.toFixed(1)} s, ${peak_mib.toFixed(0)} MiB |`);
process.exit(0);
