// What isolation.sh measures: a line for each measurement, and the report.
//
//   isolation.mjs line NAME FOLDER     NAME, the small room's p50 and p99 in ms, the storm's sends a second
//   isolation.mjs report FOLDER        from rounds.txt; exit status 1 if the small room is slowed
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { cpus, release } from 'node:os';

const LIMIT = 1.2; // p99 with the storm in the VIP sect, over that without a storm
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

function line(name, folder) {
    const { latency_ms } = JSON.parse(readFileSync(`${folder}/small.json`, 'utf8'));
    let sends = 0;
    if (existsSync(`${folder}/storm.json`)) {
        sends = JSON.parse(readFileSync(`${folder}/storm.json`, 'utf8')).sent_per_s;
        rmSync(`${folder}/storm.json`);
    }
    console.log(name, latency_ms.p50, latency_ms.p99, sends);
}

function report(folder) {
    const rows = readFileSync(`${folder}/rounds.txt`, 'utf8').trim().split('\n').map((text) => text.split(' '));
    const of = (name, column) => rows.filter((row) => row[0] === name).map((row) => Number(row[column]));
    const ratio = (name) => median(of(name, 2).map((p99, round) => p99 / of('quiet', 2)[round]));
    const row = (what, name) => `| ${what} | ${median(of(name, 1)).toFixed(1)} | ${median(of(name, 2)).toFixed(1)} | ` +
        `${ratio(name).toFixed(2)} | ${Math.round(median(of(name, 3)))} |`;
    console.log(`# A storm next door\n\n${new Date().toISOString().slice(0, 10)}. ${cpus().length} cores, ${cpus()[0].model}, Linux ${release()}. ` +
        `Made by \`bench/isolation.sh\`: medians of ${of('quiet', 1).length} rounds, ratios within a round.\n`);
    console.log('| the large room | small room p50, ms | p99, ms | p99 × quiet | messages a second stored in the large room |\n| --- | --: | --: | --: | --: |');
    console.log(row('quiet', 'quiet'));
    console.log(row('a storm, in the same sect', 'together'));
    console.log(row('a storm, in the VIP sect', 'apart'));
    return ratio('apart') <= LIMIT;
}

const [what, ...rest] = process.argv.slice(2);
if (what === 'line') line(...rest);
else process.exitCode = report(...rest) ? 0 : 1;
