// From the rounds of fanout.sh to fanout.md and its two plots.
//
//   node fanout.mjs ROUNDS.jsonl DESCRIPTION-JSON DIRECTORY
import { readFileSync, writeFileSync } from 'node:fs';
import { barPlot } from './plot.mjs';

const [roundsFile, description, directory] = process.argv.slice(2);
const about = JSON.parse(description);
const rounds = readFileSync(roundsFile, 'utf8').trim().split('\n').map((line) => JSON.parse(line));

const SYSTEMS = [
    ['floor', 'floor'],
    ['nchan', 'nchan'],
    ['stoa-off', 'Stoa, pace off'],
    ['stoa-on', 'Stoa, pace on'],
    ['stoa-memory', 'Stoa, pace off, store in memory'],
];
const WORKLOADS = [
    ['1k', '1,000 viewers, 2 messages a second'],
    ['10k', '10,000 viewers, 2 messages a second'],
    ['busy', `10,000 viewers, 20 messages a second, one in ${about.high_every} of them \`high\``],
    ['rooms', '1,000 rooms of 15 viewers, 1 message a second in each'],
    ['one', 'One message to 10,000 parked viewers'],
    ['single', 'A single viewer'],
    ['parked', '18,000 viewers, parked and silent'],
];
// From here on a client that shares one core is what is measured, in time and in rate.
const CLIENT_IS_FULL = 0.95;

// ---- figures ------------------------------------------------------------------------

const results = (workload, system) =>
    rounds.filter((r) => r.workload === workload && r.system === system).map((r) => r.result);
const isThere = (workload, system) => results(workload, system).length > 0;

// For an even count the lower one of the two in the middle: a figure that was measured.
function median(values) {
    const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
    return sorted.length > 0 ? sorted[(sorted.length - 1) >> 1] : NaN;
}

const figures = (workload, system, of) => results(workload, system).map(of);
const typical = (workload, system, of) => median(figures(workload, system, of));

// The median of the ratios within each round, so that what slows a whole round down cancels out.
function ratio(workload, system, base, of) {
    const bases = figures(workload, base, of);
    return median(figures(workload, system, of).map((value, i) => value / bases[i]));
}

const cpu = (r) => r.server.cpu_us_per_delivery;
const cpuShare = (r) => r.server.cpu_us / r.window_s / 1e4;
const requests = (r) => r.polls_per_s;
const bytes = (r) => r.server.bytes_per_viewer;
const last = (r) => r.latency_ms.max;
const lastArrival = (r) => r.arrival_ms.max;
const p50 = (r) => r.latency_ms.p50;
const highP99 = (r) => (r.latency_high_ms.count > 0 ? r.latency_high_ms.p99 : NaN);

// ---- text ---------------------------------------------------------------------------

const number = (value, digits) =>
    Number.isFinite(value)
        ? value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
        : '–';

// Median, and the range where there is more than one round.
function cell(workload, system, of, digits) {
    const values = figures(workload, system, of).filter(Number.isFinite);
    if (values.length === 0) return '–';
    const middle = number(median(values), digits);
    if (values.length === 1) return middle;
    return `${middle} (${number(Math.min(...values), digits)}–${number(Math.max(...values), digits)})`;
}

const column = (title, of, digits) => ({ title, text: (workload, system) => cell(workload, system, of, digits) });
const timesFloor = (title, of) => ({
    title,
    text: (workload, system) => number(ratio(workload, system, 'floor', of), 2),
});

