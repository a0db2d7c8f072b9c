/* VIP switching, carried out: one node of the fleet holds the lease "switch", looks every
 * HUB_SWITCH_MS at what all nodes say of their large rooms, and assigns rooms to VIP sects and back
 * as core/switching.h decides.
 *
 *   lease ──held──▶ routes_get ──▶ decide ──▶ route_put, one after the other ──▶ rest
 *     └──────────── held by another, or the store fails: rest ──────────────────────┘
 *
 * Only nodes in a sect that edges can reach take part. The lease is longer than some failed rounds,
 * and nothing is put after it has lapsed by this node's own clock; should two nodes decide at once
 * nevertheless, a room goes to the sect that was put last, and no message is lost by that. */
#ifndef STOA_CORE_HUB_SWITCH_H
#define STOA_CORE_HUB_SWITCH_H

#include <stdint.h>

#define HUB_SWITCH_MS       1000
#define HUB_SWITCH_LEASE_MS 5000

struct hub;
struct hub_switch;

struct hub_switch *hub_switch_new(struct hub *hub);
void hub_switch_free(struct hub_switch *sw); /* NULL is fine; when the store is closed */
/* Starts a round when one is due. Returns when to come again. */
int64_t hub_switch_tick(struct hub_switch *sw);
/* For good: another node may take over at once. */
void hub_switch_give_up(struct hub_switch *sw);

#endif
