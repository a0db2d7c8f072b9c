/* The limits of a link at the edge, each reached for real: what its clients can make it hold, and how
 * long it waits for a node. */
#include "store/link_edge.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"

/* --- a node that says nothing ------------------------------------------------------------------ */

/* A port that is listened to, and nobody there to speak. */
static int listen_mutely(char *ret_address, size_t cap)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    snprintf(ret_address, cap, "127.0.0.1:%d", ntohs(addr.sin_port));
    return fd;
}

static bool has_come(int listener, int *fd)
{
    if (*fd < 0) *fd = accept(listener, NULL, NULL);
    return *fd >= 0;
}

static void an_edge_gives_up_a_node_that_says_nothing_and_tries_again(void **state)
{
    struct edge *edge = *state;
    char address[32], bytes[4096];
    int listener = listen_mutely(address, sizeof(address)), first = -1, second = -1;

    edge_open(edge, address);
    EDGE_WAIT_FOR(edge, has_come(listener, &first));
    EDGE_WAIT_FOR(edge, recv(first, bytes, sizeof(bytes), MSG_DONTWAIT) == 0);
    EDGE_WAIT_FOR(edge, has_come(listener, &second));
    close(first);
    close(second);
    close(listener);
}

/* --- calls under way ---------------------------------------------------------------------------- */

struct tally {
    size_t started, failed;
};

static void on_failed(void *arg, int err)
{
    assert_int_equal(err, ERR_STORE_UNAVAILABLE); /* there is no node */
    ((struct tally *)arg)->failed++;
}

static void on_append_failed(void *arg, int err, const struct store_appended *appended)
{
    (void)appended;
    on_failed(arg, err);
}

static void calls_of_an_edge_beyond_the_limit_are_refused(void **state)
{
    struct edge *edge = *state;
    struct tally tally = {0};

    edge_open(edge, "127.0.0.1:1");
    while (store_ping(edge->store, on_failed, &tally) == OK) tally.started++;
    assert_int_equal(tally.started, LIMIT_LINK_CALLS_OUT);
    assert_int_equal(counter_get(&store_stats(edge->store)->overloads), 1);
    EDGE_WAIT_FOR(edge, tally.failed == tally.started);
    assert_int_equal(store_ping(edge->store, on_failed, &tally), OK);
}

static void bytes_of_an_edges_calls_beyond_the_limit_are_refused(void **state)
{
    struct edge *edge = *state;
    struct tally tally = {0};
    char *body = xmalloc(LIMIT_MESSAGE_BODY);
    const struct store_append append = {.room = STR(EDGE_ROOM),
                                        .message = {.list = LIST_NORMAL,
                                                    .type = STR("text"),
                                                    .body = str_make(body, LIMIT_MESSAGE_BODY)},
                                        .now_ms = edge->now_ms};

    memset(body, '1', LIMIT_MESSAGE_BODY);
    edge_open(edge, "127.0.0.1:1");
    while (store_append(edge->store, &append, on_append_failed, &tally) == OK) tally.started++;
    assert_in_range(tally.started, LIMIT_LINK_CALLS_BYTES / LIMIT_MESSAGE_BODY - 10,
                    LIMIT_LINK_CALLS_BYTES / LIMIT_MESSAGE_BODY);
    assert_int_equal(counter_get(&store_stats(edge->store)->overloads), 1);
    EDGE_WAIT_FOR(edge, tally.failed == tally.started);
    assert_int_equal(store_append(edge->store, &append, on_append_failed, &tally), OK);
    free(body);
}

static int open_with_seeds(struct edge *edge, int count, char *ret_why, size_t why_cap)
{
    struct store_config config = {.env = {.loop = &edge->loop}, .link = &edge->settings};
    struct buf seeds = {0};

    for (int i = 0; i < count; i++) buf_printf(&seeds, "%s127.0.0.1:%d", i > 0 ? "," : "", 1 + i);
    buf_add_char(&seeds, '\0');
    int err = link_store_open(seeds.ptr, &config, &edge->store, ret_why, why_cap);
    buf_deinit(&seeds);
    return err;
}

static void more_seeds_than_the_limit_are_refused(void **state)
{
    struct edge *edge = *state;
    char why[256] = "";

    assert_int_equal(open_with_seeds(edge, LIMIT_LINK_SEEDS + 1, why, sizeof(why)),
                     ERR_BAD_REQUEST);
    assert_non_null(strstr(why, "more than 16 addresses"));
    assert_int_equal(open_with_seeds(edge, LIMIT_LINK_SEEDS, why, sizeof(why)), OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, edge_setup, edge_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_edge_gives_up_a_node_that_says_nothing_and_tries_again),
        TEST(calls_of_an_edge_beyond_the_limit_are_refused),
        TEST(bytes_of_an_edges_calls_beyond_the_limit_are_refused),
        TEST(more_seeds_than_the_limit_are_refused),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
