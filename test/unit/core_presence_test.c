/* core/presence.c against the simplest thing that can be right: an array of who is here. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "core/presence.h"

#define START_MS 1732441234567
#define KEY      ((struct hash_key){1, 2})

struct name {
    char text[LIMIT_USER_ID + 1];
};

static struct str name_of(struct name *name, uint32_t number)
{
    int len = snprintf(name->text, sizeof name->text, "user-%u", number);
    return str_make(name->text, (size_t)len);
}

/* --- come, rest, leave ------------------------------------------------------------------------ */

static void nobody_is_here_at_first(void **state)
{
    struct presence p;
    struct str last;
    presence_init(&p, KEY);
    assert_int_equal(presence_workers(&p, STR("alice")), 0);
    assert_false(presence_leave(&p, STR("alice"), 0));
    presence_rest(&p, STR("alice"), 0, START_MS);
    assert_false(
        presence_page(&p, &(struct presence_query){.limit = 1, .scan = 1}, NULL, NULL, &last));
    presence_check(&p);
    presence_deinit(&p);
}

static void a_user_is_here_while_some_worker_holds_them(void **state)
{
    struct presence p;
    presence_init(&p, KEY);
    assert_true(presence_come(&p, STR("alice"), 0, START_MS));
    assert_false(presence_come(&p, STR("alice"), 63, START_MS));
    assert_false(presence_come(&p, STR("alice"), 63, START_MS)); /* twice is once */
    assert_int_equal(presence_workers(&p, STR("alice")), 1 | 1ull << 63);
    assert_false(presence_leave(&p, STR("alice"), 5)); /* never was there */
    assert_false(presence_leave(&p, STR("alice"), 0));
    assert_false(presence_leave(&p, STR("alice"), 0));
    assert_int_equal(p.count, 1);
    assert_true(presence_leave(&p, STR("alice"), 63));
    assert_false(presence_leave(&p, STR("alice"), 63));
    assert_int_equal(p.count, 0);
    presence_deinit(&p);
}

static void ids_of_any_length_are_told_apart(void **state)
{
    char longest[LIMIT_USER_ID];
    struct presence p;
    presence_init(&p, KEY);
    memset(longest, 'u', sizeof longest);
    for (size_t len = 1; len <= LIMIT_USER_ID; len++)
        assert_true(presence_come(&p, str_make(longest, len), 0, START_MS));
    assert_int_equal(p.count, LIMIT_USER_ID);
    presence_check(&p);
    for (size_t len = 1; len <= LIMIT_USER_ID; len++)
        assert_true(presence_leave(&p, str_make(longest, len), 0));
    presence_deinit(&p);
}

static void keep_user(void *arg, const struct presence_user *user)
{
    *(struct presence_user *)arg = *user;
}

static struct presence_user look_at(const struct presence *p, int64_t now_ms)
{
    struct presence_user user = {0};
    struct str last;
    presence_page(p, &(struct presence_query){.limit = 1, .scan = 1, .now_ms = now_ms}, keep_user,
                  &user, &last);
    return user;
}

static void since_is_when_they_came_and_seen_is_now_while_connected(void **state)
{
    struct presence p;
    presence_init(&p, KEY);
    presence_come(&p, STR("alice"), 0, START_MS);
    presence_come(&p, STR("alice"), 1, START_MS + 5000);
    struct presence_user user = look_at(&p, START_MS + 70000);
    assert_true(str_eq(user.user, STR("alice")));
    assert_int_equal(user.workers, 3);
    assert_int_equal(user.since_ms, START_MS);
    assert_int_equal(user.seen_ms, START_MS + 70000);
    presence_deinit(&p);
}

