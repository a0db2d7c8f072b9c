#include "unit/api_repeat_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define SECRET "0123456789abcdef0123456789abcdef"

/* --- what the api and the worker ask of their surroundings ------------------------------------ */

static void keep_answer(void *arg, uint64_t exchange, struct blob *wire, bool close)
{
    struct repeat_fixture *f = arg;
    assert_int_equal(exchange, f->exchange);
    f->answers++;
    buf_clear(&f->answer);
    buf_add(&f->answer, wire->bytes, wire->len);
}

static const struct api_out out = {.send = keep_answer};

static struct apps *two_apps(uint64_t generation)
{
    struct apps *apps = apps_new(2, generation);
    str_copy(STR("shop"), apps->app[0].name, sizeof apps->app[0].name);
    str_copy(STR("shop-key"), apps->app[0].keys[0], sizeof apps->app[0].keys[0]);
    str_copy(STR(SECRET), apps->app[0].secret, sizeof apps->app[0].secret);
    str_copy(STR(SHOP_ORIGIN), apps->app[0].origins[0], sizeof apps->app[0].origins[0]);
    str_copy(STR("open"), apps->app[1].name, sizeof apps->app[1].name);
    apps->app[1].anonymous = true;
    apps->app[1].auto_create = true;
    return apps;
}

static void sign(struct repeat_fixture *f, struct str room, struct buf *ret)
{
    struct token_claims claims = {.app = STR("shop"),
                                  .user = STR(TOKEN_USER),
                                  .room = room,
                                  .role = STR("viewer"),
                                  .expires_s = (f->now_ms + TOKEN_LIFE) / 1000};
    token_sign(STR(SECRET), &claims, ret);
}

/* --- its life --------------------------------------------------------------------------------- */

static void make_api(struct repeat_fixture *f)
{
    struct apps *apps = two_apps(++f->generation);
    struct api_config config = {.out = &out, .arg = f, .seed = 1, .hash_key = {1, 2}, .apps = apps};
    f->api = api_new(&config);
    apps_unref(apps);
}

static void make_worker(struct repeat_fixture *f)
{
    struct worker_config config = {.calls = f->calls,
                                   .notes = f->notes,
                                   .ops = &api_worker_ops,
                                   .arg = f->api,
                                   .linger_ms = 10000,
                                   .seed = 1,
                                   .hash_key = {3, 4}};
    f->worker = worker_new(&config, f->now_ms);
    api_set_worker(f->api, f->worker);
}

int repeat_fixture_setup(void **state)
{
    struct repeat_fixture *f = xcalloc(1, sizeof *f);
    f->now_ms = FIXTURE_START_MS / 1000 * 1000; /* a token ends with a second */
    f->calls = queue_new(sizeof(struct call *), LIMIT_CALLS_PER_WORKER);
    f->notes = queue_new(sizeof(struct note), LIMIT_NOTES_PER_WORKER);
    make_api(f);
    make_worker(f);
    sign(f, STR("lobby"), &f->token);
    sign(f, STR("attic"), &f->other_token);
    *state = f;
    return 0;
}

int repeat_fixture_teardown(void **state)
{
    struct repeat_fixture *f = *state;
    struct call *call;
    api_conn_deinit(f->api, &f->conn);
    worker_free(f->worker);
    api_free(f->api);
    while (queue_pop(f->calls, &call)) call_free(call);
    queue_free(f->calls);
    queue_free(f->notes);
    buf_deinit(&f->answer);
    buf_deinit(&f->token);
    buf_deinit(&f->other_token);
    free(f);
    return 0;
}

void repeat_fixture_reload(struct repeat_fixture *f)
{
    struct apps *apps = two_apps(++f->generation);
    api_set_apps(f->api, apps);
    apps_unref(apps);
}

/* --- requests --------------------------------------------------------------------------------- */

static void add_cursor(struct buf *b, struct str room, uint64_t number)
{
    struct cursor cursor = {.high = fixture_id(LIST_HIGH, number),
                            .normal = fixture_id(LIST_NORMAL, number),
                            .normal_ordinal = number,
                            .at_ms = FIXTURE_START_MS - (int64_t)number,
                            .room = cursor_room_tag(room)};
    char text[CURSOR_TEXT_LEN];
    cursor_encode(&cursor, text);
    buf_add(b, text, sizeof text);
}

struct buf repeat_fixture_text(const struct repeat_fixture *f, const char *template,
                               struct str room, uint64_t number)
{
    struct buf b = {0};
    for (const char *c = template; *c != '\0'; c++) {
        if (*c == '$')
            add_cursor(&b, room, number);
        else if (*c == '@' || *c == '^')
            buf_add_str(&b, buf_str(*c == '@' ? &f->token : &f->other_token));
        else
            buf_add_char(&b, *c);
    }
    return b;
}

uint64_t repeat_fixture_request(struct repeat_fixture *f, struct api_conn *conn, struct str text,
                                struct str wire)
{
    struct http_reader *reader = http_reader_new();
    size_t used = 0;
    assert_int_equal(http_reader_feed(reader, text, &used), HTTP_COMPLETE);
    assert_int_equal(used, text.len);
    uint64_t waiter =
        api_request(f->api, conn, ++f->exchange, http_reader_request(reader), wire, f->now_ms);
    http_reader_free(reader);
    return waiter;
}

bool repeat_fixture_send(struct repeat_fixture *f, struct str text)
{
    uint64_t waiter = repeat_fixture_request(f, &f->conn, text, text);
    repeat_fixture_cancel(f, waiter);
    return waiter != 0;
}

uint64_t repeat_fixture_poll(struct repeat_fixture *f, struct poll *poll)
{
    poll->exchange = ++f->exchange;
    return worker_poll(f->worker, poll, f->now_ms);
}

bool repeat_fixture_repeats(struct repeat_fixture *f, struct str text)
{
    struct poll poll;
    return api_repeats(f->api, &f->conn, text, f->now_ms, &poll);
}

const struct waiter *repeat_fixture_waiter(const struct repeat_fixture *f, uint64_t handle)
{
    const struct waiter *waiter = slots_get(&f->worker->waiters, handle);
    assert_non_null(waiter);
    return waiter;
}

void repeat_fixture_cancel(struct repeat_fixture *f, uint64_t handle)
{
    worker_cancel(f->worker, handle, f->now_ms);
}
