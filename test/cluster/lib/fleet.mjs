/*
 * fleet.mjs: cache nodes in sects and edges before them, as real processes, over a Redis of lib/redis.mjs. `Server` of the
 * end-to-end tests starts and ends each; every one has a loopback address of its own.
 */

import { Server, newAddress, waitFor, within } from '../../e2e/lib/server.mjs';
import { ask, metric } from '../../e2e/lib/client.mjs';

const LINK_PORT = 7000;
const SECRET = '0123456789abcdef0123456789abcdef';
const env = { STOA_LINK_SECRET: SECRET };

export class Fleet {
  caches = []; // { …Server, sect, link }
  edges = [];

  /** store: URL of the cache nodes. sects: { name: nodes }; those called vip… are VIP sects. Flags: further arguments. */
  static async start({ store, sects = { one: 2 }, edges = 2, cacheFlags = [], edgeFlags = [], drain_s = 1 }) {
    const fleet = new Fleet();
    const each = Object.entries(sects).flatMap(([sect, count]) => Array.from({ length: count }, () => sect));
    await fleet.addCaches(each.map((sect) => ({ store, sect, flags: cacheFlags, drain_s })));
    await fleet.addEdges(edges, { flags: edgeFlags, drain_s });
    return fleet;
  }

  /** Of each, further options as those of Server.start(). */
  async addCaches(list) {
    for (const options of list) this.caches.push(await startCache(options));
  }

  async addEdges(count, { flags = [], drain_s = 1 } = {}) {
    const store = `link://${this.caches.map((c) => c.link).join(',')}`;
    for (let i = 0; i < count; i++) {
      this.edges.push(await Server.start({ store, flags: ['--workers', 1, ...flags], env, drain_s }));
    }
    await Promise.all(this.edges.map(ready));
  }

  /** The cache node that tells edges of what is said now: `talk` must see to it that something is. */
  async serving(talk) {
    const running = this.caches.filter((c) => c.isRunning);
    const told = () => Promise.all(running.map((c) => metric(c, 'stoa_peer_news_total')));
    const before = await told();
    await talk();
    const after = await told();
    const grown = (cache) => after[running.indexOf(cache)] - before[running.indexOf(cache)];
    return running.reduce((most, cache) => (grown(cache) > grown(most) ? cache : most));
  }
}

async function startCache({ store, sect, flags = [], drain_s = 1, host = newAddress(), ...more }) {
  const link = `${host}:${LINK_PORT}`;
  const vip = sect.startsWith('vip') ? ['--vip'] : [];
  const ofLink = ['--link', link, '--advertise', link, '--sect', sect, ...vip];
  const server = await Server.start({ store, host, env, drain_s, flags: ['--workers', 1, ...ofLink, ...flags], ...more });
  return Object.assign(server, { sect, link });
}

export function ready(server) {
  return waitFor(async () => (await ask(server, 'GET', '/readyz')).status === 200, within(10_000), 'a node that is ready');
}
