#include "core/routes.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

/* Every node has to come to the same order, so the keys are fixed, and changing them moves all rooms
 * of a fleet. Room ids are chosen by those who may create rooms: who wants to crowd a node can do so
 * anyway, by filling one room. */
static const struct hash_key ROOM_KEY = {0x73746f612e726f6f, 0x6d2e726f75746573};
#define SECT_SALT    0x73746f612e736563ull
#define NODE_SALT    0x73746f612e6e6f64ull
#define VERSION_SALT 0x73746f612e766572ull

/* --- version --------------------------------------------------------------------------------- */

/* Each string goes in with its length (SipHash ends with it), so that "ab","c" is not "a","bc". */
static uint64_t add(uint64_t version, const char *text)
{
    return hash_bytes((struct hash_key){version, VERSION_SALT}, str_of(text));
}

static bool is_serving(const struct node_record *node)
{
    return node->link[0] != '\0';
}

uint64_t routes_version(const struct routes *routes)
{
    uint64_t version = 1;
    for (size_t i = 0; i < routes->node_count; i++) {
        const struct node_record *node = &routes->nodes[i];
        if (!is_serving(node)) continue;
        version = add(version, node->name);
        version = add(version, node->sect);
        version = add(version, node->link);
        version = add(version, node->is_vip ? "vip" : "");
    }
    version = add(version, "routes");
    for (size_t i = 0; i < routes->route_count; i++) {
        version = add(version, routes->routes[i].room);
        version = add(version, routes->routes[i].sect);
    }
    return version != 0 ? version : 1;
}

struct routes *routes_alloc(size_t node_count, size_t route_count, struct node_record **ret_nodes,
                            struct route **ret_routes)
{
    size_t node_bytes = node_count * sizeof(struct node_record);
    struct routes *r = xmalloc(sizeof *r + node_bytes + route_count * sizeof(struct route));

    *ret_nodes = (struct node_record *)(void *)(r + 1);
    *ret_routes = (struct route *)(void *)(*ret_nodes + node_count);
    *r = (struct routes){.nodes = *ret_nodes,
                         .node_count = node_count,
                         .routes = *ret_routes,
                         .route_count = route_count};
    return r;
}

struct routes *routes_copy(const struct routes *routes)
{
    struct node_record *nodes;
    struct route *assigned;
    struct routes *copy = routes_alloc(routes->node_count, routes->route_count, &nodes, &assigned);

    for (size_t i = 0; i < routes->node_count; i++) nodes[i] = routes->nodes[i];
    for (size_t i = 0; i < routes->route_count; i++) assigned[i] = routes->routes[i];
    copy->version = routes->version;
    return copy;
}

/* --- sects ----------------------------------------------------------------------------------- */

