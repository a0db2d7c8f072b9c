/* api/repeat.c against what it stands for: whatever a poll looks like and whatever has become of its
 * bytes, if they are taken for a repetition, then reading them leads to the very same waiter. */
#include "unit/api_repeat_fixture.h"

#include <string.h>

#define SEEDS            8
#define REQUESTS         250 /* per seed, on connections of their own now and then */
#define VARIANTS         6   /* of each request */
#define ONE_OF(r, array) (array)[rng_below((r), sizeof(array) / sizeof(array)[0])]

struct run {
    struct repeat_fixture *f;
    struct rng rng;
    struct str room; /* key that the cursors are for */
    uint32_t repeated, refused, not_repeated;
};

/* --- requests at random ----------------------------------------------------------------------- */

static bool chance(struct run *run, uint64_t percent)
{
    return rng_below(&run->rng, 100) < percent;
}

static void add_param(struct run *run, struct buf *template)
{
    static const char *const PARAMS[] = {
        "user=ann",  "user=bob",   "user=a%20n", "user=a+n", "user=",      "user=%61nn",
        "limit=%u",  "limit=1",    "limit=200",  "limit=0",  "limit=2%30", "timeout=0",
        "timeout=7", "timeout=60", "timeout=61", "token=@",  "token=^",    "token=shop-key",
        "before=",   "x=y",        "since=$",    "since=x",  "since",      "since=",
        "cb=123",    "",           "=",          "sinc=$",   "user=b~b",   "user=ann&user=bob"};
    const char *param = ONE_OF(&run->rng, PARAMS);
    if (strcmp(param, "limit=%u") == 0)
        buf_printf(template, "limit=%u", (unsigned)rng_below(&run->rng, 201));
    else
        buf_add_str(template, str_of(param));
}

static void add_query(struct run *run, struct buf *template)
{
    uint64_t count = rng_below(&run->rng, 4), since_at = rng_below(&run->rng, count + 1);
    buf_add_char(template, '?');
    for (uint64_t i = 0; i <= count; i++) {
        if (i > 0) buf_add_char(template, '&');
        if (i == since_at && chance(run, 95))
            buf_add_lit(template, "since=$");
        else
            add_param(run, template);
    }
}

static void add_fields(struct run *run, struct buf *template)
{
    static const char *const FIELDS[] = {"Connection: keep-alive\r\n", "Connection: close\r\n",
                                         "Accept: */*\r\n", "X-A:\r\n", "Content-Length: 0\r\n"};
    static const char *const ORIGINS[] = {"Origin: " SHOP_ORIGIN "\r\n",
                                          "Origin: https://elsewhere.example\r\n"};
    if (chance(run, 30)) buf_add_str(template, str_of(ONE_OF(&run->rng, ORIGINS)));
    for (size_t i = 0; i < sizeof FIELDS / sizeof FIELDS[0]; i++)
        if (chance(run, 25)) buf_add_str(template, str_of(FIELDS[i]));
}

static void add_credentials(struct run *run, struct buf *template)
{
    static const char *const CREDENTIALS[] = {"@", "@", "shop-key", "shop-key", "^", "x"};
    const char *credentials = ONE_OF(&run->rng, CREDENTIALS);
    if (chance(run, 50)) buf_printf(template, "Authorization: Bearer %s\r\n", credentials);
}

/* Half of them are polls that are taken. */
static struct buf random_template(struct run *run)
{
    static const char *const LINES[] = {
        "GET /v1/rooms/lobby/messages", "GET /v1/rooms/lobby/messages",
        "GET /v1/rooms/lobby/messages", "GET /v1/rooms/attic/messages",
        "GET /v1/rooms/l/messages",     "GET /v1/rooms/lobb%79/messages",
        "GET /v1/rooms/lobby/online",   "GET http://x/v1/rooms/lobby/messages",
        "HEAD /v1/rooms/lobby/messages"};
    struct buf template = {0};
    buf_add_str(&template, str_of(ONE_OF(&run->rng, LINES)));
    add_query(run, &template);
    buf_add_str(&template, chance(run, 95) ? STR(" HTTP/1.1\r\n") : STR(" HTTP/1.0\r\n"));
    buf_add_lit(&template, "Host: x\r\n");
    if (chance(run, 50)) {
        add_credentials(run, &template);
        add_fields(run, &template);
    } else {
        add_fields(run, &template);
        add_credentials(run, &template);
    }
    buf_add_lit(&template, "\r\n");
    buf_add_char(&template, '\0');
    return template;
}

/* --- what becomes of their bytes -------------------------------------------------------------- */

static char random_byte(struct run *run)
{
    static const char BYTES[] = "AQz09-_&%=+ \r\n\0/?.:abnoy127";
    return chance(run, 80) ? ONE_OF(&run->rng, BYTES) : (char)rng_below(&run->rng, 256);
}

static void insert_byte(struct run *run, struct buf *text, size_t at)
{
    buf_add_char(text, '\0');
    memmove(text->ptr + at + 1, text->ptr + at, text->len - at - 1);
    text->ptr[at] = random_byte(run);
}

static void remove_byte(struct buf *text, size_t at)
{
    memmove(text->ptr + at, text->ptr + at + 1, text->len - at - 1);
    text->len--;
}

