/* Each metric that the board and the alerts name is one that nodes give. */

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { ask } from '../e2e/lib/client.mjs';
import { Fleet } from './lib/fleet.mjs';
import { Redis } from './lib/redis.mjs';

const root = new URL('../../', import.meta.url);
const read = (path) => readFileSync(new URL(path, root), 'utf8');
const named = (text) => [...new Set(text.match(/\bstoa_[a-z0-9_]+/g))];

test('board and alerts name metrics that exist', async (t) => {
  const redis = await Redis.start();
  const fleet = await Fleet.start({ store: redis.url, sects: { one: 1 }, edges: 1 });
  const texts = await Promise.all([...fleet.caches, ...fleet.edges].map((node) => ask(node, 'GET', '/metrics')));
  const given = new Set(texts.flatMap(({ text }) => [...text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1])));
  const board = read('ops/grafana/stoa.json');
  JSON.parse(board);
  const wanted = { board: named(board), alerts: named(read('ops/prometheus/alerts.yml')) };
  for (const [where, names] of Object.entries(wanted)) {
    assert.ok(names.length > 10, `${where} names ${names.length}`);
    assert.deepEqual(names.filter((name) => !given.has(name)), [], `unknown to nodes, in the ${where}`);
  }
  t.diagnostic(`${wanted.board.length} in the board, ${wanted.alerts.length} in the alerts, of ${given.size}`);
});

test('each alert is explained', () => {
  const alerts = [...read('ops/prometheus/alerts.yml').matchAll(/- alert: (\w+)/g)].map((match) => match[1]);
  const manual = read('docs/operations.md');
  assert.deepEqual(alerts.filter((name) => !manual.includes(`\`${name}\``)), []);
});
