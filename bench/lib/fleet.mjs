// The report of fleet.sh: what the viewers have, and how long after each fault they were given something again.
import { readFileSync } from 'node:fs';

const [replayFile, marksFile, when] = process.argv.slice(2);
const r = JSON.parse(readFileSync(replayFile, 'utf8'));
const killed = readFileSync(marksFile, 'utf8').trim().split('\n');
const number = (value, digits = 0) => value.toLocaleString('en', { maximumFractionDigits: digits });
const names = { nothing: 'nothing, to compare', 'edge-2': 'an edge, with a third of the viewers' };
const nameOf = (what) => names[what] ?? (what.startsWith('redis') ? `the Redis master of the room (${what})` : `the room's cache node (${what})`);

console.log(`# A fleet whose parts are killed

${when}. Made by \`bench/fleet.sh\`: ${number(r.viewers)} viewers over three edges, six cache nodes and six Redis servers on the same machine as
the viewers. Each part was killed by SIGKILL and started again five seconds later.

| list | sent | received | skipped | lost | repeated | out of order | p50 ms | p99 ms | max ms |
| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |`);
for (const [name, l] of Object.entries(r.lists)) {
  const ms = l.latency_ms;
  console.log(`| ${name} | ${[l.sent, l.received, l.skipped, l.lost, l.repeated, l.out_of_order].map((n) => number(n)).join(' | ')} | ${number(ms.p50, 1)} | ${number(ms.p99, 1)} | ${number(ms.max, 1)} |`);
}
console.log(`
From the kill to the first message that was sent after it, in ms. It has in it the wait for the next message and the pace.

| killed | at the first viewer | at half of them | at 99 % | at the last | viewers |
| --- | --: | --: | --: | --: | --: |`);
r.marks.forEach((mark, i) => {
  const ms = mark.reached_ms;
  console.log(`| ${nameOf(killed[i])} | ${[mark.first_ms, ms.p50, ms.p99, ms.max, mark.viewers].map((n) => number(n)).join(' | ')} |`);
});
console.log(`
Connections lost and made anew: ${number(r.lost_connections)}. Polls put off by 429 or 503: ${number(r.put_off)}. Sends repeated with their key: ${number(r.retries)};
refused for good: ${number(r.refused)}. Answers that told of a gap: ${number(r.gaps)}. Stored twice: ${number(r.stored_twice)}.
${r.ok ? 'Every viewer accounts for every message.' : '**Not every viewer accounts for every message.**'}`);