/* A few bytes are others; half the time in what may be the cursor. */
static void mutate(struct run *run, struct buf *text)
{
    const char *since = memmem(text->ptr, text->len, "since=", 6);
    bool is_in_cursor = since != NULL && chance(run, 50);
    size_t from = is_in_cursor ? (size_t)(since - text->ptr) + 6 : 0;
    size_t count = is_in_cursor ? CURSOR_TEXT_LEN : text->len;
    if (from + count > text->len) count = text->len - from;
    for (uint64_t i = rng_below(&run->rng, 3) + 1; i > 0; i--) {
        size_t at = from + rng_below(&run->rng, count);
        if (chance(run, 80))
            text->ptr[at] = random_byte(run);
        else if (chance(run, 50))
            insert_byte(run, text, at);
        else
            remove_byte(text, at);
        if (text->len <= from + count) return;
    }
}

static struct buf random_variant(struct run *run, const char *template)
{
    struct str room = chance(run, 90) ? run->room : STR("shop/attic");
    struct buf text = repeat_fixture_text(run->f, template, room, rng_below(&run->rng, 100));
    if (chance(run, 50)) mutate(run, &text);
    return text;
}

/* --- the property ----------------------------------------------------------------------------- */

static void assert_same_place(const struct place *a, const struct place *b)
{
    assert_int_equal(a->high, b->high);
    assert_int_equal(a->normal, b->normal);
    assert_int_equal(a->normal_ordinal, b->normal_ordinal);
}

static void assert_same_waiter(const struct waiter *a, const struct waiter *b)
{
    assert_ptr_not_equal(a, b);
    assert_ptr_equal(a->room, b->room);
    assert_ptr_equal(a->attendee, b->attendee); /* the room has one per user */
    assert_same_place(&a->place, &b->place);
    assert_int_equal(a->came_ms, b->came_ms);
    assert_int_equal(a->timeout_ms, b->timeout_ms);
    assert_int_equal(a->rest_ms, b->rest_ms);
    assert_int_equal(a->limit, b->limit);
    assert_int_equal(a->variant, b->variant);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->is_join, b->is_join);
    assert_int_equal(a->tell_user, b->tell_user);
}

/* Goes the long way on a copy of the connection, so that the connection still keeps what it keeps. */
static uint64_t go_the_long_way(struct run *run, struct str text)
{
    struct api_conn copy = run->f->conn;
    if (copy.identity != NULL) copy.identity->refs++;
    uint64_t handle = repeat_fixture_request(run->f, &copy, text, text);
    api_conn_deinit(run->f->api, &copy);
    return handle;
}

/* Both refused the cursor, then, in the same words. */
static void assert_both_refused(struct run *run, struct str short_answer)
{
    assert_true(str_starts(short_answer, STR("HTTP/1.1 400 ")));
    assert_true(str_eq(buf_str(&run->f->answer), short_answer));
    run->refused++;
}

static void check_repetition(struct run *run, struct poll *poll, struct str text)
{
    struct repeat_fixture *f = run->f;
    struct buf answer = {0};
    bool auto_create = poll->auto_create;
    uint32_t answers = f->answers;
    uint64_t short_way = repeat_fixture_poll(f, poll);
    buf_add_str(&answer, buf_str(&f->answer));
    uint64_t long_way = go_the_long_way(run, text);
    assert_int_equal(short_way == 0, long_way == 0);
    assert_int_equal(f->answers, answers + (short_way == 0 ? 2 : 0));
    if (short_way == 0) {
        assert_both_refused(run, buf_str(&answer));
    } else {
        const struct waiter *waiter = repeat_fixture_waiter(f, short_way);
        assert_same_waiter(waiter, repeat_fixture_waiter(f, long_way));
        assert_int_equal(auto_create, str_starts(waiter->room->key, STR("open/")));
        run->repeated++;
    }
    repeat_fixture_cancel(f, short_way);
    repeat_fixture_cancel(f, long_way);
    buf_deinit(&answer);
}

static void try_variant(struct run *run, const char *template)
{
    struct buf text = random_variant(run, template);
    struct poll poll;
    if (api_repeats(run->f->api, &run->f->conn, buf_str(&text), run->f->now_ms, &poll))
        check_repetition(run, &poll, buf_str(&text));
    else
        run->not_repeated++;
    buf_deinit(&text);
}

/* Right for most of them. */
static struct str room_of(const char *template)
{
    bool has_credentials = strchr(template, '@') != NULL || strstr(template, "shop-key") != NULL;
    return has_credentials ? SHOP_ROOM : OPEN_ROOM;
}

static void connect_anew(struct repeat_fixture *f)
{
    api_conn_deinit(f->api, &f->conn);
    f->conn = (struct api_conn){0};
}

static void try_request(struct run *run)
{
    struct buf template = random_template(run);
    run->room = room_of(template.ptr);
    struct buf text = repeat_fixture_text(run->f, template.ptr, run->room, 1);
    if (chance(run, 10)) connect_anew(run->f);
    repeat_fixture_send(run->f, buf_str(&text));
    for (int i = 0; i < VARIANTS; i++) try_variant(run, template.ptr);
    if (chance(run, 2)) repeat_fixture_reload(run->f);
    try_variant(run, template.ptr);
    buf_deinit(&text);
    buf_deinit(&template);
}

static void what_repeats_leads_to_the_waiter_that_reading_it_leads_to(void **state)
{
    struct run run = {.f = *state};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        rng_init(&run.rng, seed);
        for (int i = 0; i < REQUESTS; i++) try_request(&run);
    }
    /* Each of them is not rare. */
    assert_in_range(run.repeated, SEEDS * REQUESTS / 2, SEEDS * REQUESTS * VARIANTS);
    assert_in_range(run.refused, SEEDS * REQUESTS / 10, SEEDS * REQUESTS * VARIANTS);
    assert_in_range(run.not_repeated, SEEDS * REQUESTS / 2, SEEDS * REQUESTS * VARIANTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_repeats_leads_to_the_waiter_that_reading_it_leads_to,
                                        repeat_fixture_setup, repeat_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
