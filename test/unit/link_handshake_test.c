/* The beginning of a link: who proves what, and who is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "link/link_handshake.h"

#define SECRET "the secret of the cluster, 32 bytes"

/* One side: its state, and the reader of what comes to it. */
struct side {
    struct link_handshake_setup setup;
    struct link_handshake handshake;
    struct link_reader reader;
    struct buf out;
};

struct pair {
    struct side edge, cache;
};

static int setup(void **state)
{
    struct pair *pair = test_calloc(1, sizeof(*pair));

    pair->edge.setup = (struct link_handshake_setup){
        .role = LINK_EDGE, .secret = STR(SECRET), .name = STR("edge"), .software = STR("1.0")};
    pair->cache.setup = (struct link_handshake_setup){
        .role = LINK_CACHE, .secret = STR(SECRET), .name = STR("cache"), .software = STR("1.0")};
    memset(pair->edge.setup.nonce, 'e', LINK_NONCE_BYTES);
    memset(pair->cache.setup.nonce, 'c', LINK_NONCE_BYTES);
    *state = pair;
    return 0;
}

static void begin(struct side *side)
{
    link_reader_init(&side->reader, LIMIT_LINK_HELLO);
    link_handshake_start(&side->handshake, &side->setup, &side->out);
}

static void end(struct side *side)
{
    link_reader_deinit(&side->reader);
    buf_deinit(&side->out);
}

static int teardown(void **state)
{
    struct pair *pair = *state;

    end(&pair->edge);
    end(&pair->cache);
    test_free(pair);
    return 0;
}

static bool is_over(const struct side *side)
{
    return side->handshake.state == LINK_IS_PROVED || side->handshake.state == LINK_IS_REFUSED;
}

/* What one side has said comes to the other. */
static void pass(struct side *from, struct side *to)
{
    Link__Packet *packet;

    link_reader_feed(&to->reader, buf_str(&from->out));
    buf_clear(&from->out);
    while (!is_over(to) && link_reader_next(&to->reader, &packet) == LINK_READ_PACKET) {
        link_handshake_take(&to->handshake, packet, &to->out);
        link_packet_free(packet);
    }
}

static void run(struct pair *pair)
{
    begin(&pair->edge);
    begin(&pair->cache);
    for (int i = 0; i < 3; i++) {
        pass(&pair->edge, &pair->cache);
        pass(&pair->cache, &pair->edge);
    }
}

static void both_prove_the_secret(void **state)
{
    struct pair *pair = *state;

    run(pair);
    assert_int_equal(pair->edge.handshake.state, LINK_IS_PROVED);
    assert_int_equal(pair->cache.handshake.state, LINK_IS_PROVED);
    assert_string_equal(pair->edge.handshake.peer.name, "cache");
    assert_string_equal(pair->cache.handshake.peer.name, "edge");
    assert_int_equal(pair->edge.handshake.version, LINK_VERSION);
    assert_true(link_handshake_has(&pair->edge.handshake, LINK_GOODBYE));
    assert_true(link_handshake_has(&pair->cache.handshake, LINK_ROUTES));
}

static void a_wrong_secret_is_refused_and_both_know_why(void **state)
{
    struct pair *pair = *state;

    pair->edge.setup.secret = STR("another secret, also of 32 bytes ..");
    run(pair);
    assert_int_equal(pair->cache.handshake.state, LINK_IS_REFUSED);
    assert_true(pair->cache.handshake.is_secret_wrong);
    assert_int_equal(pair->edge.handshake.state, LINK_IS_REFUSED);
    assert_non_null(strstr(pair->edge.handshake.why, "wrong secret"));
    assert_non_null(strstr(pair->edge.handshake.why, "link_secret"));
}

