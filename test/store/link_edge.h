/* An edge in a test of links: a driver of link:// on a loop of its own, what it has said, and the
 * nodes of the test, which end with it. Calls of one room, that wait for their answer, with a limit.
 *
 * Its clock stands, unless ms_per_turn has it go. */
#ifndef STOA_TEST_LINK_EDGE_H
#define STOA_TEST_LINK_EDGE_H

#include "store/harness.h"

#include "base/wake.h"
#include "store/link.h"
#include "store/link_node.h"

#define EDGE_ROOM      "app/room"
#define EDGE_NODES_MAX 4

struct edge {
    struct link_node *here[EDGE_NODES_MAX]; /* on this loop */
    size_t here_count;
    pid_t far[EDGE_NODES_MAX]; /* processes of the test's */
    size_t far_count;
    uv_loop_t loop;
    struct wake wake;
    uv_poll_t wake_poll;
    uv_prepare_t prepare;
    uv_timer_t limit;
    bool is_over_limit;
    int64_t now_ms;
    int64_t ms_per_turn; /* time passes so with the turns of the loop */
    uint64_t answers;    /* of appends, so far */
    struct store *store;
    struct link_settings settings;
    uint64_t news[4096];
    size_t news_count;
};

/* Of a test, whose state is the edge. Not open yet. */
int edge_setup(void **state);
int edge_teardown(void **state);
/* addresses: HOST:PORT,… */
void edge_open(struct edge *edge, const char *addresses);
/* And waits for so many links: a call is held for LINK_HOLD_MS, which a slow machine may need for
 * the handshake. */
void edge_open_linked(struct edge *edge, const char *addresses, uint64_t links);
void edge_open_at(struct edge *edge, const struct link_node *node);
/* A node on the edge's loop, by its clock. */
struct link_node *edge_node(struct edge *edge, struct link_node_setup setup);

/* Turns the loop until the condition holds. */
#define EDGE_WAIT_FOR(edge, condition)                                                             \
    do {                                                                                           \
        edge_limit((edge), PATIENCE_MS);                                                           \
        while (!(condition) && !(edge)->is_over_limit) uv_run(&(edge)->loop, UV_RUN_ONCE);         \
        uv_timer_stop(&(edge)->limit);                                                             \
        if (!(condition)) fail_msg("%s: not within %d ms", #condition, PATIENCE_MS);               \
    } while (false)

/* From now on, is_over_limit is told after so long. */
void edge_limit(struct edge *edge, uint64_t limit_ms);

/* What the driver counts. */
uint64_t edge_metric(const struct edge *edge, size_t offset);
#define EDGE_METRIC(edge, name) edge_metric((edge), offsetof(struct link_store_metrics, name))

/* What a call came to. */
struct edge_done {
    bool is_done;
    int err;
    uint64_t id;
    bool duplicate;
    uint64_t place; /* among the answers of the edge */
    size_t count;
    uint64_t last;
    struct edge *edge;
};

/* Callbacks whose arg is a struct edge_done. */
void edge_on_done(void *arg, int err);
void edge_on_room(void *arg, int err, const struct room_record *record, bool created);

/* Begins it; *done is the edge's until it is done. */
void edge_append(struct edge *edge, struct edge_done *done, const char *body);
/* These wait. The first and the last give the error. */
int edge_create_room(struct edge *edge);
struct edge_done edge_read_all(struct edge *edge);
int edge_ping(struct edge *edge);

#endif
