/* Which slot a key is in, and which node has which slots: the arithmetic of a Redis Cluster
 * (redis.io/docs/reference/cluster-spec). No connection, no memory of its own. Any thread. */
#ifndef STOA_STORE_REDIS_SLOTS_H
#define STOA_STORE_REDIS_SLOTS_H

#include <hiredis/hiredis.h>

#include "store/redis_url.h"

#define REDIS_SLOTS 16384

/* CRC-16/XMODEM of the part between the first '{' and the next '}', if there is one and it is not
 * empty, else of the whole key. */
uint16_t redis_slot_of(struct str key);

/* "name:port", also of an IPv6 address without brackets, as a server writes it in MOVED and ASK. A
 * name that is empty stands for the host that was asked. False if it is none. */
bool redis_host_read(struct str text, const struct redis_host *asked, struct redis_host *ret_host);
bool redis_host_eq(const struct redis_host *a, const struct redis_host *b);

/* Slots first .. last, and who has them: first the master. */
struct redis_range {
    uint16_t first, last;
    size_t node_count; /* at least 1 */
    struct redis_host nodes[1 + REDIS_REPLICAS_MAX];
};

typedef void redis_range_cb(void *arg, const struct redis_range *range);

/* Tells the ranges of an answer to CLUSTER SLOTS that came from `asked`. ERR_STORE_UNAVAILABLE if it
 * is none; then none was told. */
int redis_ranges_read(const redisReply *reply, const struct redis_host *asked, redis_range_cb *cb,
                      void *arg);

#endif