static void who_rests_at_every_worker_was_seen_when_the_last_began(void **state)
{
    struct presence p;
    presence_init(&p, KEY);
    presence_come(&p, STR("alice"), 0, START_MS);
    presence_come(&p, STR("alice"), 1, START_MS);
    presence_rest(&p, STR("alice"), 7, START_MS + 900); /* does not hold them */
    presence_rest(&p, STR("alice"), 0, START_MS + 1000);
    assert_int_equal(look_at(&p, START_MS + 3000).seen_ms, START_MS + 3000); /* still at 1 */
    presence_rest(&p, STR("alice"), 1, START_MS + 4000);
    assert_int_equal(look_at(&p, START_MS + 9000).seen_ms, START_MS + 4000);
    presence_leave(&p, STR("alice"), 0);
    assert_int_equal(look_at(&p, START_MS + 9000).seen_ms, START_MS + 4000);
    presence_back(&p, STR("alice"), 0); /* does not hold them any more */
    presence_back(&p, STR("bob"), 1);   /* is not here */
    assert_int_equal(look_at(&p, START_MS + 9000).seen_ms, START_MS + 4000);
    presence_back(&p, STR("alice"), 1);
    assert_int_equal(look_at(&p, START_MS + 9600).seen_ms, START_MS + 9600);
    presence_rest(&p, STR("alice"), 1, START_MS + 9700);
    presence_come(&p, STR("alice"), 1, START_MS + 9800);
    assert_int_equal(look_at(&p, START_MS + 9900).seen_ms, START_MS + 9900);
    presence_deinit(&p);
}

/* Only the lower half of the time is kept. */
static void seen_is_right_over_the_edge_of_32_bits(void **state)
{
    int64_t edge_ms = (START_MS | UINT32_MAX) + 1;
    struct presence p;
    presence_init(&p, KEY);
    presence_come(&p, STR("alice"), 0, edge_ms - 10);
    presence_rest(&p, STR("alice"), 0, edge_ms - 5);
    assert_int_equal(look_at(&p, edge_ms + 5000).seen_ms, edge_ms - 5);
    assert_int_equal(look_at(&p, edge_ms + 5000).since_ms, edge_ms - 10);
    presence_deinit(&p);
}

/* --- the model -------------------------------------------------------------------------------- */

#define USERS 3000

static void assert_like_model(const struct presence *p, const uint64_t workers[USERS])
{
    struct name name;
    uint64_t count = 0;
    for (uint32_t i = 0; i < USERS; i++) {
        assert_int_equal(presence_workers(p, name_of(&name, i)), workers[i]);
        count += workers[i] != 0;
    }
    assert_int_equal(p->count, count);
    presence_check(p);
}

/* The share of those who come changes, so that the table grows and shrinks over and over. */
static void any_sequence_does_what_the_model_says(void **state)
{
    static uint64_t workers[USERS];
    struct presence p;
    struct name name;
    struct rng rng;
    presence_init(&p, KEY);
    rng_init(&rng, 7);
    memset(workers, 0, sizeof workers);
    for (int step = 0; step < 200000; step++) {
        uint32_t i = (uint32_t)rng_below(&rng, USERS);
        uint16_t worker = (uint16_t)rng_below(&rng, 3);
        uint64_t bit = 1ull << worker, before = workers[i];
        if (rng_below(&rng, 100) < (step / 20000 % 2 == 0 ? 80 : 15)) {
            workers[i] |= bit;
            assert_int_equal(presence_come(&p, name_of(&name, i), worker, START_MS), before == 0);
        } else {
            workers[i] &= ~bit;
            assert_int_equal(presence_leave(&p, name_of(&name, i), worker),
                             before != 0 && workers[i] == 0);
        }
        if (step % 5000 == 0) assert_like_model(&p, workers);
    }
    assert_like_model(&p, workers);
    presence_deinit(&p);
}

/* --- pages ------------------------------------------------------------------------------------ */

struct listing {
    uint32_t times[2 * USERS]; /* by number of the user */
    uint32_t told;
    struct name last;
};

