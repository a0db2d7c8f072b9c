// From what bench/unique prints to unique.md and the plot of the errors. Exit status 1 if a limit is not kept.
//
//   node unique.mjs LINES.jsonl DESCRIPTION-JSON DIRECTORY PLOT.svg
import { readFileSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { dotPlot } from './plot.mjs';

const [linesFile, description, directory, plotFile] = process.argv.slice(2);
const about = JSON.parse(description);
const lines = readFileSync(linesFile, 'utf8').trim().split('\n').map((line) => JSON.parse(line));

const EXACT_MAX = 10000;
const ERROR_MAX = 4; // per cent, in every run
const RMS_MAX = 0.95; // over all runs beyond EXACT_MAX
const STANDARD_ERROR = 0.81;

const number = (value, digits = 0) =>
    value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
const table = (head, rows) =>
    [head, head.map((_, i) => (i === 0 ? '---' : '--:')), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

// ---- accuracy -----------------------------------------------------------------------

const runs = lines.filter((l) => 'seed' in l);
const sizes = [...new Set(runs.map((r) => r.users))];
const percent = (count, users) => (count / users - 1) * 100;
const told = (r) => percent(r.unique, r.users);
const sketch = (r) => percent(r.sketch, r.users);
const rms = (values) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);
const worst = (values) => Math.max(...values.map(Math.abs));
const ofSize = (size) => runs.filter((r) => r.users === size);

const beyond = runs.filter((r) => r.users > EXACT_MAX);
const inexact = runs.filter((r) => r.users <= EXACT_MAX && !(r.exact && r.unique === r.users));
const belowBound = beyond.filter((r) => r.exact || r.unique <= EXACT_MAX);

const LIMITS = [
    ['runs of up to 10,000 users that are not exact', inexact.length, 0, 0],
    ['runs beyond that are told as exact, or as 10,000 or fewer', belowBound.length, 0, 0],
    ['worst error of a run beyond 10,000, %', worst(beyond.map(told)), ERROR_MAX, 2],
    ['RMS of all runs beyond 10,000, %', rms(beyond.map(told)), RMS_MAX, 2],
    ['the same of the sketches alone, %', rms(beyond.map(sketch)), RMS_MAX, 2],
];
const isKept = ([, value, limit]) => value <= limit;

const accuracyRows = sizes.map((size) => {
    const values = ofSize(size).map(told), alone = ofSize(size).map(sketch);
    return [
        number(size),
        ofSize(size).every((r) => r.exact) ? 'yes' : 'no',
        number(worst(values), 2),
        number(rms(values), 2),
        number(worst(alone), 2),
        number(rms(alone), 2),
    ];
});

// ---- joins --------------------------------------------------------------------------

// Parts that the program may have beyond these are listed by their own names.
const PARTS = { sketch: 'the sketch alone', viewers: 'unique viewers: exact set and sketch, then the sketch' };

const joinRows = lines
    .filter((l) => 'joins' in l)
    .map((l) => [
        `${PARTS[l.part] ?? l.part}, ${number(l.joins)} users`,
        number(l.first_ns, 1),
        number(l.again_ns, 1),
        number(l.bytes),
        number(l.bytes / l.joins, l.bytes < l.joins ? 4 : 1),
    ]);
const { merge_us, count_us } = lines.find((l) => 'merge_us' in l);

// ---- the files ----------------------------------------------------------------------

const plot = dotPlot({
    title: 'Unique viewers: error by size',
    unit: `per cent of the true number; ${about.seeds} seeded runs a size, a dot each; below the sizes, their RMS`,
    reach: ERROR_MAX,
    columns: sizes.map((size) => ({
        name: size >= 1e6 ? `${number(size / 1e6)} million` : number(size),
        note: ofSize(size).every((r) => r.exact) ? 'exact' : `${number(rms(ofSize(size).map(told)), 2)} %`,
        values: ofSize(size).map(told),
    })),
    lines: [
        { at: ERROR_MAX, name: 'limit', limit: true },
        { at: STANDARD_ERROR, name: 'standard error' },
        { at: 0, name: 'true number' },
        { at: -STANDARD_ERROR, name: '' },
        { at: -ERROR_MAX, name: 'limit', limit: true },
    ],
});

const text = `# Unique viewers

${about.date}. ${about.machine}. Stoa: ${about.stoa}.
Made by \`${about.command}\`; how it counts is in [docs/counting.md](../../docs/counting.md#unique-viewers).

![Error by size](${relative(directory, plotFile)})

## Against the limits

${table(['', 'measured', 'at most', 'kept'], LIMITS.map((row) => [row[0], number(row[1], row[3]), row[2], isKept(row) ? 'yes' : '**no**']))}

## Accuracy

${about.seeds} runs a size, with the seeds 1 to ${about.seeds}, each with users of its own; half of the ids are running numbers (\`user-…\`), half random. Errors in per cent of the true
number. "Told" is what a client gets; the sketch alone is what it would get if there were no exact set, and no knowledge that there are more than 10,000.

${table(['users', 'exact', 'told: worst', 'told: RMS', 'sketch alone: worst', 'sketch alone: RMS'], accuracyRows)}

## Joins

One thread. "First" is a user who is new, "again" one who has been there; without the making of the ids. Memory is all of it, ids in the exact set too.

${table(['', 'first, ns', 'again, ns', 'bytes', 'bytes per user'], joinRows)}

Merging two full sketches takes ${number(merge_us, 1)} us, counting one ${number(count_us, 1)} us.
`;

writeFileSync(`${directory}/unique.md`, text);
writeFileSync(plotFile, plot);
if (!LIMITS.every(isKept)) process.exitCode = 1;
