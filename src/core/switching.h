/* Which rooms go to a VIP sect and which come back: the decision alone, from what nodes say of their
 * large rooms (struct node_record, core/routes.h). Who may decide, and carries it out, is
 * core/hub_switch.h.
 *
 *                 at or above an upper threshold for up_ms
 *    ordinary ───────────────────────────────────────────────▶ VIP sect with the least load
 *             ◀───────────────────────────────────────────────
 *                  below all lower thresholds for down_ms
 *
 * Two thresholds and two times (hysteresis) keep a room whose load swings from being moved with each
 * swing. Only rooms that the switch assigned itself come back; whatever an operator assigned is left
 * alone. A room that is on no node's list counts as small, unless the list of a node in its sect is
 * full: then it may be as large as the last one there.
 *
 * Times are observed: a pause of more than SWITCH_GAP_MS between two steps starts them anew, and so
 * does another node that takes over. An automatic assignment whose sect has gone is decided anew.
 *
 * No thread, no clock; the caller owns it. */
#ifndef STOA_CORE_SWITCHING_H
#define STOA_CORE_SWITCHING_H

#include "base/map.h"
#include "core/routes.h"

#define SWITCH_GAP_MS 5000
#define SWITCH_MAX    16 /* decisions of one step; the others come with the next */
#define SWITCH_SECTS  64 /* VIP sects that are looked at */

struct switch_config {
    uint64_t up_online, down_online; /* over all nodes; up 0: the audience decides nothing */
    uint64_t up_deliveries, down_deliveries; /* per second; up 0: traffic decides nothing */
    int64_t up_ms, down_ms;
    bool is_dry; /* what it decides is not carried out: it goes on as if it were */
};

struct switch_decision {
    char room[LIMIT_ROOM_KEY + 1];
    char sect[LIMIT_SECT + 1]; /* empty: the room comes back */
    char from[LIMIT_SECT + 1]; /* of a room that comes back */
    uint64_t online, deliveries_per_s;
};

struct switching {
    struct switch_config config;
    struct map rooms; /* of struct switch_room: those on a list, or assigned by the switch */
    uint64_t step;
    int64_t now_ms;
};

/* Whether anything could ever be decided. */
bool switch_config_is_on(const struct switch_config *config);
void switching_init(struct switching *s, const struct switch_config *config, struct hash_key key);
void switching_deinit(struct switching *s);
/* Another node decides: forget what was observed. */
void switching_reset(struct switching *s);
/* A step: what is to be done now. At most SWITCH_MAX; returns how many. Until it is done, as the
 * routes then say, it is said again. */
size_t switching_decide(struct switching *s, const struct routes *routes, int64_t now_ms,
                        struct switch_decision ret[SWITCH_MAX]);

#endif
