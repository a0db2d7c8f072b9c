#include "store/redis.h"

#include <inttypes.h>
#include <poll.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "core/id.h"
#include "store/redis_store.h"

#define DISPATCH_MAX 1024 /* jobs finished by one dispatch: the hub has others to serve */
#define COMPLAIN_MS  1000 /* at most one line in the log each */

static const struct hash_key ROOMS_HASH_KEY = {0x73746f612e726564, 0x69732e726f6f6d73};

/* The network's clock; now_ms of a call may be another's. */
static int64_t loop_ms(void)
{
    return (int64_t)(uv_hrtime() / 1000000);
}

static struct redis_store *redis_of(struct store *store)
{
    return CONTAINER_OF(store, struct redis_store, store);
}

/* --- rooms ----------------------------------------------------------------------------------- */

static struct str room_key(const void *value)
{
    const struct redis_room *it = value;
    return it->key;
}

struct redis_room *redis_room(struct redis_store *s, struct str key)
{
    struct redis_room *room = map_get(&s->rooms, key);
    if (room != NULL) return room;

    room = xcalloc(1, sizeof(*room) + key.len);
    memcpy(room->bytes, key.ptr, key.len);
    room->key = str_make(room->bytes, key.len);
    list_init(&room->flights);
    list_init(&room->sweep);
    for (int i = 0; i < LIST_KINDS; i++) {
        room->queues[i].room = room;
        list_init(&room->queues[i].jobs);
        list_init(&room->queues[i].ready);
        list_init(&room->held[i]);
    }
    map_put(&s->rooms, room);
    return room;
}

static void free_jobs(struct list *jobs)
{
    struct list *node;

    while ((node = list_take(jobs)) != NULL) job_free(CONTAINER_OF(node, struct job, node));
}

static void room_free(struct redis_room *room)
{
    for (int i = 0; i < LIST_KINDS; i++) {
        free_jobs(&room->queues[i].jobs);
        free_jobs(&room->held[i]);
    }
    free(room);
}

void redis_room_forget(struct redis_store *s, struct redis_room *room)
{
    map_take(&s->rooms, room->key);
    room_free(room);
}

struct str redis_room_key(struct redis_store *s, struct str room, const char *suffix)
{
    return words_key(&s->words, room, suffix);
}

/* --- jobs ------------------------------------------------------------------------------------ */

int redis_start(struct redis_store *s, struct job *job)
{
    bool is_full = s->jobs >= LIMIT_REDIS_JOBS ||
                   (s->jobs > 0 && s->bytes + job->size_bytes > LIMIT_REDIS_JOB_BYTES);

    if (is_full) {
        counter_add(&s->front.stats.overloads, 1);
        job_free(job);
        return ERR_OVERLOADED;
    }
    s->jobs++;
    s->bytes += job->size_bytes;
    return 0;
}

void redis_done(struct redis_store *s, struct job *job, int err)
{
    bool is_first = list_is_empty(&s->done) && !s->is_closing;

    job->err = err;
    if (is_first && s->front.env.wake != NULL) s->front.env.wake(s->front.env.wake_arg);
    list_push(&s->done, &job->node);
}

static void finish(struct redis_store *s, struct job *job)
{
    if (job->kind != JOB_NEWS) {
        s->jobs--;
        s->bytes -= job->size_bytes;
    }
    front_finish(&s->front, job);
}

/* --- questions ------------------------------------------------------------------------------- */

struct asked {
    struct list node; /* of the store's */
    struct redis_store *store;
    struct redis_question question;
};

static void complain(struct redis_store *s, const redisReply *reply)
{
    int64_t now_ms = loop_ms();

    if (now_ms - s->complained_ms < COMPLAIN_MS && s->complained_ms != 0) return;
    s->complained_ms = now_ms;
    log_warn("redis", "refused: %.*s", (int)reply->len, reply->str);
}

