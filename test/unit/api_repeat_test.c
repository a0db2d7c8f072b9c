/* api/repeat.c: which bytes are the poll that a connection sent before, and what such a poll is. */
#include "unit/api_repeat_fixture.h"

#include <string.h>

#define POLL   "GET /v1/rooms/lobby/messages?"
#define HEAD   " HTTP/1.1\r\nHost: x\r\n"
#define TOKEN  "Authorization: Bearer @\r\n"
#define KEY    "Authorization: Bearer shop-key\r\n"
#define ORIGIN "Origin: " SHOP_ORIGIN "\r\n"
/* Of alice, with all that a poll can have. */
#define PLAIN POLL "limit=7&since=$&timeout=9" HEAD TOKEN ORIGIN "Accept: */*\r\n\r\n"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* Every way to be somebody, and who one is then. */
static const struct way {
    const char *template;
    const char *room; /* key */
    const char *user; /* NULL: the connection's own anonymous name */
    uint32_t limit, timeout_ms;
} ways[] = {
    {PLAIN, "shop/lobby", TOKEN_USER, 7, 9000},
    {POLL "since=$&token=@&user=bob&timeout=0" HEAD "\r\n", "shop/lobby", TOKEN_USER, 50, 0},
    {POLL "user=bob&since=$&limit=200" HEAD KEY "\r\n", "shop/lobby", "bob", 200, 25000},
    {POLL "token=shop-key&since=$&user=b" HEAD "\r\n", "shop/lobby", "b", 50, 25000},
    {POLL "timeout=60&since=$" HEAD KEY "\r\n", "shop/lobby", "", 50, 60000},
    {POLL "user=ann&limit=1&since=$" HEAD "\r\n", "open/lobby", "ann", 1, 25000},
    {POLL "since=$" HEAD "Connection: close\r\n\r\n", "open/lobby", NULL, 50, 25000},
};

static struct buf text_of(const struct repeat_fixture *f, const char *template, uint64_t number)
{
    return repeat_fixture_text(f, template, SHOP_ROOM, number);
}

/* Sends a poll of alice's on f->conn. Returns its bytes, and where its cursor is in them. */
static struct buf send_plain(struct repeat_fixture *f, size_t *ret_cursor_at)
{
    struct buf text = text_of(f, PLAIN, 1);
    assert_true(repeat_fixture_send(f, buf_str(&text)));
    assert_true(repeat_fixture_repeats(f, buf_str(&text)));
    if (ret_cursor_at != NULL) *ret_cursor_at = strlen(POLL "limit=7&since=");
    return text;
}

/* --- what repeats ----------------------------------------------------------------------------- */

static void assert_user(struct str user, const struct waiter *waiter)
{
    struct str want = STR_NONE;
    if (waiter->attendee != NULL) want = worker_attendee_key(waiter->attendee);
    assert_true(str_eq(user, want));
}

/* The poll says what the table says, and what the waiter is that the long way has led to. */
static void assert_poll(const struct poll *poll, const struct way *way, const struct waiter *waiter)
{
    assert_true(str_eq(poll->room, str_of(way->room)));
    assert_true(str_eq(poll->room, waiter->room->key));
    assert_user(poll->user, waiter);
    if (way->user != NULL) assert_true(str_eq(poll->user, str_of(way->user)));
    if (way->user == NULL) assert_true(str_starts(poll->user, STR("anon-")));
    assert_int_equal(poll->limit, way->limit);
    assert_int_equal(poll->limit, waiter->limit);
    assert_int_equal(poll->timeout_ms, way->timeout_ms);
    assert_int_equal(poll->timeout_ms, waiter->timeout_ms);
    assert_int_equal(poll->variant, waiter->variant);
    assert_int_equal(poll->auto_create, strncmp(way->room, "open", 4) == 0);
    assert_false(poll->tell_user);
}