/* The edge proves first: who only connects sees nothing that the secret made. */
static void a_node_tells_nothing_before_the_proof(void **state)
{
    struct pair *pair = *state;
    struct buf first = {0};

    begin(&pair->edge);
    begin(&pair->cache);
    pass(&pair->edge, &pair->cache);
    buf_add_str(&first, buf_str(&pair->cache.out));
    end(&pair->cache);
    pair->cache.out = (struct buf){0};
    pair->cache.setup.secret = STR("whatever else the secret is, the same");
    begin(&pair->cache);
    begin(&pair->edge);
    pass(&pair->edge, &pair->cache);
    assert_true(str_eq(buf_str(&first), buf_str(&pair->cache.out)));
    buf_deinit(&first);
}

/* What an edge said to a node that chose other random bytes serves nobody. */
static void a_recorded_proof_is_refused(void **state)
{
    struct pair *pair = *state;
    struct buf hello = {0}, proof = {0};

    begin(&pair->edge);
    begin(&pair->cache);
    buf_add_str(&hello, buf_str(&pair->edge.out));
    pass(&pair->edge, &pair->cache);
    pass(&pair->cache, &pair->edge);
    buf_add_str(&proof, buf_str(&pair->edge.out));

    end(&pair->cache);
    pair->cache.out = (struct buf){0};
    memset(pair->cache.setup.nonce, 'd', LINK_NONCE_BYTES);
    begin(&pair->cache);
    struct side thief = {.out = hello};
    pass(&thief, &pair->cache);
    assert_int_equal(pair->cache.handshake.state, LINK_WAITS_FOR_PROOF);
    buf_deinit(&thief.out);
    thief.out = proof;
    pass(&thief, &pair->cache);
    assert_int_equal(pair->cache.handshake.state, LINK_IS_REFUSED);
    buf_deinit(&thief.out);
}

/* A false node that says to an edge what the edge says: its hello, its proof. */
static void an_echo_proves_nothing(void **state)
{
    struct pair *pair = *state;
    struct side echo = {0};

    begin(&pair->edge);
    buf_add_str(&echo.out, buf_str(&pair->edge.out));
    buf_clear(&pair->edge.out);
    pass(&echo, &pair->edge);
    buf_add_str(&echo.out, buf_str(&pair->edge.out));
    if (!is_over(&pair->edge)) pass(&echo, &pair->edge);
    assert_int_equal(pair->edge.handshake.state, LINK_IS_REFUSED);
    buf_deinit(&echo.out);
    begin(&pair->cache);
}

static void who_changes_a_hello_on_the_way_is_found_out(void **state)
{
    struct pair *pair = *state;

    begin(&pair->edge);
    begin(&pair->cache);
    for (size_t i = 0; i + 4 < pair->edge.out.len; i++)
        if (memcmp(pair->edge.out.ptr + i, "1.0", 3) == 0) pair->edge.out.ptr[i] = '0';
    for (int i = 0; i < 3; i++) {
        pass(&pair->edge, &pair->cache);
        pass(&pair->cache, &pair->edge);
    }
    assert_int_equal(pair->cache.handshake.state, LINK_IS_REFUSED);
    assert_int_equal(pair->edge.handshake.state, LINK_IS_REFUSED);
}

static void neighbouring_versions_agree_on_the_older(void **state)
{
    struct pair *pair = *state;

    pair->edge.setup.version = LINK_VERSION + 1;
    pair->edge.setup.oldest = LINK_VERSION;
    run(pair);
    assert_int_equal(pair->edge.handshake.state, LINK_IS_PROVED);
    assert_int_equal(pair->cache.handshake.state, LINK_IS_PROVED);
    assert_int_equal(pair->edge.handshake.version, LINK_VERSION);
    assert_int_equal(pair->cache.handshake.version, LINK_VERSION);
}

static void versions_too_far_apart_are_refused(void **state)
{
    struct pair *pair = *state;

    pair->edge.setup.version = LINK_VERSION + 2;
    pair->edge.setup.oldest = LINK_VERSION + 1;
    run(pair);
    assert_int_equal(pair->cache.handshake.state, LINK_IS_REFUSED);
    assert_false(pair->cache.handshake.is_secret_wrong);
    assert_int_equal(pair->edge.handshake.state, LINK_IS_REFUSED);
    assert_non_null(strstr(pair->edge.handshake.why, "no version in common"));
}

