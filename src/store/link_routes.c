/* Which nodes there are: the seeds, until one of them tells; and a connection to each. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "store/link_internal.h"

/* --- seeds ----------------------------------------------------------------------------------- */

static struct link_peer *peer_by_address(const struct link_store *l, const char *address)
{
    LIST_FOREACH (node, &l->peers) {
        struct link_peer *peer = CONTAINER_OF(node, struct link_peer, node);
        if (strcmp(peer->address.text, address) == 0) return peer;
    }
    return NULL;
}

static struct link_peer *add_peer(struct link_store *l, const struct link_address *address)
{
    struct link_peer *peer = link_peer_new(&l->peer_setup, address);

    list_push(&l->peers, &peer->node);
    return peer;
}

static int parse_seeds(struct link_store *l, struct str addresses, char *why, size_t why_cap)
{
    size_t count = 0;

    for (struct str rest = addresses; rest.ptr != NULL && count <= LIMIT_LINK_SEEDS; count++) {
        struct link_address address;
        struct str one = str_split(rest, ',', &rest);
        if (!link_address_parse(one, &address)) {
            snprintf(why, why_cap, "store \"link://%.*s\": \"%.*s\" is not HOST:PORT",
                     STR_ARG(addresses), STR_ARG(one));
            return ERR_BAD_REQUEST;
        }
        if (peer_by_address(l, address.text) == NULL) add_peer(l, &address)->is_seed = true;
    }
    if (count <= LIMIT_LINK_SEEDS) return OK;
    snprintf(why, why_cap, "store \"link://…\": more than %d addresses", LIMIT_LINK_SEEDS);
    return ERR_BAD_REQUEST;
}

static size_t count_peers(const struct link_store *l)
{
    size_t count = 0;

    LIST_FOREACH (node, &l->peers) count++;
    return count;
}

/* Nodes in no sect, named by their addresses. */
static void make_seed_routes(struct link_store *l)
{
    struct node_record *nodes;
    struct route *routes;
    size_t at = 0;

    l->seeds = routes_alloc(count_peers(l), 0, &nodes, &routes);
    LIST_FOREACH (node, &l->peers) {
        const struct link_peer *peer = CONTAINER_OF(node, struct link_peer, node);
        nodes[at] = (struct node_record){0};
        str_copy(str_of(peer->address.text), nodes[at].name, sizeof(nodes[at].name));
        str_copy(str_of(peer->address.text), nodes[at].link, sizeof(nodes[at].link));
        at++;
    }
}

int link_routes_init(struct link_store *l, struct str addresses, char *why, size_t why_cap)
{
    list_init(&l->peers);
    int err = parse_seeds(l, addresses, why, why_cap);
    make_seed_routes(l);
    l->nodes = l->seeds;
    link_routes_pair(l);
    return err;
}

void link_routes_deinit(struct link_store *l)
{
    for (struct list *node; (node = list_take(&l->peers)) != NULL;)
        link_peer_free(CONTAINER_OF(node, struct link_peer, node));
    free(l->node_peers);
    free(l->seeds);
    free(l->routes);
}

/* --- connections ----------------------------------------------------------------------------- */

/* A seed may be another way to spell the address of a node, or lead to it by a balancer: who has
 * answered with its name is it. */
static struct link_peer *peer_by_name(const struct link_store *l, const char *name)
{
    LIST_FOREACH (node, &l->peers) {
        struct link_peer *peer = CONTAINER_OF(node, struct link_peer, node);
        if (link_peer_is_ready(peer) && strcmp(peer->handshake.peer.name, name) == 0) return peer;
    }
    return NULL;
}

static struct link_peer *peer_of(struct link_store *l, const struct node_record *node)
{
    struct link_address address;
    struct link_peer *peer = peer_by_address(l, node->link);

    if (peer == NULL) peer = peer_by_name(l, node->name);
    if (peer != NULL) return peer;
    if (!link_address_parse(str_of(node->link), &address)) {
        log_warn("link", "the address of node %s cannot be used", node->name);
        return NULL;
    }
    peer = add_peer(l, &address);
    link_peer_tick(peer, 0); /* at once */
    return peer;
}

/* Those of no node go as soon as nothing is under way there; seeds stay: they know the way back. */
static void end_unwanted(struct link_store *l)
{
    LIST_FOREACH_SAFE (node, &l->peers) {
        struct link_peer *peer = CONTAINER_OF(node, struct link_peer, node);
        if (peer->is_wanted || peer->is_seed || peer->call_count > 0) continue;
        list_remove(node);
        if (peer->state >= LINK_PEER_READY) gauge_add(&l->metrics.edge_links, -1);
        link_peer_free(peer);
    }
}

void link_routes_pair(struct link_store *l)
{
    const struct routes *nodes = l->nodes;

    free(l->node_peers);
    l->node_peers = xcalloc(nodes->node_count + 1, sizeof(struct link_peer *));
    LIST_FOREACH (node, &l->peers) CONTAINER_OF(node, struct link_peer, node)->is_wanted = false;
    for (size_t i = 0; i < nodes->node_count; i++) {
        if (nodes->nodes[i].link[0] == '\0') continue;
        struct link_peer *peer = l->node_peers[i] = peer_of(l, &nodes->nodes[i]);
        if (peer != NULL) peer->is_wanted = true;
    }
}

/* --- routes ---------------------------------------------------------------------------------- */

/* Not to one of which this node is one itself, with a link for its store: another of them would find
 * this one in the same routes, and calls would go round. */
static bool lead_on(const struct link_store *l, const struct routes *routes)
{
    bool has_nodes = false;

    for (size_t i = 0; i < routes->node_count; i++) {
        if (routes->nodes[i].link[0] == '\0') continue;
        if (strcmp(routes->nodes[i].name, l->peer_setup.name) == 0) return false;
        has_nodes = true;
    }
    return has_nodes;
}

static void use(struct link_store *l, const struct routes *told)
{
    struct routes *before = l->routes;

    l->routes = routes_copy(told);
    l->nodes = lead_on(l, l->routes) ? l->routes : l->seeds;
    free(before);
    counter_add(&l->metrics.edge_routes_total, 1);
    link_routes_pair(l);
    link_rooms_settle(l);
    link_send_unsent(l);
    end_unwanted(l);
}

static void on_routes(void *arg, int err, const struct routes *routes)
{
    struct link_store *l = arg;

    l->routes_due_ms = uv_now(l->peer_setup.loop) + LINK_ROUTES_MS;
    if (err == OK && routes != NULL) use(l, routes);
    if (err == OK) end_unwanted(l);
}

void link_routes_poll(struct link_store *l)
{
    struct link_request request = {.verb = LINK_ROUTES_GET};
    const union link_cb cb = {.routes = on_routes};
    struct link_peer *peer = link_find_peer(l, STR_NONE);

    if (uv_now(l->peer_setup.loop) < l->routes_due_ms || peer == NULL) return;
    if (!link_handshake_has(&peer->handshake, LINK_ROUTES)) return;
    request.routes_get.known = l->routes != NULL ? l->routes->version : 0;
    if (link_call_start(l, &request, cb, l) == OK) l->routes_due_ms = UINT64_MAX;
}
