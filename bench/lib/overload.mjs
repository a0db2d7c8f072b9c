// The load of overload.sh, and its report. Three phases: at rest, under the flood, after it.
import net from 'node:net';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from './client.mjs';

const [address, pid, floodSecs, when] = process.argv.slice(2);
const [host, port] = address.split(':');
const FLOODERS = 32, VIEWERS = 100, NORMAL_PER_S = 20, HIGH_PER_S = 2, REST_S = 5, RECOVERY_S = 60;

const phases = { rest: null, flood: null, after: null };
let now = null;
let stopped = false;
const fresh = () => ({ polls: 0, polls_refused: 0, told_to_wait_ms: [], normal: 0, normal_refused: 0, high: 0, high_refused: 0, latency: [] });

async function view(number) {
    const client = new Client(address);
    let cursor = '';
    while (!stopped) {
        const answer = await client.ask('GET', `/v1/rooms/over/messages?user=v${number}&timeout=10&limit=200${cursor && `&since=${cursor}`}`);
        if (answer === null || now === null) break;
        if (answer.status === 200) {
            now.polls++;
            cursor = answer.body.cursor;
            for (const m of answer.body.messages) if (m.body.sent_ms) now.latency.push(Date.now() - m.body.sent_ms);
            continue;
        }
        now.polls_refused++;
        now.told_to_wait_ms.push(answer.body.retry_after_ms);
        await sleep(Math.min(answer.body.retry_after_ms, 1000)); // impatient
    }
    client.close();
}

// One after the other, each as soon as it is due and the one before was answered.
async function send(priority, per_s) {
    const client = new Client(address, { Authorization: 'Bearer dev' });
    for (let due = Date.now(); !stopped; due += 1000 / per_s) {
        await sleep(Math.max(0, due - Date.now()));
        const answer = await client.ask('POST', '/v1/rooms/over/messages', { from: 'host', priority, body: { sent_ms: Date.now() } });
        if (answer === null || now === null) break;
        now[answer.status === 201 ? priority : `${priority}_refused`]++;
        if (answer.status !== 201 && answer.status !== 503) throw new Error(JSON.stringify(answer));
    }
    client.close();
}

// Requests that no pace holds, and dear ones: as many as the server takes.
function flood() {
    const socket = net.connect({ host, port: Number(port) });
    const burst = `GET /metrics HTTP/1.1\r\nHost: ${address}\r\n\r\n`.repeat(100);
    const pour = () => { while (socket.write(burst)); };
    socket.on('error', () => {});
    socket.on('connect', pour);
    socket.on('drain', pour);
    socket.resume();
    return socket;
}

async function metrics() {
    const text = await (await fetch(`http://${address}/metrics`)).text();
    return (name) => text.split('\n').filter((line) => line.startsWith(`stoa_${name}{`) || line.startsWith(`stoa_${name} `))
        .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

const pssMib = () => Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) / 1024;
const most = { interval_ms: 0, busy: 0, pss: 0 };

async function watch(seconds, until = () => false) {
    const begun = Date.now();
    while (Date.now() - begun < seconds * 1000) {
        const metric = await metrics();
        const at = { interval_ms: metric('pace_load_ms'), busy: metric('busy_permille'), pss: pssMib() };
        for (const name of Object.keys(most)) most[name] = Math.max(most[name], at[name]);
        if (until(at)) break;
        await sleep(250);
    }
    return (Date.now() - begun) / 1000;
}

const percentile = (values, p) => [...values].sort((a, b) => a - b)[Math.floor(values.length * p)] ?? 0;
const pick = (m) => Object.fromEntries(['polls_shed_total', 'polls_held_total'].map((name) => [name, m(name)]));

async function phase(name, run) {
    now = phases[name] = fresh();
    return run();
}

const running = [...Array.from({ length: VIEWERS }, (_, i) => i)];
now = phases.rest = fresh();
const people = [...running.map(view), send('normal', NORMAL_PER_S), send('high', HIGH_PER_S)];
await phase('rest', () => watch(REST_S));
const restPss = pssMib();
const sockets = [];
await phase('flood', async () => {
    for (let i = 0; i < FLOODERS; i++) sockets.push(flood());
    await watch(Number(floodSecs));
    for (const socket of sockets) socket.destroy();
});
const counters = pick(await metrics());
// What is under way from the flood's time does not belong to the time after it.
now = fresh();
const recovered = await watch(RECOVERY_S, (at) => at.interval_ms === 0 && at.busy < 200);
await phase('after', () => watch(REST_S));
stopped = true;
await Promise.race([Promise.all(people), sleep(12000)]);

const n = (value, digits = 0) => value.toLocaleString('en', { maximumFractionDigits: digits });
const row = (what, of) => `| ${what} | ${Object.values(phases).map(of).join(' | ')} |`;
console.log(`# Past capacity, and back\n\n${when}. Made by \`bench/overload.sh\`; server on core 0, clients on core 1.
${VIEWERS} viewers who come back after a second whatever they are told, ${NORMAL_PER_S} normal and ${HIGH_PER_S} high sends a second; for ${floodSecs} s ${FLOODERS} connections ask for \`/metrics\` as fast as they are answered.\n
| | at rest | under the flood | after it |\n| --- | --: | --: | --: |`);
console.log([
    row('polls answered', (p) => n(p.polls)), row('polls refused (503)', (p) => n(p.polls_refused)),
    row('told to come back after, ms: median', (p) => n(percentile(p.told_to_wait_ms, 0.5))),
    row('normal sends taken', (p) => n(p.normal)), row('normal sends refused (503)', (p) => n(p.normal_refused)),
    row('high sends taken', (p) => n(p.high)), row('high sends refused', (p) => n(p.high_refused)),
    row('from send to viewer, p50, ms', (p) => n(percentile(p.latency, 0.5))), row('from send to viewer, p99, ms', (p) => n(percentile(p.latency, 0.99))),
].join('\n'));
console.log(`\nThe longest hold asked for was ${n(most.interval_ms)} ms, the busy share at most ${n(most.busy / 10)} %; ${n(counters.polls_held_total)} polls were held.
Memory (PSS): ${n(restPss, 1)} MiB at rest, ${n(most.pss, 1)} MiB at most. After the flood no hold was left after ${n(recovered, 1)} s.`);
const good = phases.flood.polls_refused > 0 && phases.flood.normal_refused > 0 && phases.flood.high > 0 && phases.flood.high_refused === 0 &&
    phases.after.polls_refused === 0 && phases.after.normal_refused === 0 && recovered < RECOVERY_S && most.pss < restPss + 64;
process.exit(good ? 0 : 1);
