/* Every notification is lost, at the cache nodes and at the edges: the fallback polls of both find each message. */

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { newRoom, putRoom, metric } from '../e2e/lib/client.mjs';
import { within } from '../e2e/lib/server.mjs';
import { Fleet } from './lib/fleet.mjs';
import { Redis } from './lib/redis.mjs';
import { Traffic } from './lib/traffic.mjs';

const DROP = ['--test-faults', 'drop_news'];

for (const [where, flags] of Object.entries({
  'cache nodes': { cacheFlags: DROP }, edges: { edgeFlags: DROP }, both: { cacheFlags: DROP, edgeFlags: DROP },
})) {
  test(`every notification is lost at ${where}: messages come, later`, async (t) => {
    const redis = await Redis.start();
    const fleet = await Fleet.start({ store: redis.url, sects: { one: 2 }, edges: 2, ...flags });
    const room = newRoom();
    await putRoom(fleet.edges[0], room);
    const traffic = await Traffic.start(t, fleet.edges, room);
    const took = await traffic.delivered(within(6000));
    t.diagnostic(`delivered after ${took} ms`);
    // A poll of each that loses its notifications, a second at most; 5 s for rooms without readers.
    assert.ok(took < 4500, `${took} ms`);
    t.diagnostic(JSON.stringify(await traffic.settle()));
    const losers = [...(flags.cacheFlags ? fleet.caches : []), ...(flags.edgeFlags ? fleet.edges : [])];
    for (const node of losers) assert.equal(await metric(node, 'stoa_news_applied_total'), 0);
  });
}
