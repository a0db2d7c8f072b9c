// What faults.sh runs (faults.mjs FILE): the faults of test/cluster/lib/faults.mjs, more of them, and a report. Exit status 1: something that
// was acknowledged is missing, or was stored twice; 2: it could not be run to its end.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { Faults } from '../../test/cluster/lib/faults.mjs';
import { Fleet } from '../../test/cluster/lib/fleet.mjs';
import { RedisCluster } from '../../test/cluster/lib/redis.mjs';

const count = Number(process.env.FAULTS);
const seed = Number(process.env.SEED);
const number = (value) => value.toLocaleString('en');
const machine = execFileSync('bash', ['-c', '. bench/lib/server.sh; machine'], { encoding: 'utf8' }).trim();

// A test, so that what lib/ starts is ended in any case.
test('faults', async () => {
  process.exitCode = 2;
  const cluster = await RedisCluster.start();
  // Everything is kept: what retention has removed would look like lost.
  const cacheFlags = ['--retention-high-count', 0];
  const fleet = await Fleet.start({ store: cluster.url, sects: { one: 2 }, edges: 1, cacheFlags });
  const said = (fault) => console.error(JSON.stringify(fault));
  const r = await new Faults({ cluster, nodes: fleet.caches, seed, said }).run(count);
  writeFileSync(process.argv[2], `# Faults of Redis masters

\`FAULTS=${count} SEED=${seed} bench/faults.sh\`, ${new Date().toISOString().slice(0, 10)}. ${machine}.
Three masters with a replica each (cluster-node-timeout 2000, AOF everysec), two nodes, 12 connections that send \`high\`.

| | |
| --- | --: |
| faults | ${r.faults} |
| of them SIGKILL | ${r.kills} |
| of them SIGSTOP until the replica was promoted, then SIGCONT | ${r.stops} |
| \`high\` messages acknowledged | ${number(r.acknowledged)} |
| requests made for them | ${number(r.tries)} |
| **acknowledged and missing in the store** | **${r.missing}** |
| stored twice | ${r.doubled} |
| from the fault to the promoted replica, ms: least, median, most | ${r.promoted_ms.min}, ${r.promoted_ms.median}, ${r.promoted_ms.max} |
`);
  process.exitCode = r.missing + r.doubled > 0 || r.faults < count ? 1 : 0;
});
