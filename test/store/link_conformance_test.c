/* The link keeps the contract of a store, as it is and under faults: an edge's driver, and a cache
 * node over a memory store on the same loop. */
#include "base/log.h"
#include "store/conformance.h"
#include "store/faults.h"
#include "store/link_node.h"

#define SEEDS 3

static void start(struct harness *h)
{
    const struct store_config config = {.retention = {h->retention[0], h->retention[1]},
                                        .history = h->history};
    const struct link_node_setup setup = {
        .loop = &h->loop, .now_ms = &h->now_ms, .config = &config};
    struct link_node *node = link_node_new(&setup);

    h->far = node;
    h->link =
        (struct link_settings){.secret = LINK_NODE_SECRET, .node = "edge", .software = "test"};
    snprintf(h->url, sizeof(h->url), "link://%s", link_node_address(node));
}

static void stop(struct harness *h)
{
    link_node_free(h->far);
}

/* Watched rooms are answered for from the node's copy. */
static int run(const char *name, bool watches, const struct faulty_odds *odds, uint64_t seed)
{
    const struct store_fixture fixture = {
        .name = name, .watches = watches, .start = start, .stop = stop, .odds = odds, .seed = seed};

    return conformance_run(&fixture);
}

int main(void)
{
    int failed = 0;

    log_set_level(LOG_ERROR);
    failed += run("link", false, NULL, 0);
    failed += run("link, watched", true, NULL, 0);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        failed += run("link, faulty", false, &FAULTS, seed);
        failed += run("link, watched, faulty", true, &FAULTS, seed);
    }
    return failed;
}
