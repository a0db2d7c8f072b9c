// The report of soak.sh: what the viewers and the crowd have seen, and the server's memory over time.
import { readFileSync } from 'node:fs';

const [benchFile, crowdFile, when] = process.argv.slice(2);
const bench = JSON.parse(readFileSync(benchFile, 'utf8'));
const crowd = JSON.parse(readFileSync(crowdFile, 'utf8'));
const GROWTH = 1.03; // of the median of the last third over that of the second: noise of the allocator

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const number = (value, digits = 0) => value.toLocaleString('en', { maximumFractionDigits: digits });

// The first third is the joining of the viewers, and rooms that fill up to what they keep.
const third = Math.floor(crowd.memory.length / 3);
const pss = (from, to) => median(crowd.memory.slice(from, to).map((m) => m.pss_kib));
const growth = pss(2 * third) / pss(third, 2 * third);
const bad = bench.lost + bench.repeated + bench.out_of_order + bench.surplus + bench.lost_connections + crowd.wrong_count;

const rows = [
    ['viewers of the large room', number(bench.viewers)],
    ['messages sent to it', number(bench.sent)],
    ['received by them', number(bench.received)],
    ['told as skipped', number(bench.skipped)],
    ['lost, repeated, out of order, beyond what was sent', [bench.lost, bench.repeated, bench.out_of_order, bench.surplus].join(', ')],
    ['`high` lost', number(bench.lost_high)],
    ['`high` p99, ms', number(bench.latency_high_ms.p99, 1)],
    ['connections lost', number(bench.lost_connections)],
    ['server CPU per delivery, us', number(bench.server.cpu_us_per_delivery, 2)],
    ['people who came, left, vanished in a poll', `${number(crowd.joins)}, ${number(crowd.leaves)}, ${number(crowd.vanished)}`],
    ['their answers and messages', `${number(crowd.answers)}, ${number(crowd.messages)}`],
    ['sends taken, refused by a quota', `${number(crowd.sends)}, ${number(crowd.refused)}`],
    ['answers read late; of slow readers let go', `${number(crowd.slow_answers)}; ${number(crowd.slow_closed)}`],
    ['errors; ids out of order, or gaps', `${number(crowd.errors)}; ${number(crowd.wrong_count)}`],
    ['server memory (PSS), second third, MiB', number(pss(third, 2 * third) / 1024, 1)],
    ['server memory (PSS), last third, MiB', number(pss(2 * third) / 1024, 1)],
];
console.log(`# Mixed load\n\n${when}. Made by \`bench/soak.sh\`; server on core 0, clients on core 1.\n\n| | |\n| --- | --: |`);
for (const [what, value] of rows) console.log(`| ${what} | ${value} |`);
console.log(`\nMemory of the last third is ${number(growth, 3)} times that of the second. PSS in MiB, every ${Math.max(1, Math.floor(crowd.memory.length / 20)) * 10} s: ` +
    crowd.memory.filter((_, i) => i % Math.max(1, Math.floor(crowd.memory.length / 20)) === 0).map((m) => number(m.pss_kib / 1024, 1)).join(', ') + '.');
for (const wrong of crowd.wrong) console.log(`- ${wrong}`);
process.exit(bad === 0 && growth < GROWTH ? 0 : 1);