const DELIVERY = [
    column('CPU per delivery, us', cpu, 2),
    timesFloor('× floor', cpu),
    column('server CPU, %', cpuShare, 1),
    column('deliveries/s', (r) => r.deliveries_per_s, 0),
    column('requests/s', requests, 0),
    column('p50, ms', p50, 1),
    column('p99, ms', (r) => r.latency_ms.p99, 1),
    column("client's core, %", (r) => r.generator_busy * 100, 0),
];
const COLUMNS = {
    '1k': DELIVERY,
    '10k': DELIVERY,
    rooms: DELIVERY,
    busy: [
        ...DELIVERY,
        column('`high` p99, ms', highP99, 1),
        column('`normal` p99, ms', (r) => r.latency_normal_ms.p99, 1),
        column('skipped', (r) => r.skipped, 0),
    ],
    one: [
        column('last answer at its viewer, ms', lastArrival, 1),
        timesFloor('× floor', lastArrival),
        column('last viewer has read it, ms', last, 1),
        timesFloor('× floor', last),
        column('median viewer has read it, ms', p50, 1),
        column('CPU per delivery, us', cpu, 2),
    ],
    single: [
        column('p50, ms', p50, 2),
        column('p99, ms', (r) => r.latency_ms.p99, 2),
        column('acknowledged, p50, ms', (r) => r.ack_ms.p50, 2),
    ],
    parked: [column('bytes per viewer (PSS)', bytes, 0), column('to join, s', (r) => r.join_s, 1)],
};

const present = (workload) => SYSTEMS.filter(([system]) => isThere(workload, system));

