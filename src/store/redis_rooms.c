/* Rooms: put, get, and the pages of an app's rooms. */
#include "base/alloc.h"
#include "base/error.h"
#include "store/redis_store.h"

#define PAGE_MAX 256 /* rooms whose records are asked for at once */

static const char *const RECORD_FIELDS[] = {
    "title",      "sect",  "slow_mode_s", "max_body_bytes", "normal_per_s", "high_per_s",
    "max_online", "state", "version",     "created_ms",     "unique",
};
#define RECORD_FIELD_COUNT (sizeof(RECORD_FIELDS) / sizeof(RECORD_FIELDS[0]))

static struct redis_store *redis_of(struct store *store)
{
    return CONTAINER_OF(store, struct redis_store, store);
}

/* --- records --------------------------------------------------------------------------------- */

static uint32_t u32_of(const redisReply *reply)
{
    uint64_t value = redis_u64(reply);

    return value <= UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

/* False: there is no such room. */
static bool record_of(const redisReply *reply, struct room_record *ret_record)
{
    struct str state = redis_str(redis_at(reply, 7));
    struct room_record record = {
        .settings = {.slow_mode_s = u32_of(redis_at(reply, 2)),
                     .max_body_bytes = u32_of(redis_at(reply, 3)),
                     .normal_per_s = u32_of(redis_at(reply, 4)),
                     .high_per_s = u32_of(redis_at(reply, 5)),
                     .max_online = u32_of(redis_at(reply, 6))},
        .state = str_eq(state, STR("closed")) ? ROOM_CLOSED : ROOM_OPEN,
        .version = redis_u64(redis_at(reply, 8)),
        .created_ms = redis_i64(redis_at(reply, 9)),
        .unique = redis_u64(redis_at(reply, 10)),
    };

    if (state.len == 0) return false;
    str_copy(redis_str(redis_at(reply, 0)), record.settings.title, sizeof(record.settings.title));
    str_copy(redis_str(redis_at(reply, 1)), record.settings.sect, sizeof(record.settings.sect));
    *ret_record = record;
    return true;
}

static void words_get(struct redis_store *s, struct str room)
{
    words_begin(&s->words);
    words_command(&s->words, "HMGET", redis_room_key(s, room, ""));
    for (size_t i = 0; i < RECORD_FIELD_COUNT; i++) words_lit(&s->words, RECORD_FIELDS[i]);
}

static void on_get(struct redis_store *s, void *arg, const redisReply *reply)
{
    struct room_job *job = arg;

    redis_done(s, &job->job, record_of(reply, &job->out) ? 0 : ERR_ROOM_NOT_FOUND);
}

int redis_room_get(struct store *store, struct str room, store_room_cb *cb, void *arg)
{
    struct redis_store *s = redis_of(store);
    struct room_job *job = room_get_job_new(room, cb, arg);

    int err = redis_start(s, &job->job);
    if (err != 0) return err;
    words_get(s, room);
    redis_ask_for(s, &job->job, on_get, false);
    return 0;
}

/* --- put ------------------------------------------------------------------------------------- */

struct put {
    struct redis_flight flight; /* of the control message */
    struct redis_room *room;
    struct room_job *job;
};

static void put_free(struct redis_store *s, struct put *put, int err)
{
    redis_done(s, &put->job->job, err);
    redis_land(s, put->room, &put->flight);
    free(put);
}

static void on_put_lost(struct redis_store *s, void *arg)
{
    put_free(s, arg, ERR_STORE_UNAVAILABLE);
}

static uint64_t id_of(const redisReply *ms, const redisReply *n)
{
    return redis_u64(ms) << 20 | redis_u64(n);
}

static void on_put(struct redis_store *s, void *arg, const redisReply *reply)
{
    struct put *put = arg;
    struct room_job *job = put->job;
    struct message *control = &job->in.control;

    if (str_eq(redis_str(reply), STR("exists"))) {
        put_free(s, put, ERR_ROOM_EXISTS);
        return;
    }
    job->created = redis_u64(redis_at(reply, 0)) == 1;
    job->out = (struct room_record){
        .settings = job->in.settings,
        .state = job->in.state,
        .version = redis_u64(redis_at(reply, 1)),
        .created_ms = redis_i64(redis_at(reply, 2)),
        .unique = redis_u64(redis_at(reply, 3)),
    };
    control->id = id_of(redis_at(reply, 4), redis_at(reply, 5));
    control->prev = id_of(redis_at(reply, 6), redis_at(reply, 7));
    control->ordinal = redis_u64(redis_at(reply, 8));
    put_free(s, put, 0);
}

static void add_field(struct redis_words *w, const char *field, uint64_t value)
{
    words_lit(w, field);
    words_u64(w, value);
}

static void add_record(struct redis_words *w, const struct store_room_put *in)
{
    words_lit(w, "title");
    words_lit(w, in->settings.title);
    words_lit(w, "sect");
    words_lit(w, in->settings.sect);
    words_lit(w, "state");
    words_lit(w, in->state == ROOM_CLOSED ? "closed" : "open");
    add_field(w, "slow_mode_s", in->settings.slow_mode_s);
    add_field(w, "max_body_bytes", in->settings.max_body_bytes);
    add_field(w, "normal_per_s", in->settings.normal_per_s);
    add_field(w, "high_per_s", in->settings.high_per_s);
    add_field(w, "max_online", in->settings.max_online);
}

static void words_put(struct redis_store *s, const struct put *put)
{
    const struct store_room_put *in = &put->job->in;
    struct redis_words *w = &s->words;

    words_begin(w);
    words_call(w, "room_put", redis_room_key(s, in->room, ""));
    redis_flight_word(s, &put->flight);
    words_i64(w, in->now_ms);
    words_lit(w, in->only_new ? "1" : "0");
    words_u64(w, s->retention[LIST_HIGH].max_count);
    words_i64(w, s->retention[LIST_HIGH].max_age_ms);
    for (int i = 0; i < LIST_KINDS; i++) {
        words_id(w, in->known[i].id);
        words_u64(w, in->known[i].ordinal);
    }
    words_str(w, in->control.type);
    words_str(w, in->control.from);
    words_str(w, in->control.name);
    words_str(w, in->control.body);
    add_record(w, in);
}

/* The index knows the room now, so it can be made: one that is made and not listed would be worse than
 * one that is listed and not made, which pages leave out. */
static void on_indexed(struct redis_store *s, void *arg, const redisReply *reply)
{
    struct room_job *job = arg;
    struct put *put = xcalloc(1, sizeof(*put));

    (void)reply;
    put->job = job;
    put->room = redis_room(s, job->in.room);
    redis_touch(s, put->room);
    redis_fly(s, put->room, &put->flight);
    words_put(s, put);
    redis_ask(s, &(struct redis_question){
                     .then = on_put, .otherwise = on_put_lost, .arg = put, .is_replicated = true});
}

static struct str index_key(struct redis_store *s, struct str app)
{
    return words_key(&s->words, app, ":rooms");
}

int redis_room_put(struct store *store, const struct store_room_put *in, store_room_cb *cb,
                   void *arg)
{
    struct redis_store *s = redis_of(store);
    struct room_job *job = room_put_job_new(in, cb, arg);
    struct str id;

    int err = redis_start(s, &job->job);
    if (err != 0) return err;
    struct str app = str_split(job->in.room, '/', &id);
    words_begin(&s->words);
    words_command(&s->words, "ZADD", index_key(s, app));
    words_lit(&s->words, "0");
    words_str(&s->words, id);
    redis_ask_for(s, &job->job, on_indexed, true);
    return 0;
}

/* --- list ------------------------------------------------------------------------------------ */

/* A stretch of the index, with the records of its rooms. Where a room of the index was never made,
 * or is lost, the page goes on with the next stretch. */
struct page {
    struct list_job *job;
    size_t count, left; /* rooms; records that have not come */
    bool is_end;        /* the index ends with them */
    bool is_lost;
    struct arena arena;
    struct page_room {
        struct page *page;
        struct str key; /* of the room */
        struct room_record record;
        bool is_found;
    } rooms[];
};

static void ask_index(struct redis_store *s, struct list_job *job, struct str after);

static void page_free(struct page *page)
{
    arena_deinit(&page->arena);
    free(page);
}

static void page_finish(struct redis_store *s, struct page *page)
{
    struct list_job *job = page->job;
    bool is_full = false;

    for (size_t i = 0; i < page->count && !is_full; i++) {
        const struct page_room *room = &page->rooms[i];
        if (room->is_found) is_full = !list_job_add(job, room->key, &room->record);
    }
    if (page->is_lost || is_full || page->is_end)
        redis_done(s, &job->job, page->is_lost ? ERR_STORE_UNAVAILABLE : 0);
    else
        ask_index(s, job, room_key_id(page->rooms[page->count - 1].key));
    page_free(page);
}

static void on_record(struct redis_store *s, void *arg, const redisReply *reply)
{
    struct page_room *room = arg;

    room->is_found = record_of(reply, &room->record);
    if (--room->page->left == 0) page_finish(s, room->page);
}

static void on_record_lost(struct redis_store *s, void *arg)
{
    struct page_room *room = arg;

    room->page->is_lost = true;
    if (--room->page->left == 0) page_finish(s, room->page);
}

/* As many as the page still takes, and one to see whether there are more. */
static size_t wanted(const struct list_job *job)
{
    size_t count = job->limit - job->count;

    return count < PAGE_MAX ? count + 1 : PAGE_MAX;
}

static struct page *page_new(struct list_job *job, const redisReply *reply)
{
    size_t count = reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0;
    struct page *page = xcalloc(1, sizeof(*page) + count * sizeof(struct page_room));
    struct buf key = {0};

    page->job = job;
    page->count = page->left = count;
    page->is_end = count < wanted(job);
    for (size_t i = 0; i < count; i++) {
        buf_clear(&key);
        buf_add_str(&key, job->app);
        buf_add_char(&key, '/');
        buf_add_str(&key, redis_str(reply->element[i]));
        page->rooms[i].page = page;
        page->rooms[i].key = arena_copy(&page->arena, buf_str(&key));
    }
    buf_deinit(&key);
    return page;
}

/* The page may go with the last of its records, even before that is asked for. */
static void on_index(struct redis_store *s, void *arg, const redisReply *reply)
{
    struct page *page = page_new(arg, reply);
    size_t count = page->count;

    if (count == 0) page_finish(s, page);
    for (size_t i = 0; i < count; i++) {
        words_get(s, page->rooms[i].key);
        redis_ask(s, &(struct redis_question){
                         .then = on_record, .otherwise = on_record_lost, .arg = &page->rooms[i]});
    }
}

static void ask_index(struct redis_store *s, struct list_job *job, struct str after)
{
    struct redis_words *w = &s->words;
    struct buf from = {0};

    words_begin(w);
    buf_add_char(&from, '(');
    buf_add_str(&from, after);
    words_command(w, "ZRANGEBYLEX", index_key(s, job->app));
    words_str(w, after.len > 0 ? arena_copy(&w->made, buf_str(&from)) : STR("-"));
    words_lit(w, "+");
    words_lit(w, "LIMIT");
    words_lit(w, "0");
    words_u64(w, wanted(job));
    redis_ask_for(s, &job->job, on_index, false);
    buf_deinit(&from);
}

int redis_room_list(struct store *store, struct str app, struct str after, uint32_t limit,
                    store_list_cb *cb, void *arg)
{
    struct redis_store *s = redis_of(store);
    struct list_job *job = list_job_new(app, after, limit, cb, arg);

    int err = redis_start(s, &job->job);
    if (err != 0) return err;
    ask_index(s, job, job->after);
    return 0;
}
