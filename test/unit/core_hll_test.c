/* core/hll.c: its bytes against a second, simpler way to make them; both forms against each other;
 * what it reads and refuses. How near its counts are: core_viewers_accuracy_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/hash.h"
#include "base/rng.h"
#include "core/hll.h"
#include "unit/hll_bytes.h"

/* Sparse, near the change of form on both sides, dense. */
static const uint64_t SIZES[] = {0, 1, 2, 100, 2000, 2190, 2400, 5000, 100000};
#define SIZE_COUNT (sizeof(SIZES) / sizeof(SIZES[0]))

static bool add_number(struct hll *hll, uint64_t number)
{
    char name[32];
    int len = snprintf(name, sizeof(name), "user-%llu", (unsigned long long)number);
    return hll_add(hll, str_make(name, (size_t)len));
}

static void add_range(struct hll *hll, uint64_t first, uint64_t end)
{
    for (uint64_t i = first; i < end; i++) add_number(hll, i);
}

static struct str dense_of(const struct hll *hll, uint8_t bytes[HLL_DENSE_BYTES])
{
    hll_write(hll, bytes);
    return str_make((char *)bytes, HLL_DENSE_BYTES);
}

static void assert_same(const struct hll *a, const struct hll *b)
{
    uint8_t a_bytes[HLL_DENSE_BYTES], b_bytes[HLL_DENSE_BYTES];
    hll_write(a, a_bytes);
    hll_write(b, b_bytes);
    assert_memory_equal(a_bytes, b_bytes, HLL_DENSE_BYTES);
    assert_int_equal(hll_count(a), hll_count(b));
}

static void hll_empty_counts_nothing(void **state)
{
    static const uint8_t HEADER[HLL_HEADER_BYTES] = {'H', 'Y', 'L', 'L', [15] = 0x80};
    struct hll hll = {0};
    uint8_t bytes[HLL_DENSE_BYTES];
    assert_int_equal(hll_count(&hll), 0);
    assert_int_equal(hll_memory_bytes(&hll), 0);
    hll_write(&hll, bytes);
    assert_memory_equal(bytes, HEADER, HLL_HEADER_BYTES);
    for (size_t i = HLL_HEADER_BYTES; i < HLL_DENSE_BYTES; i++) assert_int_equal(bytes[i], 0);
    hll_deinit(&hll);
}

static void hll_counts_few_users_exactly(void **state)
{
    struct hll hll = {0};
    for (uint64_t i = 0; i < 20; i++) {
        assert_int_equal(hll_count(&hll), i);
        assert_true(add_number(&hll, i));
        assert_false(add_number(&hll, i));
    }
    hll_deinit(&hll);
}

/* SipHash of the registers, and the count, that a redis-server 7.0 has after PFADD of the same
 * users and PFDEBUG TODENSE. */
static void hll_keeps_what_redis_keeps(void **state)
{
    static const struct {
        uint64_t users, hash, count;
    } KNOWN[] = {
        {1, 0x28172c8e7b53f1a2, 1},
        {100, 0x366cbe13f5a79b7b, 99},
        {5000, 0x6073d1fdba9d6ffc, 4970},
        {100000, 0x4be2ef3a17f4d5d7, 100165},
    };
    for (size_t i = 0; i < sizeof(KNOWN) / sizeof(KNOWN[0]); i++) {
        struct hll hll = {0};
        uint8_t bytes[HLL_DENSE_BYTES];
        add_range(&hll, 0, KNOWN[i].users);
        struct str dense = dense_of(&hll, bytes);
        struct str registers = str_make(dense.ptr + HLL_HEADER_BYTES, dense.len - HLL_HEADER_BYTES);
        assert_int_equal(hash_bytes((struct hash_key){1, 2}, registers), KNOWN[i].hash);
        assert_int_equal(hll_count(&hll), KNOWN[i].count);
        hll_deinit(&hll);
    }
}

static void hll_does_not_mind_order_or_repetition(void **state)
{
    struct hll forth = {0}, back = {0};
    add_range(&forth, 0, 30000);
    for (uint64_t i = 30000; i-- > 0;) add_number(&back, i);
    assert_same(&forth, &back);
    add_range(&back, 7, 25000);
    assert_same(&forth, &back);
    hll_deinit(&forth);
    hll_deinit(&back);
}

static void hll_add_tells_what_changed_the_bytes(void **state)
{
    struct hll hll = {0};
    uint8_t before[HLL_DENSE_BYTES], after[HLL_DENSE_BYTES];
    hll_write(&hll, before);
    for (uint64_t i = 0; i < 9000; i++) {
        bool is_changed = add_number(&hll, i);
        hll_write(&hll, after);
        assert_int_equal(is_changed, memcmp(before, after, sizeof(after)) != 0);
        memcpy(before, after, sizeof(after));
    }
    hll_deinit(&hll);
}

