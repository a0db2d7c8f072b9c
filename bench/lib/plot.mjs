// Plots as SVG without any library: horizontal bars in groups, and dots in columns. The background stays transparent, and the
// text follows the reader's colour scheme.

const WIDTH = 760;
const LEFT = 24; // of everything
const BAR_LEFT = 190; // where bars begin: the name of the series is before them
const BAR_RIGHT = 90; // room for the number behind the longest bar
const BAR = 18;
const GAP = 4;
const GROUP_HEAD = 26;
const GROUP_GAP = 16;
const HEAD = 64;

const COLOURS = { floor: '#8b949e', nchan: '#d97706', 'stoa-off': '#3b82f6', 'stoa-on': '#10a37f' };

const STYLE = `<style>
    text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328; }
    .title { font-size: 17px; font-weight: 600; }
    .quiet { fill: #59636e; }
    .group { font-weight: 600; }
    .axis { stroke: #8b949e; stroke-width: 1; }
    @media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .quiet { fill: #9198a1; } }
</style>`;

const escape = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;');
const document = (height, label, parts) => `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escape(label)}">
${STYLE}
${parts.join('\n')}
</svg>
`;
const line = (x, y, of, text) => `<text x="${x}" y="${y}"${of ? ` class="${of}"` : ''}>${escape(text)}</text>`;

function bar(y, name, value, longest, digits, colour) {
    const width = Math.max(1, ((WIDTH - BAR_LEFT - BAR_RIGHT) * value) / longest);
    const shown = value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
    return [
        `<text x="${BAR_LEFT - 8}" y="${y + BAR - 5}" text-anchor="end" class="quiet">${escape(name)}</text>`,
        `<rect x="${BAR_LEFT}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2" fill="${colour}"/>`,
        line((BAR_LEFT + width + 6).toFixed(1), y + BAR - 5, '', shown),
    ].join('\n');
}

// groups: [{ name, bars: [{ series, value }] }]; series: [[id, name]].
export function barPlot({ title, unit, groups, series, digits }) {
    const names = new Map(series);
    const longest = Math.max(...groups.flatMap((g) => g.bars.map((b) => b.value)), Number.MIN_VALUE);
    const parts = [line(LEFT, 26, 'title', title), line(LEFT, 46, 'quiet', unit)];
    let y = HEAD;
    for (const group of groups) {
        parts.push(line(LEFT, y + 14, 'group', group.name));
        y += GROUP_HEAD;
        const top = y;
        for (const { series: id, value } of group.bars) {
            parts.push(bar(y, names.get(id), value, longest, digits, COLOURS[id]));
            y += BAR + GAP;
        }
        parts.push(`<line x1="${BAR_LEFT}" y1="${top - 3}" x2="${BAR_LEFT}" y2="${y - 1}" class="axis"/>`);
        y += GROUP_GAP;
    }
    return document(y, `${title}, ${unit}`, parts);
}

// ---- dots in columns ----------------------------------------------------------------

const PLOT_TOP = 70;
const PLOT_HEIGHT = 300;
const PLOT_LEFT = 70; // the numbers of the axis are before it
const PLOT_RIGHT = WIDTH - 110; // the names of the lines are behind it
const DOT = '#3b82f6';
const LIMIT = '#d97706';

// columns: [{ name, note, values }], each value a dot; lines: [{ at, name, limit }] across all columns. The axis is from
// -reach to +reach in steps of one; what is beyond is drawn at its end.
export function dotPlot({ title, unit, columns, lines, reach }) {
    const y = (value) => PLOT_TOP + (PLOT_HEIGHT * (reach - Math.max(-reach, Math.min(reach, value)))) / (2 * reach);
    const width = (PLOT_RIGHT - PLOT_LEFT) / columns.length;
    const parts = [line(LEFT, 26, 'title', title), line(LEFT, 46, 'quiet', unit)];
    for (let tick = -reach; tick <= reach; tick++) {
        const text = `${tick > 0 ? '+' : tick < 0 ? '\u2212' : ''}${Math.abs(tick)} %`;
        parts.push(`<text x="${PLOT_LEFT - 8}" y="${y(tick) + 4}" text-anchor="end" class="quiet">${text}</text>`);
    }
    for (const { at, name, limit } of lines) {
        const look = limit ? `stroke="${LIMIT}" stroke-dasharray="6 4"` : 'class="axis"';
        parts.push(`<line x1="${PLOT_LEFT}" y1="${y(at).toFixed(1)}" x2="${PLOT_RIGHT}" y2="${y(at).toFixed(1)}" ${look}/>`);
        parts.push(line(PLOT_RIGHT + 6, (y(at) + 4).toFixed(1), 'quiet', name));
    }
    columns.forEach(({ name, note, values }, i) => {
        const left = PLOT_LEFT + i * width;
        values.forEach((value, n) => {
            const x = left + width * (0.15 + (0.7 * (n + 0.5)) / values.length);
            parts.push(`<circle cx="${x.toFixed(1)}" cy="${y(value).toFixed(1)}" r="2" fill="${DOT}"/>`);
        });
        const text = (below, of, words) =>
            `<text x="${(left + width / 2).toFixed(1)}" y="${PLOT_TOP + PLOT_HEIGHT + below}" text-anchor="middle"${of}>${escape(words)}</text>`;
        parts.push(text(24, '', name), text(42, ' class="quiet"', note));
    });
    return document(PLOT_TOP + PLOT_HEIGHT + 56, `${title}, ${unit}`, parts);
}
