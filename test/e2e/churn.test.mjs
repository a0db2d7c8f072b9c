/* An audience that comes and goes in every way there is: the count and the list are those who are here. bench/churn.sh is
 * the same with thousands. */

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Server, isSlow } from './lib/server.mjs';
import { metric, newRoom, putRoom } from './lib/client.mjs';
import { Churn, runChurn } from './lib/churn.mjs';

const LINGER_S = 3; // longer than a rest, which is told after two
const CONNECTIONS = isSlow ? 150 : 300; // fewer with sanitizers

test('the count and the list are who is here', async (t) => {
  const server = await Server.start({ flags: ['--workers', 3, '--linger-s', LINGER_S] });
  const room = newRoom();
  await putRoom(server, room);
  const churn = new Churn({ server, room, connections: CONNECTIONS, users: CONNECTIONS * 2 / 3, linger_s: LINGER_S, seed: 20251124 });
  await runChurn(churn, { periods: 1, period_ms: 5000, linger_s: LINGER_S, list_every_ms: 500, said: (n) => t.diagnostic(`${n} here`) });
  t.diagnostic(JSON.stringify(churn.stats));
  assert.deepEqual(churn.stats.lost, []);
  assert.equal(await metric(server, 'stoa_online_users'), 0);
  assert.equal(await metric(server, 'stoa_attendees'), 0);
  await server.stop();
});
