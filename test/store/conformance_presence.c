/* Who is here over several nodes: what they name is counted and listed, what they take back or forget
 * goes. */
#include "store/conformance.h"

#include "base/error.h"

#define ROOM  "app/room"
#define USERS 700

/* --- calls that wait for their answer ---------------------------------------------------------- */

struct put_answer {
    int err;
    bool is_done;
};

static void on_put(void *arg, int err)
{
    struct put_answer *answer = arg;

    assert_false(answer->is_done);
    *answer = (struct put_answer){err, true};
}

static int put(struct harness *h, const struct store_presence_put *in)
{
    struct put_answer answer;
    int err;

    do {
        answer = (struct put_answer){0};
        err = store_presence_put(h->store, in, on_put, &answer);
        if (err == 0) {
            assert_false(answer.is_done);
            harness_wait(h, &answer.is_done);
            err = answer.err;
        }
    } while (harness_has_to_repeat(h, err));
    return err;
}

struct count_answer {
    int err;
    uint64_t online;
    int64_t as_of_ms;
    bool is_done;
};

static void on_count(void *arg, int err, uint64_t online, int64_t as_of_ms)
{
    struct count_answer *answer = arg;

    assert_false(answer->is_done);
    *answer = (struct count_answer){err, online, as_of_ms, true};
}

static uint64_t online(struct harness *h, const char *room)
{
    struct count_answer answer;
    int err;

    do {
        answer = (struct count_answer){0};
        err = store_presence_count(h->store, str_of(room), h->now_ms, on_count, &answer);
        if (err == 0) {
            harness_wait(h, &answer.is_done);
            err = answer.err;
        }
    } while (harness_has_to_repeat(h, err));
    assert_int_equal(err, 0);
    assert_true(answer.as_of_ms <= h->now_ms);
    return answer.online;
}

struct page_answer {
    int err;
    size_t count;
    bool more, is_done;
    char users[STORE_PRESENCE_MAX][LIMIT_USER_ID + 1];
    int64_t since_ms[STORE_PRESENCE_MAX], seen_ms[STORE_PRESENCE_MAX];
    char last[LIMIT_USER_ID + 1];
};

static void on_page(void *arg, int err, const struct store_presence_page *page)
{
    struct page_answer *answer = arg;

    assert_false(answer->is_done);
    assert_int_equal(page != NULL, err == 0);
    answer->err = err;
    answer->is_done = true;
    if (page == NULL) return;
    answer->count = page->count;
    answer->more = page->more;
    str_copy(page->last, answer->last, sizeof(answer->last));
    for (size_t i = 0; i < page->count; i++) {
        str_copy(page->users[i].user, answer->users[i], sizeof(answer->users[i]));
        answer->since_ms[i] = page->users[i].since_ms;
        answer->seen_ms[i] = page->users[i].seen_ms;
    }
}

static const struct page_answer *page(struct harness *h, const struct store_presence_query *query)
{
    static struct page_answer answer;
    int err;

    do {
        answer = (struct page_answer){0};
        err = store_presence_page(h->store, query, on_page, &answer);
        if (err == 0) {
            harness_wait(h, &answer.is_done);
            err = answer.err;
        }
    } while (harness_has_to_repeat(h, err));
    assert_int_equal(err, 0);
    return &answer;
}

/* --- what nodes say ---------------------------------------------------------------------------- */

/* Users "u<from>" to "u<to - 1>", as this node knows them. */
static void name(struct harness *h, const char *node, int from, int to, bool is_gone)
{
    static char names[STORE_PRESENCE_MAX][16];
    static struct store_present users[STORE_PRESENCE_MAX];
    struct store_presence_put in = {.room = STR(ROOM),
                                    .node = str_of(node),
                                    .users = users,
                                    .count = (size_t)(to - from),
                                    .now_ms = h->now_ms};

    for (int i = 0; i < to - from; i++) {
        snprintf(names[i], sizeof(names[i]), "u%d", from + i);
        users[i] = (struct store_present){.user = str_of(names[i]),
                                          .since_ms = h->now_ms - 1000,
                                          .seen_ms = h->now_ms,
                                          .is_gone = is_gone};
    }
    assert_int_equal(put(h, &in), 0);
}

