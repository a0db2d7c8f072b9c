/* format.mjs: numbers and times as people read them. */

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const minute = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

export const count = (number) => whole.format(number);
export const short = (number) => compact.format(number);

/** One decimal where it says something: 0.4, 7.5, 12, 1,204. */
export function rate(number) {
  return number === 0 || number >= 10 ? whole.format(number) : number.toFixed(1);
}

/** How sure a count of viewers is. */
export function certainty({ exact, standard_error }) {
  if (exact) return 'exact';
  const percent = 100 * standard_error;
  return `± ${percent >= 10 ? percent.toFixed(0) : percent.toFixed(1)} %`;
}

/** The largest unit alone: 12 s, 5 min, 3 h, 2 d. */
export function lasting(ms) {
  const known = Math.max(0, ms); // clocks differ
  if (known < MINUTE_MS) return `${Math.floor(known / 1000)} s`;
  if (known < HOUR_MS) return `${Math.floor(known / MINUTE_MS)} min`;
  if (known < DAY_MS) return `${Math.floor(known / HOUR_MS)} h`;
  return `${Math.floor(known / DAY_MS)} d`;
}

/** The time of day, with the day where more than one is shown. */
export function moment(at, span_ms = 0) {
  return (span_ms >= DAY_MS ? day : minute).format(at);
}

/** As an <input type="datetime-local"> holds it, in the reader's own zone. */
export function toLocalInput(at) {
  return new Date(at - new Date(at).getTimezoneOffset() * MINUTE_MS).toISOString().slice(0, 16);
}
