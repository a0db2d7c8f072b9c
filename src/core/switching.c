#include "core/switching.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

/* What is known of a room. Lives while it is on a list, or assigned by the switch. */
struct switch_room {
    uint64_t seen;               /* the step in which a node named it */
    uint64_t online, deliveries; /* in that step, the largest that was named */
    bool is_up, is_low;          /* since these times, without a break: */
    int64_t up_since_ms, low_since_ms;
    char dry_sect[LIMIT_SECT + 1]; /* where it would be; empty: where it is */
    char name[LIMIT_ROOM_KEY + 1];
};

/* A VIP sect, with the load of the rooms that are assigned to it. */
struct target {
    const char *sect;
    uint64_t load, nodes;
    uint32_t busy_percent;
};

struct targets {
    struct target list[SWITCH_SECTS];
    size_t count;
};

static struct str room_name(const void *value)
{
    const struct switch_room *it = value;
    return str_of(it->name);
}

bool switch_config_is_on(const struct switch_config *config)
{
    return config->up_online > 0 || config->up_deliveries > 0;
}

void switching_init(struct switching *s, const struct switch_config *config, struct hash_key key)
{
    *s = (struct switching){.config = *config};
    map_init(&s->rooms, key, room_name);
}

static void forget_all(struct switching *s)
{
    MAP_FOREACH (it, &s->rooms) free(it->value);
    struct hash_key key = s->rooms.hash_key;
    map_deinit(&s->rooms);
    map_init(&s->rooms, key, room_name);
}

void switching_deinit(struct switching *s)
{
    forget_all(s);
    map_deinit(&s->rooms);
}

void switching_reset(struct switching *s)
{
    forget_all(s);
    s->now_ms = 0;
}

/* --- what nodes say -------------------------------------------------------------------------- */

static struct switch_room *room_of(struct switching *s, const char *name)
{
    struct switch_room *room = map_get(&s->rooms, str_of(name));
    if (room != NULL) return room;
    room = xcalloc(1, sizeof *room);
    bool fits = str_copy(str_of(name), room->name, sizeof room->name);
    ASSERT(fits);
    map_put(&s->rooms, room);
    return room;
}

static void see(struct switching *s, const struct node_hot_room *hot)
{
    if (hot->room[0] == '\0') return;
    struct switch_room *room = room_of(s, hot->room);
    if (room->seen != s->step) room->online = room->deliveries = 0;
    room->seen = s->step;
    if (hot->online > room->online) room->online = hot->online;
    if (hot->deliveries_per_s > room->deliveries) room->deliveries = hot->deliveries_per_s;
}

/* While a room moves, the nodes that it comes from and those that it goes to may both name it. */
static void see_all(struct switching *s, const struct routes *routes)
{
    for (size_t i = 0; i < routes->node_count; i++) {
        const struct node_record *node = &routes->nodes[i];
        if (node->link[0] == '\0') continue;
        for (uint32_t k = 0; k < node->hot_count && k < NODE_HOT_MAX; k++) see(s, &node->hot[k]);
    }
}

/* What a room of this sect may have that no node names. */
static uint64_t unseen_bound(const struct routes *routes, const char *sect)
{
    uint64_t bound = 0;
    for (size_t i = 0; i < routes->node_count; i++) {
        const struct node_record *node = &routes->nodes[i];
        if (node->hot_count < NODE_HOT_MAX || strcmp(node->sect, sect) != 0) continue;
        uint64_t least = node_hot_weight(&node->hot[NODE_HOT_MAX - 1]);
        if (least > bound) bound = least;
    }
    return bound;
}

/* --- thresholds ------------------------------------------------------------------------------ */

static bool is_up(const struct switch_config *c, const struct switch_room *room)
{
    return (c->up_online > 0 && room->online >= c->up_online) ||
           (c->up_deliveries > 0 && room->deliveries >= c->up_deliveries);
}

static bool is_low(const struct switch_config *c, const struct switch_room *room)
{
    return (c->up_online == 0 || room->online < c->down_online) &&
           (c->up_deliveries == 0 || room->deliveries < c->down_deliveries);
}

