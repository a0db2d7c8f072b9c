/* core/id.c: order under every clock, and one text per id. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/rng.h"
#include "core/id.h"

#define NOW_MS 1732441234567

static void id_is_time_then_counts_within_a_millisecond(void **state)
{
    (void)state;
    uint64_t first = id_next(0, NOW_MS);

    assert_int_equal(id_ms(first), NOW_MS);
    assert_int_equal(first & ((1 << ID_SEQ_BITS) - 1), 0);
    assert_int_equal(id_next(first, NOW_MS), first + 1);
    assert_int_equal(id_ms(id_next(first, NOW_MS + 1)), NOW_MS + 1);
}

static void id_counts_on_when_the_clock_steps_back(void **state)
{
    (void)state;
    uint64_t first = id_next(0, NOW_MS);

    assert_int_equal(id_next(first, NOW_MS - 3600000), first + 1);
    assert_int_equal(id_next(first, 0), first + 1);
    assert_int_equal(id_next(first, -5), first + 1);
}

static void id_of_the_first_message_is_never_zero(void **state)
{
    (void)state;
    assert_int_equal(id_next(0, 0), 1);
    assert_int_equal(id_next(0, -1), 1);
}

static void id_carries_into_the_milliseconds_when_n_is_used_up(void **state)
{
    (void)state;
    uint64_t last = ((uint64_t)NOW_MS << ID_SEQ_BITS) | ((1 << ID_SEQ_BITS) - 1);
    uint64_t next = id_next(last, NOW_MS);

    assert_true(next > last);
    assert_int_equal(id_ms(next), NOW_MS + 1);
}

static void id_increases_strictly_under_a_wild_clock(void **state)
{
    (void)state;
    struct rng rng;
    uint64_t last = 0;

    rng_init(&rng, 1);
    for (int i = 0; i < 100000; i++) {
        int64_t now_ms = NOW_MS - 500 + (int64_t)rng_below(&rng, 1000);
        uint64_t id = id_next(last, now_ms);
        assert_true(id > last);
        last = id;
    }
}

static void id_text_round_trips(void **state)
{
    (void)state;
    const uint64_t ids[] = {0, 1, (uint64_t)NOW_MS << ID_SEQ_BITS, UINT64_MAX};

    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        char text[ID_TEXT_MAX];
        uint64_t back = 7;
        size_t len = id_format(ids[i], text);
        assert_int_equal(len, str_of(text).len);
        assert_int_equal(id_parse(str_of(text), &back), 0);
        assert_true(back == ids[i]);
    }
}

static void id_text_is_ms_dash_n(void **state)
{
    (void)state;
    char text[ID_TEXT_MAX];

    id_format(((uint64_t)NOW_MS << ID_SEQ_BITS) | 12, text);
    assert_string_equal(text, "1732441234567-12");
}

static void id_parse_refuses_every_other_text(void **state)
{
    (void)state;
    const char *const texts[] = {"",
                                 "-",
                                 "1",
                                 "1-",
                                 "-1",
                                 "1-2-3",
                                 "01-0",
                                 "1-00",
                                 "1 -0",
                                 "a-0",
                                 "1-a",
                                 "+1-0",
                                 "1-1048576",
                                 "17592186044416-0",
                                 "99999999999999999999-0"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        uint64_t id = 42;
        assert_int_equal(id_parse(str_of(texts[i]), &id), ERR_BAD_REQUEST);
        assert_int_equal(id, 42); /* untouched */
    }
    assert_int_equal(id_parse(STR_NONE, &(uint64_t){0}), ERR_BAD_REQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(id_is_time_then_counts_within_a_millisecond),
        cmocka_unit_test(id_counts_on_when_the_clock_steps_back),
        cmocka_unit_test(id_of_the_first_message_is_never_zero),
        cmocka_unit_test(id_carries_into_the_milliseconds_when_n_is_used_up),
        cmocka_unit_test(id_increases_strictly_under_a_wild_clock),
        cmocka_unit_test(id_text_round_trips),
        cmocka_unit_test(id_text_is_ms_dash_n),
        cmocka_unit_test(id_parse_refuses_every_other_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
