/* core/room.c: which names pass, and how settings are written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "core/room.h"

static struct str repeated(char *room_for_text, char c, size_t len)
{
    memset(room_for_text, c, len);
    return str_make(room_for_text, len);
}

static void settings_default_to_those_of_the_protocol(void **state)
{
    (void)state;
    struct room_settings s = room_settings_default();

    assert_int_equal(s.max_body_bytes, 4096);
    assert_int_equal(s.normal_per_s, 200);
    assert_int_equal(s.high_per_s, 50);
    assert_int_equal(s.slow_mode_s, 0);
    assert_int_equal(s.max_online, 0);
    assert_string_equal(s.title, "");
    assert_string_equal(s.sect, "");
}

static void room_id_takes_its_alphabet_and_nothing_else(void **state)
{
    (void)state;
    const char *alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-";

    for (int c = 0; c < 256; c++) {
        char text = (char)c;
        bool allowed = c != 0 && strchr(alphabet, c) != NULL;
        assert_int_equal(room_id_is_valid(str_make(&text, 1)), allowed);
    }
}

static void room_id_is_1_to_64_long(void **state)
{
    (void)state;
    char text[LIMIT_ROOM_ID + 1];

    assert_false(room_id_is_valid(STR_NONE));
    assert_true(room_id_is_valid(repeated(text, 'r', 1)));
    assert_true(room_id_is_valid(repeated(text, 'r', LIMIT_ROOM_ID)));
    assert_false(room_id_is_valid(repeated(text, 'r', LIMIT_ROOM_ID + 1)));
}

static void user_id_is_text_without_control_characters(void **state)
{
    (void)state;
    char text[LIMIT_USER_ID + 1];

    assert_true(user_id_is_valid(STR("alice")));
    assert_true(user_id_is_valid(STR("\xe5\xbe\xae\xe4\xbf\xa1 user"))); /* Chinese, and a blank */
    assert_true(user_id_is_valid(repeated(text, 'u', LIMIT_USER_ID)));
    assert_false(user_id_is_valid(repeated(text, 'u', LIMIT_USER_ID + 1)));
    assert_false(user_id_is_valid(STR_NONE));
    assert_false(user_id_is_valid(STR("a\nb")));
    assert_false(user_id_is_valid(STR("a\x7f")));
    assert_false(user_id_is_valid(STR("\xc2\x85"))); /* C1 */
    assert_false(user_id_is_valid(STR("\xff")));
}

static void type_room_dot_is_kept_for_the_server(void **state)
{
    (void)state;
    char text[LIMIT_TYPE + 1];

    assert_true(message_type_is_valid(STR("text")));
    assert_true(message_type_is_valid(STR("gift.big_1-x")));
    assert_true(message_type_is_valid(STR("room")));
    assert_true(message_type_is_valid(STR("rooms.x")));
    assert_true(message_type_is_valid(repeated(text, 't', LIMIT_TYPE)));
    assert_false(message_type_is_valid(repeated(text, 't', LIMIT_TYPE + 1)));
    assert_false(message_type_is_valid(STR("room.closed")));
    assert_false(message_type_is_valid(STR("room.")));
    assert_false(message_type_is_valid(STR("Text")));
    assert_false(message_type_is_valid(STR("a b")));
    assert_false(message_type_is_valid(STR_NONE));

    assert_true(message_type_is_control(STR("room.closed")));
    assert_false(message_type_is_control(STR("room")));
    assert_false(message_type_is_control(STR("room.Closed")));
    assert_false(message_type_is_control(STR_NONE));
}

static void room_key_id_is_behind_the_slash(void **state)
{
    (void)state;
    assert_true(str_eq(room_key_id(STR("dev/lobby")), STR("lobby")));
    assert_true(str_eq(room_key_id(STR("a/b:c.d-e_f")), STR("b:c.d-e_f")));
}

static void settings_are_written_as_json_members(void **state)
{
    (void)state;
    struct room_settings s = room_settings_default();
    struct buf b = {0};

    assert_true(str_copy(STR("Say \"hi\""), s.title, sizeof(s.title)));
    s.slow_mode_s = 5;
    s.max_online = UINT32_MAX;
    room_settings_write(&b, &s);
    assert_true(str_eq(
        buf_str(&b),
        STR("\"title\":\"Say \\\"hi\\\"\",\"slow_mode_s\":5,\"max_body_bytes\":4096,"
            "\"normal_per_s\":200,\"high_per_s\":50,\"max_online\":4294967295,\"sect\":null")));

    buf_clear(&b);
    assert_true(str_copy(STR("vip-1"), s.sect, sizeof(s.sect)));
    room_settings_write(&b, &s);
    struct str tail = str_make(b.ptr + b.len - 14, 14);
    assert_true(str_eq(tail, STR("\"sect\":\"vip-1\"")));
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_default_to_those_of_the_protocol),
        cmocka_unit_test(room_id_takes_its_alphabet_and_nothing_else),
        cmocka_unit_test(room_id_is_1_to_64_long),
        cmocka_unit_test(user_id_is_text_without_control_characters),
        cmocka_unit_test(type_room_dot_is_kept_for_the_server),
        cmocka_unit_test(room_key_id_is_behind_the_slash),
        cmocka_unit_test(settings_are_written_as_json_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
