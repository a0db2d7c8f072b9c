/* core/hll.c beside a real Redis: the same users give the same bytes and the same count, and each
 * takes the other's sketches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/limit.h"
#include "base/rng.h"
#include "core/hll.h"
#include "store/redis_peer.h"
#include "store/sketch.h"
#include "unit/hll_bytes.h"
#include "unit/viewer_ids.h"

#define BATCH 1000

/* Dense from the first user on. */
static const char *const OPTIONS[] = {"--hll-sparse-max-bytes", "0", NULL};

static struct redis_peer redis;

static int start_redis(void **state)
{
    redis_peer_start(&redis, OPTIONS);
    return 0;
}

static int stop_redis(void **state)
{
    redis_peer_stop(&redis);
    return 0;
}

static int forget_keys(void **state)
{
    REDIS_ASK(&redis, STR("FLUSHALL"));
    return 0;
}

/* The users first .. end-1 to both. */
static void add_to_both(struct hll *ours, struct str key, uint64_t first, uint64_t end)
{
    struct viewer_id id;
    for (uint64_t at = first; at < end;) {
        uint64_t count = end - at < BATCH ? end - at : BATCH;
        redis_peer_begin(&redis, 2 + count);
        redis_peer_word(&redis, STR("PFADD"));
        redis_peer_word(&redis, key);
        for (uint64_t i = 0; i < count; i++, at++) {
            viewer_id_make(&id, 0, at);
            redis_peer_word(&redis, viewer_id_str(&id));
            hll_add(ours, viewer_id_str(&id));
        }
        redis_peer_end(&redis);
    }
}

static uint64_t pfcount(struct str key)
{
    return (uint64_t)REDIS_ASK(&redis, STR("PFCOUNT"), key).integer;
}

static void put(struct str key, const struct hll *ours)
{
    uint8_t bytes[HLL_DENSE_BYTES];
    hll_write(ours, bytes);
    REDIS_ASK(&redis, STR("SET"), key, str_make((char *)bytes, sizeof(bytes)));
}

/* All but the cached count, which Redis fills in when it counts. */
static void assert_same_bytes(const struct hll *ours, struct str theirs)
{
    uint8_t bytes[HLL_DENSE_BYTES];
    hll_write(ours, bytes);
    assert_int_equal(theirs.len, sizeof(bytes));
    assert_memory_equal(theirs.ptr, bytes, 8);
    assert_memory_equal(theirs.ptr + HLL_HEADER_BYTES, bytes + HLL_HEADER_BYTES,
                        HLL_DENSE_BYTES - HLL_HEADER_BYTES);
}

/* Key has what ours has: the bytes, the count of each by each, and the way back. */
static void assert_agree(const struct hll *ours, struct str key)
{
    struct hll back = {0};
    uint64_t count = hll_count(ours);
    assert_same_bytes(ours, REDIS_ASK(&redis, STR("GET"), key).bytes);
    assert_int_equal(pfcount(key), count);
    put(STR("ours"), ours);
    assert_int_equal(pfcount(STR("ours")), count);
    /* Now with a cached count in it. */
    assert_true(hll_read(&back, REDIS_ASK(&redis, STR("GET"), key).bytes));
    assert_same_bytes(&back, REDIS_ASK(&redis, STR("GET"), key).bytes);
    assert_int_equal(hll_count(&back), count);
    hll_deinit(&back);
}

static void sketches_are_those_of_redis(void **state)
{
    static const uint64_t SIZES[] = {1, 100, 2048, 5000, 10000, 100000, 1000000};
    struct hll ours = {0};
    uint64_t added = 0;
    for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
        add_to_both(&ours, STR("theirs"), added, SIZES[i]);
        added = SIZES[i];
        assert_agree(&ours, STR("theirs"));
    }
    hll_deinit(&ours);
}

/* So many bytes of UTF-8 without control characters: of one, two, three and four bytes each. */
static struct str random_id(struct rng *rng, char *at, size_t len)
{
    static const char *const CHARACTERS[] = {"x", "\u00e9", "\u6c34", "\U0001f600"};
    for (size_t filled = 0, bytes; filled < len; filled += bytes) {
        size_t left = len - filled;
        bytes = 1 + (size_t)rng_below(rng, left < 4 ? left : 4);
        memcpy(at + filled, CHARACTERS[bytes - 1], bytes);
        if (bytes == 1) at[filled] = (char)(' ' + rng_below(rng, 95));
        if (bytes > 1) at[filled + bytes - 1] = (char)(0x80 + rng_below(rng, 64));
    }
    return str_make(at, len);
}

static void ids_of_every_length_and_place_hash_as_in_redis(void **state)
{
    struct rng rng;
    struct hll ours = {0};
    char bytes[8 + LIMIT_USER_ID];
    rng_init(&rng, 11);
    for (size_t len = 1; len <= LIMIT_USER_ID; len++) {
        redis_peer_begin(&redis, 2 + 64);
        redis_peer_word(&redis, STR("PFADD"));
        redis_peer_word(&redis, STR("theirs"));
        for (size_t i = 0; i < 64; i++) {
            struct str id = random_id(&rng, bytes + i % 8, len);
            assert_true(str_is_utf8(id));
            redis_peer_word(&redis, id);
            hll_add(&ours, id);
        }
        redis_peer_end(&redis);
        assert_agree(&ours, STR("theirs"));
    }
    hll_deinit(&ours);
}

