/* core/select.c: which messages answer a cursor, case by case and against a naive model. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "core/select.h"
#include "unit/core_fixture.h"

#define TAG 77

struct fixture {
    struct feed feeds[LIST_KINDS];
    struct frame_bin bin;
    struct selection got;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    for (int list = 0; list < LIST_KINDS; list++) feed_init(&f->feeds[list]);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    for (int list = 0; list < LIST_KINDS; list++) feed_deinit(&f->feeds[list]);
    frame_bin_empty(&f->bin);
    free(f);
    return 0;
}

static void fill(struct fixture *f, enum list_kind list, uint64_t first, uint64_t last)
{
    fixture_fill(&f->feeds[list], &f->bin, list, first, last);
}

/* A reader that has seen these numbers of both lists. */
static struct cursor reader_at(uint64_t high, uint64_t normal)
{
    return (struct cursor){.high = fixture_id(LIST_HIGH, high),
                           .normal = fixture_id(LIST_NORMAL, normal),
                           .normal_ordinal = normal,
                           .room = TAG};
}

static enum select_result after(struct fixture *f, uint64_t high, uint64_t normal, uint32_t limit)
{
    struct cursor cursor = reader_at(high, normal);
    return select_after(f->feeds, &cursor, limit, &f->got);
}

/* The selection is these ranges, high ones first. An empty range is first > last. */
static void assert_got(const struct selection *got, uint64_t high_first, uint64_t high_last,
                       uint64_t normal_first, uint64_t normal_last)
{
    uint32_t i = 0;
    for (uint64_t number = high_first; number <= high_last; number++)
        assert_int_equal(got->frames[i++]->id, fixture_id(LIST_HIGH, number));
    for (uint64_t number = normal_first; number <= normal_last; number++)
        assert_int_equal(got->frames[i++]->id, fixture_id(LIST_NORMAL, number));
    assert_int_equal(got->count, i);
}

static void assert_next(const struct selection *got, uint64_t high, uint64_t normal)
{
    struct cursor expected = reader_at(high, normal);
    assert_int_equal(got->next.high, expected.high);
    assert_int_equal(got->next.normal, expected.normal);
    assert_int_equal(got->next.normal_ordinal, expected.normal_ordinal);
    assert_int_equal(got->next.room, TAG);
}

/* --- joining ---------------------------------------------------------------------------------- */

static void join_takes_the_newest_over_both_lists(void **state)
{
    struct fixture *f = *state;
    fill(f, LIST_HIGH, 1, 10);
    fill(f, LIST_NORMAL, 1, 8); /* high 9 and 10 are the newest of all, then normal 8 */

    select_join(f->feeds, 5, TAG, &f->got);
    assert_got(&f->got, 8, 10, 7, 8);
    assert_next(&f->got, 10, 8);
    assert_int_equal(f->got.skipped, 0);
    assert_false(f->got.gap);
}

static void join_of_a_short_room_takes_all(void **state)
{
    struct fixture *f = *state;
    fill(f, LIST_HIGH, 1, 2);
    fill(f, LIST_NORMAL, 1, 3);

    select_join(f->feeds, 50, TAG, &f->got);
    assert_got(&f->got, 1, 2, 1, 3);
}

static void join_of_an_empty_room_is_a_cursor(void **state)
{
    struct fixture *f = *state;

    select_join(f->feeds, 50, TAG, &f->got);
    assert_int_equal(f->got.count, 0);
    assert_next(&f->got, 0, 0);
    assert_int_equal(after(f, 0, 0, 50), SELECT_NOTHING);
}

static void join_of_one_list_leaves_the_limit_to_it(void **state)
{
    struct fixture *f = *state;
    fill(f, LIST_NORMAL, 1, 400);

    select_join(f->feeds, LIMIT_POLL_NORMAL, TAG, &f->got);
    assert_got(&f->got, 1, 0, 201, 400);
    assert_next(&f->got, 0, 400);
}

/* --- in step ---------------------------------------------------------------------------------- */

static void nothing_new_is_nothing(void **state)
{
    struct fixture *f = *state;
    fill(f, LIST_HIGH, 1, 3);
    fill(f, LIST_NORMAL, 1, 5);

    assert_int_equal(after(f, 3, 5, 50), SELECT_NOTHING);
}

static void high_come_first_then_normal(void **state)
{
    struct fixture *f = *state;
    fill(f, LIST_HIGH, 1, 3);
    fill(f, LIST_NORMAL, 1, 5);

    assert_int_equal(after(f, 1, 2, 50), SELECT_NEWS);
    assert_got(&f->got, 2, 3, 3, 5);
    assert_next(&f->got, 3, 5);
    assert_int_equal(f->got.skipped, 0);
}

