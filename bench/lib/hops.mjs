// The report of hops.sh (hops.mjs ROUNDS.jsonl MACHINE): medians over the rounds. Exit status 1 if a message is not accounted for.
import { readFileSync } from 'node:fs';

const ways = {
    memory: 'one node, store in memory',
    sqlite: 'one node, SQLite',
    redis: 'a cache node over a Redis Cluster',
    edges: 'from edge to edge, by the cache node and Redis',
};
const [file, machine] = process.argv.slice(2);
const rows = readFileSync(file, 'utf8').trim().split('\n').map((text) => JSON.parse(text));
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const broken = rows.filter(({ result: r }) => r.lost + r.repeated + r.out_of_order + r.surplus > 0);

function row(name) {
    const results = rows.filter((one) => one.name === name).map((one) => one.result);
    const ms = (list, quantile) => median(results.map((r) => r[list][quantile])).toFixed(2);
    const cells = ['latency_high_ms', 'latency_normal_ms', 'ack_ms'].flatMap((list) => [ms(list, 'p50'), ms(list, 'p99')]);
    return `| ${ways[name]} | ${cells.join(' | ')} |`;
}

console.log(`# What each step of the way adds

${machine}. Made by \`bench/hops.sh\`: medians of ${rows.filter((one) => one.name === 'edges').length} rounds. 20 viewers, 20 messages a second, every other one \`high\`. From when a message
was due to be sent until its viewer has read it, in ms; over Redis a \`high\` message is first on a replica, too. All parts and the viewers share the machine.

| | \`high\` p50 | p99 | \`normal\` p50 | p99 | acknowledged p50 | p99 |
| --- | --: | --: | --: | --: | --: | --: |
${Object.keys(ways).map(row).join('\n')}

${broken.length === 0 ? 'Every viewer accounts for every message.' : '**Not every viewer accounts for every message.**'}`);
process.exitCode = broken.length === 0 ? 0 : 1;
