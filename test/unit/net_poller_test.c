/* net/poller.c on sockets of TCP: what an edge-triggered one reports, and when again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/poller.h"
#include "patience.h"

#define NAME 7

struct fixture {
    struct poller poller;
    int ours, theirs; /* ours is watched */
    uint32_t seen;    /* events of the last wait, 0: none */
};

/* --- a connection ----------------------------------------------------------------------------- */

static void connect_both(struct fixture *f)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    f->theirs = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(f->theirs, (struct sockaddr *)&at, len), 0);
    f->ours = accept(listener, NULL, NULL);
    assert_true(f->ours >= 0);
    close(listener);
}

static int setup(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){0};
    connect_both(&fixture);
    assert_int_equal(poller_init(&fixture.poller), 0);
    assert_int_equal(poller_add(&fixture.poller, fixture.ours, NAME, POLLER_IN | POLLER_EDGE), 0);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    close(f->ours);
    close(f->theirs);
    poller_deinit(&f->poller);
    return 0;
}

static void on_events(void *arg, uint64_t name, uint32_t events)
{
    struct fixture *f = arg;
    assert_int_equal(name, NAME);
    f->seen |= events;
}

static void on_soon(void *arg, uint64_t name)
{
}

static uint32_t look(struct fixture *f, int64_t timeout_ms)
{
    f->seen = 0;
    poller_wait(&f->poller, timeout_ms, POLLER_BATCH);
    poller_run(&f->poller, on_events, on_soon, f);
    return f->seen;
}

/* Waits for bytes. Returns the events. */
static uint32_t wait_for_more(struct fixture *f)
{
    uint32_t events = look(f, PATIENCE_MS);
    assert_true((events & POLLER_IN) != 0);
    return events;
}

static void put(struct fixture *f, const char *text, int flags)
{
    assert_int_equal(send(f->theirs, text, strlen(text), flags), (ssize_t)strlen(text));
}

/* Reads once, and there must be just this. */
static void take(struct fixture *f, const char *want)
{
    char got[100];
    ssize_t len = recv(f->ours, got, sizeof got, MSG_DONTWAIT);
    assert_int_equal(len, (ssize_t)strlen(want));
    assert_memory_equal(got, want, strlen(want));
}

static void look_again(struct fixture *f)
{
    poller_change(&f->poller, f->ours, NAME, POLLER_IN | POLLER_EDGE);
}

/* --- the edges -------------------------------------------------------------------------------- */

static void what_was_reported_is_not_again_before_there_is_more(void **state)
{
    struct fixture *f = *state;
    put(f, "a", 0);
    assert_int_equal(wait_for_more(f), POLLER_IN);
    assert_int_equal(look(f, 0), 0); /* although it was not read */
    put(f, "b", 0);
    assert_int_equal(wait_for_more(f), POLLER_IN);
    take(f, "ab");
    assert_int_equal(look(f, 0), 0);
}

static void a_change_has_what_is_left_reported(void **state)
{
    struct fixture *f = *state;
    char one;
    put(f, "ab", 0);
    wait_for_more(f);
    assert_int_equal(recv(f->ours, &one, 1, 0), 1);
    assert_int_equal(look(f, 0), 0);
    look_again(f);
    assert_int_equal(wait_for_more(f), POLLER_IN);
    take(f, "b");
    look_again(f);
    assert_int_equal(look(f, 0), 0);
}

static void what_is_not_watched_is_reported_when_it_is_again(void **state)
{
    struct fixture *f = *state;
    poller_change(&f->poller, f->ours, NAME, POLLER_EDGE);
    put(f, "a", 0);
    assert_int_equal(look(f, 0), 0);
    look_again(f);
    wait_for_more(f);
    take(f, "a");
}

static void an_end_behind_bytes_is_told_with_them(void **state)
{
    struct fixture *f = *state;
    put(f, "a", 0);
    assert_int_equal(shutdown(f->theirs, SHUT_WR), 0);
    assert_int_equal(wait_for_more(f), POLLER_IN | POLLER_LAST);
    take(f, "a");
    look_again(f);
    wait_for_more(f);
    take(f, ""); /* the end */
}

static void an_end_that_comes_later_is_an_edge(void **state)
{
    struct fixture *f = *state;
    put(f, "a", 0);
    wait_for_more(f);
    take(f, "a");
    assert_int_equal(shutdown(f->theirs, SHUT_WR), 0);
    assert_int_equal(wait_for_more(f), POLLER_IN | POLLER_LAST);
    take(f, "");
}

/* A read stops in front of an urgent byte, short, although there is more: a client that sent one got
 * no answer to what came with it. */
static void what_is_behind_urgent_bytes_is_not_lost(void **state)
{
    struct fixture *f = *state;
    put(f, "front", 0);
    put(f, "!", MSG_OOB);
    put(f, "behind", 0);
    assert_true((wait_for_more(f) & POLLER_LAST) != 0);
    take(f, "front");
    look_again(f);
    wait_for_more(f);
    take(f, "behind");
    look_again(f);
    assert_int_equal(look(f, 0), 0);
}

/* Nor does one that stays unread keep anybody busy. */
static void an_urgent_byte_alone_is_nothing_to_read(void **state)
{
    struct fixture *f = *state;
    put(f, "!", MSG_OOB);
    assert_int_equal(look(f, PATIENCE_MS) & POLLER_IN, 0);
    assert_int_equal(look(f, 0), 0);
    put(f, "behind", 0);
    wait_for_more(f);
    take(f, "behind");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_reported_is_not_again_before_there_is_more),
        TEST(a_change_has_what_is_left_reported),
        TEST(what_is_not_watched_is_reported_when_it_is_again),
        TEST(an_end_behind_bytes_is_told_with_them),
        TEST(an_end_that_comes_later_is_an_edge),
        TEST(what_is_behind_urgent_bytes_is_not_lost),
        TEST(an_urgent_byte_alone_is_nothing_to_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