static void the_newest_normal_are_taken_and_the_rest_is_counted(void **state)
{
    struct fixture *f = *state;
    fill(f, LIST_HIGH, 1, 30);
    fill(f, LIST_NORMAL, 1, 30);

    assert_int_equal(after(f, 20, 10, 3), SELECT_NEWS);
    assert_got(&f->got, 21, 30, 28, 30); /* the limit does not hold back a high one */
    assert_int_equal(f->got.skipped, 17);
    assert_next(&f->got, 30, 30);
    assert_false(f->got.gap);
}

static void more_than_200_high_come_in_two_answers(void **state)
{
    struct fixture *f = *state;
    fill(f, LIST_HIGH, 1, 350);
    fill(f, LIST_NORMAL, 1, 4);

    assert_int_equal(after(f, 0, 0, 2), SELECT_NEWS);
    assert_got(&f->got, 1, 200, 3, 4);
    assert_int_equal(f->got.skipped, 2);
    assert_next(&f->got, 200, 4);
    struct cursor next = f->got.next;
    assert_int_equal(select_after(f->feeds, &next, 2, &f->got), SELECT_NEWS);
    assert_got(&f->got, 201, 350, 1, 0);
    assert_int_equal(f->got.skipped, 0);
    assert_next(&f->got, 350, 4);
}

/* Normal messages that left the copy are skipped, not lost silently, and need no read. */
static void normal_below_the_floor_are_counted_as_skipped(void **state)
{
    struct fixture *f = *state;
    fill(f, LIST_NORMAL, 101, 110);

    assert_int_equal(after(f, 0, 40, 50), SELECT_NEWS);
    assert_got(&f->got, 1, 0, 101, 110);
    assert_int_equal(f->got.skipped, 60);
}

/* After the loss of a master ordinals may repeat: then nothing sensible can be counted, and nothing
 * is. */
static void ordinals_that_make_no_sense_skip_nothing(void **state)
{
    struct fixture *f = *state;
    fill(f, LIST_NORMAL, 1, 10);
    struct cursor ahead = reader_at(0, 5);

    ahead.normal_ordinal = 1000;
    assert_int_equal(select_after(f->feeds, &ahead, 50, &f->got), SELECT_NEWS);
    assert_got(&f->got, 1, 0, 6, 10);
    assert_int_equal(f->got.skipped, 0);
    assert_int_equal(f->got.next.normal_ordinal, 10);
    ahead.normal_ordinal = 7; /* fewer passed than were taken */
    assert_int_equal(select_after(f->feeds, &ahead, 50, &f->got), SELECT_NEWS);
    assert_int_equal(f->got.skipped, 0);
}

/* --- cold ------------------------------------------------------------------------------------- */

static void below_the_high_floor_is_cold(void **state)
{
    struct fixture *f = *state;
    fill(f, LIST_HIGH, 11, 20);
    fill(f, LIST_NORMAL, 1, 5);

    assert_int_equal(after(f, 9, 5, 50), SELECT_COLD);
    assert_int_equal(after(f, 10, 5, 50), SELECT_NEWS); /* exactly at the floor is not */
    assert_got(&f->got, 11, 20, 1, 0);
}

static void above_a_tail_is_cold(void **state)
{
    struct fixture *f = *state;
    fill(f, LIST_HIGH, 1, 3);
    fill(f, LIST_NORMAL, 1, 3);

    assert_int_equal(after(f, 4, 3, 50), SELECT_AHEAD);
    assert_int_equal(after(f, 3, 4, 50), SELECT_AHEAD);
}

/* A store's answer: high first .. last, made by hand. */
struct cold {
    struct frame *frames[LIMIT_POLL_HIGH + 1];
    struct cold_read read;
};

static struct cold *cold_new(struct fixture *f, uint64_t first, uint64_t last, uint64_t tail)
{
    struct cold *cold = xcalloc(1, sizeof *cold);
    for (uint64_t number = first; number <= last; number++)
        cold->frames[cold->read.count++] = fixture_frame(&f->bin, LIST_HIGH, number, 0);
    cold->read.frames = cold->frames;
    cold->read.more = last < tail;
    cold->read.tail = fixture_id(LIST_HIGH, tail);
    cold->read.normal_tail = f->feeds[LIST_NORMAL].tail;
    return cold;
}

static void cold_answer(struct fixture *f, struct cold *cold, uint64_t high, uint64_t normal,
                        uint32_t limit)
{
    struct cursor cursor = reader_at(high, normal);
    select_cold(f->feeds, &cold->read, &cursor, limit, &f->got);
    for (uint32_t i = 0; i < cold->read.count; i++) frame_unref(cold->frames[i]);
    free(cold);
}

