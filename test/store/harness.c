#include "store/harness.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"
#include "store/open.h"

/* --- open and close -------------------------------------------------------------------------- */

static void wake_harness(void *arg)
{
    wake_signal(arg);
}

static void on_news(void *arg, struct str room, const struct message *m)
{
    struct harness *h = arg;

    if (h->news_count == h->news_cap) {
        h->news_cap = h->news_cap == 0 ? 64 : h->news_cap * 2;
        h->news = xrealloc(h->news, h->news_cap * sizeof(*h->news));
    }
    struct harness_news *news = &h->news[h->news_count++];
    *news =
        (struct harness_news){.id = m->id, .prev = m->prev, .ordinal = m->ordinal, .list = m->list};
    assert_true(str_copy(room, news->room, sizeof(news->room)));
    assert_true(str_copy(m->type, news->type, sizeof(news->type)));
    struct str body = m->body;
    if (body.len >= sizeof(news->body))
        body.len = sizeof(news->body) - 1; /* its beginning will do */
    assert_true(str_copy(body, news->body, sizeof(news->body)));
}

static void open_store(struct harness *h)
{
    struct store_config config = {
        .env = {.loop = &h->loop,
                .wake = wake_harness,
                .wake_arg = &h->wake,
                .on_news = on_news,
                .news_arg = h},
        .retention = {h->retention[0], h->retention[1]},
        .history = h->history,
    };
    char why[256] = "";
    int err;

    if (h->fixture->start != NULL) {
        h->fixture->start(h);
        config.link = &h->link;
    }
    h->is_idle = false;
    if (harness_is_plain(h)) {
        err = store_open(h->url, &config, &h->store, why, sizeof(why));
    } else {
        struct faulty_setup setup = {.url = h->url, .seed = h->seed++, .odds = *h->fixture->odds};
        err = faulty_store_open(&setup, &config, &h->store, why, sizeof(why));
    }
    if (err != 0) fail_msg("%s", why);
}

static void close_store(struct harness *h)
{
    store_close(h->store);
    if (h->fixture->stop != NULL) h->fixture->stop(h);
}