static void mark(bool *is, int64_t *since_ms, bool is_now, int64_t now_ms)
{
    if (is_now && !*is) *since_ms = now_ms;
    *is = is_now;
}

static void mark_room(struct switching *s, struct switch_room *room)
{
    mark(&room->is_up, &room->up_since_ms, is_up(&s->config, room), s->now_ms);
    mark(&room->is_low, &room->low_since_ms, is_low(&s->config, room), s->now_ms);
}

static void mark_all(struct switching *s)
{
    MAP_FOREACH (it, &s->rooms) {
        struct switch_room *room = it->value;
        if (room->seen != s->step) room->online = room->deliveries = 0;
        mark_room(s, room);
    }
}

static void unmark_all(struct switching *s)
{
    MAP_FOREACH (it, &s->rooms) {
        struct switch_room *room = it->value;
        room->is_up = room->is_low = false;
    }
}

/* --- where to -------------------------------------------------------------------------------- */

static struct target *target_of(struct targets *targets, const char *sect)
{
    for (size_t i = 0; i < targets->count; i++)
        if (strcmp(targets->list[i].sect, sect) == 0) return &targets->list[i];
    return NULL;
}

static void find_targets(const struct routes *routes, struct targets *ret)
{
    ret->count = 0;
    for (size_t i = 0; i < routes->node_count; i++) {
        const struct node_record *node = &routes->nodes[i];
        if (node->link[0] == '\0' || !routes_is_vip(routes, str_of(node->sect))) continue;
        struct target *target = target_of(ret, node->sect);
        if (target == NULL) {
            if (ret->count == SWITCH_SECTS) continue;
            target = &ret->list[ret->count++];
            *target = (struct target){.sect = node->sect};
        }
        target->nodes++;
        if (node->busy_percent > target->busy_percent) target->busy_percent = node->busy_percent;
    }
}

static uint64_t weight_of(const struct switch_room *room)
{
    return room->online > room->deliveries ? room->online : room->deliveries;
}

static void add_load(struct targets *targets, const char *sect, const struct switch_room *room)
{
    struct target *target = target_of(targets, sect);
    if (target != NULL && room != NULL) target->load += weight_of(room);
}

/* By assignment and not by what the sect's nodes name: a room that was just assigned is not there
 * yet. */
static void weigh_targets(const struct switching *s, const struct routes *routes,
                          struct targets *targets)
{
    for (size_t i = 0; i < routes->route_count; i++)
        add_load(targets, routes->routes[i].sect,
                 map_get(&s->rooms, str_of(routes->routes[i].room)));
    MAP_FOREACH (it, &s->rooms) {
        const struct switch_room *room = it->value;
        add_load(targets, room->dry_sect, room);
    }
}

static bool is_lighter(const struct target *a, const struct target *b)
{
    uint64_t load_a = a->load / a->nodes, load_b = b->load / b->nodes;
    if (load_a != load_b) return load_a < load_b;
    if (a->busy_percent != b->busy_percent) return a->busy_percent < b->busy_percent;
    return strcmp(a->sect, b->sect) < 0;
}

static struct target *lightest(struct targets *targets)
{
    struct target *best = NULL;
    for (size_t i = 0; i < targets->count; i++)
        if (best == NULL || is_lighter(&targets->list[i], best)) best = &targets->list[i];
    return best;
}

/* --- the decision ---------------------------------------------------------------------------- */

struct step {
    struct switching *s;
    const struct routes *routes;
    struct targets targets;
    struct switch_decision *decisions;
    size_t count;
};

static void decide(struct step *step, struct switch_room *room, const char *sect, const char *from)
{
    struct switch_decision *d = &step->decisions[step->count++];
    *d = (struct switch_decision){.online = room->online, .deliveries_per_s = room->deliveries};
    str_copy(str_of(room->name), d->room, sizeof d->room);
    str_copy(str_of(sect), d->sect, sizeof d->sect);
    str_copy(str_of(from), d->from, sizeof d->from);
    if (!step->s->config.is_dry) return;
    str_copy(str_of(sect), room->dry_sect, sizeof room->dry_sect);
    room->is_up = room->is_low = false; /* said once, and again after the same time */
}