static void a_node_is_not_linked_to_itself(void **state)
{
    struct pair *pair = *state;

    pair->edge.setup.name = pair->cache.setup.name;
    run(pair);
    assert_int_equal(pair->cache.handshake.state, LINK_IS_REFUSED);
    assert_non_null(strstr(pair->edge.handshake.why, "itself"));
}

static void nothing_else_comes_before_the_proof(void **state)
{
    struct pair *pair = *state;
    Link__Watch watch = LINK__WATCH__INIT;
    Link__Packet packet = LINK__PACKET__INIT;

    begin(&pair->edge);
    begin(&pair->cache);
    packet.body_case = LINK__PACKET__BODY_WATCH;
    packet.watch = &watch;
    link_handshake_take(&pair->cache.handshake, &packet, &pair->cache.out);
    assert_int_equal(pair->cache.handshake.state, LINK_IS_REFUSED);
}

static void what_a_node_says_goes_into_the_log_as_plain_text(void **state)
{
    struct pair *pair = *state;
    Link__Refused refused = LINK__REFUSED__INIT;
    Link__Packet packet = LINK__PACKET__INIT;

    begin(&pair->edge);
    begin(&pair->cache);
    refused.why = link_bytes(STR("a\nlevel=error text=\x1b[31m"));
    packet.body_case = LINK__PACKET__BODY_REFUSED;
    packet.refused = &refused;
    link_handshake_take(&pair->edge.handshake, &packet, &pair->edge.out);
    assert_int_equal(pair->edge.handshake.state, LINK_IS_REFUSED);
    assert_null(strchr(pair->edge.handshake.why, '\n'));
    assert_null(strchr(pair->edge.handshake.why, '\x1b'));
}

/* The edge's hello with such a name and version; its state at the node. */
static enum link_handshake_state greet_as(struct pair *pair, size_t name_len, size_t software_len)
{
    Link__Hello hello = LINK__HELLO__INIT;
    Link__Packet packet = LINK__PACKET__INIT;
    char text[256];

    memset(text, 'x', sizeof(text));
    begin(&pair->cache);
    hello.version = hello.oldest = LINK_VERSION;
    hello.nonce = link_bytes(str_make(text, LINK_NONCE_BYTES));
    hello.name = link_bytes(str_make(text, name_len));
    hello.software = link_bytes(str_make(text, software_len));
    packet.body_case = LINK__PACKET__BODY_HELLO;
    packet.hello = &hello;
    link_handshake_take(&pair->cache.handshake, &packet, &pair->cache.out);
    enum link_handshake_state came_to = pair->cache.handshake.state;
    end(&pair->cache);
    return came_to;
}

static void names_and_versions_are_bounded(void **state)
{
    struct pair *pair = *state;

    assert_int_equal(greet_as(pair, LIMIT_NODE_NAME, LIMIT_VERSION), LINK_WAITS_FOR_PROOF);
    assert_int_equal(greet_as(pair, LIMIT_NODE_NAME + 1, LIMIT_VERSION), LINK_IS_REFUSED);
    assert_int_equal(greet_as(pair, LIMIT_NODE_NAME, LIMIT_VERSION + 1), LINK_IS_REFUSED);
    assert_int_equal(greet_as(pair, 0, 0), LINK_IS_REFUSED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_prove_the_secret),
        TEST(a_wrong_secret_is_refused_and_both_know_why),
        TEST(a_node_tells_nothing_before_the_proof),
        TEST(a_recorded_proof_is_refused),
        TEST(an_echo_proves_nothing),
        TEST(who_changes_a_hello_on_the_way_is_found_out),
        TEST(neighbouring_versions_agree_on_the_older),
        TEST(versions_too_far_apart_are_refused),
        TEST(a_node_is_not_linked_to_itself),
        TEST(nothing_else_comes_before_the_proof),
        TEST(names_and_versions_are_bounded),
        TEST(what_a_node_says_goes_into_the_log_as_plain_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