static uint64_t number_of(const char *user)
{
    uint64_t number;

    assert_true(str_parse_u64(str_of(user + 1), &number) && number < USERS);
    return number;
}

/* Walks over all pages; how often each user was on one. */
static void list_all(struct harness *h, uint32_t limit, int ret_times[USERS])
{
    char after[LIMIT_USER_ID + 1] = "";
    const struct page_answer *answer;

    memset(ret_times, 0, USERS * sizeof(ret_times[0]));
    do {
        const struct store_presence_query query = {
            .room = STR(ROOM), .after = str_of(after), .limit = limit, .now_ms = h->now_ms};
        answer = page(h, &query);
        assert_true(answer->count <= limit);
        for (size_t i = 0; i < answer->count; i++) ret_times[number_of(answer->users[i])]++;
        memcpy(after, answer->last, sizeof(after));
    } while (answer->more);
}

static void nobody_is_in_a_room_that_nobody_named(void **state)
{
    struct harness *h = *state;
    const struct store_presence_query query = {.room = STR(ROOM), .limit = 10, .now_ms = h->now_ms};

    assert_int_equal(online(h, ROOM), 0);
    assert_int_equal(page(h, &query)->count, 0);
}

static void a_user_at_two_nodes_is_one_until_both_take_them_back(void **state)
{
    struct harness *h = *state;

    name(h, "a", 0, 10, false);
    name(h, "b", 5, 15, false);
    assert_int_equal(online(h, ROOM), 15);
    name(h, "a", 0, 10, false); /* again: nothing new */
    assert_int_equal(online(h, ROOM), 15);
    name(h, "a", 0, 10, true);
    assert_int_equal(online(h, ROOM), 10);
    name(h, "b", 5, 15, true);
    name(h, "b", 5, 15, true);
    assert_int_equal(online(h, ROOM), 0);
    assert_int_equal(online(h, "app/other"), 0);
}

static void pages_have_everybody_once(void **state)
{
    struct harness *h = *state;
    int times[USERS];

    name(h, "a", 0, 400, false);
    name(h, "b", 300, USERS, false);
    for (uint32_t limit = 1; limit <= STORE_PRESENCE_MAX; limit *= 4) {
        list_all(h, limit, times);
        for (int i = 0; i < USERS; i++) assert_int_equal(times[i], 1);
    }
}

static void a_page_tells_since_when_and_when_last(void **state)
{
    struct harness *h = *state;
    const struct store_presence_query query = {
        .room = STR(ROOM), .prefix = STR("u12"), .limit = 200, .now_ms = h->now_ms};

    int64_t named_ms = h->now_ms; /* under faults, time goes on meanwhile */
    name(h, "a", 0, 200, false);
    const struct page_answer *answer = page(h, &query);
    assert_int_equal(answer->count, 11); /* u12, u120 to u129 */
    for (size_t i = 0; i < answer->count; i++) {
        assert_int_equal(strncmp(answer->users[i], "u12", 3), 0);
        assert_int_equal(answer->since_ms[i], named_ms - 1000);
        assert_int_equal(answer->seen_ms[i], named_ms);
    }
}

/* A node that died says nothing any more; whom another one names again stays. */
static void whom_nobody_names_again_lapses(void **state)
{
    struct harness *h = *state;

    name(h, "dead", 0, 600, false);
    for (int64_t passed = 0; passed < STORE_PRESENCE_TTL_MS + 5000; passed += 1000) {
        if (passed % 20000 == 0) name(h, "alive", 0, 20, false);
        harness_tick(h);
    }
    assert_int_equal(online(h, ROOM), 20);
    name(h, "alive", 0, 20, true);
    for (int i = 0; i < STORE_PRESENCE_TTL_MS / 1000 + 5; i++) harness_tick(h);
    assert_int_equal(online(h, ROOM), 0);
}