static void cold_takes_high_from_the_store_and_normal_from_the_copy(void **state)
{
    struct fixture *f = *state;
    fill(f, LIST_HIGH, 11, 20);
    fill(f, LIST_NORMAL, 51, 60);

    cold_answer(f, cold_new(f, 6, 20, 20), 5, 40, 4);
    assert_got(&f->got, 6, 20, 57, 60);
    assert_next(&f->got, 20, 60);
    assert_int_equal(f->got.skipped, 16);
    assert_false(f->got.gap);
}

static void cold_with_more_goes_on_from_the_last(void **state)
{
    struct fixture *f = *state;
    fill(f, LIST_HIGH, 400, 500);

    cold_answer(f, cold_new(f, 6, 205, 500), 5, 0, 50);
    assert_got(&f->got, 6, 205, 1, 0);
    assert_next(&f->got, 205, 0);
    assert_false(f->got.gap);
}

/* Even if a read brings one more than an answer holds, it is not lost. */
static void cold_that_brought_too_many_leaves_the_rest_for_the_next(void **state)
{
    struct fixture *f = *state;
    fill(f, LIST_HIGH, 400, 500);

    cold_answer(f, cold_new(f, 1, LIMIT_POLL_HIGH + 1, LIMIT_POLL_HIGH + 1), 0, 0, 50);
    assert_got(&f->got, 1, LIMIT_POLL_HIGH, 1, 0);
    assert_next(&f->got, LIMIT_POLL_HIGH, 0);
}

static void cold_tells_a_gap_when_high_were_trimmed(void **state)
{
    struct fixture *f = *state;
    fill(f, LIST_HIGH, 19, 20);
    struct cold *cold = cold_new(f, 11, 20, 20);

    cold->read.trimmed = fixture_id(LIST_HIGH, 10);
    cold_answer(f, cold, 5, 0, 50);
    assert_true(f->got.gap);
    assert_got(&f->got, 11, 20, 1, 0);
    assert_next(&f->got, 20, 0);
}

static void cold_tells_no_gap_when_the_reader_had_all_that_was_trimmed(void **state)
{
    struct fixture *f = *state;
    fill(f, LIST_HIGH, 19, 20);
    struct cold *cold = cold_new(f, 11, 20, 20);

    cold->read.trimmed = fixture_id(LIST_HIGH, 10);
    cold_answer(f, cold, 10, 0, 50);
    assert_false(f->got.gap);
}

/* Else it would be told the same gap for ever. */
static void cold_passes_a_tail_that_was_trimmed_away(void **state)
{
    struct fixture *f = *state;
    feed_restart(&f->feeds[LIST_HIGH], fixture_id(LIST_HIGH, 20), 20);
    struct cold *cold = cold_new(f, 1, 0, 20);

    cold->read.more = false;
    cold->read.trimmed = fixture_id(LIST_HIGH, 20);
    cold_answer(f, cold, 5, 0, 50);
    assert_true(f->got.gap);
    assert_int_equal(f->got.count, 0);
    assert_next(&f->got, 20, 0);
    assert_int_equal(after(f, 20, 0, 50), SELECT_NOTHING);
}

/* The store was set back: the reader has seen high 9 and normal 9, the store ends at 5. */
static void cold_tells_a_gap_when_the_store_lost_its_newest_part(void **state)
{
    struct fixture *f = *state;
    fill(f, LIST_HIGH, 1, 5);
    fill(f, LIST_NORMAL, 1, 5);
    struct cold *cold = cold_new(f, 1, 0, 5);

    cold->read.more = false;
    cold_answer(f, cold, 9, 9, 50);
    assert_true(f->got.gap);
    assert_int_equal(f->got.count, 0);
    assert_next(&f->got, 5, 5);
}

/* The reader comes from a worker that is ahead: its cursor must not go back, or it would get
 * repeats. */
static void a_copy_that_is_behind_does_not_set_the_reader_back(void **state)
{
    struct fixture *f = *state;
    fill(f, LIST_HIGH, 1, 5);
    fill(f, LIST_NORMAL, 1, 5);
    struct cold *cold = cold_new(f, 1, 0, 7);

    cold->read.more = false;
    cold->read.normal_tail = fixture_id(LIST_NORMAL, 8);
    cold_answer(f, cold, 7, 8, 50);
    assert_false(f->got.gap);
    assert_int_equal(f->got.count, 0);
    assert_next(&f->got, 7, 8);
    assert_int_equal(f->got.skipped, 0);
}

/* --- against a model -------------------------------------------------------------------------- */

/* One reader of a room that grows at random. It counts only what it is told. */
struct model_reader {
    struct cursor cursor;
    uint64_t high;              /* the last number it got */
    uint64_t normal;            /* the same */
    uint64_t received, skipped; /* normal ones */
};

