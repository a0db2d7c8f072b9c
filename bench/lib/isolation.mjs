// What isolation.sh measures: a line for the last measurement, and the report.
//
//   isolation.mjs last ROUNDS.jsonl              name, p50 and p99 in ms
//   isolation.mjs report ROUNDS.jsonl MACHINE    exit status 1 if the small room is slowed, or a message is not accounted for
import { readFileSync } from 'node:fs';

const LIMIT = 1.2; // p99 with the storm in the VIP sect, over that without a storm
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const [what, file, machine] = process.argv.slice(2);
const rows = readFileSync(file, 'utf8').trim().split('\n').map((text) => JSON.parse(text));
const results = (name) => rows.filter((row) => row.name === name).map((row) => row.result);
const ms = (name, quantile, list = 'latency_ms') => median(results(name).map((r) => r[list][quantile])).toFixed(1);
const sum = (name, field) => results(name).reduce((total, r) => total + r[field], 0);
const number = (value) => Math.round(value).toLocaleString('en');

// Of the p99, within a round.
function ratio(name, base) {
    const bases = results(base);
    return median(results(name).map((r, round) => r.latency_ms.p99 / bases[round].latency_ms.p99));
}

function small(label, name) {
    const storms = rows.filter((row) => row.name === name).map((row) => row.storm?.sent_per_s ?? 0);
    return `| ${label} | ${ms(name, 'p50')} | ${ms(name, 'p99')} | ${ratio(name, 'quiet').toFixed(2)} | ${number(median(storms))} |`;
}

function moving(label, name) {
    const counts = ['received', 'skipped', 'lost', 'repeated', 'out_of_order'].map((field) => number(sum(name, field)));
    const times = ['latency_high_ms', 'latency_normal_ms'].flatMap((list) => [ms(name, 'p50', list), ms(name, 'p99', list)]);
    const most = Math.max(...results(name).map((r) => r.latency_ms.max)).toFixed(1);
    return `| ${label} | ${[...times, most, ...counts].join(' | ')} |`;
}

function report() {
    console.log(`# A storm next door, and the way out of it

${machine}. Made by \`bench/isolation.sh\`: medians of ${results('quiet').length} rounds, ratios within a round.

## A small room beside a storm

| the large room | small room p50, ms | p99, ms | p99, × quiet | messages a second stored in the large room |
| --- | --: | --: | --: | --: |
${small('quiet', 'quiet')}
${small('a storm, in the same sect', 'together')}
${small('a storm, in the VIP sect', 'apart')}

The small room's p99 with the storm in the VIP sect is at most ${LIMIT} × quiet: ${ratio('apart', 'quiet') <= LIMIT ? 'kept' : '**not kept**'}.

## A room that moves

100 viewers, 100 messages a second, every tenth \`high\`. Moving: to the VIP sect or back every second, so every percentile has moves in it.

| | \`high\` p50, ms | p99 | \`normal\` p50, ms | p99 | longest | received | skipped | lost | repeated | out of order |
| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |
${moving('stays', 'settled')}
${moving('moves every second', 'moving')}`);
    const broken = ['lost', 'repeated', 'out_of_order', 'surplus'].some((field) => sum('moving', field) > 0);
    return ratio('apart', 'quiet') <= LIMIT && !broken;
}

if (what === 'last') {
    const { name, result } = rows.at(-1);
    console.log(name, result.latency_ms.p50, result.latency_ms.p99, 'lost', result.lost);
} else {
    process.exitCode = report() ? 0 : 1;
}