static void redis_merges_ours_with_its_own(void **state)
{
    static const uint64_t SIZES[] = {0, 3, 2000, 4000, 50000};
    const size_t count = sizeof(SIZES) / sizeof(SIZES[0]);
    for (size_t i = 0; i < count * count; i++) {
        uint64_t a_end = SIZES[i / count], b_end = a_end / 2 + SIZES[i % count];
        struct hll a = {0}, b = {0};
        add_to_both(&a, STR("a"), 0, a_end);
        add_to_both(&b, STR("b"), a_end / 2, b_end);
        put(STR("ours"), &a);
        REDIS_ASK(&redis, STR("PFMERGE"), STR("both"), STR("ours"), STR("b"));
        hll_merge(&a, &b);
        assert_agree(&a, STR("both"));
        REDIS_ASK(&redis, STR("FLUSHALL"));
        hll_deinit(&a);
        hll_deinit(&b);
    }
}

static void redis_adds_to_ours(void **state)
{
    struct hll ours = {0}, none = {0};
    put(STR("theirs"), &none);
    assert_int_equal(pfcount(STR("theirs")), 0);
    for (uint64_t at = 0; at < 6000; at += 500) {
        add_to_both(&ours, STR("theirs"), at, at + 500);
        assert_agree(&ours, STR("theirs"));
        put(STR("theirs"), &ours);
    }
    hll_deinit(&ours);
}

/* Ranks that only more users than there are would bring about: the estimator has a part for them.
 * (With still higher ones Redis's own count is beyond its integers.) */
static void any_registers_count_as_in_redis(void **state)
{
    struct rng rng;
    rng_init(&rng, 12);
    for (unsigned lowest = 0; lowest <= 46; lowest++) {
        struct hll ours = {0};
        uint8_t bytes[HLL_DENSE_BYTES];
        hll_write(&ours, bytes);
        for (uint32_t i = 0; i < HLL_REGISTERS; i++)
            hll_bytes_set_rank(bytes, i, lowest + (unsigned)rng_below(&rng, 52 - lowest));
        assert_true(hll_read(&ours, str_make((char *)bytes, sizeof(bytes))));
        put(STR("ours"), &ours);
        assert_int_equal(pfcount(STR("ours")), hll_count(&ours));
        hll_deinit(&ours);
    }
}

static void sparse_strings_of_redis_are_refused(void **state)
{
    struct hll ours = {0}, none = {0};
    REDIS_ASK(&redis, STR("CONFIG"), STR("SET"), STR("hll-sparse-max-bytes"), STR("3000"));
    add_to_both(&ours, STR("theirs"), 0, 100);
    assert_false(hll_read(&none, REDIS_ASK(&redis, STR("GET"), STR("theirs")).bytes));
    assert_int_equal(pfcount(STR("theirs")), hll_count(&ours));
    hll_deinit(&ours);
}

/* store/sketch.h takes them, broken ones excepted. */
static void sparse_strings_of_redis_are_read(void **state)
{
    const uint64_t sizes[] = {1, 2, 50, 400, 700};
    REDIS_ASK(&redis, STR("CONFIG"), STR("SET"), STR("hll-sparse-max-bytes"), STR("3000"));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct hll ours = {0}, read = {0};
        uint8_t bytes[HLL_DENSE_BYTES];
        REDIS_ASK(&redis, STR("DEL"), STR("theirs"));
        add_to_both(&ours, STR("theirs"), 0, sizes[i]);
        struct str theirs = REDIS_ASK(&redis, STR("GET"), STR("theirs")).bytes;
        assert_true(theirs.len < HLL_DENSE_BYTES);
        for (size_t len = 0; len < theirs.len; len++)
            assert_false(sketch_read_redis(str_make(theirs.ptr, len), &read));
        assert_true(sketch_read_redis(theirs, &read));
        hll_write(&read, bytes);
        assert_same_bytes(&ours, str_make((char *)bytes, sizeof(bytes)));
        hll_deinit(&ours);
        hll_deinit(&read);
    }
}

static void a_sparse_string_that_overruns_is_refused(void **state)
{
    char bytes[HLL_HEADER_BYTES + 8] = "HYLL\1"; /* then runs of 16384 registers, and one more */
    struct hll read = {0};
    memcpy(bytes + HLL_HEADER_BYTES, "\x7f\xff", 2);
    assert_true(sketch_read_redis(str_make(bytes, HLL_HEADER_BYTES + 2), &read));
    memcpy(bytes + HLL_HEADER_BYTES + 2, "\x84", 1);
    assert_false(sketch_read_redis(str_make(bytes, HLL_HEADER_BYTES + 3), &read));
    bytes[4] = 2; /* no form that there is */
    assert_false(sketch_read_redis(str_make(bytes, HLL_HEADER_BYTES + 2), &read));
    hll_deinit(&read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(sketches_are_those_of_redis, forget_keys),
        cmocka_unit_test_setup(ids_of_every_length_and_place_hash_as_in_redis, forget_keys),
        cmocka_unit_test_setup(redis_merges_ours_with_its_own, forget_keys),
        cmocka_unit_test_setup(redis_adds_to_ours, forget_keys),
        cmocka_unit_test_setup(any_registers_count_as_in_redis, forget_keys),
        cmocka_unit_test_setup(sparse_strings_of_redis_are_refused, forget_keys),
        cmocka_unit_test_setup(sparse_strings_of_redis_are_read, forget_keys),
        cmocka_unit_test_setup(a_sparse_string_that_overruns_is_refused, forget_keys),
    };
    return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