static void assert_repeats_as(struct repeat_fixture *f, const struct way *way, struct str text,
                              uint64_t first)
{
    struct poll poll;
    assert_true(api_repeats(f->api, &f->conn, text, f->now_ms, &poll));
    assert_poll(&poll, way, repeat_fixture_waiter(f, first));
    assert_memory_equal(poll.since.ptr, strstr(text.ptr, "since=") + 6, CURSOR_TEXT_LEN);
    assert_int_equal(poll.since.len, CURSOR_TEXT_LEN);
}

static void try_way(struct repeat_fixture *f, const struct way *way)
{
    struct str room = str_of(way->room);
    struct buf text = repeat_fixture_text(f, way->template, room, 1);
    uint64_t first = repeat_fixture_request(f, &f->conn, buf_str(&text), buf_str(&text));
    assert_int_not_equal(first, 0);
    buf_deinit(&text);
    for (uint64_t number = 1; number < 4; number++) {
        text = repeat_fixture_text(f, way->template, room, number);
        buf_add_char(&text, '\0');
        assert_repeats_as(f, way, str_make(text.ptr, text.len - 1), first);
        buf_deinit(&text);
    }
    repeat_fixture_cancel(f, first);
}

static void a_poll_with_another_cursor_repeats_whoever_asks(void **state)
{
    struct repeat_fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(ways); i++) try_way(f, &ways[i]);
    for (size_t i = COUNT_OF(ways); i-- > 0;) try_way(f, &ways[i]);
}

static void two_connections_without_a_name_repeat_under_their_own(void **state)
{
    struct repeat_fixture *f = *state;
    struct buf text = repeat_fixture_text(f, POLL "since=$" HEAD "\r\n", OPEN_ROOM, 1);
    struct api_conn other = {0};
    struct poll poll;
    char name[LIMIT_USER_ID + 1];
    assert_true(repeat_fixture_send(f, buf_str(&text)));
    repeat_fixture_cancel(f, repeat_fixture_request(f, &other, buf_str(&text), buf_str(&text)));
    assert_true(api_repeats(f->api, &f->conn, buf_str(&text), f->now_ms, &poll));
    assert_true(str_copy(poll.user, name, sizeof name));
    assert_true(api_repeats(f->api, &other, buf_str(&text), f->now_ms, &poll));
    assert_false(str_eq(poll.user, str_of(name)));
    assert_true(api_repeats(f->api, &f->conn, buf_str(&text), f->now_ms, &poll));
    assert_true(str_eq(poll.user, str_of(name)));
    api_conn_deinit(f->api, &other);
    buf_deinit(&text);
}

/* The form of the answer depends on it. */
static void an_origin_is_part_of_what_repeats(void **state)
{
    struct repeat_fixture *f = *state;
    struct buf with = text_of(f, POLL "since=$" HEAD KEY ORIGIN "\r\n", 1);
    struct buf without = text_of(f, POLL "since=$" HEAD KEY "\r\n", 1);
    struct poll poll;
    assert_true(repeat_fixture_send(f, buf_str(&without)));
    assert_true(api_repeats(f->api, &f->conn, buf_str(&without), f->now_ms, &poll));
    uint8_t plain = poll.variant;
    assert_true(repeat_fixture_send(f, buf_str(&with)));
    assert_true(api_repeats(f->api, &f->conn, buf_str(&with), f->now_ms, &poll));
    assert_int_not_equal(poll.variant, plain);
    buf_deinit(&with);
    buf_deinit(&without);
}

/* Text of the right letters is for the worker to refuse, as it would be the long way. */
static void a_cursor_of_another_room_repeats_and_is_refused_in_the_same_words(void **state)
{
    struct repeat_fixture *f = *state;
    struct buf text = send_plain(f, NULL);
    struct buf foreign = repeat_fixture_text(f, PLAIN, OPEN_ROOM, 1);
    struct buf short_answer = {0};
    struct poll poll;
    assert_true(api_repeats(f->api, &f->conn, buf_str(&foreign), f->now_ms, &poll));
    assert_int_equal(repeat_fixture_poll(f, &poll), 0);
    assert_int_equal(f->answers, 1);
    buf_add_str(&short_answer, buf_str(&f->answer));
    assert_false(repeat_fixture_send(f, buf_str(&foreign)));
    assert_int_equal(f->answers, 2);
    assert_true(str_starts(buf_str(&f->answer), STR("HTTP/1.1 400 ")));
    assert_true(str_eq(buf_str(&f->answer), buf_str(&short_answer)));
    buf_deinit(&short_answer);
    buf_deinit(&foreign);
    buf_deinit(&text);
}

