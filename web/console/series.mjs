/*
 * series.mjs: from the points of history and the samples of the live count to the columns that the charts draw, and to
 * the numbers beside them. Times are ms here; the charts want seconds (column x).
 *
 *   points    {at, span_s, online_avg, online_peak, joins, messages, unique} of each step, `at` its beginning, span_s how
 *             long it really is: the step that was asked for, or more where history is kept more coarsely
 *   samples   {at, online} of this page, oldest first
 *
 * No point between two others means that nobody was there and nothing was said: 0. The step under way is shown by
 * samples where there are any. A pause in the samples is a hole: then nobody looked.
 */

const MINUTE_MS = 60_000;
/** The newest minute of history comes this long after it is over, at the latest. */
const LATE_MS = 5000;
/** Samples further apart have a hole between them. */
const PAUSE_MS = 60_000;

/** How many messages a point has, whether told as one number or by list. */
export function messagesOf({ messages }) {
  if (typeof messages === 'number') return messages;
  return Object.values(messages ?? {}).reduce((sum, number) => sum + number, 0);
}

/** { x, average, peak }: what has passed by the step, then the samples. */
export function onlineColumns({ points, step_s, samples, now_ms }) {
  const columns = new Columns(['average', 'peak']);
  const steps = points.map((point) => stepOf(point, step_s));
  const done = steps.filter(({ end }) => end <= now_ms);
  const told_until = done.at(-1)?.end ?? -Infinity;
  const tail = samples.filter(({ at }) => at >= told_until);
  for (const [i, step] of done.entries()) {
    if (i > 0) columns.addQuiet(done[i - 1].end, step.at, step_s);
    columns.add((step.at + step.end) / 2, step.point.online_avg, step.point.online_peak);
  }
  if (!tail.length) {
    for (const { at, end, point } of steps) if (end > now_ms && at < now_ms) columns.add((at + now_ms) / 2, point.online_avg, point.online_peak);
    return columns;
  }
  // History may lack the minute that has just ended; more than that was quiet.
  if (done.length && tail[0].at - told_until > 2 * (MINUTE_MS + LATE_MS)) columns.addQuiet(told_until, tail[0].at - LATE_MS, step_s);
  for (const [i, { at, online }] of tail.entries()) {
    if (i > 0 && at - tail[i - 1].at > PAUSE_MS) columns.add((at + tail[i - 1].at) / 2, null, null);
    columns.add(at, online, null);
  }
  return columns;
}

/** { x, rate }: messages per minute, each from the beginning of its step. */
export function messageColumns({ points, step_s, now_ms }) {
  const columns = new Columns(['rate']);
  const told_until = Math.floor((now_ms - LATE_MS) / MINUTE_MS) * MINUTE_MS; // whole minutes alone are told
  let last = null;
  for (const point of points) {
    const { at, end } = stepOf(point, step_s);
    const until = Math.min(end, told_until);
    if (until - at < MINUTE_MS) continue;
    if (last !== null && at > last) columns.add(last, 0);
    columns.add(at, (messagesOf(point) * MINUTE_MS) / (until - at));
    last = until;
  }
  if (last !== null) columns.add(last, columns.rate.at(-1)); // so that the last step has a width
  return columns;
}

/** The most people at once, and when: { online, at }, or null where nothing is known. */
export function peakOf({ points, samples, from_ms }) {
  const known = [
    ...points.map(({ online_peak, at }) => ({ online: online_peak, at })),
    ...samples.filter(({ at }) => at >= from_ms),
  ];
  return known.reduce((most, { online, at }) => (most === null || online > most.online ? { online, at } : most), null);
}

function stepOf(point, step_s) {
  return { point, at: point.at, end: point.at + Math.max(point.span_s ?? 0, step_s) * 1000 };
}

/** Columns of equal length, x rising. */
class Columns {
  #names;
  x = [];

  constructor(names) {
    this.#names = names;
    for (const name of names) this[name] = [];
  }

  add(at, ...values) {
    this.x.push(at / 1000);
    this.#names.forEach((name, i) => this[name].push(values[i]));
  }

  /** Nobody from one to the other: 0 in the middle of the first quiet step and of the last. */
  addQuiet(from, to, step_s) {
    const half_ms = step_s * 500;
    if (to - from <= half_ms) return;
    const nobody = this.#names.map(() => 0);
    this.add(from + Math.min(half_ms, (to - from) / 3), ...nobody);
    this.add(to - Math.min(half_ms, (to - from) / 3), ...nobody);
  }
}
