/* ranges.mjs: the spans of time that the page shows, and how finely history is asked for. */

const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;
const POINTS_MAX = 1500;
/** History older than this is kept by the hour. */
const FINE_S = 7 * DAY_S;
const STEPS_S = [60, 120, 300, 600, 900, 1800, HOUR_S, 2 * HOUR_S, 6 * HOUR_S, DAY_S];

export const RANGES = [
  { id: '1h', label: '1 h', said: 'last hour', span_s: HOUR_S },
  { id: '24h', label: '24 h', said: 'last 24 hours', span_s: DAY_S },
  { id: '7d', label: '7 d', said: 'last 7 days', span_s: 7 * DAY_S },
  { id: '30d', label: '30 d', said: 'last 30 days', span_s: 30 * DAY_S },
];

/** The range of that id, else the first. */
export function rangeOf(id) {
  return RANGES.find((range) => range.id === id) ?? RANGES[0];
}

/** The finest step that keeps an answer within POINTS_MAX, and no finer than what is kept. */
export function stepOf(span_s) {
  const least_s = span_s > FINE_S ? HOUR_S : 0;
  return STEPS_S.find((step_s) => step_s >= least_s && span_s / step_s <= POINTS_MAX) ?? STEPS_S.at(-1);
}

/** What to ask for at that moment: whole steps, the one under way among them. */
export function windowOf({ span_s }, now_ms) {
  const step_s = stepOf(span_s);
  const step_ms = step_s * 1000;
  const to = Math.floor(now_ms / step_ms) * step_ms + step_ms;
  return { from: to - span_s * 1000 - step_ms, to, step_s };
}
