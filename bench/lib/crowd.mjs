// The crowd of soak.sh: people who come and go, vanish in the middle of a poll, send, and read slowly, in 8 rooms of
// their own and in the large one. Everyone checks what they get: ids rise in each list, and every high message of a
// small room comes. Seeded. Prints what happened, and the server's memory every ten seconds, as JSON.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, generator } from './client.mjs';

const [address, pid, secs, seed] = process.argv.slice(2);
const WALKERS = 400, SENDERS = 40, SLOW = 60, ROOMS = 8;
const end = Date.now() + Number(secs) * 1000;
const count = { joins: 0, leaves: 0, vanished: 0, answers: 0, messages: 0, skipped: 0, sends: 0, refused: 0,
    slow_answers: 0, slow_closed: 0, errors: 0, wrong: [] };

// An id as a number that can be compared: "ms-n".
const order = (id) => BigInt(id.split('-')[0]) * 1048576n + BigInt(id.split('-')[1]);

function check(seen, answer, who) {
    count.answers++;
    count.skipped += answer.skipped;
    for (const m of answer.messages) {
        count.messages++;
        const at = order(m.id);
        if (seen[m.priority] !== undefined && at <= seen[m.priority]) count.wrong.push(`${who}: ${m.priority} ${m.id} again`);
        seen[m.priority] = at;
    }
    if (answer.gap) count.wrong.push(`${who}: a gap`);
}

const roomOf = (random) => `crowd-${Math.floor(random() * ROOMS)}`;

// Comes, reads for a while, and goes: politely, by closing, or in the middle of a poll.
async function visit(name, random) {
    const room = random() < 0.2 ? 'soak' : roomOf(random);
    const client = new Client(address);
    const base = `/v1/rooms/${room}/messages?user=${name}&timeout=${1 + Math.floor(random() * 20)}`;
    const until = Math.min(Date.now() + random() * 30000, end);
    const seen = {};
    count.joins++;
    let answer = await client.ask('GET', base);
    while (answer?.status === 200 && Date.now() < until) {
        check(seen, answer.body, name);
        if (random() < 0.02) {
            client.ask('GET', `${base}&since=${answer.body.cursor}`);
            await sleep(random() * 500);
            count.vanished++;
            break;
        }
        answer = await client.ask('GET', `${base}&since=${answer.body.cursor}`);
    }
    if (answer !== null && answer.status !== 200) count.errors++;
    if (!client.waiting && random() < 0.5 && (await client.ask('POST', `/v1/rooms/${room}/leave?user=${name}`))?.status === 204) count.leaves++;
    client.close();
}

async function walk(number) {
    const random = generator(Number(seed) * 100003 + number);
    for (let visits = 0; Date.now() < end; visits++) {
        await visit(`w${number}-${random() < 0.3 ? visits : 0}`, random);
        await sleep(random() * 3000);
    }
}

async function send(number) {
    const random = generator(Number(seed) * 200003 + number);
    let client = new Client(address);
    while (Date.now() < end) {
        const answer = await client.ask('POST', `/v1/rooms/${roomOf(random)}/messages?user=s${number}`,
            { body: { text: 'x'.repeat(Math.floor(random() * 400)) } });
        if (answer?.status === 201) count.sends++;
        else if (answer?.status === 429) count.refused++;
        else count.errors++;
        if (answer === null || random() < 0.05) {
            client.close();
            client = new Client(address);
        }
        await sleep(300 + random() * 1000);
    }
    client.close();
}

// Asks for a lot, and reads nothing of it for a while.
async function dawdle(number) {
    const random = generator(Number(seed) * 300007 + number);
    while (Date.now() < end) {
        const client = new Client(address);
        for (let i = 0; i < 20; i++) {
            client.socket.write(`GET /v1/rooms/soak/messages?user=d${number}&limit=200 HTTP/1.1\r\nHost: ${address}\r\n\r\n`);
            client.socket.pause();
        }
        await sleep(random() * 20000);
        client.socket.on('data', () => { count.slow_answers++; });
        client.socket.resume();
        await sleep(500);
        if (client.socket.destroyed) count.slow_closed++;
        client.close();
    }
}

const memory = [];
function sample() {
    const pss = /^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
    const files = readFileSync(`/proc/${pid}/status`, 'utf8').match(/FDSize:\s+(\d+)/)[1];
    memory.push({ at_s: Math.round((Date.now() - (end - Number(secs) * 1000)) / 1000), pss_kib: Number(pss[1]), files: Number(files) });
}

const timer = setInterval(sample, 10000);
await Promise.all([
    ...Array.from({ length: WALKERS }, (_, i) => walk(i)),
    ...Array.from({ length: SENDERS }, (_, i) => send(i)),
    ...Array.from({ length: SLOW }, (_, i) => dawdle(i)),
]);
clearInterval(timer);
console.log(JSON.stringify({ ...count, wrong: count.wrong.slice(0, 20), wrong_count: count.wrong.length, memory }));
process.exit(0);
