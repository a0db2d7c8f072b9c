/*
 * charts.mjs: uPlot in the page's own colours, by day and by night. A chart is made once and given columns again and
 * again; it spans the moments that it is told, whether there is something to draw in them or not, and begins at 0.
 *
 *   series     [{ column, colour, wash, isThin, isStepped }], colour and wash by the names of the page's properties
 *   onPoint    (index or null): which point the reader looks at
 */

import uPlot from 'uplot';
import { moment, short } from './format.mjs';

const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;
const FONT = '12px system-ui, sans-serif';
const HEADROOM = 1.12;
/** So few points make no line that one could see: they are dots as well. */
const FEW = 10;
const INCREMENTS = Array.from({ length: 10 }, (_, i) => [1, 2, 5].map((n) => n * 10 ** i)).flat(); // of people and messages: whole

const dark = matchMedia('(prefers-color-scheme: dark)');
const date = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });

export class Chart {
  #root;
  #plot;
  #series;
  #span = [0, 1]; // s

  constructor(root, { series, sync, onPoint }) {
    this.#root = root;
    this.#series = series;
    this.#plot = new uPlot(this.#options({ sync, onPoint }), [[], ...series.map(() => [])], root);
    new ResizeObserver(() => this.#plot.setSize(sizeOf(root))).observe(root);
    dark.addEventListener('change', () => this.#plot.redraw());
  }

  /** says: the drawing in words, for those who do not see it. */
  draw({ columns, from_ms, to_ms, says }) {
    this.#span = [from_ms / 1000, to_ms / 1000];
    this.#plot.setData([columns.x, ...this.#series.map(({ column }) => columns[column])]);
    this.#root.setAttribute('aria-label', says);
    this.#root.dataset.points = columns.x.length;
  }

  #options({ sync, onPoint }) {
    return {
      ...sizeOf(this.#root),
      legend: { show: false },
      padding: [8, 8, 0, 0],
      cursor: { sync: { key: sync, setSeries: false }, drag: { x: false, y: false }, y: false, points: { size: 7 } },
      scales: { x: { range: () => this.#span }, y: { range: (plot, min, max) => [0, Math.max(1, max ?? 0) * HEADROOM] } },
      axes: [
        { ...axis(), values: (plot, splits, index, space, increment_s) => splits.map((at) => tick(at, increment_s)), space: 64, size: 28 },
        { ...axis(), values: (plot, splits) => splits.map(short), incrs: INCREMENTS, space: 34, size: 46 },
      ],
      series: [{}, ...this.#series.map(line)],
      hooks: { setCursor: [(plot) => onPoint(plot.cursor.idx ?? null)] },
    };
  }
}

function sizeOf(root) {
  return { width: Math.max(root.clientWidth, 100), height: Math.max(root.clientHeight, 60) };
}

/** Asked for at every drawing, so that it follows the page. */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function axis() {
  const rule = { stroke: () => colour('--rule'), width: 1 };
  return { stroke: () => colour('--muted'), font: FONT, grid: rule, ticks: { ...rule, size: 4 }, gap: 6 };
}

function line({ colour: stroke, wash, isThin = false, isStepped = false }) {
  return {
    stroke: () => colour(stroke),
    fill: wash && (() => colour(wash)),
    width: isThin ? 1 : 1.75,
    points: { show: (plot, i) => plot.data[i].filter((value) => value !== null).length < FEW, size: 5, width: 0, fill: () => colour(stroke) },
    paths: isStepped ? uPlot.paths.stepped({ align: 1 }) : undefined,
  };
}

function tick(at_s, increment_s) {
  const time = new Date(at_s * 1000);
  const isMidnight = time.getHours() === 0 && time.getMinutes() === 0;
  return increment_s >= DAY_S || isMidnight ? date.format(time) : moment(time);
}
