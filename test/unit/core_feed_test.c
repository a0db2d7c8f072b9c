/* core/feed.c: against a naive model, and at its limits. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/limit.h"
#include "base/rng.h"
#include "unit/core_fixture.h"

struct fixture {
    struct feed feed;
    struct frame_bin bin;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    feed_init(&f->feed);
    *state = f;
    return 0;
}

/* Every reference that the feed took must be back: what is in the bin is all that was made. */
static int teardown(void **state)
{
    struct fixture *f = *state;
    feed_deinit(&f->feed);
    frame_bin_empty(&f->bin);
    free(f);
    return 0;
}

static enum feed_result append(struct fixture *f, uint64_t number, size_t body_bytes)
{
    struct frame *frame = fixture_frame(&f->bin, LIST_NORMAL, number, body_bytes);
    enum feed_result result = feed_append(&f->feed, frame);
    frame_unref(frame);
    feed_check(&f->feed);
    return result;
}

static bool append_or_restart(struct fixture *f, uint64_t number)
{
    struct frame *frame = fixture_frame(&f->bin, LIST_NORMAL, number, 0);
    bool applied = feed_append_or_restart(&f->feed, frame);
    frame_unref(frame);
    feed_check(&f->feed);
    return applied;
}

static uint64_t number_at(const struct fixture *f, uint32_t index)
{
    return fixture_number(LIST_NORMAL, feed_at(&f->feed, index)->id);
}

static void starts_empty(void **state)
{
    struct fixture *f = *state;

    feed_check(&f->feed);
    assert_int_equal(f->feed.count, 0);
    assert_int_equal(f->feed.floor, 0);
    assert_int_equal(f->feed.tail, 0);
    assert_int_equal(feed_after(&f->feed, 0), 0);
}

static void tells_news_from_what_is_known_and_from_a_hole(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(append(f, 1, 0), FEED_APPLIED);
    assert_int_equal(append(f, 2, 0), FEED_APPLIED);
    assert_int_equal(append(f, 2, 0), FEED_STALE);
    assert_int_equal(append(f, 1, 0), FEED_STALE);
    assert_int_equal(append(f, 4, 0), FEED_HOLE);
    assert_int_equal(f->feed.count, 2);
    assert_int_equal(f->feed.tail_ordinal, 2);
}

static void holds_a_reference_only_of_what_it_applied(void **state)
{
    struct fixture *f = *state;

    append(f, 1, 0);
    append(f, 3, 0);
    append(f, 1, 0);
    assert_int_equal(frame_bin_empty(&f->bin), 2);
    feed_restart(&f->feed, fixture_id(LIST_NORMAL, 5), 5);
    assert_int_equal(frame_bin_empty(&f->bin), 1);
}

static void restart_forgets_all_and_goes_on_from_there(void **state)
{
    struct fixture *f = *state;

    fixture_fill(&f->feed, &f->bin, LIST_NORMAL, 1, 40);
    feed_restart(&f->feed, fixture_id(LIST_NORMAL, 10), 10);
    feed_check(&f->feed);
    assert_int_equal(f->feed.count, 0);
    assert_int_equal(f->feed.floor, fixture_id(LIST_NORMAL, 10));
    assert_int_equal(f->feed.tail_ordinal, 10);
    assert_int_equal(append(f, 11, 0), FEED_APPLIED);
    assert_int_equal(f->feed.floor, fixture_id(LIST_NORMAL, 10));
}

static void a_hole_makes_the_copy_start_anew(void **state)
{
    struct fixture *f = *state;

    assert_true(append_or_restart(f, 1));
    assert_true(append_or_restart(f, 2));
    assert_false(append_or_restart(f, 2));
    assert_true(append_or_restart(f, 9));
    assert_int_equal(f->feed.count, 1);
    assert_int_equal(f->feed.floor, fixture_id(LIST_NORMAL, 8));
    assert_int_equal(f->feed.tail_ordinal, 9);
}

static void the_oldest_go_when_there_are_too_many(void **state)
{
    struct fixture *f = *state;

    fixture_fill(&f->feed, &f->bin, LIST_NORMAL, 1, LIMIT_FEED_FRAMES);
    assert_int_equal(f->feed.floor, 0);
    append(f, LIMIT_FEED_FRAMES + 1, 0);
    assert_int_equal(f->feed.count, LIMIT_FEED_FRAMES);
    assert_int_equal(f->feed.floor, fixture_id(LIST_NORMAL, 1));
    assert_int_equal(number_at(f, 0), 2);
}

static void the_oldest_go_when_they_are_too_large(void **state)
{
    struct fixture *f = *state;
    size_t third = LIMIT_FEED_BYTES / 3;

    for (uint64_t number = 1; number <= 3; number++) append(f, number, third);
    assert_int_equal(f->feed.count, 2); /* three and their envelopes are too much */
    append(f, 4, 0);
    assert_int_equal(f->feed.count, 3);
}

