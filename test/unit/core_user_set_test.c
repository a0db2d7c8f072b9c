/* core/user_set.c: that it is exact whatever the ids and their hashes, keeps their order, and stays
 * small. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/limit.h"
#include "base/rng.h"
#include "core/user_set.h"
#include "unit/viewer_ids.h"

#define KEY ((struct hash_key){1, 2})

static bool add_number(struct user_set *set, uint64_t number)
{
    struct viewer_id id;
    viewer_id_make(&id, 0, number);
    return user_set_add(set, viewer_id_str(&id));
}

static bool has_number(const struct user_set *set, uint64_t number)
{
    struct viewer_id id;
    viewer_id_make(&id, 0, number);
    return user_set_has(set, viewer_id_str(&id));
}

static void set_empty_has_nobody(void **state)
{
    struct user_set set;
    struct str user;
    uint32_t at = 0;
    user_set_init(&set, KEY);
    assert_false(user_set_has(&set, STR("anna")));
    assert_false(user_set_has(&set, STR("")));
    assert_false(user_set_next(&set, &at, &user));
    assert_int_equal(user_set_memory_bytes(&set), 0);
    user_set_deinit(&set);
    user_set_deinit(&set);
}

static void set_has_whom_it_was_given(void **state)
{
    struct user_set set;
    user_set_init(&set, KEY);
    for (uint64_t i = 0; i < USER_SET_MAX; i++) {
        assert_false(has_number(&set, i));
        assert_true(add_number(&set, i));
        assert_false(add_number(&set, i));
        assert_false(add_number(&set, i / 2));
        assert_int_equal(set.count, i + 1);
    }
    for (uint64_t i = 0; i < 2 * USER_SET_MAX; i++)
        assert_int_equal(has_number(&set, i), i < USER_SET_MAX);
    user_set_deinit(&set);
    assert_int_equal(set.count, 0);
    assert_true(add_number(&set, 1));
    user_set_deinit(&set);
}

static void set_gives_users_in_the_order_they_came(void **state)
{
    struct user_set set;
    struct str user;
    uint32_t at = 0;
    user_set_init(&set, KEY);
    for (uint64_t i = 0; i < 3000; i++) add_number(&set, i * 7919 % 3001);
    for (uint64_t i = 0; i < 3000; i++) {
        struct viewer_id id;
        viewer_id_make(&id, 0, i * 7919 % 3001);
        assert_true(user_set_next(&set, &at, &user));
        assert_true(str_eq(user, viewer_id_str(&id)));
    }
    assert_false(user_set_next(&set, &at, &user));
    user_set_deinit(&set);
}

/* Ids of every length and any bytes, one the beginning of the other, one differing in one bit. */
static void set_tells_ids_by_all_their_bytes(void **state)
{
    struct user_set set;
    struct rng rng;
    char bytes[LIMIT_USER_ID];
    rng_init(&rng, 3);
    user_set_init(&set, KEY);
    for (size_t i = 0; i < sizeof(bytes); i++) bytes[i] = (char)rng_next(&rng);
    for (size_t len = 0; len <= sizeof(bytes); len++)
        assert_true(user_set_add(&set, str_make(bytes, len)));
    for (size_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
        assert_true(user_set_add(&set, str_make(bytes, sizeof(bytes))));
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
    }
    for (size_t len = 0; len <= sizeof(bytes); len++)
        assert_false(user_set_add(&set, str_make(bytes, len)));
    assert_int_equal(set.count, 1 + sizeof(bytes) + sizeof(bytes) * 8);
    user_set_deinit(&set);
}

/* As many users as it takes, with ids as long as may be: the last place still fits its slot. */
static void set_takes_the_longest_ids(void **state)
{
    struct user_set set;
    char bytes[LIMIT_USER_ID];
    user_set_init(&set, KEY);
    memset(bytes, 'x', sizeof(bytes));
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < USER_SET_MAX; i++) {
            memcpy(bytes + sizeof(bytes) - sizeof(i), &i, sizeof(i));
            assert_int_equal(user_set_add(&set, str_make(bytes, sizeof(bytes))), round == 0);
        }
    }
    user_set_deinit(&set);
}

static void set_takes_few_bytes_per_user(void **state)
{
    struct user_set set;
    user_set_init(&set, KEY);
    size_t id_bytes = 0;
    for (uint64_t i = 0; i < 10000; i++) {
        struct viewer_id id;
        viewer_id_make(&id, 0, i);
        add_number(&set, i);
        id_bytes += id.len;
        /* 4 bytes in at most 2.67 slots; ids with half more to grow into. */
        if (i >= 100)
            assert_true(user_set_memory_bytes(&set) <=
                        set.count * 11 + (set.count + id_bytes) * 3 / 2);
    }
    assert_true(user_set_memory_bytes(&set) / set.count < 30);
    user_set_deinit(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_empty_has_nobody),
        cmocka_unit_test(set_has_whom_it_was_given),
        cmocka_unit_test(set_gives_users_in_the_order_they_came),
        cmocka_unit_test(set_tells_ids_by_all_their_bytes),
        cmocka_unit_test(set_takes_the_longest_ids),
        cmocka_unit_test(set_takes_few_bytes_per_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
