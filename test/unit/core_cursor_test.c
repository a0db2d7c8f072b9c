/* core/cursor.c: what comes back is what was given out, and nothing else is taken. */
#include "base/base64.h"
#include "base/rng.h"
#include "core/cursor.h"
#include "unit/core_fixture.h"

#define ROOM STR("dev/lobby")

static struct cursor example(void)
{
    return (struct cursor){.high = 0x0102030405060708,
                           .normal = 0x1112131415161718,
                           .normal_ordinal = 42,
                           .at_ms = FIXTURE_START_MS,
                           .room = cursor_room_tag(ROOM)};
}

static void assert_cursors_equal(const struct cursor *a, const struct cursor *b)
{
    assert_int_equal(a->high, b->high);
    assert_int_equal(a->normal, b->normal);
    assert_int_equal(a->normal_ordinal, b->normal_ordinal);
    assert_int_equal(a->at_ms, b->at_ms);
    assert_int_equal(a->room, b->room);
}

static int decode(const char *text, size_t len, struct cursor *ret_cursor)
{
    return cursor_decode(str_make(text, len), cursor_room_tag(ROOM), ret_cursor);
}

static void assert_round_trip(const struct cursor *cursor)
{
    char text[CURSOR_TEXT_LEN];
    struct cursor back;

    cursor_encode(cursor, text);
    assert_int_equal(cursor_decode(str_make(text, sizeof text), cursor->room, &back), OK);
    assert_cursors_equal(&back, cursor);
}

static void round_trip_keeps_every_field(void **state)
{
    struct cursor zero = {0};
    struct cursor largest = {.high = UINT64_MAX,
                             .normal = UINT64_MAX,
                             .normal_ordinal = UINT64_MAX,
                             .at_ms = INT64_MAX,
                             .room = UINT32_MAX};
    struct cursor one = example();

    assert_round_trip(&zero);
    assert_round_trip(&largest);
    assert_round_trip(&one);
}

static void round_trip_of_random_cursors(void **state)
{
    struct rng rng;
    rng_init(&rng, 7);

    for (int i = 0; i < 10000; i++) {
        struct cursor c = {.high = rng_next(&rng),
                           .normal = rng_next(&rng),
                           .normal_ordinal = rng_next(&rng),
                           .at_ms = (int64_t)(rng_next(&rng) >> 1),
                           .room = (uint32_t)rng_next(&rng)};
        assert_round_trip(&c);
    }
}

/* Clients keep cursors over an update of the server: this text must decode for ever. */
static void text_is_stable(void **state)
{
    static const char known[] = "AbwXsd8BAgMEBQYHCBESExQVFhcYAAAAAAAAACoAAAGTXYtchw";
    struct cursor one = example();
    char text[CURSOR_TEXT_LEN];

    cursor_encode(&one, text);
    assert_int_equal(sizeof known - 1, CURSOR_TEXT_LEN);
    assert_memory_equal(text, known, CURSOR_TEXT_LEN);
}

static void text_goes_into_a_query_string_as_it_is(void **state)
{
    struct cursor c = {.high = UINT64_MAX, .normal = UINT64_MAX << 3, .room = UINT32_MAX};
    char text[CURSOR_TEXT_LEN];

    cursor_encode(&c, text);
    for (int i = 0; i < CURSOR_TEXT_LEN; i++)
        assert_non_null(memchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
                               text[i], 64));
}

static void other_lengths_are_refused(void **state)
{
    struct cursor one = example(), out = {.high = 99};
    char text[CURSOR_TEXT_LEN + 8];

    memset(text, 'A', sizeof text);
    cursor_encode(&one, text);
    for (size_t len = 0; len < sizeof text; len++)
        assert_int_equal(decode(text, len, &out), len == CURSOR_TEXT_LEN ? OK : ERR_BAD_CURSOR);
}

static void a_refusal_leaves_the_outcome_alone(void **state)
{
    struct cursor out = {.high = 99, .room = 1};

    assert_int_equal(decode("0", 1, &out), ERR_BAD_CURSOR);
    assert_int_equal(out.high, 99);
    assert_int_equal(out.room, 1);
    assert_int_equal(cursor_decode(STR_NONE, 0, &out), ERR_BAD_CURSOR);
}

static void other_versions_are_refused(void **state)
{
    struct cursor one = example(), out;
    char text[CURSOR_TEXT_LEN];
    unsigned char bytes[CURSOR_BYTES];

    cursor_encode(&one, text);
    assert_int_equal(base64_decode(str_make(text, sizeof text), bytes, sizeof bytes), CURSOR_BYTES);
    for (int version = 0; version < 256; version++) {
        bytes[0] = (unsigned char)version;
        base64_encode(bytes, sizeof bytes, text);
        assert_int_equal(decode(text, sizeof text, &out), version == 1 ? OK : ERR_BAD_CURSOR);
    }
}

static void another_rooms_cursor_is_refused(void **state)
{
    struct cursor one = example(), out;
    char text[CURSOR_TEXT_LEN];

    cursor_encode(&one, text);
    assert_int_equal(
        cursor_decode(str_make(text, sizeof text), cursor_room_tag(STR("dev/lobbz")), &out),
        ERR_BAD_CURSOR);
    assert_int_not_equal(cursor_room_tag(STR("a/b")), cursor_room_tag(STR("a/c")));
    assert_int_not_equal(cursor_room_tag(STR("a/b")), cursor_room_tag(STR("b/a")));
}

/* Text is canonical: each flipped bit gives either no cursor or another one, never the same. */
static void no_two_texts_are_one_cursor(void **state)
{
    struct cursor one = example(), out;
    char text[CURSOR_TEXT_LEN];

    cursor_encode(&one, text);
    for (int bit = 0; bit < CURSOR_TEXT_LEN * 8; bit++) {
        char flipped[CURSOR_TEXT_LEN];
        memcpy(flipped, text, sizeof text);
        flipped[bit / 8] = (char)(flipped[bit / 8] ^ 1 << bit % 8);
        if (decode(flipped, sizeof flipped, &out) != OK) continue;
        bool is_same = out.high == one.high && out.normal == one.normal && out.at_ms == one.at_ms &&
                       out.normal_ordinal == one.normal_ordinal;
        assert_false(is_same);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip_keeps_every_field),
        cmocka_unit_test(round_trip_of_random_cursors),
        cmocka_unit_test(text_is_stable),
        cmocka_unit_test(text_goes_into_a_query_string_as_it_is),
        cmocka_unit_test(other_lengths_are_refused),
        cmocka_unit_test(a_refusal_leaves_the_outcome_alone),
        cmocka_unit_test(other_versions_are_refused),
        cmocka_unit_test(another_rooms_cursor_is_refused),
        cmocka_unit_test(no_two_texts_are_one_cursor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
