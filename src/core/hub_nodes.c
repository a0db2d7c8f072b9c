#include "core/hub_nodes.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/times.h"
#include "core/hub_internal.h"
#include "core/hub_switch.h"

/* A version is a hash. What a metric holds is a double: the part that fits is enough to see whether
 * nodes have the same. */
#define VERSION_SHOWN ((1ull << 48) - 1)

static bool is_serving(const struct hub *hub)
{
    return hub->config.nodes.link[0] != '\0' || hub->config.nodes.sect[0] != '\0';
}

void hub_nodes_init(struct hub *hub, int64_t now_ms)
{
    const struct hub_nodes_config *config = &hub->config.nodes;
    struct hub_nodes *n = &hub->nodes;
    if (!config->announces) return;
    n->self = (struct node_record){.is_vip = config->is_vip, .started_ms = now_ms};
    memcpy(n->self.name, hub->config.node, sizeof n->self.name);
    memcpy(n->self.sect, config->sect, sizeof n->self.sect);
    memcpy(n->self.link, config->link, sizeof n->self.link);
    memcpy(n->self.version, config->version, sizeof n->self.version);
    n->beat_ms = n->ask_ms = n->hot_ms = now_ms;
    if (config->link[0] != '\0' && config->sect[0] != '\0' &&
        switch_config_is_on(&config->switching))
        n->switching = hub_switch_new(hub);
}

void hub_nodes_deinit(struct hub *hub)
{
    free(hub->nodes.routes);
    hub->nodes.routes = NULL;
    hub_switch_free(hub->nodes.switching);
    hub->nodes.switching = NULL;
}

/* --- the load -------------------------------------------------------------------------------- */

/* A message is counted by the ordinals of the tails. A tail that stepped back is that of a store
 * which lost its newest part. */
static uint64_t messages_since(struct hub_room *room)
{
    uint64_t tail = room->feeds[LIST_HIGH].tail_ordinal + room->feeds[LIST_NORMAL].tail_ordinal;
    uint64_t before = room->rate_ordinal;
    room->rate_ordinal = tail;
    return tail > before ? tail - before : 0;
}

/* A room that was just activated has not been silent till now: its tails only begin to count. */
static void update_rate(struct hub_room *room, int64_t now_ms)
{
    int64_t span_ms = now_ms - room->rate_ms;
    uint64_t messages = messages_since(room);
    if (room->rate_ms == 0) span_ms = 0;
    room->rate_ms = now_ms;
    if (span_ms <= 0) return;
    double rate = (double)messages * 1000 / (double)span_ms;
    double part = span_ms >= HUB_RATE_MS ? 1 : (double)span_ms / HUB_RATE_MS;
    room->rate += (rate - room->rate) * part;
}

static void add_hot(struct node_record *self, const struct node_hot_room *hot)
{
    uint32_t at = self->hot_count;
    while (at > 0 && node_hot_weight(&self->hot[at - 1]) < node_hot_weight(hot)) at--;
    if (at == NODE_HOT_MAX) return;
    uint32_t last = self->hot_count < NODE_HOT_MAX ? self->hot_count++ : NODE_HOT_MAX - 1;
    memmove(&self->hot[at + 1], &self->hot[at], (last - at) * sizeof self->hot[0]);
    self->hot[at] = *hot;
}

static void find_hot(struct hub *hub)
{
    struct node_record *self = &hub->nodes.self;
    self->hot_count = 0;
    MAP_FOREACH (it, &hub->rooms) {
        struct hub_room *room = it->value;
        if (room->state != HUB_ROOM_ACTIVE) continue;
        update_rate(room, hub->now_ms);
        struct node_hot_room hot = {.online = room->online_told};
        hot.deliveries_per_s = (uint64_t)(room->rate * (double)room->online_told);
        if (hot.online == 0) continue;
        memcpy(hot.room, room->name, sizeof hot.room);
        add_hot(self, &hot);
    }
}

static void update_load(struct hub *hub)
{
    struct node_record *self = &hub->nodes.self;
    struct hub_load load = {0};
    if (hub->config.nodes.load != NULL) hub->config.nodes.load(hub->config.nodes.arg, &load);
    self->busy_percent = load.busy_percent;
    self->connections = load.connections;
    self->links = load.links;
    self->rooms = hub->rooms.count;
    self->online = counter_get(&hub->metrics.online_users);
    if (hub->now_ms < hub->nodes.hot_ms) return;
    hub->nodes.hot_ms = hub->now_ms + HUB_HOT_MS;
    find_hot(hub);
}

/* --- the beat -------------------------------------------------------------------------------- */

static void on_beat(void *arg, int err)
{
    struct hub *hub = arg;
    hub->nodes.is_beating = false;
    if (err != OK) counter_add(&hub->metrics.beats_failed_total, 1);
}

static void beat(struct hub *hub, int64_t ttl_ms)
{
    const struct store_node_beat in = {
        .node = &hub->nodes.self, .ttl_ms = ttl_ms, .now_ms = hub->now_ms};
    if (store_node_beat(hub->store, &in, on_beat, hub) == OK)
        hub->nodes.is_beating = true;
    else
        counter_add(&hub->metrics.beats_failed_total, 1);
}