const struct route *routes_assigned(const struct routes *routes, struct str room)
{
    size_t low = 0, high = routes->route_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_compare(str_of(routes->routes[middle].room), room);
        if (order == 0) return &routes->routes[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static const struct node_record *find_in_sect(const struct routes *routes, struct str sect)
{
    for (size_t i = 0; i < routes->node_count; i++) {
        const struct node_record *node = &routes->nodes[i];
        if (is_serving(node) && str_eq(str_of(node->sect), sect)) return node;
    }
    return NULL;
}

bool routes_has_sect(const struct routes *routes, struct str sect)
{
    return sect.len > 0 && find_in_sect(routes, sect) != NULL;
}

bool routes_is_vip(const struct routes *routes, struct str sect)
{
    for (size_t i = 0; i < routes->node_count; i++) {
        const struct node_record *node = &routes->nodes[i];
        if (node->is_vip && is_serving(node) && str_eq(str_of(node->sect), sect)) return true;
    }
    return false;
}

static uint64_t weigh(uint64_t room_hash, uint64_t salt, const char *name)
{
    return hash_bytes((struct hash_key){room_hash, salt}, str_of(name));
}

/* The ordinary sect of highest random weight. Names decide between equal weights. */
static struct str choose_sect(const struct routes *routes, uint64_t room_hash)
{
    const struct node_record *best = NULL;
    uint64_t best_weight = 0;
    for (size_t i = 0; i < routes->node_count; i++) {
        const struct node_record *node = &routes->nodes[i];
        if (!is_serving(node) || node->sect[0] == '\0') continue;
        uint64_t weight = weigh(room_hash, SECT_SALT, node->sect);
        if (best != NULL && weight < best_weight) continue;
        if (best != NULL && weight == best_weight && strcmp(node->sect, best->sect) >= 0) continue;
        if (routes_is_vip(routes, str_of(node->sect))) continue;
        best = node;
        best_weight = weight;
    }
    return best != NULL ? str_of(best->sect) : STR_NONE;
}

struct str routes_sect(const struct routes *routes, struct str room)
{
    const struct route *route = routes_assigned(routes, room);
    if (route != NULL && routes_has_sect(routes, str_of(route->sect))) return str_of(route->sect);
    return choose_sect(routes, hash_bytes(ROOM_KEY, room));
}

/* --- nodes ----------------------------------------------------------------------------------- */

/* Where a node stands in a room's order. Compared from the first member to the last. */
struct place {
    int group; /* 0: the room's sect, 1: other ordinary ones, 2: VIP sects, 3: nodes in none */
    uint64_t sect_weight, node_weight;
    const struct node_record *node;
};

/* The other ordinary sects before the VIP ones, whose rooms are not to suffer from a dead sect. */
static int group_of(const struct routes *routes, const struct node_record *node, struct str own)
{
    if (node->sect[0] == '\0') return 3;
    if (str_eq(str_of(node->sect), own)) return 0;
    return routes_is_vip(routes, str_of(node->sect)) ? 2 : 1;
}

/* By address, which a node keeps over a restart: then it has the same rooms again. Its name is new. */
static struct place place_of(const struct routes *routes, const struct node_record *node,
                             uint64_t room_hash, struct str own)
{
    return (struct place){.group = group_of(routes, node, own),
                          .sect_weight = weigh(room_hash, SECT_SALT, node->sect),
                          .node_weight = weigh(room_hash, NODE_SALT, node->link),
                          .node = node};
}

static bool is_before(const struct place *a, const struct place *b)
{
    if (a->group != b->group) return a->group < b->group;
    if (a->sect_weight != b->sect_weight) return a->sect_weight > b->sect_weight;
    int order = strcmp(a->node->sect, b->node->sect);
    if (order != 0) return order < 0;
    if (a->node_weight != b->node_weight) return a->node_weight > b->node_weight;
    order = strcmp(a->node->link, b->node->link);
    return order != 0 ? order < 0 : strcmp(a->node->name, b->node->name) < 0;
}

/* A node that was restarted stands beside what it was before, until that lapses: one address, of
 * which the later process is there. */
static bool is_superseded(const struct routes *routes, const struct node_record *node)
{
    for (size_t i = 0; i < routes->node_count; i++) {
        const struct node_record *other = &routes->nodes[i];
        if (other->started_ms > node->started_ms && strcmp(other->link, node->link) == 0)
            return true;
    }
    return false;
}

size_t routes_rank(const struct routes *routes, struct str room, const struct node_record **ret,
                   size_t cap)
{
    struct place places[ROUTES_RANK_MAX];
    struct str own = routes_sect(routes, room);
    uint64_t room_hash = hash_bytes(ROOM_KEY, room);
    size_t count = 0;

    if (cap > ROUTES_RANK_MAX) cap = ROUTES_RANK_MAX;
    for (size_t i = 0; i < routes->node_count && cap > 0; i++) {
        if (!is_serving(&routes->nodes[i])) continue;
        struct place place = place_of(routes, &routes->nodes[i], room_hash, own);
        if (count == cap && !is_before(&place, &places[count - 1])) continue;
        if (is_superseded(routes, place.node)) continue;
        size_t at = count < cap ? count++ : cap - 1;
        for (; at > 0 && is_before(&place, &places[at - 1]); at--) places[at] = places[at - 1];
        places[at] = place;
    }
    for (size_t i = 0; i < count; i++) ret[i] = places[i].node;
    return count;
}