function table(workload) {
    const columns = COLUMNS[workload];
    const rows = present(workload).map(([system, name]) => [name, ...columns.map((c) => c.text(workload, system))]);
    const lines = [['', ...columns.map((c) => c.title)], ['---', ...columns.map(() => '--:')], ...rows];
    return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

const isClientFull = (workload, system) => typical(workload, system, (r) => r.generator_busy) >= CLIENT_IS_FULL;

// Deliveries stay behind what is sent, and yet the server has time left. (The pace means to stay behind.)
function isHeldUp(workload, system) {
    const due = typical(workload, system, (r) => (r.viewers * r.sent) / r.rooms / r.window_s);
    const behind = typical(workload, system, (r) => r.deliveries_per_s) < 0.95 * due;
    return system !== 'stoa-on' && behind && typical(workload, system, cpuShare) < 95;
}

// Where the figures are the client's own, and not the server's.
function caution(workload) {
    const told = (is, text) => {
        const names = present(workload).filter(([system]) => is(workload, system)).map(([, name]) => name);
        return names.length > 0 ? `\n${text}: ${names.join('; ')}. There, latencies and rates are not the server's; CPU per delivery is.\n` : '';
    };
    const heldUp = (...which) => isHeldUp(...which) && !isClientFull(...which);
    return (
        told(isClientFull, "The client's core was full with") +
        told(heldUp, 'The server had time left, and the client (or other work on the machine) could not keep up, with')
    );
}

const BURST = `
In a burst the client is the slower side: for each answer, its one core reads and checks it and sends the next poll, while a server may do no more than
\`send\`. So "has read it" is the client's time as much as the server's. "At its viewer" is when the answer reached the viewer's socket, by the kernel's
stamp, and the server's alone; it also shows what a server does in between: the floor sends all answers before it reads the first new poll, others
take turns.
`;

function section([workload, title]) {
    if (present(workload).length === 0) return '';
    return `## ${title}\n\n${table(workload)}\n${workload === 'one' ? BURST : ''}${caution(workload)}`;
}

// ---- limits -------------------------------------------------------------------------

const LIMITS = [
    ['CPU per delivery, 10,000 viewers in step, × floor', 1.25, () => ratio('10k', 'stoa-off', 'floor', cpu), 2],
    ['CPU per delivery, 1,000 rooms of 15, × floor', 1.6, () => ratio('rooms', 'stoa-off', 'floor', cpu), 2],
    ['bytes per parked viewer', 600, () => typical('parked', 'stoa-off', bytes), 0],
    ['20 messages a second: requests, pace on to off', 0.1, () => ratio('busy', 'stoa-on', 'stoa-off', requests), 3],
    ['20 messages a second: server CPU, pace on to off', 0.2, () => ratio('busy', 'stoa-on', 'stoa-off', cpuShare), 3],
    ['20 messages a second, pace on: `high` p99, ms', 500, () => typical('busy', 'stoa-on', highP99), 0],
    ['last of 10,000 answers at its viewer, × floor', 1.25, () => ratio('one', 'stoa-off', 'floor', lastArrival), 2],
    ['last of 10,000 viewers has read it, × floor', 1.25, () => ratio('one', 'stoa-off', 'floor', last), 2],
    ['a single viewer, p50 through SQLite, ms', 1.5, () => typical('single', 'stoa-off', p50), 2],
];

function limits() {
    const rows = LIMITS.map(([what, limit, value, digits]) => ({ what, limit, value: value(), digits }))
        .filter((row) => Number.isFinite(row.value))
        .map((row) => [row.what, number(row.value, row.digits), row.limit, row.value <= row.limit ? 'yes' : '**no**']);
    if (rows.length === 0) return '';
    const lines = [['', 'measured', 'at most', 'kept'], ['---', '--:', '--:', '---'], ...rows];
    return `## Against the limits\n\n${lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n${commit()}`;
}

function commit() {
    const through = typical('single', 'stoa-off', p50);
    const share = through - typical('single', 'stoa-memory', p50);
    if (!Number.isFinite(share)) return '';
    return `\nOf the single viewer's ${number(through, 2)} ms, ${number(share, 2)} ms go when the store is in memory: the commit.\n`;
}

// Every message was delivered, or counted as skipped to the viewer; and the checks that go with that.
function accounts() {
    const names = ['lost', 'lost_high', 'surplus', 'repeated', 'out_of_order', 'gaps', 'lost_connections', 'timeouts', 'errors'];
    const wrong = rounds.flatMap(({ system, workload, round, result }) => {
        const bad = names.filter((name) => result[name] > 0).map((name) => `${name} ${number(result[name], 0)}`);
        return bad.length > 0 ? [`- ${workload}, ${system}, round ${round}: ${bad.join(', ')}`] : [];
    });
    const checked = `Checked at every viewer in all ${rounds.length} runs: each message received, or told as skipped;`;
    if (wrong.length === 0) return `${checked} none lost, repeated, out of order or beyond what was sent.\n`;
    return `${checked} not so in:\n\n${wrong.join('\n')}\n`;
}

// ---- the files ----------------------------------------------------------------------

const short = { '1k': '1,000 viewers, 2/s', '10k': '10,000 viewers, 2/s', busy: '10,000 viewers, 20/s', rooms: '1,000 rooms of 15, 1/s' };

function plot(title, unit, workloads, systems, of, digits) {
    const groups = workloads
        .filter((workload) => present(workload).length > 0)
        .map((workload) => ({
            name: short[workload],
            bars: systems
                .filter((system) => isThere(workload, system))
                .map((system) => ({ series: system, value: typical(workload, system, of) })),
        }));
    const series = SYSTEMS.filter(([system]) => systems.includes(system));
    return barPlot({ title, unit, groups, series, digits });
}

const text = `# Fan-out beside peers

${about.date}. ${about.machine}. Stoa: ${about.stoa}; nchan: ${about.nchan} in ${about.nginx}. Server on core 0, client on core 1.
${about.rounds} ${about.rounds === '1' ? 'round' : 'rounds'} of ${about.seconds} s: medians, with the range in brackets; ratios are medians of the ratios within a round. Messages of 200 bytes.
Made by \`ROUNDS=${about.rounds} SECONDS_EACH=${about.seconds} bench/fanout.sh\`; what is measured, and how, is in [bench/README.md](../README.md#fan-out-beside-peers).

![CPU per delivery](fanout-cpu.svg)

![Requests per second](fanout-requests.svg)

${limits()}
${accounts()}
${WORKLOADS.map(section).filter((part) => part !== '').join('\n')}`;

writeFileSync(`${directory}/fanout.md`, text);
writeFileSync(
    `${directory}/fanout-cpu.svg`,
    plot('Server CPU per delivery', 'microseconds: one answer and the poll that follows', ['1k', '10k', 'busy', 'rooms'], ['floor', 'nchan', 'stoa-off', 'stoa-on'], cpu, 1),
);
writeFileSync(
    `${directory}/fanout-requests.svg`,
    plot('Requests per second', 'polls that the server answers in a second', ['1k', '10k', 'busy'], ['stoa-off', 'stoa-on'], requests, 0),
);