/* A beat that is still under way says it all again when it comes back too late: not two at once. */
static void beat_if_due(struct hub *hub)
{
    struct hub_nodes *n = &hub->nodes;
    if (hub->now_ms < n->beat_ms || n->is_draining) return;
    n->beat_ms = hub->now_ms + (is_serving(hub) ? NODE_BEAT_MS : HUB_BEAT_IDLE_MS);
    if (n->is_beating) return;
    update_load(hub);
    beat(hub, NODE_LEASE_MS);
}

/* Behind a beat that is under way: calls of one node keep their order in a store. */
void hub_nodes_drain(struct hub *hub)
{
    struct hub_nodes *n = &hub->nodes;
    if (!hub->config.nodes.announces || n->is_draining) return;
    n->is_draining = true;
    if (n->switching != NULL) hub_switch_give_up(n->switching);
    beat(hub, 0);
}

/* --- the routes ------------------------------------------------------------------------------ */

static struct counter *sect_counter(struct hub_sects *sects, const char *name)
{
    uint64_t count = counter_get(&sects->count);
    for (uint64_t i = 0; i < count; i++)
        if (strcmp(sects->sect[i].name, name) == 0) return &sects->sect[i].nodes;
    bool is_name = name[0] == '\0' || room_id_is_valid(str_of(name)); /* it becomes a label */
    if (count == HUB_SECTS_COUNTED || !is_name) return NULL;
    memcpy(sects->sect[count].name, name, strlen(name) + 1);
    atomic_store_explicit(&sects->count.value, count + 1, memory_order_release);
    return &sects->sect[count].nodes;
}

static void count_nodes(struct hub *hub, const struct routes *routes)
{
    struct hub_sects *sects = &hub->nodes.sects;
    uint64_t per_sect[HUB_SECTS_COUNTED] = {0};
    for (size_t i = 0; i < routes->node_count; i++) {
        struct counter *counter = sect_counter(sects, routes->nodes[i].sect);
        for (int k = 0; counter != NULL && k < HUB_SECTS_COUNTED; k++)
            if (counter == &sects->sect[k].nodes) per_sect[k]++;
    }
    for (int k = 0; k < HUB_SECTS_COUNTED; k++) counter_set(&sects->sect[k].nodes, per_sect[k]);
}

static void take_routes(struct hub *hub, const struct routes *routes)
{
    free(hub->nodes.routes);
    hub->nodes.routes = routes_copy(routes);
    counter_set(&hub->metrics.routes_version, routes->version & VERSION_SHOWN);
    counter_add(&hub->metrics.routes_changes_total, 1);
    counter_set(&hub->metrics.rooms_assigned, routes->route_count);
    count_nodes(hub, routes);
}

static int64_t ask_period_ms(const struct hub *hub)
{
    const struct routes *routes = hub->nodes.routes;
    bool is_fleet = is_serving(hub) || (routes != NULL && routes->node_count > 0);
    return is_fleet ? HUB_ROUTES_MS : HUB_ROUTES_IDLE_MS;
}

/* A node alone that has just learned of a fleet asks more often from now on. */
static void on_routes(void *arg, int err, const struct routes *routes)
{
    struct hub *hub = arg;
    hub->nodes.is_asking = false;
    if (err != OK) counter_add(&hub->metrics.routes_failed_total, 1);
    if (routes == NULL) return;
    take_routes(hub, routes);
    int64_t ask_ms = hub->now_ms + ask_period_ms(hub);
    if (ask_ms < hub->nodes.ask_ms) hub->nodes.ask_ms = ask_ms;
}

static void ask_if_due(struct hub *hub)
{
    struct hub_nodes *n = &hub->nodes;
    if (hub->now_ms < n->ask_ms || n->is_asking) return;
    n->ask_ms = hub->now_ms + ask_period_ms(hub);
    const struct store_routes_get in = {.known = n->routes != NULL ? n->routes->version : 0,
                                        .now_ms = hub->now_ms};
    if (store_routes_get(hub->store, &in, on_routes, hub) == OK)
        n->is_asking = true;
    else
        counter_add(&hub->metrics.routes_failed_total, 1);
}

struct str hub_nodes_assigned(const struct hub *hub, struct str room)
{
    const struct routes *routes = hub->nodes.routes;
    const struct route *route = routes == NULL ? NULL : routes_assigned(routes, room);
    return route == NULL ? STR_NONE : str_of(route->sect);
}

void hub_nodes_fill_sect(const struct hub *hub, struct str room, struct room_settings *settings)
{
    if (!hub->config.nodes.announces) return;
    str_copy(hub_nodes_assigned(hub, room), settings->sect, sizeof settings->sect);
}

/* --- its turn -------------------------------------------------------------------------------- */

int64_t hub_nodes_tick(struct hub *hub)
{
    struct hub_nodes *n = &hub->nodes;
    if (!hub->config.nodes.announces) return INT64_MAX;
    beat_if_due(hub);
    ask_if_due(hub);
    int64_t next_ms = n->is_asking ? INT64_MAX : n->ask_ms;
    if (!n->is_draining) next_ms = earlier(next_ms, n->beat_ms);
    if (n->switching != NULL) next_ms = earlier(next_ms, hub_switch_tick(n->switching));
    return next_ms;
}
