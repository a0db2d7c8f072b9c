/* This node among the others: it says in the store that it is there and how loaded it is, knows the
 * routes, and tells both to those who ask.
 *
 *   every NODE_BEAT_MS   node_beat ──▶ store      (HUB_BEAT_IDLE_MS where it is in no sect and serves
 *                                                  no edge: then no route hangs on it)
 *   every HUB_ROUTES_MS  routes_get ◀── store     (HUB_ROUTES_IDLE_MS where no node serves edges)
 *
 * The copy of the routes says which sect a room is assigned to, as part of its record. What
 * operators ask for (nodes, sects) is read from the store each time: the load of a node changes
 * without a new version.
 *
 * A failed beat is counted and repeated in its turn: the lease outlives five of them. hub_drain()
 * says goodbye, so that edges move on before this node is gone. VIP switching is in core/hub_switch.h.
 *
 * The hub's thread only. With config.nodes.announces off nothing here does anything, and there are
 * no sects. */
#ifndef STOA_CORE_HUB_NODES_H
#define STOA_CORE_HUB_NODES_H

#include "core/metrics.h"
#include "core/routes.h"
#include "core/switching.h"

#define HUB_BEAT_IDLE_MS   1000
#define HUB_ROUTES_MS      250
#define HUB_ROUTES_IDLE_MS 5000
#define HUB_HOT_MS         1000 /* between two looks for the largest rooms */
#define HUB_RATE_MS        5000 /* a room's messages per second are a mean of about this long */

struct hub;
struct hub_room;
struct call;
struct room_settings;

/* What the hub cannot see: the caller fills it in. */
struct hub_load {
    uint32_t busy_percent; /* of the busiest worker */
    uint64_t connections, links;
};

struct hub_nodes_config {
    bool announces;
    char sect[LIMIT_SECT + 1];
    bool is_vip;
    char link[LIMIT_ADDRESS + 1]; /* empty: it serves no edges */
    char version[LIMIT_VERSION + 1];
    struct switch_config switching;
    /* NULL: no load is known. */
    void (*load)(void *arg, struct hub_load *ret);
    /* A room goes to another sect, or would if the switch were not dry. NULL: nobody wants to know. */
    void (*on_switch)(void *arg, const struct switch_decision *decision);
    void *arg;
};

/* How many live nodes a sect has, for /metrics: names are written once, before they are counted, so
 * that any thread may read. Beyond the limit sects are in no metric. */
#define HUB_SECTS_COUNTED 64
struct hub_sects {
    struct counter count;
    struct {
        char name[LIMIT_SECT + 1];
        struct counter nodes;
    } sect[HUB_SECTS_COUNTED];
};

struct hub_switch;

struct hub_nodes {
    struct node_record self;
    bool is_draining;
    bool is_beating, is_asking;      /* a call is under way */
    int64_t beat_ms, ask_ms, hot_ms; /* when it is time for the next */
    struct routes *routes;           /* NULL: none yet */
    struct hub_sects sects;
    struct hub_switch *switching; /* NULL: this node never decides */
};

void hub_nodes_init(struct hub *hub, int64_t now_ms);
void hub_nodes_deinit(struct hub *hub); /* when the store is closed */
/* Says and asks what is due. Returns when to come again. */
int64_t hub_nodes_tick(struct hub *hub);
void hub_nodes_drain(struct hub *hub);
/* The sect that a room is assigned to; STR_NONE: none. Borrowed until the next tick. */
struct str hub_nodes_assigned(const struct hub *hub, struct str room);
void hub_nodes_fill_sect(const struct hub *hub, struct str room, struct room_settings *settings);
/* CALL_ROUTES and CALL_ROOM_SECT. */
void hub_nodes_call(struct hub *hub, struct call *call);

/* A check before a room's settings are changed, and the change behind it, of a CALL_ROOM_PUT that
 * names a sect: `next` runs when the sect is there, with err OK, else ERR_BAD_REQUEST with
 * call->routes, or the store's error. Both return an error when they did not start. */
typedef void hub_sect_cb(struct call *call, int err);
int hub_sect_check(struct hub *hub, struct call *call, hub_sect_cb *next);
int hub_sect_put(struct hub *hub, struct call *call, hub_sect_cb *next);

#endif