static void list_user(void *arg, const struct presence_user *user)
{
    struct listing *l = arg;
    uint64_t number;
    assert_true(str_starts(user->user, STR("user-")));
    assert_true(str_parse_u64(str_make(user->user.ptr + 5, user->user.len - 5), &number));
    l->times[number]++;
    l->told++;
}

/* One page behind the last; false: that was the end. */
static bool list_page(const struct presence *p, struct listing *l, struct presence_query query)
{
    struct str last;
    query.after = str_of(l->last.text);
    bool more = presence_page(p, &query, list_user, l, &last);
    if (more) str_copy(last, l->last.text, sizeof l->last.text);
    return more;
}

static void come_many(struct presence *p, uint32_t from, uint32_t to)
{
    struct name name;
    for (uint32_t i = from; i < to; i++) presence_come(p, name_of(&name, i), 0, START_MS);
}

static void leave_many(struct presence *p, uint32_t from, uint32_t to)
{
    struct name name;
    for (uint32_t i = from; i < to; i++) presence_leave(p, name_of(&name, i), 0);
}

static void pages_of_any_size_list_everybody_once(void **state)
{
    static const uint32_t sizes[] = {1, 2, 7, 100, 1000, USERS - 1, USERS, USERS + 1};
    struct presence p;
    presence_init(&p, KEY);
    come_many(&p, 0, USERS);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct listing l = {0};
        uint32_t pages = 1;
        while (list_page(&p, &l, (struct presence_query){.limit = sizes[i], .scan = UINT32_MAX}))
            pages++;
        for (uint32_t k = 0; k < USERS; k++) assert_int_equal(l.times[k], 1);
        assert_int_equal(pages, (USERS + sizes[i] - 1) / sizes[i]); /* none is empty */
    }
    presence_deinit(&p);
}

/* Users below USERS stay; the others come and go between any two pages, so many that the table
 * grows and shrinks. */
static void who_stays_is_listed_once_while_others_come_and_go(void **state)
{
    struct rng rng;
    rng_init(&rng, 11);
    for (int run = 0; run < 20; run++) {
        struct presence p;
        struct listing l = {0};
        struct name name;
        presence_init(&p, (struct hash_key){1, (uint64_t)run});
        come_many(&p, 0, USERS);
        while (list_page(&p, &l, (struct presence_query){.limit = 50, .scan = UINT32_MAX})) {
            bool comes = rng_below(&rng, 2) > 0;
            uint32_t many = (uint32_t)rng_below(&rng, USERS);
            for (uint32_t i = 0; i < many; i++) {
                struct str user = name_of(&name, USERS + (uint32_t)rng_below(&rng, USERS));
                if (comes)
                    presence_come(&p, user, 0, START_MS);
                else
                    presence_leave(&p, user, 0);
            }
        }
        for (uint32_t k = 0; k < USERS; k++) assert_int_equal(l.times[k], 1);
        for (uint32_t k = USERS; k < 2 * USERS; k++) assert_true(l.times[k] <= 1);
        presence_check(&p);
        presence_deinit(&p);
    }
}

static void a_page_goes_on_behind_one_who_has_left(void **state)
{
    struct presence p;
    struct listing l = {0};
    presence_init(&p, KEY);
    come_many(&p, 0, USERS);
    while (list_page(&p, &l, (struct presence_query){.limit = 10, .scan = UINT32_MAX}))
        presence_leave(&p, str_of(l.last.text), 0);
    for (uint32_t k = 0; k < USERS; k++) assert_int_equal(l.times[k], 1);
    presence_deinit(&p);
}

static void everybody_may_leave_under_a_listing(void **state)
{
    struct presence p;
    struct listing l = {0};
    presence_init(&p, KEY);
    come_many(&p, 0, USERS);
    assert_true(list_page(&p, &l, (struct presence_query){.limit = 10, .scan = UINT32_MAX}));
    leave_many(&p, 0, USERS);
    assert_false(list_page(&p, &l, (struct presence_query){.limit = 10, .scan = UINT32_MAX}));
    assert_int_equal(l.told, 10);
    presence_deinit(&p);
}