static void the_newest_stays_however_large(void **state)
{
    struct fixture *f = *state;

    append(f, 1, 0);
    append(f, 2, LIMIT_FEED_BYTES + 1);
    assert_int_equal(f->feed.count, 1);
    assert_int_equal(number_at(f, 0), 2);
    append(f, 3, 0);
    assert_int_equal(f->feed.count, 1);
    assert_int_equal(number_at(f, 0), 3);
}

static void after_finds_every_position(void **state)
{
    struct fixture *f = *state;

    fixture_fill(&f->feed, &f->bin, LIST_NORMAL, 11, 50);
    for (uint64_t id = 0; id < fixture_id(LIST_NORMAL, 55); id++) {
        uint32_t expected = 0;
        while (expected < f->feed.count && feed_at(&f->feed, expected)->id <= id) expected++;
        assert_int_equal(feed_after(&f->feed, id), expected);
    }
    assert_int_equal(feed_after(&f->feed, UINT64_MAX), f->feed.count);
}

/* --- against a model -------------------------------------------------------------------------- */

/* The model is a range of numbers: a feed without holes is nothing else, but for the limit of
 * bytes. */
struct model {
    uint64_t floor, tail; /* numbers */
    size_t bytes[4096];   /* of each number's frame */
};

static void model_trim(struct model *m)
{
    size_t bytes = 0;
    uint64_t floor = m->tail;
    while (floor > m->floor && m->tail - floor < LIMIT_FEED_FRAMES) {
        bytes += m->bytes[floor];
        if (bytes > LIMIT_FEED_BYTES && floor != m->tail) break;
        floor--;
    }
    m->floor = floor;
}

static void assert_like_model(const struct fixture *f, const struct model *m)
{
    feed_check(&f->feed);
    assert_int_equal(f->feed.count, m->tail - m->floor);
    assert_int_equal(f->feed.floor, fixture_id(LIST_NORMAL, m->floor));
    assert_int_equal(f->feed.tail, fixture_id(LIST_NORMAL, m->tail));
    assert_int_equal(f->feed.tail_ordinal, m->tail);
    for (uint32_t i = 0; i < f->feed.count; i++)
        assert_int_equal(number_at(f, i), m->floor + 1 + i);
}

/* Mostly the next one; sometimes one that is known, or one too far ahead. */
static uint64_t random_number(struct rng *rng, const struct model *m)
{
    switch (rng_below(rng, 12)) {
    case 0: return m->tail == 0 ? 1 : 1 + rng_below(rng, m->tail);
    case 1: return m->tail + 2 + rng_below(rng, 3);
    default: return m->tail + 1;
    }
}

static void random_append(struct fixture *f, struct model *m, struct rng *rng)
{
    uint64_t number = random_number(rng, m);
    size_t body_bytes = rng_below(rng, 25) == 0 ? rng_below(rng, LIMIT_FEED_BYTES / 2) : 0;
    bool may_restart = rng_below(rng, 2) == 0;
    struct frame *frame = fixture_frame(&f->bin, LIST_NORMAL, number, body_bytes);

    if (may_restart)
        assert_int_equal(feed_append_or_restart(&f->feed, frame), number > m->tail);
    else
        assert_int_equal(feed_append(&f->feed, frame), number <= m->tail       ? FEED_STALE
                                                       : number == m->tail + 1 ? FEED_APPLIED
                                                                               : FEED_HOLE);
    if (number == m->tail + 1 || (may_restart && number > m->tail)) {
        if (number != m->tail + 1) m->floor = number - 1;
        m->tail = number;
        m->bytes[number] = frame->len;
        model_trim(m);
    }
    frame_unref(frame);
}

static void random_operations_do_what_the_model_does(void **state)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct fixture *f = *state;
        struct model m = {0};
        struct rng rng;
        rng_init(&rng, seed);
        feed_restart(&f->feed, 0, 0);
        for (int step = 0; step < 1500 && m.tail < 4000; step++) {
            if (rng_below(&rng, 200) == 0) {
                m.floor = m.tail = rng_below(&rng, m.tail + 50);
                feed_restart(&f->feed, fixture_id(LIST_NORMAL, m.tail), m.tail);
            } else {
                random_append(f, &m, &rng);
            }
            if (step % 16 == 0) assert_like_model(f, &m);
        }
        assert_like_model(f, &m);
        frame_bin_empty(&f->bin);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(starts_empty),
        TEST(tells_news_from_what_is_known_and_from_a_hole),
        TEST(holds_a_reference_only_of_what_it_applied),
        TEST(restart_forgets_all_and_goes_on_from_there),
        TEST(a_hole_makes_the_copy_start_anew),
        TEST(the_oldest_go_when_there_are_too_many),
        TEST(the_oldest_go_when_they_are_too_large),
        TEST(the_newest_stays_however_large),
        TEST(after_finds_every_position),
        TEST(random_operations_do_what_the_model_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
