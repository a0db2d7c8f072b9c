/* base/map.c against the simplest thing that can be right: an array of what is in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/map.h"
#include "base/rng.h"

#define KEYS_MAX 600

struct entry {
    char text[16];
    struct str key;
    bool is_in;
    int seen;
};

static struct entry entries[KEYS_MAX];

static struct str key_of_entry(const void *value)
{
    const struct entry *entry = value;
    return entry->key;
}

static void prepare_entries(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int len = snprintf(entries[i].text, sizeof(entries[i].text), "key-%zu", i);
        entries[i].key = str_make(entries[i].text, (size_t)len);
        entries[i].is_in = false;
    }
}

static void check_iteration(const struct map *m, size_t count)
{
    size_t in = 0, seen = 0;
    for (size_t i = 0; i < count; i++) {
        entries[i].seen = 0;
        in += entries[i].is_in;
    }
    MAP_FOREACH (slot, m) {
        struct entry *entry = slot->value;
        assert_true(entry->is_in);
        assert_int_equal(entry->seen++, 0);
        seen++;
    }
    assert_int_equal(seen, in);
    assert_int_equal(m->count, in);
}

static void change_one(struct map *m, struct entry *entry)
{
    assert_ptr_equal(map_get(m, entry->key), entry->is_in ? entry : NULL);
    if (entry->is_in) {
        assert_ptr_equal(map_take(m, entry->key), entry);
    } else {
        assert_null(map_take(m, entry->key));
        map_put(m, entry);
    }
    entry->is_in = !entry->is_in;
}

/* Few keys keep the table small, so that probing runs round its end; many make it grow. */
static void run_random(uint64_t seed, size_t key_count, int steps)
{
    struct rng rng;
    struct map m;
    rng_init(&rng, seed);
    map_init(&m, (struct hash_key){seed, 1}, key_of_entry);
    prepare_entries(key_count);

    for (int step = 0; step < steps; step++) {
        change_one(&m, &entries[rng_below(&rng, key_count)]);
        if (step % 64 == 0) check_iteration(&m, key_count);
    }
    for (size_t i = 0; i < key_count; i++) {
        assert_ptr_equal(map_get(&m, entries[i].key), entries[i].is_in ? &entries[i] : NULL);
    }
    map_deinit(&m);
}

static void map_agrees_with_an_array(void **state)
{
    for (uint64_t seed = 0; seed < 100; seed++) run_random(seed, 3 + seed % 10, 500);
    run_random(1000, KEYS_MAX, 20000);
}

static void map_empty_holds_nothing(void **state)
{
    struct map m;
    map_init(&m, (struct hash_key){1, 2}, key_of_entry);
    assert_null(map_get(&m, STR("a")));
    assert_null(map_take(&m, STR("a")));
    MAP_FOREACH (slot, &m) fail();
    map_deinit(&m);
    map_deinit(&m);
    assert_null(map_get(&m, STR("a")));
}

static void map_tells_keys_by_bytes_not_by_pointer(void **state)
{
    struct map m;
    char twin[] = "room";
    struct entry value = {.key = STR("room")}, other = {.key = str_make("room", 5)},
                 empty = {.key = STR("")};
    map_init(&m, (struct hash_key){1, 2}, key_of_entry);
    map_put(&m, &value);
    map_put(&m, &other);
    map_put(&m, &empty);
    assert_ptr_equal(map_get(&m, str_of(twin)), &value);
    assert_ptr_equal(map_take(&m, str_make("room", 5)), &other);
    assert_ptr_equal(map_take(&m, str_of(twin)), &value);
    assert_ptr_equal(map_get(&m, STR("")), &empty);
    map_deinit(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_agrees_with_an_array),
        cmocka_unit_test(map_empty_holds_nothing),
        cmocka_unit_test(map_tells_keys_by_bytes_not_by_pointer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