int harness_setup(void **state)
{
    struct harness *h = xcalloc(1, sizeof(*h));

    h->fixture = *state;
    h->now_ms = START_MS;
    h->seed = h->fixture->seed;
    assert_int_equal(wake_init(&h->wake), 0);
    assert_int_equal(uv_loop_init(&h->loop), 0);
    snprintf(h->directory, sizeof(h->directory), "/tmp/stoa-store-XXXXXX");
    assert_non_null(mkdtemp(h->directory));
    if (h->fixture->empty != NULL) h->fixture->empty(h->fixture->arg);
    if (h->fixture->url != NULL)
        snprintf(h->url, sizeof(h->url), "%s", h->fixture->url);
    else if (h->fixture->is_durable)
        snprintf(h->url, sizeof(h->url), "%s%s/test.db", h->fixture->scheme, h->directory);
    else if (h->fixture->scheme != NULL)
        snprintf(h->url, sizeof(h->url), "%s", h->fixture->scheme);
    open_store(h);
    *state = h;
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

int harness_teardown(void **state)
{
    struct harness *h = *state;

    close_store(h);
    uv_run(&h->loop, UV_RUN_DEFAULT); /* what the store left to be closed */
    assert_int_equal(uv_loop_close(&h->loop), 0);
    wake_deinit(&h->wake);
    nftw(h->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(h->news);
    free(h);
    return 0;
}

void harness_reopen(struct harness *h)
{
    close_store(h);
    open_store(h);
}

bool harness_is_plain(const struct harness *h)
{
    return h->fixture->odds == NULL;
}

/* --- waiting --------------------------------------------------------------------------------- */

static int64_t loop_ms(struct harness *h)
{
    uv_update_time(&h->loop);
    return (int64_t)uv_now(&h->loop);
}

/* Time goes on only to where the store wants it next, and only by the delays of faults: by itself
 * it would spoil the tests of quotas and of age. */
static bool step(struct harness *h)
{
    uv_update_time(&h->loop);
    h->next_ms = store_dispatch(h->store, h->now_ms);
    if (h->next_ms <= h->now_ms) return true;
    if (harness_is_plain(h) || h->next_ms - h->now_ms > h->fixture->odds->max_delay_ms)
        return false;
    h->now_ms = h->next_ms;
    return true;
}

/* Until the store wakes, the loop has something to do, or the store wants its next dispatch. */
static int64_t sleep_ms(struct harness *h)
{
    int64_t sleep_ms = PATIENCE_MS;
    int64_t own_ms = uv_loop_alive(&h->loop) ? uv_backend_timeout(&h->loop) : -1;

    if (h->next_ms - h->now_ms < sleep_ms) sleep_ms = h->next_ms - h->now_ms;
    if (sleep_ms < 0) sleep_ms = 0; /* the test has moved the clock on */
    return own_ms >= 0 && own_ms < sleep_ms ? own_ms : sleep_ms;
}

static void wait_for_wake(struct harness *h)
{
    struct pollfd pfds[] = {{.fd = h->wake.fd, .events = POLLIN},
                            {.fd = uv_backend_fd(&h->loop), .events = POLLIN}};
    int64_t now_ms = loop_ms(h);

    if (h->woken_ms == 0) h->woken_ms = now_ms;
    if (now_ms - h->woken_ms > PATIENCE_MS) fail_msg("nothing happened for %d ms", PATIENCE_MS);
    uv_run(&h->loop, UV_RUN_NOWAIT); /* it watches a new socket only once it has run */
    poll(pfds, 2, (int)sleep_ms(h));
    uv_run(&h->loop, UV_RUN_NOWAIT);
    if ((pfds[0].revents & POLLIN) == 0) return;
    h->woken_ms = 0;
    wake_clear(&h->wake);
}

/* What is called after a dispatch that found nothing wakes us, so waiting comes before dispatching.
 */
void harness_turn(struct harness *h)
{
    if (h->is_idle) wait_for_wake(h);
    h->is_idle = !step(h);
}

void harness_wait(struct harness *h, const bool *is_done)
{
    while (!*is_done) harness_turn(h);
}

void harness_tick(struct harness *h)
{
    h->now_ms += 1000;
    store_dispatch(h->store, h->now_ms);
    assert_int_equal(harness_ping(h), 0);
}

static bool is_not_now(int err)
{
    return err == ERR_STORE_UNAVAILABLE || err == ERR_OVERLOADED;
}

/* A plain store has no reason to refuse in these tests. */
bool harness_has_to_repeat(const struct harness *h, int err)
{
    if (is_not_now(err) && harness_is_plain(h)) fail_msg("%s", error_code(err));
    return is_not_now(err);
}

/* --- appends --------------------------------------------------------------------------------- */

struct append_answer {
    int err;
    struct store_appended appended;
    bool is_done;
};

static void on_append(void *arg, int err, const struct store_appended *appended)
{
    struct append_answer *answer = arg;

    assert_false(answer->is_done);
    assert_non_null(appended);
    answer->err = err;
    answer->appended = *appended;
    answer->is_done = true;
}

struct store_append harness_append_of(struct harness *h, const struct harness_append *a)
{
    return (struct store_append){
        .room = str_of(a->room),
        .message = {.list = a->list,
                    .type = str_of(a->type != NULL ? a->type : "text"),
                    .from = str_of(a->from),
                    .name = str_of(a->name),
                    .body = str_of(a->body)},
        .key = str_of(a->key),
        .per_s = a->per_s,
        .now_ms = h->now_ms,
    };
}

static int append_once(struct harness *h, const struct store_append *append,
                       struct store_appended *ret_appended)
{
    struct append_answer answer = {0};
    int err = store_append(h->store, append, on_append, &answer);

    if (err != 0) return err;
    assert_false(answer.is_done);
    harness_wait(h, &answer.is_done);
    *ret_appended = answer.appended;
    return answer.err;
}

int harness_append(struct harness *h, const struct harness_append *a,
                   struct store_appended *ret_appended)
{
    struct store_append append = harness_append_of(h, a);
    struct store_appended appended;
    char key[32];
    int err;

    snprintf(key, sizeof(key), "harness-%llu", (unsigned long long)h->key_count++);
    if (!harness_is_plain(h) && append.key.len == 0) append.key = str_of(key);
    do {
        append.now_ms = h->now_ms;
        err = append_once(h, &append, &appended);
    } while (harness_has_to_repeat(h, err));
    if (ret_appended != NULL) *ret_appended = appended;
    return err;
}

uint64_t harness_send(struct harness *h, const char *room, enum list_kind list, const char *body)
{
    struct harness_append a = {.room = room, .list = list, .body = body};
    struct store_appended appended;

    assert_int_equal(harness_append(h, &a, &appended), 0);
    return appended.id;
}

/* --- reads ----------------------------------------------------------------------------------- */

struct read_answer {
    int err;
    struct harness_range range;
    bool is_done;
};

static void copy_message(struct harness_message *to, const struct message *m)
{
    to->m = *m;
    assert_true(str_copy(m->type, to->type, sizeof(to->type)));
    assert_true(str_copy(m->from, to->from, sizeof(to->from)));
    assert_true(str_copy(m->name, to->name, sizeof(to->name)));
    to->body = xmalloc(m->body.len + 1);
    assert_true(str_copy(m->body, to->body, m->body.len + 1));
}

static void on_read(void *arg, int err, const struct store_range *range)
{
    struct read_answer *answer = arg;

    assert_false(answer->is_done);
    answer->err = err;
    answer->is_done = true;
    if (err != 0) {
        assert_null(range);
        return;
    }
    answer->range = (struct harness_range){
        .messages = xcalloc(range->count + 1, sizeof(struct harness_message)),
        .count = range->count,
        .more = range->more,
        .trimmed = range->trimmed,
        .tail = range->tail,
        .tail_ordinal = range->tail_ordinal,
    };
    for (size_t i = 0; i < range->count; i++)
        copy_message(&answer->range.messages[i], &range->messages[i]);
}

struct harness_range harness_read(struct harness *h, const struct store_read *read)
{
    struct read_answer answer;
    int err;

    do {
        answer = (struct read_answer){0};
        err = store_read(h->store, read, on_read, &answer);
        if (err != 0) continue;
        assert_false(answer.is_done);
        harness_wait(h, &answer.is_done);
        err = answer.err;
    } while (harness_has_to_repeat(h, err));
    assert_int_equal(err, 0);
    return answer.range;
}

/* Appends the messages of `more` to `all`, which then owns them. */
static void join(struct harness_range *all, struct harness_range *more)
{
    size_t count = all->count + more->count;

    all->messages = xrealloc(all->messages, (count + 1) * sizeof(*all->messages));
    memcpy(all->messages + all->count, more->messages, more->count * sizeof(*all->messages));
    free(more->messages);
    more->messages = all->messages;
    more->count = count;
    *all = *more;
}

struct harness_range harness_read_all(struct harness *h, const char *room, enum list_kind list)
{
    struct harness_range all = {0};

    do {
        const struct store_read read = {
            .room = str_of(room),
            .list = list,
            .direction = STORE_AFTER,
            .from = all.count > 0 ? all.messages[all.count - 1].m.id : 0,
            .limit = 1000,
        };
        struct harness_range range = harness_read(h, &read);
        join(&all, &range);
    } while (all.more);
    return all;
}

void harness_range_free(struct harness_range *range)
{
    for (size_t i = 0; i < range->count; i++) free(range->messages[i].body);
    free(range->messages);
    *range = (struct harness_range){0};
}

void harness_check_chain(const struct harness_range *range)
{
    uint64_t prev = range->trimmed;

    for (size_t i = 0; i < range->count; i++) {
        const struct message *m = &range->messages[i].m;
        assert_true(m->id > prev);
        assert_int_equal(m->prev, prev);
        if (i > 0) assert_int_equal(m->ordinal, range->messages[i - 1].m.ordinal + 1);
        prev = m->id;
    }
    assert_int_equal(range->tail, prev);
    if (range->count > 0)
        assert_int_equal(range->tail_ordinal, range->messages[range->count - 1].m.ordinal);
}

/* --- rooms ----------------------------------------------------------------------------------- */

struct room_answer {
    int err;
    struct room_record record;
    bool created;
    bool is_done;
};

static void on_room(void *arg, int err, const struct room_record *record, bool created)
{
    struct room_answer *answer = arg;

    assert_false(answer->is_done);
    assert_int_equal(record != NULL, err == 0);
    answer->err = err;
    answer->is_done = true;
    if (record != NULL) answer->record = *record;
    answer->created = created;
}

static int put_once(struct harness *h, const struct store_room_put *put, struct room_answer *answer)
{
    *answer = (struct room_answer){0};
    int err = store_room_put(h->store, put, on_room, answer);

    if (err != 0) return err;
    assert_false(answer->is_done);
    harness_wait(h, &answer->is_done);
    return answer->err;
}

struct harness_room harness_put(struct harness *h, const struct harness_put *put)
{
    struct store_room_put store_put = {
        .room = str_of(put->room),
        .only_new = put->only_new,
        .known = {put->known[LIST_HIGH], put->known[LIST_NORMAL]},
        .settings = put->settings,
        .state = put->state,
        .control = {.list = LIST_HIGH,
                    .type = str_of(put->control_type),
                    .body = str_of(put->control_body)},
        .now_ms = h->now_ms,
    };
    struct room_answer answer;
    int attempts = 0, err;

    do {
        attempts++;
        err = put_once(h, &store_put, &answer);
    } while (harness_has_to_repeat(h, err));
    if (!put->only_new || err != ERR_ROOM_EXISTS) assert_int_equal(err, 0);
    return (struct harness_room){err, answer.record, answer.created, attempts};
}

void harness_create(struct harness *h, const char *room)
{
    struct harness_put put = {.room = room, .settings = room_settings_default()};

    harness_put(h, &put);
    if (h->fixture->watches) store_watch(h->store, str_of(room));
}

int harness_get(struct harness *h, const char *room, struct room_record *ret_record)
{
    struct room_answer answer;
    int err;

    do {
        answer = (struct room_answer){0};
        err = store_room_get(h->store, str_of(room), on_room, &answer);
        if (err != 0) continue;
        assert_false(answer.is_done);
        harness_wait(h, &answer.is_done);
        err = answer.err;
    } while (harness_has_to_repeat(h, err));
    if (err == 0) *ret_record = answer.record;
    return err;
}

struct list_answer {
    int err;
    struct harness_page page;
    bool is_done;
};

static void on_list(void *arg, int err, const struct store_room_item *items, size_t count,
                    bool more)
{
    struct list_answer *answer = arg;
    struct harness_page *page = &answer->page;

    assert_false(answer->is_done);
    answer->err = err;
    answer->is_done = true;
    assert_true(count <= sizeof(page->records) / sizeof(page->records[0]));
    page->count = count;
    page->more = more;
    for (size_t i = 0; i < count; i++) {
        assert_true(str_copy(items[i].room, page->rooms[i], sizeof(page->rooms[i])));
        page->records[i] = items[i].record;
    }
}

struct harness_page harness_list(struct harness *h, const char *app, const char *after,
                                 uint32_t limit)
{
    struct list_answer *answer = xcalloc(1, sizeof(*answer));
    int err;

    do {
        answer->is_done = false;
        err = store_room_list(h->store, str_of(app), str_of(after), limit, on_list, answer);
        if (err != 0) continue;
        assert_false(answer->is_done);
        harness_wait(h, &answer->is_done);
        err = answer->err;
    } while (harness_has_to_repeat(h, err));
    assert_int_equal(err, 0);
    struct harness_page page = answer->page;
    free(answer);
    return page;
}

struct ping_answer {
    int err;
    bool is_done;
};

static void on_pong(void *arg, int err)
{
    struct ping_answer *answer = arg;

    assert_false(answer->is_done);
    answer->err = err;
    answer->is_done = true;
}

int harness_ping(struct harness *h)
{
    struct ping_answer answer;
    int err;

    do {
        answer = (struct ping_answer){0};
        err = store_ping(h->store, on_pong, &answer);
        if (err != 0) continue;
        assert_false(answer.is_done);
        harness_wait(h, &answer.is_done);
        err = answer.err;
    } while (harness_has_to_repeat(h, err));
    return err;
}