static void a_prefix_is_searched_a_bounded_part_at_a_time(void **state)
{
    struct presence p;
    struct listing l = {0};
    uint32_t pages = 1;
    presence_init(&p, KEY);
    come_many(&p, 0, USERS);
    while (list_page(&p, &l,
                     (struct presence_query){.prefix = STR("user-29"), .limit = 1000, .scan = 100}))
        pages++;
    assert_int_equal(pages, USERS / 100);
    assert_int_equal(l.told, 1 + 10 + 100); /* 29, 290 to 299, 2900 to 2999 */
    for (uint32_t k = 2900; k < 3000; k++) assert_int_equal(l.times[k], 1);
    l = (struct listing){0};
    assert_true(list_page(
        &p, &l, (struct presence_query){.prefix = STR("user-29"), .limit = 3, .scan = UINT32_MAX}));
    assert_int_equal(l.told, 3);
    presence_deinit(&p);
}

/* --- memory and time -------------------------------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ALLOCATOR_IS_PLAIN false /* the sanitizers' keeps more for itself */
#else
#define ALLOCATOR_IS_PLAIN true
#endif

static size_t allocated_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* Ids of every length, as the allocator rounds up; and the table at every load that it comes to. */
static void a_user_takes_at_most_64_bytes_and_the_id(void **state)
{
    if (!ALLOCATOR_IS_PLAIN) skip();
    for (uint32_t id_bytes = 6; id_bytes <= LIMIT_USER_ID; id_bytes++) {
        char id[LIMIT_USER_ID + 1];
        struct presence p;
        presence_init(&p, KEY);
        size_t before = allocated_bytes();
        for (uint32_t i = 1; i <= 20000; i++) {
            snprintf(id, sizeof id, "%0*u", (int)id_bytes, i);
            presence_come(&p, str_of(id), 0, START_MS);
            /* A segment is 64 buckets: a small table is a matter of bytes a room. Now and then, since
             * the allocator walks over all that is free to say what is not. */
            if (i < 1000 || i % 32 != 0) continue;
            size_t bytes = allocated_bytes() - before;
            assert_true(bytes <= (size_t)i * (PRESENCE_USER_BYTES + id_bytes));
        }
        presence_deinit(&p);
    }
}

static void memory_goes_back_when_users_go(void **state)
{
    if (!ALLOCATOR_IS_PLAIN) skip();
    struct presence p;
    presence_init(&p, KEY);
    size_t before = allocated_bytes();
    come_many(&p, 0, 100000);
    leave_many(&p, 1000, 100000);
    assert_true(allocated_bytes() - before < 200000);
    presence_check(&p);
    presence_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_here_at_first),
        cmocka_unit_test(a_user_is_here_while_some_worker_holds_them),
        cmocka_unit_test(ids_of_any_length_are_told_apart),
        cmocka_unit_test(since_is_when_they_came_and_seen_is_now_while_connected),
        cmocka_unit_test(who_rests_at_every_worker_was_seen_when_the_last_began),
        cmocka_unit_test(seen_is_right_over_the_edge_of_32_bits),
        cmocka_unit_test(any_sequence_does_what_the_model_says),
        cmocka_unit_test(pages_of_any_size_list_everybody_once),
        cmocka_unit_test(who_stays_is_listed_once_while_others_come_and_go),
        cmocka_unit_test(a_page_goes_on_behind_one_who_has_left),
        cmocka_unit_test(everybody_may_leave_under_a_listing),
        cmocka_unit_test(a_prefix_is_searched_a_bounded_part_at_a_time),
        cmocka_unit_test(a_user_takes_at_most_64_bytes_and_the_id),
        cmocka_unit_test(memory_goes_back_when_users_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