/* --- other bytes ------------------------------------------------------------------------------ */

static void nothing_repeats_on_a_new_connection_or_after_a_join(void **state)
{
    struct repeat_fixture *f = *state;
    struct buf text = text_of(f, PLAIN, 1);
    struct buf join = text_of(f, POLL "limit=7" HEAD TOKEN "\r\n", 1);
    assert_false(repeat_fixture_repeats(f, buf_str(&text)));
    assert_false(repeat_fixture_repeats(f, STR_NONE));
    assert_true(repeat_fixture_send(f, buf_str(&join)));
    assert_false(repeat_fixture_repeats(f, buf_str(&join)));
    assert_false(repeat_fixture_repeats(f, buf_str(&text)));
    assert_false(repeat_fixture_repeats(f, STR_NONE));
    buf_deinit(&text);
    buf_deinit(&join);
}

static void every_other_byte_outside_of_the_cursor_is_noticed(void **state)
{
    struct repeat_fixture *f = *state;
    size_t cursor_at;
    struct buf text = send_plain(f, &cursor_at);
    static const unsigned char FLIPS[] = {0x01, 0x20, 0x80, 0xff};
    for (size_t i = 0; i < text.len; i++) {
        if (i >= cursor_at && i < cursor_at + CURSOR_TEXT_LEN) continue;
        for (size_t k = 0; k < sizeof FLIPS; k++) {
            text.ptr[i] = (char)(text.ptr[i] ^ FLIPS[k]);
            assert_false(repeat_fixture_repeats(f, buf_str(&text)));
            text.ptr[i] = (char)(text.ptr[i] ^ FLIPS[k]);
        }
    }
    assert_true(repeat_fixture_repeats(f, buf_str(&text)));
    buf_deinit(&text);
}

static void longer_and_shorter_bytes_do_not_repeat(void **state)
{
    struct repeat_fixture *f = *state;
    struct buf text = send_plain(f, NULL);
    size_t len = text.len;
    for (size_t cut = 0; cut < len; cut++) {
        assert_false(repeat_fixture_repeats(f, str_make(text.ptr, cut)));
        assert_false(repeat_fixture_repeats(f, str_make(text.ptr + len - cut, cut)));
    }
    buf_add_char(&text, '\r');
    assert_false(repeat_fixture_repeats(f, buf_str(&text)));
    text.len = len;
    buf_reserve(&text, len);
    buf_add(&text, text.ptr, len);
    assert_false(repeat_fixture_repeats(f, buf_str(&text))); /* two of them */
    assert_true(repeat_fixture_repeats(f, str_make(text.ptr + len, len)));
    buf_deinit(&text);
}

static void what_is_no_cursor_where_the_cursor_was_does_not_repeat(void **state)
{
    struct repeat_fixture *f = *state;
    static const char FOREIGN[] = "&%= \r\n\0+/#?.;~\x7f\x80\xff";
    size_t cursor_at;
    struct buf text = send_plain(f, &cursor_at);
    for (size_t i = cursor_at; i < cursor_at + CURSOR_TEXT_LEN; i++) {
        char old = text.ptr[i];
        for (size_t k = 0; k < sizeof FOREIGN; k++) {
            text.ptr[i] = FOREIGN[k];
            assert_false(repeat_fixture_repeats(f, buf_str(&text)));
        }
        text.ptr[i] = old;
    }
    text.ptr[cursor_at + CURSOR_TEXT_LEN - 1]++; /* another spelling: a spare bit is set */
    assert_false(repeat_fixture_repeats(f, buf_str(&text)));
    buf_deinit(&text);
}