static void more_nodes_than_a_room_takes_are_refused(void **state)
{
    struct harness *h = *state;
    const struct store_present user = {
        .user = STR("late"), .since_ms = h->now_ms, .seen_ms = h->now_ms};
    struct store_presence_put in = {
        .room = STR(ROOM), .users = &user, .count = 1, .now_ms = h->now_ms};
    char node[16];
    struct put_answer answer = {0};

    if (!harness_is_plain(h)) skip();
    for (int i = 0; i < LIMIT_ROOM_NODES; i++) {
        snprintf(node, sizeof(node), "n%d", i);
        name(h, node, i, i + 1, false);
    }
    in.node = STR("one too many");
    assert_int_equal(store_presence_put(h->store, &in, on_put, &answer), 0);
    harness_wait(h, &answer.is_done);
    assert_int_equal(answer.err, ERR_OVERLOADED);
    assert_int_equal(online(h, ROOM), LIMIT_ROOM_NODES);
    name(h, "n0", 100, 101, false); /* one that is known */
    assert_int_equal(online(h, ROOM), LIMIT_ROOM_NODES + 1);
}

/* Each start of a node is another name: a room that is never empty must not run out of them. */
static void a_node_that_is_silent_gives_its_place(void **state)
{
    struct harness *h = *state;
    char node[32];

    if (!harness_is_plain(h)) skip();
    for (int i = 0; i < LIMIT_ROOM_NODES; i++) {
        snprintf(node, sizeof(node), "n%d", i);
        name(h, node, i / 2, i + 1, false); /* users of the alive ones, too */
    }
    for (int64_t passed = 0; passed < STORE_PRESENCE_TTL_MS + 5000; passed += 1000) {
        if (passed % 20000 == 0) name(h, "n0", 0, 1, false);
        harness_tick(h);
        online(h, ROOM);
    }
    assert_int_equal(online(h, ROOM), 1);
    for (int i = 0; i < LIMIT_ROOM_NODES - 1; i++) {
        snprintf(node, sizeof(node), "later%d", i);
        name(h, node, 1, 2, false);
    }
    assert_int_equal(online(h, ROOM), 2);
    for (int i = 0; i < LIMIT_ROOM_NODES - 1; i++) {
        snprintf(node, sizeof(node), "later%d", i);
        name(h, node, 1, 2, true);
    }
    name(h, "n0", 0, 1, true);
    assert_int_equal(online(h, ROOM), 0); /* no place has kept what another had in it */
}

/* They said so themselves, at whatever node; one of them has come back since. */
static void who_leaves_every_node_is_gone(void **state)
{
    struct harness *h = *state;
    struct store_present users[] = {{.user = STR("u1"), .is_gone = true},
                                    {.user = STR("u2"), .is_gone = true},
                                    {.user = STR("nobody"), .is_gone = true}};
    struct store_presence_put in = {.room = STR(ROOM), .users = users, .count = 3};

    assert_int_equal(put(h, &in), 0); /* of a room that nobody is in */
    name(h, "a", 0, 4, false);
    name(h, "b", 1, 3, false);
    for (size_t i = 0; i < in.count; i++) users[i].seen_ms = h->now_ms;
    h->now_ms += 1000;
    name(h, "b", 2, 3, false);
    in.now_ms = h->now_ms;
    assert_int_equal(put(h, &in), 0);
    assert_int_equal(online(h, ROOM), 3);
    name(h, "a", 0, 4, true);
    assert_int_equal(online(h, ROOM), 1); /* u2, at b */
    name(h, "b", 1, 3, true);
    assert_int_equal(online(h, ROOM), 0);
}

size_t conformance_presence(struct CMUnitTest *ret_tests)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_in_a_room_that_nobody_named),
        cmocka_unit_test(a_user_at_two_nodes_is_one_until_both_take_them_back),
        cmocka_unit_test(pages_have_everybody_once),
        cmocka_unit_test(a_page_tells_since_when_and_when_last),
        cmocka_unit_test(whom_nobody_names_again_lapses),
        cmocka_unit_test(who_leaves_every_node_is_gone),
        cmocka_unit_test(more_nodes_than_a_room_takes_are_refused),
        cmocka_unit_test(a_node_that_is_silent_gives_its_place),
    };
    return CONFORMANCE_ADD(ret_tests, tests);
}