static void maybe_promote(struct step *step, struct switch_room *room)
{
    const struct switching *s = step->s;
    if (!room->is_up || s->now_ms - room->up_since_ms < s->config.up_ms) return;
    struct target *target = lightest(&step->targets);
    if (target == NULL) return;
    decide(step, room, target->sect, "");
    target->load += weight_of(room);
}

static void maybe_demote(struct step *step, struct switch_room *room, const char *from)
{
    const struct switching *s = step->s;
    if (!room->is_low || s->now_ms - room->low_since_ms < s->config.down_ms) return;
    decide(step, room, "", from);
}

/* One that no node names may be just below the end of a full list: then it is not known to be low.
 */
static void look_at_assigned(struct step *step, struct switch_room *room, const char *sect)
{
    struct switching *s = step->s;
    if (room->seen != s->step) {
        uint64_t bound = unseen_bound(step->routes, sect);
        struct switch_room worst = {.online = bound, .deliveries = bound};
        if (!is_low(&s->config, &worst)) room->is_low = false;
    }
    if (routes_has_sect(step->routes, str_of(sect))) {
        maybe_demote(step, room, sect);
        return;
    }
    size_t before = step->count;
    maybe_promote(step, room);
    if (step->count == before) maybe_demote(step, room, sect);
}

static void look_at(struct step *step, struct switch_room *room)
{
    const struct route *route = routes_assigned(step->routes, str_of(room->name));
    if (route != NULL && !route->is_automatic) {
        room->is_up = room->is_low = false; /* an operator's */
        room->dry_sect[0] = '\0';
    } else if (room->dry_sect[0] != '\0') {
        char sect[sizeof room->dry_sect];
        memcpy(sect, room->dry_sect, sizeof sect);
        look_at_assigned(step, room, sect);
    } else if (route != NULL) {
        look_at_assigned(step, room, route->sect);
    } else {
        maybe_promote(step, room);
    }
}

static bool is_of_interest(const struct switching *s, const struct routes *routes,
                           const struct switch_room *room)
{
    return room->seen == s->step || room->dry_sect[0] != '\0' ||
           routes_assigned(routes, str_of(room->name)) != NULL;
}

static void forget_others(struct switching *s, const struct routes *routes)
{
    struct switch_room **gone = xmalloc((s->rooms.count + 1) * sizeof *gone);
    size_t count = 0;
    MAP_FOREACH (it, &s->rooms) {
        if (!is_of_interest(s, routes, it->value)) gone[count++] = it->value;
    }
    for (size_t i = 0; i < count; i++) free(map_take(&s->rooms, str_of(gone[i]->name)));
    free(gone);
}

static int by_weight(const void *a, const void *b)
{
    const struct switch_room *x = *(struct switch_room *const *)a;
    const struct switch_room *y = *(struct switch_room *const *)b;
    if (weight_of(x) != weight_of(y)) return weight_of(x) > weight_of(y) ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* The largest first: they find the emptiest sects, and a step holds only so many decisions. */
static void look_at_all(struct step *step)
{
    const struct map *rooms = &step->s->rooms;
    struct switch_room **list = xmalloc((rooms->count + 1) * sizeof *list);
    size_t count = 0;
    MAP_FOREACH (it, rooms) list[count++] = it->value;
    qsort(list, count, sizeof *list, by_weight);
    for (size_t i = 0; i < count && step->count < SWITCH_MAX; i++) look_at(step, list[i]);
    free(list);
}

size_t switching_decide(struct switching *s, const struct routes *routes, int64_t now_ms,
                        struct switch_decision ret[SWITCH_MAX])
{
    struct step step = {.s = s, .routes = routes, .decisions = ret};
    if (!switch_config_is_on(&s->config)) return 0;
    if (now_ms - s->now_ms > SWITCH_GAP_MS) unmark_all(s);
    s->now_ms = now_ms;
    s->step++;
    see_all(s, routes);
    for (size_t i = 0; i < routes->route_count; i++)
        if (routes->routes[i].is_automatic) room_of(s, routes->routes[i].room);
    mark_all(s);
    find_targets(routes, &step.targets);
    weigh_targets(s, routes, &step.targets);
    look_at_all(&step);
    forget_others(s, routes);
    return step.count;
}