/* As long as before, but the cursor is elsewhere. */
static void a_cursor_that_has_moved_does_not_repeat(void **state)
{
    struct repeat_fixture *f = *state;
    static const char *const MOVED[] = {
        POLL "since=$&limit=7&timeout=9" HEAD TOKEN ORIGIN "Accept: */*\r\n\r\n",
        POLL "limit=&since=$7&timeout=9" HEAD TOKEN ORIGIN "Accept: */*\r\n\r\n",
        POLL "limit=7&since=&timeout=9$" HEAD TOKEN ORIGIN "Accept: */*\r\n\r\n"};
    struct buf text = send_plain(f, NULL);
    for (size_t i = 0; i < COUNT_OF(MOVED); i++) {
        struct buf moved = text_of(f, MOVED[i], 1);
        assert_int_equal(moved.len, text.len);
        assert_false(repeat_fixture_repeats(f, buf_str(&moved)));
        buf_deinit(&moved);
    }
    buf_deinit(&text);
}

static void what_another_connection_sent_does_not_repeat(void **state)
{
    struct repeat_fixture *f = *state;
    struct api_conn other = {0};
    struct poll poll;
    struct buf text = send_plain(f, NULL);
    struct buf theirs = text_of(f, POLL "user=bob&since=$" HEAD KEY "\r\n", 1);
    assert_false(api_repeats(f->api, &other, buf_str(&text), f->now_ms, &poll));
    repeat_fixture_cancel(f, repeat_fixture_request(f, &other, buf_str(&theirs), buf_str(&theirs)));
    assert_false(api_repeats(f->api, &other, buf_str(&text), f->now_ms, &poll));
    assert_false(repeat_fixture_repeats(f, buf_str(&theirs)));
    assert_true(repeat_fixture_repeats(f, buf_str(&text)));
    api_conn_deinit(f->api, &other);
    buf_deinit(&theirs);
    buf_deinit(&text);
}

/* --- other times ------------------------------------------------------------------------------ */

static void a_token_repeats_until_it_expires(void **state)
{
    struct repeat_fixture *f = *state;
    struct buf text = send_plain(f, NULL);
    f->now_ms += TOKEN_LIFE - 1;
    assert_true(repeat_fixture_repeats(f, buf_str(&text)));
    f->now_ms++;
    assert_false(repeat_fixture_repeats(f, buf_str(&text)));
    assert_false(repeat_fixture_send(f, buf_str(&text)));
    assert_true(str_starts(buf_str(&f->answer), STR("HTTP/1.1 401 ")));
    f->now_ms--;
    assert_false(repeat_fixture_repeats(f, buf_str(&text))); /* it was forgotten by that */
    buf_deinit(&text);
}

static void a_reload_of_the_apps_ends_the_repetition(void **state)
{
    struct repeat_fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        struct buf text = repeat_fixture_text(f, ways[i].template, str_of(ways[i].room), 1);
        assert_true(repeat_fixture_send(f, buf_str(&text)));
        assert_true(repeat_fixture_repeats(f, buf_str(&text)));
        repeat_fixture_reload(f);
        assert_false(repeat_fixture_repeats(f, buf_str(&text)));
        assert_true(repeat_fixture_send(f, buf_str(&text)));
        assert_true(repeat_fixture_repeats(f, buf_str(&text)));
        buf_deinit(&text);
    }
}

static void nothing_repeats_while_the_worker_drains(void **state)
{
    struct repeat_fixture *f = *state;
    struct buf text = send_plain(f, NULL);
    worker_drain(f->worker, 1000, f->now_ms);
    assert_false(repeat_fixture_repeats(f, buf_str(&text)));
    buf_deinit(&text);
}