static void on_reply(void *arg, int err, const redisReply *reply)
{
    struct asked *asked = arg;
    struct redis_store *s = asked->store;
    struct redis_question question = asked->question;

    list_remove(&asked->node);
    free(asked);
    if (err == 0 && reply->type == REDIS_REPLY_ERROR) {
        complain(s, reply);
        err = ERR_STORE_UNAVAILABLE;
    }
    if (err == 0)
        question.then(s, question.arg, reply);
    else
        question.otherwise(s, question.arg);
}

void redis_ask(struct redis_store *s, const struct redis_question *question)
{
    const struct redis_command command = {
        .key = s->words.key,
        .words = s->words.words,
        .count = s->words.count,
        .is_replicated = question->is_replicated,
    };
    struct asked *asked = xmalloc(sizeof(*asked));

    *asked = (struct asked){.store = s, .question = *question};
    list_init(&asked->node);
    if (!s->is_closing && redis_cluster_call(s->cluster, &command, on_reply, asked) == 0) {
        list_push(&s->asked, &asked->node);
        return;
    }
    free(asked);
    question->otherwise(s, question->arg);
}

static void unavailable(struct redis_store *s, void *arg)
{
    redis_done(s, arg, ERR_STORE_UNAVAILABLE);
}

void redis_ask_for(struct redis_store *s, struct job *job, redis_then *then, bool is_replicated)
{
    redis_ask(
        s, &(struct redis_question){
               .then = then, .otherwise = unavailable, .arg = job, .is_replicated = is_replicated});
}

/* --- replies --------------------------------------------------------------------------------- */

struct str redis_str(const redisReply *reply)
{
    bool is_text =
        reply != NULL && (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS);

    return is_text ? str_make(reply->str, reply->len) : STR_NONE;
}

uint64_t redis_u64(const redisReply *reply)
{
    uint64_t value = 0;

    if (reply != NULL && reply->type == REDIS_REPLY_INTEGER)
        return reply->integer > 0 ? (uint64_t)reply->integer : 0;
    return str_parse_u64(redis_str(reply), &value) ? value : 0;
}

int64_t redis_i64(const redisReply *reply)
{
    uint64_t value = redis_u64(reply);

    return value <= INT64_MAX ? (int64_t)value : 0;
}

uint64_t redis_stream_id(const redisReply *reply)
{
    uint64_t id = 0;

    return id_parse(redis_str(reply), &id) == 0 ? id : 0;
}

const redisReply *redis_at(const redisReply *reply, size_t index)
{
    bool has_it = reply != NULL && reply->type == REDIS_REPLY_ARRAY && index < reply->elements;

    return has_it ? reply->element[index] : NULL;
}

/* --- dispatch, ping, close ------------------------------------------------------------------- */

static void on_pong(struct redis_store *s, void *arg, const redisReply *reply)
{
    (void)reply;
    redis_done(s, arg, 0);
}

static int redis_ping(struct store *store, store_ping_cb *cb, void *arg)
{
    struct redis_store *s = redis_of(store);
    struct ping_job *job = ping_job_new(cb, arg);

    int err = redis_start(s, &job->job);
    if (err != 0) return err;
    words_begin(&s->words);
    words_lit(&s->words, "PING");
    redis_ask_for(s, &job->job, on_pong, false);
    return 0;
}

static const struct store_stats *redis_stats(struct store *store)
{
    return &redis_of(store)->front.stats;
}

/* Callbacks call again, and what fails at once is done at once: that is for the next dispatch. */
static void finish_due(struct redis_store *s)
{
    struct list due;
    struct list *node;

    list_init(&due);
    list_move_all(&due, &s->done);
    for (size_t i = 0; i < DISPATCH_MAX && (node = list_take(&due)) != NULL; i++)
        finish(s, CONTAINER_OF(node, struct job, node));
    list_move_all(&due, &s->done);
    list_move_all(&s->done, &due);
}

/* The network has its own clock: after how many milliseconds it wants to be called again. */
static int64_t tick(struct redis_store *s)
{
    int64_t at_ms = (int64_t)uv_now(s->front.env.loop);
    int64_t next_ms = redis_cluster_tick(s->cluster, at_ms);

    if (next_ms == INT64_MAX) return INT64_MAX;
    return next_ms > at_ms ? next_ms - at_ms : 0;
}

