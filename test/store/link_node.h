/* A cache node in the process of a test: a store, a hub and a link server on the test's loop.
 *
 * It goes by the test's clock, which stands unless the test moves it. Its port is free before, and
 * can be taken again by the next one. */
#ifndef STOA_TEST_LINK_NODE_H
#define STOA_TEST_LINK_NODE_H

#include "core/hub.h"
#include "net/link_server.h"
#include "store/faulty.h"

#define LINK_NODE_SECRET "a secret of more than thirty-two bytes"

struct link_node_setup {
    uv_loop_t *loop;
    const int64_t *now_ms;             /* borrowed */
    const char *store;                 /* URL; NULL: memory: */
    const struct store_config *config; /* retention and history; NULL: none */
    const struct faulty_odds *odds;    /* of that store; NULL: it has no faults */
    const char *address;               /* NULL: any free port */
    const char *secret;                /* NULL: LINK_NODE_SECRET */
    const char *name;                  /* NULL: "node" */
    size_t queue_bytes;                /* as in struct link_server_setup */
    uint32_t greeting_ms, silence_ms;
    struct tls *tls;
};

struct link_node;

struct link_node *link_node_new(const struct link_node_setup *setup);
/* HOST:PORT */
const char *link_node_address(const struct link_node *node);
/* What it counts. */
const struct link_metrics *link_node_metrics(const struct link_node *node);
const struct hub_metrics *link_node_hub_metrics(const struct link_node *node);
struct store *link_node_store(const struct link_node *node);
void link_node_drain(struct link_node *node);
/* At once, as if killed. The memory goes with the next turns of the loop. */
void link_node_free(struct link_node *node);

#endif
