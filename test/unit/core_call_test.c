/* core/call.c: what a call copies and owns, and presence on its way to the hub. */
#include <stdlib.h>

#include "base/alloc.h"
#include "core/call.h"
#include "unit/core_fixture.h"

static void assert_str(struct str s, const char *expected)
{
    assert_int_equal(s.len, strlen(expected));
    assert_memory_equal(s.ptr, expected, s.len);
}

static void a_new_call_names_its_room(void **state)
{
    struct call *call = call_new(CALL_COLD, STR("dev/lobby"));

    assert_int_equal(call->kind, CALL_COLD);
    assert_string_equal(call->room, "dev/lobby");
    assert_false(list_is_linked(&call->node));
    assert_int_equal(call->err, OK);
    call_free(call);
    call_free(NULL);
}

/* The request that the strings came from is gone long before the hub looks at them. */
static void a_message_is_copied(void **state)
{
    char type[] = "text", from[] = "alice", name[] = "Alice", body[] = "{\"a\":1}", key[] = "k-1";
    struct message message = {.list = LIST_HIGH,
                              .type = str_of(type),
                              .from = str_of(from),
                              .name = str_of(name),
                              .body = str_of(body)};
    struct call *call = call_new(CALL_APPEND, STR("dev/lobby"));

    call_set_message(call, &message, str_of(key));
    memset(type, 'x', sizeof type);
    memset(from, 'x', sizeof from);
    memset(name, 'x', sizeof name);
    memset(body, 'x', sizeof body);
    memset(key, 'x', sizeof key);
    assert_int_equal(call->message.list, LIST_HIGH);
    assert_str(call->message.type, "text");
    assert_str(call->message.from, "alice");
    assert_str(call->message.name, "Alice");
    assert_str(call->message.body, "{\"a\":1}");
    assert_str(call->key, "k-1");
    call_free(call);
}

static void empty_strings_stay_empty(void **state)
{
    struct message message = {.type = STR("text"), .body = STR("null")};
    struct call *call = call_new(CALL_APPEND, STR("dev/lobby"));

    call_set_message(call, &message, STR_NONE);
    assert_int_equal(call->message.from.len, 0);
    assert_int_equal(call->message.name.len, 0);
    assert_int_equal(call->key.len, 0);
    assert_str(call->message.body, "null");
    call_free(call);
}

/* Growing moves the buffer; the strings must lie in where it ended up. */
static void a_large_body_is_copied_whole(void **state)
{
    char *body = xmalloc(LIMIT_MESSAGE_BODY);
    struct message message = {.type = STR("text"), .body = str_make(body, LIMIT_MESSAGE_BODY)};
    struct call *call = call_new(CALL_APPEND, STR("dev/lobby"));

    memset(body, '7', LIMIT_MESSAGE_BODY);
    call_set_message(call, &message, STR("key"));
    assert_str(call->message.type, "text");
    assert_memory_equal(call->message.body.ptr, body, LIMIT_MESSAGE_BODY);
    assert_str(call->key, "key");
    call_free(call);
    free(body);
}

static void a_call_frees_the_frames_that_it_brought(void **state)
{
    struct frame_bin bin = {0};
    struct call *call = call_new(CALL_HISTORY, STR("dev/lobby"));

    call_set_frames(call, 10);
    assert_int_equal(call->limit, 10);
    call->frames[call->frame_count++] = fixture_frame(&bin, LIST_HIGH, 1, 0);
    call->frames[call->frame_count++] = fixture_frame(&bin, LIST_HIGH, 2, 0);
    call_free(call);
    assert_int_equal(frame_bin_empty(&bin), 2);
}

/* --- presence --------------------------------------------------------------------------------- */

static void presence_comes_back_in_order(void **state)
{
    char longest[LIMIT_USER_ID];
    struct buf users = {0};
    enum presence_event event;
    struct str user;

    memset(longest, 'u', sizeof longest);
    presence_write(&users, PRESENCE_CAME, STR("alice"));
    presence_write(&users, PRESENCE_LEFT, str_make(longest, sizeof longest));
    presence_write(&users, PRESENCE_RESTS, STR("\xe5\xbe\xae"));

    struct str rest = buf_str(&users);
    assert_true(presence_read(&rest, &event, &user));
    assert_int_equal(event, PRESENCE_CAME);
    assert_str(user, "alice");
    assert_true(presence_read(&rest, &event, &user));
    assert_int_equal(event, PRESENCE_LEFT);
    assert_int_equal(user.len, LIMIT_USER_ID);
    assert_true(presence_read(&rest, &event, &user));
    assert_int_equal(event, PRESENCE_RESTS);
    assert_str(user, "\xe5\xbe\xae");
    assert_false(presence_read(&rest, &event, &user));
    buf_deinit(&users);
}

/* Cut anywhere: what is whole is read, what is not ends the reading, and no byte behind is
 * touched. */
static void cut_presence_reads_up_to_the_cut(void **state)
{
    struct buf users = {0};
    presence_write(&users, PRESENCE_CAME, STR("alice"));
    size_t first = users.len;
    presence_write(&users, PRESENCE_LEFT, STR("bob"));

    for (size_t len = 0; len <= users.len; len++) {
        char *cut = xmalloc(len + 1); /* of its own, so that reading too far is seen */
        memcpy(cut, users.ptr, len);
        struct str rest = str_make(cut, len), user;
        enum presence_event event;
        size_t count = 0;
        while (presence_read(&rest, &event, &user)) count++;
        assert_int_equal(count, len == users.len ? 2 : len >= first ? 1 : 0);
        free(cut);
    }
    buf_deinit(&users);
}

/* --- notes ------------------------------------------------------------------------------------ */

static void a_dropped_note_gives_back_what_it_holds(void **state)
{
    struct frame_bin bin = {0};
    struct note frame = {.kind = NOTE_FRAME, .frame = fixture_frame(&bin, LIST_HIGH, 1, 0)};
    struct note record = {.kind = NOTE_RECORD, .record = xcalloc(1, sizeof(struct room_record))};
    struct note leave = {.kind = NOTE_LEAVE, .user = xstrdup("alice")};
    struct note online = {.kind = NOTE_ONLINE, .count = 7};

    note_drop(&frame);
    note_drop(&record);
    note_drop(&leave);
    note_drop(&online);
    assert_int_equal(frame_bin_empty(&bin), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_call_names_its_room),
        cmocka_unit_test(a_message_is_copied),
        cmocka_unit_test(empty_strings_stay_empty),
        cmocka_unit_test(a_large_body_is_copied_whole),
        cmocka_unit_test(a_call_frees_the_frames_that_it_brought),
        cmocka_unit_test(presence_comes_back_in_order),
        cmocka_unit_test(cut_presence_reads_up_to_the_cut),
        cmocka_unit_test(a_dropped_note_gives_back_what_it_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
