/* Redis 7 or Valkey, a single server or a Cluster, shared by any number of nodes (store_is_shared).
 *
 *   redis_append ─┐                                    ┌─ redis_library.lua, inside Redis
 *   redis_read   ─┤   words of a command               │
 *   redis_rooms  ─┼─▶ redis.c ─▶ redis_cluster ────────┘
 *   redis_…      ─┘   (jobs under way)      │
 *   redis_news ◀──────── sharded pub/sub ───┘
 *
 * Keys. Those of a room share its hash tag, so that one function reaches all of them:
 *
 *   {app/room}            hash: the record, the tails of both lists, quotas, until when the rest lives
 *   {app/room}:h, :n      streams: the lists. An entry's id is the message's, its fields prev, ordinal,
 *                         type, from, name, body. They expire with their newest message.
 *   {app/room}:k0, :k1    hashes: two generations of idempotency keys
 *   {app/room}:v          sorted set: buckets of viewers; {app/room}:u<bucket> their exact set,
 *                         {app/room}:s<bucket> their sketch (PFCOUNT reads it); bucket 0 is the life
 *   {app/room}:m, :mt     hash of samples by "time:node", sorted set of the same names by time
 *   {app/room#<shard>}:p, :o    who is here, by hash of the user: hash of users, their order
 *   {app}:rooms           sorted set: ids of an app's rooms
 *   {stoa}:nodes, :others, :routes, :leases    hashes: the fleet
 *
 * and the channel {app/room} has what is stored in the room, as it is stored.
 *
 * Durability. A `high` message and everything that is put are acknowledged when `replicas` of the URL
 * have them, too; a normal message when the master has it, which with AOF everysec may lose the last
 * second of a machine. Ids are time, so none is given twice whatever is lost.
 *
 * Order. At most one call per room and list is under way; what is appended meanwhile leaves together in
 * the next. So nothing that the network does can turn messages around. */
#ifndef STOA_STORE_REDIS_H
#define STOA_STORE_REDIS_H

#include "core/store.h"
#include "store/redis_stats.h"

#define REDIS_OPEN_MS  5000 /* for the first answer */
#define REDIS_CLOSE_MS 2000 /* for what is under way at the end */

/* url: redis://… or rediss://… (store/redis_url.h). Runs config->env.loop until the server has
 * answered. 0 and *ret_store, or an error and a sentence for the operator in ret_why:
 * ERR_BAD_REQUEST, ERR_STORE_UNAVAILABLE. Closing runs the loop, too, until what was called has got
 * there, and leaves handles to it that it has to close afterwards. */
int redis_store_open(const char *url, const struct store_config *config, struct store **ret_store,
                     char *ret_why, size_t why_cap);
/* What the network under it counts. NULL: another store. Any thread may read. */
const struct redis_cluster_stats *redis_store_network(struct store *store);

#endif