static void any_request_in_between_ends_the_repetition(void **state)
{
    struct repeat_fixture *f = *state;
    static const char *const OTHERS[] = {
        "GET /healthz" HEAD "\r\n",
        "GET /nothing" HEAD "\r\n",
        "OPTIONS *" HEAD "\r\n",
        "GET /v1/rooms/lobby/online" HEAD KEY "\r\n",
        "POST /v1/rooms/lobby/leave" HEAD TOKEN "\r\n",
        "GET /v1/rooms/attic/messages?since=$" HEAD KEY "\r\n",
        POLL "limit=7" HEAD TOKEN "\r\n",
        POLL "limit=0&since=$" HEAD TOKEN "\r\n",
        POLL "limit=8&since=$&timeout=9" HEAD TOKEN ORIGIN "Accept: */*\r\n\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(OTHERS); i++) {
        struct buf text = send_plain(f, NULL);
        struct buf other = text_of(f, OTHERS[i], 1);
        repeat_fixture_send(f, buf_str(&other));
        assert_false(repeat_fixture_repeats(f, buf_str(&text)));
        buf_deinit(&other);
        buf_deinit(&text);
    }
}

/* --- what is never kept ----------------------------------------------------------------------- */

/* A cursor's first letter is always 'A', the high bits of its version. */
static struct buf with_escaped_cursor(const struct repeat_fixture *f)
{
    struct buf text = text_of(f, POLL "since=%41$" HEAD KEY "\r\n", 1);
    char *behind = strchr(text.ptr, '%') + 3;
    assert_int_equal(*behind, 'A');
    memmove(behind, behind + 1, (size_t)(text.ptr + text.len - behind - 1));
    text.len--;
    return text;
}

static void a_poll_with_an_escaped_cursor_is_not_kept(void **state)
{
    struct repeat_fixture *f = *state;
    struct buf text = with_escaped_cursor(f);
    assert_true(repeat_fixture_send(f, buf_str(&text)));
    assert_false(repeat_fixture_repeats(f, buf_str(&text)));
    assert_int_equal(f->conn.repeat.len, 0);
    buf_deinit(&text);
}

static void polls_that_are_not_plain_are_taken_but_not_kept(void **state)
{
    struct repeat_fixture *f = *state;
    static const char *const TAKEN[] = {
        "GET /v1/rooms/lobb%79/messages?since=$" HEAD KEY "\r\n",
        "GET /v1/rooms/%6cobby/messages?since=$" HEAD KEY "\r\n",
        POLL "since=$&user=%61nn" HEAD KEY "\r\n",
        POLL "since=$&user=a+nn" HEAD KEY "\r\n",
        "GET http://x/v1/rooms/lobby/messages?since=$" HEAD KEY "\r\n",
        "\r\nGET /v1/rooms/lobby/messages?since=$" HEAD KEY "\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(TAKEN); i++) {
        struct buf plain = send_plain(f, NULL);
        struct buf text = text_of(f, TAKEN[i], 1);
        assert_true(repeat_fixture_send(f, buf_str(&text)));
        assert_false(repeat_fixture_repeats(f, buf_str(&text)));
        assert_int_equal(f->conn.repeat.len, 0);
        buf_deinit(&text);
        buf_deinit(&plain);
    }
}

static void what_does_not_become_a_waiter_is_not_kept(void **state)
{
    struct repeat_fixture *f = *state;
    static const char *const OTHERS[] = {
        POLL "since=$" HEAD "Authorization: Bearer ^\r\n\r\n", /* 403 */
        POLL "since=$" HEAD "Authorization: Bearer x\r\n\r\n", /* 401 */
        POLL "since=$A" HEAD KEY "\r\n",                       /* bad cursors */
        POLL "since=x" HEAD KEY "\r\n",
        POLL "since=$&limit=0" HEAD KEY "\r\n",
        POLL "since=$&timeout=61" HEAD KEY "\r\n",
        POLL "since=$&user=" HEAD KEY "\r\n",
        POLL "since=$&before=1732441234567-0" HEAD KEY "\r\n",
        "HEAD /v1/rooms/lobby/messages?since=$" HEAD KEY "\r\n",
        "POST /v1/rooms/lobby/messages?since=$" HEAD KEY "\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(OTHERS); i++) {
        struct buf text = text_of(f, OTHERS[i], 1);
        assert_false(repeat_fixture_send(f, buf_str(&text)));
        assert_false(repeat_fixture_repeats(f, buf_str(&text)));
        assert_int_equal(f->conn.repeat.len, 0);
        buf_deinit(&text);
    }
}

