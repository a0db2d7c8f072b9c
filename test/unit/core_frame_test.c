/* core/frame.c: the bytes that readers get, and who frees them. */
#include <pthread.h>
#include <string.h>

#include "core/id.h"
#include "unit/core_fixture.h"

static const uint64_t ID = (uint64_t)FIXTURE_START_MS << ID_SEQ_BITS;

static void assert_json(const struct message *message, const char *expected)
{
    struct frame_bin bin = {0};
    struct frame *frame = frame_new(message, &bin);

    assert_int_equal(frame_json(frame).len, strlen(expected));
    assert_memory_equal(frame_json(frame).ptr, expected, strlen(expected));
    frame_unref(frame);
    frame_bin_empty(&bin);
}

static void json_is_that_of_the_protocol(void **state)
{
    struct message m = {.id = ID,
                        .list = LIST_HIGH,
                        .type = STR("gift"),
                        .from = STR("alice"),
                        .name = STR("Alice"),
                        .body = STR("{\"n\":[1,2]}")};

    assert_json(&m,
                "{\"id\":\"1732441234567-0\",\"at\":1732441234567,\"priority\":\"high\","
                "\"type\":\"gift\",\"from\":\"alice\",\"name\":\"Alice\",\"body\":{\"n\":[1,2]}}");
    m.id = ID + 7;
    m.list = LIST_NORMAL;
    assert_json(&m,
                "{\"id\":\"1732441234567-7\",\"at\":1732441234567,\"priority\":\"normal\","
                "\"type\":\"gift\",\"from\":\"alice\",\"name\":\"Alice\",\"body\":{\"n\":[1,2]}}");
}

static void json_leaves_out_what_is_empty_but_the_body(void **state)
{
    struct message m = {.id = ID, .list = LIST_HIGH, .type = STR("room.closed")};

    assert_json(&m, "{\"id\":\"1732441234567-0\",\"at\":1732441234567,\"priority\":\"high\","
                    "\"type\":\"room.closed\",\"body\":null}");
}

static void json_escapes_names_and_leaves_the_body_alone(void **state)
{
    struct message m = {.id = ID,
                        .list = LIST_NORMAL,
                        .type = STR("text"),
                        .from = STR("a\"b\\c"),
                        .name = STR("\x01\n\xe5\xbe\xae\xe2\x80\xa8"),
                        .body = STR("\"\\u0041\\\"\"")};

    assert_json(&m, "{\"id\":\"1732441234567-0\",\"at\":1732441234567,\"priority\":\"normal\","
                    "\"type\":\"text\",\"from\":\"a\\\"b\\\\c\","
                    "\"name\":\"\\u0001\\n\xe5\xbe\xae\xe2\x80\xa8\",\"body\":\"\\u0041\\\"\"}");
}

static void frame_carries_what_lists_are_made_of(void **state)
{
    struct frame_bin bin = {0};
    struct message m = {
        .id = ID, .prev = ID - 1, .ordinal = 9, .list = LIST_NORMAL, .type = STR("room")};
    struct frame *frame = frame_new(&m, &bin);

    assert_int_equal(frame->id, ID);
    assert_int_equal(frame->prev, ID - 1);
    assert_int_equal(frame->ordinal, 9);
    assert_int_equal(frame->list, LIST_NORMAL);
    assert_false(frame->is_control); /* "room" alone is a client's */
    frame_unref(frame);

    m.type = STR("room.muted");
    frame = frame_new(&m, &bin);
    assert_true(frame->is_control);
    frame_unref(frame);
    assert_int_equal(frame_bin_empty(&bin), 2);
}

static void frame_dies_with_its_last_holder(void **state)
{
    struct frame_bin bin = {0};
    struct frame *one = fixture_frame(&bin, LIST_HIGH, 1, 0);
    struct frame *two = fixture_frame(&bin, LIST_HIGH, 2, 0);

    assert_ptr_equal(frame_ref(one), one);
    frame_unref(one);
    assert_int_equal(frame_bin_empty(&bin), 0);
    frame_unref(two);
    frame_unref(one);
    frame_unref(NULL);
    assert_int_equal(frame_bin_empty(&bin), 2);
    assert_int_equal(frame_bin_empty(&bin), 0);
}

/* --- many threads ----------------------------------------------------------------------------- */

#define THREADS 4
#define FRAMES  500

struct holder {
    struct frame **frames;
};

/* Holds each frame a second time for a moment, then lets go of the reference that it was given. */
static void *hold_and_let_go(void *arg)
{
    const struct holder *holder = arg;
    for (int i = 0; i < FRAMES; i++) {
        frame_ref(holder->frames[i]);
        frame_unref(holder->frames[i]);
        frame_unref(holder->frames[i]);
    }
    return NULL;
}

static void frames_let_go_by_many_threads_all_reach_the_bin(void **state)
{
    struct frame_bin bin = {0};
    struct frame *frames[FRAMES];
    struct holder holder = {frames};
    pthread_t threads[THREADS];
    size_t freed = 0;

    for (int i = 0; i < FRAMES; i++) {
        frames[i] = fixture_frame(&bin, LIST_NORMAL, (uint64_t)i + 1, 0);
        for (int t = 1; t < THREADS; t++) frame_ref(frames[i]);
    }
    for (int t = 0; t < THREADS; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, hold_and_let_go, &holder), 0);
    for (int i = 0; i < 100; i++) freed += frame_bin_empty(&bin); /* while they are at it */
    for (int t = 0; t < THREADS; t++) pthread_join(threads[t], NULL);
    freed += frame_bin_empty(&bin);
    assert_int_equal(freed, FRAMES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_that_of_the_protocol),
        cmocka_unit_test(json_leaves_out_what_is_empty_but_the_body),
        cmocka_unit_test(json_escapes_names_and_leaves_the_body_alone),
        cmocka_unit_test(frame_carries_what_lists_are_made_of),
        cmocka_unit_test(frame_dies_with_its_last_holder),
        cmocka_unit_test(frames_let_go_by_many_threads_all_reach_the_bin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
