#include "store/fleet.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

struct fleet_node {
    struct node_record record;
    int64_t until_ms;
};

void fleet_deinit(struct fleet *f)
{
    for (size_t i = 0; i < f->node_count; i++) free(f->nodes[i]);
    free(f->nodes);
    free(f->routes);
    *f = (struct fleet){0};
}

/* Opens a gap at the index of an array of `count`, which grows. */
static void *open_gap(void *array, size_t count, size_t *cap, size_t item_bytes, size_t index)
{
    if (count == *cap) {
        *cap = *cap == 0 ? 16 : *cap * 2;
        array = xrealloc(array, *cap * item_bytes);
    }
    char *at = (char *)array + index * item_bytes;
    memmove(at + item_bytes, at, (count - index) * item_bytes);
    return array;
}

/* --- nodes ----------------------------------------------------------------------------------- */

/* The place of a node, or that where it would be. */
static size_t node_at(const struct fleet *f, const char *name)
{
    size_t low = 0, high = f->node_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(f->nodes[middle]->record.name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void remove_node(struct fleet *f, size_t at)
{
    free(f->nodes[at]);
    f->node_count--;
    memmove(&f->nodes[at], &f->nodes[at + 1], (f->node_count - at) * sizeof(f->nodes[0]));
    f->version = 0;
}

static void expire_nodes(struct fleet *f, int64_t now_ms)
{
    for (size_t i = f->node_count; i-- > 0;) {
        if (f->nodes[i]->until_ms <= now_ms) remove_node(f, i);
    }
}

/* Most beats change the load alone, and the version costs a look at all nodes and routes. */
static bool routes_alike(const struct node_record *a, const struct node_record *b)
{
    return a->is_vip == b->is_vip && strcmp(a->sect, b->sect) == 0 && strcmp(a->link, b->link) == 0;
}

static int run_beat(struct fleet *f, const struct store_node_beat *in)
{
    expire_nodes(f, in->now_ms);
    size_t at = node_at(f, in->node->name);
    bool is_known = at < f->node_count && strcmp(f->nodes[at]->record.name, in->node->name) == 0;

    if (in->ttl_ms <= 0) {
        if (is_known) remove_node(f, at);
        return 0;
    }
    if (!is_known) {
        if (f->node_count >= LIMIT_NODES) return ERR_OVERLOADED;
        f->nodes = open_gap(f->nodes, f->node_count++, &f->node_cap, sizeof(f->nodes[0]), at);
        f->nodes[at] = xcalloc(1, sizeof(*f->nodes[at]));
        f->version = 0;
    }
    if (!routes_alike(&f->nodes[at]->record, in->node)) f->version = 0;
    f->nodes[at]->record = *in->node;
    f->nodes[at]->until_ms = in->now_ms + in->ttl_ms;
    return 0;
}

/* --- assignments ----------------------------------------------------------------------------- */

static size_t route_at(const struct fleet *f, struct str room)
{
    size_t low = 0, high = f->route_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (str_compare(str_of(f->routes[middle].room), room) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct route *find_route(const struct fleet *f, struct str room)
{
    size_t at = route_at(f, room);
    bool is_known = at < f->route_count && str_eq(str_of(f->routes[at].room), room);

    return is_known ? &f->routes[at] : NULL;
}

void fleet_set_route(struct fleet *f, const struct route *route)
{
    size_t at = route_at(f, str_of(route->room));
    bool is_known = find_route(f, str_of(route->room)) != NULL;

    f->version = 0;
    if (route->sect[0] == '\0') {
        if (!is_known) return;
        f->route_count--;
        memmove(&f->routes[at], &f->routes[at + 1], (f->route_count - at) * sizeof(f->routes[0]));
        return;
    }
    if (!is_known)
        f->routes = open_gap(f->routes, f->route_count++, &f->route_cap, sizeof(f->routes[0]), at);
    f->routes[at] = *route;
}

static int run_put(struct fleet *f, struct route_job *job)
{
    const struct store_route_put *in = &job->in;
    const struct route *known = find_route(f, in->room);

    if (known != NULL && in->is_automatic && !known->is_automatic) return 0;
    if (known == NULL && in->sect.len > 0 && f->route_count >= LIMIT_ROUTES) return ERR_OVERLOADED;
    struct route *out = &job->out;
    ASSERT(str_copy(in->room, out->room, sizeof(out->room)));
    ASSERT(str_copy(in->sect, out->sect, sizeof(out->sect)));
    out->is_automatic = in->is_automatic;
    out->since_ms = in->now_ms;
    fleet_set_route(f, out);
    return 0;
}

/* --- routes ---------------------------------------------------------------------------------- */

static bool is_told(const struct fleet_node *node, bool with_others)
{
    return with_others || node->record.link[0] != '\0';
}

static struct routes *routes_of(const struct fleet *f, bool with_others)
{
    struct node_record *nodes;
    struct route *assigned;
    size_t count = 0;

    for (size_t i = 0; i < f->node_count; i++) count += is_told(f->nodes[i], with_others);
    struct routes *routes = routes_alloc(count, f->route_count, &nodes, &assigned);
    for (size_t i = 0; i < f->node_count; i++) {
        if (is_told(f->nodes[i], with_others)) *nodes++ = f->nodes[i]->record;
    }
    if (f->route_count > 0) memcpy(assigned, f->routes, f->route_count * sizeof(*assigned));
    return routes;
}

static int run_get(struct fleet *f, struct routes_job *job)
{
    expire_nodes(f, job->in.now_ms);
    if (f->version != 0 && f->version == job->in.known) return 0;
    struct routes *routes = routes_of(f, job->in.with_others);
    f->version = routes->version = routes_version(routes);
    if (f->version == job->in.known)
        free(routes);
    else
        job->out = routes;
    return 0;
}

/* --- leases ---------------------------------------------------------------------------------- */

static struct fleet_lease *find_lease(struct fleet *f, struct str name)
{
    for (size_t i = 0; i < f->lease_count; i++) {
        if (str_eq(str_of(f->leases[i].name), name)) return &f->leases[i];
    }
    return NULL;
}

static void expire_leases(struct fleet *f, int64_t now_ms)
{
    for (size_t i = f->lease_count; i-- > 0;) {
        if (f->leases[i].until_ms <= now_ms) f->leases[i] = f->leases[--f->lease_count];
    }
}

static int run_lease(struct fleet *f, struct lease_job *job)
{
    const struct store_lease *in = &job->in;

    expire_leases(f, in->now_ms);
    struct fleet_lease *lease = find_lease(f, in->name);
    if (lease != NULL && !str_eq(str_of(lease->holder), in->holder)) return 0;
    if (in->ttl_ms <= 0) {
        if (lease != NULL) *lease = f->leases[--f->lease_count];
        return 0;
    }
    if (lease == NULL) {
        if (f->lease_count == FLEET_LEASES) return 0;
        lease = &f->leases[f->lease_count++];
        ASSERT(str_copy(in->name, lease->name, sizeof(lease->name)));
        ASSERT(str_copy(in->holder, lease->holder, sizeof(lease->holder)));
    }
    lease->until_ms = in->now_ms + in->ttl_ms;
    job->is_held = true;
    return 0;
}

int fleet_run(struct fleet *f, struct job *job)
{
    switch (job->kind) {
    case JOB_NODE_BEAT: return run_beat(f, &job_beat(job)->in);
    case JOB_ROUTES_GET: return run_get(f, job_routes(job));
    case JOB_ROUTE_PUT: return run_put(f, job_route(job));
    case JOB_LEASE: return run_lease(f, job_lease(job));
    default: UNREACHABLE();
    }
}