static void read_selection(struct model_reader *r, const struct selection *got)
{
    bool in_normals = false;
    for (uint32_t i = 0; i < got->count; i++) {
        const struct frame *frame = got->frames[i];
        if (frame->list == LIST_HIGH) {
            assert_false(in_normals);
            assert_int_equal(frame->ordinal, ++r->high); /* each, once, in order */
        } else {
            in_normals = true;
            assert_true(frame->ordinal > r->normal);
            r->normal = frame->ordinal;
            r->received++;
        }
    }
    r->skipped += got->skipped;
    assert_false(got->gap);
    r->cursor = got->next;
}

/* The store keeps all: the high ones after the cursor, as many as are asked for. */
static void cold_read_of(struct fixture *f, struct model_reader *r, uint32_t limit)
{
    uint64_t tail = f->feeds[LIST_HIGH].tail_ordinal;
    uint64_t last = r->high + LIMIT_POLL_HIGH < tail ? r->high + LIMIT_POLL_HIGH : tail;
    struct cold *cold = cold_new(f, r->high + 1, last, tail);
    select_cold(f->feeds, &cold->read, &r->cursor, limit, &f->got);
    read_selection(r, &f->got); /* before its frames go */
    for (uint32_t i = 0; i < cold->read.count; i++) frame_unref(cold->frames[i]);
    free(cold);
}

static void poll_once(struct fixture *f, struct model_reader *r, uint32_t limit)
{
    switch (select_after(f->feeds, &r->cursor, limit, &f->got)) {
    case SELECT_NOTHING: break;
    case SELECT_NEWS: read_selection(r, &f->got); break;
    case SELECT_AHEAD:
    case SELECT_COLD: cold_read_of(f, r, limit); break;
    }
}

static void grow(struct fixture *f, struct rng *rng)
{
    for (int list = 0; list < LIST_KINDS; list++) {
        uint64_t from = f->feeds[list].tail_ordinal + 1;
        uint64_t burst = rng_below(rng, 20) == 0 ? rng_below(rng, 1500) : rng_below(rng, 8);
        fill(f, (enum list_kind)list, from, from + burst - 1);
    }
}

static void received_and_skipped_are_all_that_was_sent(void **state)
{
    struct fixture *f = *state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct model_reader readers[8] = {0};
        struct rng rng;
        rng_init(&rng, seed);
        for (int list = 0; list < LIST_KINDS; list++) feed_restart(&f->feeds[list], 0, 0);
        for (size_t i = 0; i < 8; i++) readers[i].cursor = reader_at(0, 0);
        for (int step = 0; step < 150; step++) {
            grow(f, &rng);
            /* Reader i comes back every i+1st step or so: the last ones fall far behind. */
            for (size_t i = 0; i < 8; i++)
                if (rng_below(&rng, i * i + 1) == 0)
                    poll_once(f, &readers[i], 1 + (uint32_t)rng_below(&rng, LIMIT_POLL_NORMAL));
        }
        for (size_t i = 0; i < 8; i++) {
            struct model_reader *r = &readers[i];
            while (r->high < f->feeds[LIST_HIGH].tail_ordinal) poll_once(f, r, 50);
            poll_once(f, r, 50);
            assert_int_equal(r->received + r->skipped, f->feeds[LIST_NORMAL].tail_ordinal);
            assert_int_equal(after(f, r->high, f->feeds[LIST_NORMAL].tail_ordinal, 50),
                             SELECT_NOTHING);
        }
        frame_bin_empty(&f->bin);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(join_takes_the_newest_over_both_lists),
        TEST(join_of_a_short_room_takes_all),
        TEST(join_of_an_empty_room_is_a_cursor),
        TEST(join_of_one_list_leaves_the_limit_to_it),
        TEST(nothing_new_is_nothing),
        TEST(high_come_first_then_normal),
        TEST(the_newest_normal_are_taken_and_the_rest_is_counted),
        TEST(more_than_200_high_come_in_two_answers),
        TEST(normal_below_the_floor_are_counted_as_skipped),
        TEST(ordinals_that_make_no_sense_skip_nothing),
        TEST(below_the_high_floor_is_cold),
        TEST(above_a_tail_is_cold),
        TEST(cold_takes_high_from_the_store_and_normal_from_the_copy),
        TEST(cold_with_more_goes_on_from_the_last),
        TEST(cold_that_brought_too_many_leaves_the_rest_for_the_next),
        TEST(cold_tells_a_gap_when_high_were_trimmed),
        TEST(cold_tells_no_gap_when_the_reader_had_all_that_was_trimmed),
        TEST(cold_passes_a_tail_that_was_trimmed_away),
        TEST(cold_tells_a_gap_when_the_store_lost_its_newest_part),
        TEST(a_copy_that_is_behind_does_not_set_the_reader_back),
        TEST(received_and_skipped_are_all_that_was_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