/* A list while that is smaller; never more than the dense form, however it came about. */
static void hll_takes_little_memory_while_sparse(void **state)
{
    struct hll hll = {0};
    size_t last = 0;
    for (uint64_t i = 0; i < 9000; i++) {
        add_number(&hll, i);
        size_t bytes = hll_memory_bytes(&hll);
        assert_true(bytes >= last && bytes <= HLL_DENSE_BYTES);
        last = bytes;
        if (i == 0) assert_int_equal(bytes, 64);
        if (i == 999) assert_int_equal(bytes, 4096);
    }
    assert_int_equal(last, HLL_DENSE_BYTES);
    hll_deinit(&hll);
    assert_int_equal(hll_memory_bytes(&hll), 0);
    assert_int_equal(hll_count(&hll), 0);
}

static void hll_merge_is_the_union(void **state)
{
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        for (size_t j = 0; j < SIZE_COUNT; j++) {
            /* Half of the smaller one is in both. */
            uint64_t common = (SIZES[i] < SIZES[j] ? SIZES[i] : SIZES[j]) / 2;
            uint64_t end = SIZES[i] - common + SIZES[j];
            struct hll a = {0}, b = {0}, both = {0}, into = {0};
            add_range(&a, 0, SIZES[i]);
            add_range(&b, SIZES[i] - common, end);
            add_range(&both, 0, end);
            hll_merge(&into, &a);
            assert_same(&into, &a);
            hll_merge(&into, &b);
            assert_same(&into, &both);
            assert_int_equal(hll_memory_bytes(&into) == HLL_DENSE_BYTES,
                             hll_memory_bytes(&both) == HLL_DENSE_BYTES);
            hll_merge(&b, &a);
            assert_same(&b, &both);
            hll_merge(&b, &b);
            assert_same(&b, &both);
            hll_deinit(&a);
            hll_deinit(&b);
            hll_deinit(&both);
            hll_deinit(&into);
        }
    }
}

static void hll_reads_what_it_wrote(void **state)
{
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        struct hll hll = {0}, again = {0};
        char bytes[HLL_DENSE_BYTES + 1];
        add_range(&hll, 0, SIZES[i]);
        hll_write(&hll, (uint8_t *)bytes + 1); /* at an odd address, as in a reply */
        add_range(&again, 0, 100);             /* is replaced */
        assert_true(hll_read(&again, str_make(bytes + 1, HLL_DENSE_BYTES)));
        assert_same(&hll, &again);
        assert_int_equal(hll_memory_bytes(&hll), hll_memory_bytes(&again));
        add_range(&hll, SIZES[i], SIZES[i] + 3000);
        add_range(&again, SIZES[i], SIZES[i] + 3000);
        assert_same(&hll, &again);
        hll_deinit(&hll);
        hll_deinit(&again);
    }
}

static void hll_forgets_the_count_that_redis_cached(void **state)
{
    struct hll hll = {0};
    uint8_t bytes[HLL_DENSE_BYTES], again[HLL_DENSE_BYTES];
    add_range(&hll, 0, 5000);
    hll_write(&hll, bytes);
    memcpy(again, bytes, sizeof(bytes));
    memset(again + 8, 0x11, 8);
    assert_true(hll_read(&hll, str_make((char *)again, sizeof(again))));
    hll_write(&hll, again);
    assert_memory_equal(bytes, again, sizeof(bytes));
    hll_deinit(&hll);
}

static void assert_refused(const uint8_t *bytes, size_t len)
{
    struct hll hll = {0}, before = {0};
    add_range(&hll, 0, 3);
    add_range(&before, 0, 3);
    assert_false(hll_read(&hll, str_make((const char *)bytes, len)));
    assert_same(&hll, &before);
    hll_deinit(&hll);
    hll_deinit(&before);
}

static void hll_refuses_what_is_no_dense_string(void **state)
{
    struct hll hll = {0};
    uint8_t bytes[HLL_DENSE_BYTES + 1] = {0};
    add_range(&hll, 0, 5000);
    hll_write(&hll, bytes);
    for (size_t len = 0; len < 20; len++) assert_refused(bytes, len);
    assert_refused(bytes, HLL_DENSE_BYTES - 1);
    assert_refused(bytes, HLL_DENSE_BYTES + 1);
    for (size_t i = 0; i < 4; i++) {
        bytes[i] ^= 0x20;
        assert_refused(bytes, HLL_DENSE_BYTES);
        bytes[i] ^= 0x20;
    }
    for (uint8_t encoding = 1; encoding < 3; encoding++) {
        bytes[4] = encoding;
        assert_refused(bytes, HLL_DENSE_BYTES);
    }
    hll_deinit(&hll);
}