static int64_t redis_dispatch(struct store *store, int64_t now_ms)
{
    struct redis_store *s = redis_of(store);

    s->front.now_ms = now_ms;
    finish_due(s);
    redis_append_flush(s);
    redis_sweep(s, now_ms);
    int64_t wait_ms = tick(s), sweep_ms = redis_sweep_next(s);
    if (!list_is_empty(&s->done)) return now_ms;
    int64_t next_ms = wait_ms != INT64_MAX ? now_ms + wait_ms : INT64_MAX;
    return sweep_ms < next_ms ? sweep_ms : next_ms;
}

/* Waits for the network. The loop may have other things to do; they are done meanwhile. It watches a
 * new socket only once it has run, so it runs before anybody sleeps. */
static void run_loop(struct redis_store *s, int64_t most_ms)
{
    uv_loop_t *loop = s->front.env.loop;
    struct pollfd pfd = {.fd = uv_backend_fd(loop), .events = POLLIN};

    uv_run(loop, UV_RUN_NOWAIT);
    int64_t own_ms = uv_loop_alive(loop) ? uv_backend_timeout(loop) : -1;
    if (own_ms >= 0 && own_ms < most_ms) most_ms = own_ms;
    if (list_is_empty(&s->done)) poll(&pfd, 1, (int)(most_ms > 0 ? most_ms : 0));
    uv_run(loop, UV_RUN_NOWAIT);
    uv_update_time(loop);
}

/* What has no answer yet ends without one, so that whoever asked cleans up. */
static void give_up(struct redis_store *s)
{
    struct list *node;

    s->is_closing = true;
    while ((node = list_take(&s->asked)) != NULL) {
        struct asked *asked = CONTAINER_OF(node, struct asked, node);
        struct redis_question question = asked->question;
        free(asked);
        question.otherwise(s, question.arg);
    }
}

static void destroy(struct redis_store *s)
{
    if (s->cluster != NULL) redis_cluster_free(s->cluster);
    give_up(s);
    free_jobs(&s->done);
    MAP_FOREACH (it, &s->rooms) room_free(it->value);
    map_deinit(&s->rooms);
    words_deinit(&s->words);
    redis_library_deinit(&s->library);
    front_deinit(&s->front);
    free(s);
}

/* What was called gets to Redis, if that answers in time; nobody is told any more. */
static void drain(struct redis_store *s)
{
    int64_t end_ms = loop_ms() + REDIS_CLOSE_MS;

    uv_update_time(s->front.env.loop);
    while ((!list_is_empty(&s->asked) || !list_is_empty(&s->ready)) && loop_ms() < end_ms) {
        free_jobs(&s->done);
        redis_append_flush(s);
        int64_t wait_ms = tick(s);
        run_loop(s, wait_ms < 50 ? wait_ms : 50);
    }
}

static void redis_close(struct store *store)
{
    struct redis_store *s = redis_of(store);

    drain(s);
    destroy(s);
}

static const struct store_ops redis_ops = {
    .append = redis_append,
    .read = redis_read,
    .watch = redis_watch,
    .unwatch = redis_unwatch,
    .room_put = redis_room_put,
    .room_get = redis_room_get,
    .room_list = redis_room_list,
    .ping = redis_ping,
    .viewers_add = redis_viewers_add,
    .viewers_merge = redis_viewers_merge,
    .viewers_count = redis_viewers_count,
    .sample_put = redis_sample_put,
    .sample_range = redis_sample_range,
    .presence_put = redis_presence_put,
    .presence_count = redis_presence_count,
    .presence_page = redis_presence_page,
    .node_beat = redis_node_beat,
    .routes_get = redis_routes_get,
    .route_put = redis_route_put,
    .lease = redis_lease,
    .stats = redis_stats,
    .dispatch = redis_dispatch,
    .close = redis_close,
};

const struct redis_cluster_stats *redis_store_network(struct store *store)
{
    return store->ops == &redis_ops ? redis_cluster_stats(redis_of(store)->cluster) : NULL;
}