static void a_poll_whose_bytes_came_in_pieces_is_not_kept(void **state)
{
    struct repeat_fixture *f = *state;
    struct buf text = text_of(f, PLAIN, 1);
    uint64_t waiter = repeat_fixture_request(f, &f->conn, buf_str(&text), STR_NONE);
    assert_int_not_equal(waiter, 0);
    assert_false(repeat_fixture_repeats(f, buf_str(&text)));
    assert_false(repeat_fixture_repeats(f, STR_NONE));
    repeat_fixture_cancel(f, waiter);
    buf_deinit(&text);
}

/* A poll with a body, of so many bytes in all. */
static struct buf text_of_len(const struct repeat_fixture *f, size_t len)
{
    struct buf text = {0};
    for (size_t body = len; body > 0; body--) { /* the head is some bytes long */
        char template[256];
        snprintf(template, sizeof template, POLL "since=$" HEAD KEY "Content-Length: %zu\r\n\r\n",
                 body);
        text = text_of(f, template, 1);
        if (text.len + body == len) break;
        buf_deinit(&text);
    }
    while (text.len < len) buf_add_char(&text, 'x');
    return text;
}

static void a_body_is_part_of_what_repeats_up_to_what_a_place_can_say(void **state)
{
    struct repeat_fixture *f = *state;
    struct buf text = text_of_len(f, UINT16_MAX);
    assert_true(repeat_fixture_send(f, buf_str(&text)));
    assert_true(repeat_fixture_repeats(f, buf_str(&text)));
    text.ptr[text.len - 1] = 'y';
    assert_false(repeat_fixture_repeats(f, buf_str(&text)));
    buf_deinit(&text);
    for (size_t beyond = 1; beyond < 4; beyond++) {
        text = text_of_len(f, UINT16_MAX + beyond);
        assert_true(repeat_fixture_send(f, buf_str(&text)));
        assert_false(repeat_fixture_repeats(f, buf_str(&text)));
        assert_int_equal(f->conn.repeat.len, 0); /* and no length that was cut off */
        buf_deinit(&text);
    }
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, repeat_fixture_setup, repeat_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_poll_with_another_cursor_repeats_whoever_asks),
        TEST(two_connections_without_a_name_repeat_under_their_own),
        TEST(an_origin_is_part_of_what_repeats),
        TEST(a_cursor_of_another_room_repeats_and_is_refused_in_the_same_words),
        TEST(nothing_repeats_on_a_new_connection_or_after_a_join),
        TEST(every_other_byte_outside_of_the_cursor_is_noticed),
        TEST(longer_and_shorter_bytes_do_not_repeat),
        TEST(what_is_no_cursor_where_the_cursor_was_does_not_repeat),
        TEST(a_cursor_that_has_moved_does_not_repeat),
        TEST(what_another_connection_sent_does_not_repeat),
        TEST(a_token_repeats_until_it_expires),
        TEST(a_reload_of_the_apps_ends_the_repetition),
        TEST(nothing_repeats_while_the_worker_drains),
        TEST(any_request_in_between_ends_the_repetition),
        TEST(a_poll_with_an_escaped_cursor_is_not_kept),
        TEST(polls_that_are_not_plain_are_taken_but_not_kept),
        TEST(what_does_not_become_a_waiter_is_not_kept),
        TEST(a_poll_whose_bytes_came_in_pieces_is_not_kept),
        TEST(a_body_is_part_of_what_repeats_up_to_what_a_place_can_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
