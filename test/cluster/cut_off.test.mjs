/* A cache node that is cut off from the others, in either direction and in both: edges go on with the next one of the sect. */

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { newRoom, putRoom } from '../e2e/lib/client.mjs';
import { Fleet } from './lib/fleet.mjs';
import { Namespace, whyNot } from './lib/netns.mjs';
import { Redis } from './lib/redis.mjs';
import { Traffic } from './lib/traffic.mjs';

const APP = '[app "dev"]\nkey = 0123456789abcdef\n';
const why = whyNot();

test('a cache node is cut off: edges go on with the next one', { skip: why ?? false }, async (t) => {
  const spaces = { 'one-0': new Namespace(), 'one-1': new Namespace() };
  // Nodes inside reach Redis, and edges, at the outer end of their own device: a listener on all addresses.
  const redis = await Redis.start({ host: '0.0.0.0', port: 20_000 + (process.pid % 10_000) });
  const place = (name) => ({ host: spaces[name].host, within: spaces[name].within, config: APP }); // --dev is for loopback
  const fleet = new Fleet();
  const urlOf = (space) => `redis://${space.outside}:${redis.port}`;
  await fleet.addCaches(Object.entries(spaces).map(([name, space]) => ({ sect: 'one', store: urlOf(space), ...place(name) })));
  await fleet.addEdges(2);
  const room = newRoom();
  await putRoom(fleet.edges[0], room);
  const traffic = await Traffic.start(t, fleet.edges, room);

  for (const [how, cut, heal] of [
    ['to it', (s) => s.cutIn(), (s) => s.healIn()],
    ['from it', (s) => s.cutOut(), (s) => s.healOut()],
    ['both ways', (s) => { s.cutIn(); s.cutOut(); }, (s) => { s.healIn(); s.healOut(); }],
  ]) {
    const cache = await fleet.serving(() => traffic.more(10));
    const space = Object.values(spaces).find((s) => s.host === cache.host);
    cut(space);
    const took = await traffic.delivered(10_000);
    t.diagnostic(`cut off ${how}: delivered after ${took} ms`);
    assert.ok(took < 14_000, `${took} ms, and not the 15 s after which silence alone ends a link`);
    heal(space);
    await traffic.more(10);
  }
  t.diagnostic(JSON.stringify(await traffic.settle()));
});