static void hll_refuses_ranks_that_no_hash_has(void **state)
{
    static const uint32_t REGISTERS[] = {0, 1, 2, 3, 4, 8191, 16383};
    for (size_t i = 0; i < sizeof(REGISTERS) / sizeof(REGISTERS[0]); i++) {
        struct hll hll = {0};
        uint8_t bytes[HLL_DENSE_BYTES];
        struct str dense = dense_of(&hll, bytes);
        hll_bytes_set_rank(bytes, REGISTERS[i], 51);
        assert_true(hll_read(&hll, dense));
        hll_deinit(&hll);
        hll_bytes_set_rank(bytes, REGISTERS[i], 52);
        assert_refused(bytes, sizeof(bytes));
        hll_bytes_set_rank(bytes, REGISTERS[i], 63);
        assert_refused(bytes, sizeof(bytes));
    }
}

/* Any ranks in any registers: merged as if each were a number of its own. */
static void hll_keeps_registers_apart(void **state)
{
    struct rng rng;
    rng_init(&rng, 5);
    for (int round = 0; round < 50; round++) {
        uint8_t a[HLL_DENSE_BYTES], b[HLL_DENSE_BYTES], merged[HLL_DENSE_BYTES];
        struct hll a_hll = {0}, b_hll = {0};
        hll_write(&a_hll, a);
        hll_write(&a_hll, b);
        for (uint32_t i = 0; i < HLL_REGISTERS; i++) {
            if (rng_below(&rng, 50) >= (uint64_t)round) continue; /* from few to nearly all */
            hll_bytes_set_rank(a, i, (unsigned)rng_below(&rng, 52));
            hll_bytes_set_rank(b, (i * 7 + 3) % HLL_REGISTERS, (unsigned)rng_below(&rng, 52));
        }
        assert_true(hll_read(&a_hll, str_make((char *)a, sizeof(a))));
        assert_true(hll_read(&b_hll, str_make((char *)b, sizeof(b))));
        hll_merge(&a_hll, &b_hll);
        hll_write(&a_hll, merged);
        for (uint32_t i = 0; i < HLL_REGISTERS; i++) {
            unsigned left = hll_bytes_rank(a, i), right = hll_bytes_rank(b, i);
            assert_int_equal(hll_bytes_rank(merged, i), left > right ? left : right);
        }
        hll_deinit(&a_hll);
        hll_deinit(&b_hll);
    }
}

/* Registers that are full, or nearly, are no trap, though in theory infinitely many users. */
static void hll_counts_a_full_sketch(void **state)
{
    struct hll hll = {0};
    uint8_t bytes[HLL_DENSE_BYTES];
    struct str dense = dense_of(&hll, bytes);
    for (unsigned rank = 40; rank <= 51; rank++) {
        for (uint32_t i = 0; i < HLL_REGISTERS; i++) hll_bytes_set_rank(bytes, i, rank);
        assert_true(hll_read(&hll, dense));
        assert_in_range(hll_count(&hll), UINT64_C(1) << 53, INT64_MAX);
    }
    assert_int_equal(hll_count(&hll), INT64_MAX);
    hll_bytes_set_rank(bytes, 77, 50);
    assert_true(hll_read(&hll, dense));
    assert_int_equal(hll_count(&hll), INT64_MAX);
    hll_deinit(&hll);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hll_empty_counts_nothing),
        cmocka_unit_test(hll_counts_few_users_exactly),
        cmocka_unit_test(hll_keeps_what_redis_keeps),
        cmocka_unit_test(hll_does_not_mind_order_or_repetition),
        cmocka_unit_test(hll_add_tells_what_changed_the_bytes),
        cmocka_unit_test(hll_takes_little_memory_while_sparse),
        cmocka_unit_test(hll_merge_is_the_union),
        cmocka_unit_test(hll_reads_what_it_wrote),
        cmocka_unit_test(hll_forgets_the_count_that_redis_cached),
        cmocka_unit_test(hll_refuses_what_is_no_dense_string),
        cmocka_unit_test(hll_refuses_ranks_that_no_hash_has),
        cmocka_unit_test(hll_keeps_registers_apart),
        cmocka_unit_test(hll_counts_a_full_sketch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