/* --- open ------------------------------------------------------------------------------------ */

static struct redis_store *store_new(const struct redis_url *url, const struct store_config *config,
                                     char *ret_why, size_t why_cap)
{
    struct redis_store *s = xcalloc(1, sizeof(*s));

    s->store = (struct store){.ops = &redis_ops, .is_shared = true};
    front_init(&s->front, &config->env);
    for (int i = 0; i < LIST_KINDS; i++) s->retention[i] = config->retention[i];
    s->history = config->history;
    s->is_callers_clock = url->is_callers_clock;
    map_init(&s->rooms, ROOMS_HASH_KEY, room_key);
    list_init(&s->done);
    list_init(&s->asked);
    list_init(&s->ready);
    list_init(&s->sweeps);
    redis_library_init(&s->library, redis_library_functions());
    s->words.library = s->library.name;
    if (uv_random(NULL, NULL, &s->tag, sizeof(s->tag), 0, NULL) != 0) s->tag = uv_hrtime();
    const struct redis_cluster_setup setup = {
        .loop = config->env.loop,
        .url = url,
        .seed = s->tag,
        .library = buf_str(&s->library.source),
        .on_message = redis_on_message,
        .on_resubscribed = redis_on_resubscribed,
        .arg = s,
    };
    s->cluster = redis_cluster_new(&setup, ret_why, why_cap);
    if (s->cluster != NULL) return s;
    destroy(s);
    return NULL;
}

struct greeting {
    int err;
    bool is_done;
};

static void on_greeted(void *arg, int err)
{
    struct greeting *greeting = arg;

    *greeting = (struct greeting){err, true};
}

/* Until the server has answered, or the time is over. 0 or ERR_STORE_UNAVAILABLE. */
static int greet(struct redis_store *s, int64_t limit_ms)
{
    int64_t end_ms = loop_ms() + limit_ms, now_ms;
    struct greeting greeting = {.is_done = true, .err = ERR_STORE_UNAVAILABLE};

    uv_update_time(s->front.env.loop);
    while ((now_ms = loop_ms()) < end_ms && (!greeting.is_done || greeting.err != 0)) {
        if (greeting.is_done) {
            greeting.is_done = false;
            greeting.err = redis_ping(&s->store, on_greeted, &greeting);
            if (greeting.err != 0) return greeting.err;
        }
        finish_due(s);
        int64_t wait_ms = tick(s);
        run_loop(s, wait_ms < 50 ? wait_ms : 50);
    }
    return greeting.is_done && greeting.err == 0 ? 0 : ERR_STORE_UNAVAILABLE;
}

static void say_why(const struct redis_store *s, const struct redis_url *url, char *ret_why,
                    size_t why_cap)
{
    const char *trouble = redis_cluster_trouble(s->cluster);

    if (trouble != NULL)
        snprintf(ret_why, why_cap, "store: %s", trouble);
    else
        snprintf(ret_why, why_cap, "store: Redis at %s:%u does not answer within %d s",
                 url->hosts[0].name, url->hosts[0].port,
                 (int)(redis_url_patience(url, REDIS_OPEN_MS) / 1000));
}

int redis_store_open(const char *url, const struct store_config *config, struct store **ret_store,
                     char *ret_why, size_t why_cap)
{
    struct redis_url parsed;
    char why[256] = "";

    int err = redis_url_parse(str_of(url), &parsed, why, sizeof(why));
    if (err != 0) {
        snprintf(ret_why, why_cap, "store: %s", why);
        return err;
    }
    struct redis_store *s = store_new(&parsed, config, why, sizeof(why));
    if (s == NULL) {
        snprintf(ret_why, why_cap, "store: %s", why);
        return ERR_BAD_REQUEST;
    }
    err = greet(s, redis_url_patience(&parsed, REDIS_OPEN_MS));
    if (err != 0) {
        say_why(s, &parsed, ret_why, why_cap);
        destroy(s);
        return err;
    }
    *ret_store = &s->store;
    return 0;
}
