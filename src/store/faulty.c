#include "store/faulty.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/rng.h"
#include "store/front.h"
#include "store/memory.h"
#include "store/open.h"

struct faulty {
    struct store store;
    struct store *inner;
    struct front front; /* fires the callbacks; its own news and counts are not used */
    struct rng rng;
    struct faulty_odds odds;
    struct list calls; /* struct held_call, in the order of the calls */
    struct list news;  /* struct held_news, as they came from inside */
    uint64_t call_count;
    int64_t now_ms;
};

/* A call that we have not answered. */
struct held_call {
    struct list node;
    struct faulty *owner;
    struct job *job;
    uint64_t number; /* counts the calls, from 1 */
    bool is_ready;   /* the answer is in the job */
    bool is_lie;
    int64_t due_ms;
};

struct held_news {
    struct list node;
    struct append_job *copy; /* holds the room and the message; never carried out */
    uint64_t after;          /* the last call before it came: its own append is no later */
    int64_t due_ms;
};

static struct faulty *faulty_of(struct store *store)
{
    return CONTAINER_OF(store, struct faulty, store);
}

static bool happens(struct faulty *f, double chance)
{
    return rng_unit(&f->rng) < chance;
}

static int64_t due_after(struct faulty *f, double chance)
{
    uint64_t bound = f->odds.max_delay_ms > 0 ? (uint64_t)f->odds.max_delay_ms + 1 : 1;
    int64_t delay_ms = (int64_t)rng_below(&f->rng, bound);

    return happens(f, chance) ? f->now_ms + delay_ms : f->now_ms;
}

/* --- calls ----------------------------------------------------------------------------------- */

static struct held_call *hold(struct faulty *f, struct job *job)
{
    struct held_call *held = xcalloc(1, sizeof(*held));

    held->owner = f;
    held->job = job;
    held->number = ++f->call_count;
    list_init(&held->node);
    list_push(&f->calls, &held->node);
    return held;
}

static void let_go(struct held_call *held)
{
    list_remove(&held->node);
    job_free(held->job);
    free(held);
}

static void answer(struct held_call *held, int err)
{
    held->job->err = held->is_lie ? ERR_STORE_UNAVAILABLE : err;
    held->is_ready = true;
    held->due_ms = due_after(held->owner, held->owner->odds.delay);
}

/* It goes no further; the caller hears of it in the next dispatch. */
static int answer_lost(struct held_call *held)
{
    struct store_env *env = &held->owner->front.env;

    answer(held, ERR_STORE_UNAVAILABLE);
    if (env->wake != NULL) env->wake(env->wake_arg);
    return 0;
}

static int started(struct held_call *held, int err)
{
    if (err != 0) let_go(held);
    return err;
}

static void on_appended(void *arg, int err, const struct store_appended *appended)
{
    struct held_call *held = arg;

    job_append(held->job)->out = *appended;
    answer(held, err);
}

static int faulty_append(struct store *store, const struct store_append *in, store_append_cb *cb,
                         void *arg)
{
    struct faulty *f = faulty_of(store);

    if (happens(f, f->odds.refuse)) return ERR_OVERLOADED;
    struct held_call *held = hold(f, &append_job_new(in, cb, arg)->job);
    if (happens(f, f->odds.lose)) return answer_lost(held);
    held->is_lie = happens(f, f->odds.lie);
    return started(held, store_append(f->inner, in, on_appended, held));
}

/* The messages come in id order already, so the copy is not sealed. */
static void on_read(void *arg, int err, const struct store_range *range)
{
    struct held_call *held = arg;
    struct read_job *job = job_read(held->job);

    if (range != NULL) {
        for (size_t i = 0; i < range->count; i++) ASSERT(read_job_add(job, &range->messages[i]));
        job->out = *range;
        job->out.messages = job->messages;
    }
    answer(held, err);
}

static int faulty_read(struct store *store, const struct store_read *in, store_read_cb *cb,
                       void *arg)
{
    struct faulty *f = faulty_of(store);

    if (happens(f, f->odds.refuse)) return ERR_OVERLOADED;
    struct held_call *held = hold(f, &read_job_new(in, cb, arg)->job);
    if (happens(f, f->odds.fail_read)) return answer_lost(held);
    return started(held, store_read(f->inner, in, on_read, held));
}

static void on_room(void *arg, int err, const struct room_record *record, bool created)
{
    struct held_call *held = arg;
    struct room_job *job = job_room(held->job);

    if (record != NULL) job->out = *record;
    job->created = created;
    answer(held, err);
}

static int faulty_put(struct store *store, const struct store_room_put *in, store_room_cb *cb,
                      void *arg)
{
    struct faulty *f = faulty_of(store);

    if (happens(f, f->odds.refuse)) return ERR_OVERLOADED;
    struct held_call *held = hold(f, &room_put_job_new(in, cb, arg)->job);
    if (happens(f, f->odds.lose)) return answer_lost(held);
    held->is_lie = happens(f, f->odds.lie);
    return started(held, store_room_put(f->inner, in, on_room, held));
}

static int faulty_get(struct store *store, struct str room, store_room_cb *cb, void *arg)
{
    struct faulty *f = faulty_of(store);

    if (happens(f, f->odds.refuse)) return ERR_OVERLOADED;
    struct held_call *held = hold(f, &room_get_job_new(room, cb, arg)->job);
    if (happens(f, f->odds.fail_read)) return answer_lost(held);
    return started(held, store_room_get(f->inner, room, on_room, held));
}

static void on_list(void *arg, int err, const struct store_room_item *items, size_t count,
                    bool more)
{
    struct held_call *held = arg;
    struct list_job *job = job_list(held->job);

    for (size_t i = 0; i < count; i++) ASSERT(list_job_add(job, items[i].room, &items[i].record));
    job->more = more;
    answer(held, err);
}

static int faulty_list(struct store *store, struct str app, struct str after, uint32_t limit,
                       store_list_cb *cb, void *arg)
{
    struct faulty *f = faulty_of(store);

    if (happens(f, f->odds.refuse)) return ERR_OVERLOADED;
    struct held_call *held = hold(f, &list_job_new(app, after, limit, cb, arg)->job);
    if (happens(f, f->odds.fail_read)) return answer_lost(held);
    return started(held, store_room_list(f->inner, app, after, limit, on_list, held));
}

static void on_done(void *arg, int err)
{
    answer(arg, err);
}

static int faulty_ping(struct store *store, store_ping_cb *cb, void *arg)
{
    struct faulty *f = faulty_of(store);

    if (happens(f, f->odds.refuse)) return ERR_OVERLOADED;
    struct held_call *held = hold(f, &ping_job_new(cb, arg)->job);
    if (happens(f, f->odds.fail_read)) return answer_lost(held);
    return started(held, store_ping(f->inner, on_done, held));
}

static void on_viewers(void *arg, int err, const struct viewers_count *count)
{
    struct held_call *held = arg;

    if (count != NULL) job_viewers(held->job)->out = *count;
    answer(held, err);
}

static int faulty_viewers_add(struct store *store, const struct store_viewers_add *in,
                              store_viewers_cb *cb, void *arg)
{
    struct faulty *f = faulty_of(store);

    if (happens(f, f->odds.refuse)) return ERR_OVERLOADED;
    struct held_call *held = hold(f, &viewers_add_job_new(in, cb, arg)->job);
    if (happens(f, f->odds.lose)) return answer_lost(held);
    held->is_lie = happens(f, f->odds.lie);
    return started(held, store_viewers_add(f->inner, in, on_viewers, held));
}

static int faulty_viewers_merge(struct store *store, const struct store_viewers_merge *in,
                                store_viewers_cb *cb, void *arg)
{
    struct faulty *f = faulty_of(store);

    if (happens(f, f->odds.refuse)) return ERR_OVERLOADED;
    struct held_call *held = hold(f, &viewers_merge_job_new(in, cb, arg)->job);
    if (happens(f, f->odds.lose)) return answer_lost(held);
    held->is_lie = happens(f, f->odds.lie);
    return started(held, store_viewers_merge(f->inner, in, on_viewers, held));
}

static int faulty_viewers_count(struct store *store, const struct store_viewers_count *in,
                                store_viewers_cb *cb, void *arg)
{
    struct faulty *f = faulty_of(store);

    if (happens(f, f->odds.refuse)) return ERR_OVERLOADED;
    struct held_call *held = hold(f, &viewers_count_job_new(in, cb, arg)->job);
    if (happens(f, f->odds.fail_read)) return answer_lost(held);
    return started(held, store_viewers_count(f->inner, in, on_viewers, held));
}

static int faulty_sample_put(struct store *store, const struct store_sample_put *in,
                             store_sample_cb *cb, void *arg)
{
    struct faulty *f = faulty_of(store);

    if (happens(f, f->odds.refuse)) return ERR_OVERLOADED;
    struct held_call *held = hold(f, &sample_job_new(in, cb, arg)->job);
    if (happens(f, f->odds.lose)) return answer_lost(held);
    held->is_lie = happens(f, f->odds.lie);
    return started(held, store_sample_put(f->inner, in, on_done, held));
}

static void on_samples(void *arg, int err, const struct sample *samples, size_t count, bool more)
{
    struct held_call *held = arg;
    struct samples_job *job = job_samples(held->job);

    for (size_t i = 0; i < count; i++) ASSERT(samples_job_add(job, &samples[i]));
    job->more = more;
    answer(held, err);
}

static int faulty_sample_range(struct store *store, const struct store_sample_range *in,
                               store_samples_cb *cb, void *arg)
{
    struct faulty *f = faulty_of(store);

    if (happens(f, f->odds.refuse)) return ERR_OVERLOADED;
    struct held_call *held = hold(f, &samples_job_new(in, cb, arg)->job);
    if (happens(f, f->odds.fail_read)) return answer_lost(held);
    return started(held, store_sample_range(f->inner, in, on_samples, held));
}

static int faulty_presence_put(struct store *store, const struct store_presence_put *in,
                               store_presence_put_cb *cb, void *arg)
{
    struct faulty *f = faulty_of(store);

    if (happens(f, f->odds.refuse)) return ERR_OVERLOADED;
    struct held_call *held = hold(f, &presence_put_job_new(in, cb, arg)->job);
    if (happens(f, f->odds.lose)) return answer_lost(held);
    held->is_lie = happens(f, f->odds.lie);
    return started(held, store_presence_put(f->inner, in, on_done, held));
}

static void on_presence_count(void *arg, int err, uint64_t online, int64_t as_of_ms)
{
    struct held_call *held = arg;

    job_presence(held->job)->online = online;
    job_presence(held->job)->as_of_ms = as_of_ms;
    answer(held, err);
}

static int faulty_presence_count(struct store *store, struct str room, int64_t now_ms,
                                 store_presence_count_cb *cb, void *arg)
{
    struct faulty *f = faulty_of(store);

    if (happens(f, f->odds.refuse)) return ERR_OVERLOADED;
    struct held_call *held = hold(f, &presence_count_job_new(room, now_ms, cb, arg)->job);
    if (happens(f, f->odds.fail_read)) return answer_lost(held);
    return started(held, store_presence_count(f->inner, room, now_ms, on_presence_count, held));
}

static void on_presence_page(void *arg, int err, const struct store_presence_page *page)
{
    struct held_call *held = arg;
    struct presence_job *job = job_presence(held->job);

    for (size_t i = 0; page != NULL && i < page->count; i++) presence_job_add(job, &page->users[i]);
    if (page != NULL && page->more) presence_job_end(job, page->last);
    answer(held, err);
}

static int faulty_presence_page(struct store *store, const struct store_presence_query *in,
                                store_presence_page_cb *cb, void *arg)
{
    struct faulty *f = faulty_of(store);

    if (happens(f, f->odds.refuse)) return ERR_OVERLOADED;
    struct held_call *held = hold(f, &presence_page_job_new(in, cb, arg)->job);
    if (happens(f, f->odds.fail_read)) return answer_lost(held);
    return started(held, store_presence_page(f->inner, in, on_presence_page, held));
}

static int faulty_node_beat(struct store *store, const struct store_node_beat *in,
                            store_done_cb *cb, void *arg)
{
    struct faulty *f = faulty_of(store);

    if (happens(f, f->odds.refuse)) return ERR_OVERLOADED;
    struct held_call *held = hold(f, &beat_job_new(in, cb, arg)->job);
    if (happens(f, f->odds.lose)) return answer_lost(held);
    held->is_lie = happens(f, f->odds.lie);
    return started(held, store_node_beat(f->inner, in, on_done, held));
}

static void on_routes(void *arg, int err, const struct routes *routes)
{
    struct held_call *held = arg;

    if (routes != NULL) job_routes(held->job)->out = routes_copy(routes);
    answer(held, err);
}

static int faulty_routes_get(struct store *store, const struct store_routes_get *in,
                             store_routes_cb *cb, void *arg)
{
    struct faulty *f = faulty_of(store);

    if (happens(f, f->odds.refuse)) return ERR_OVERLOADED;
    struct held_call *held = hold(f, &routes_job_new(in, cb, arg)->job);
    if (happens(f, f->odds.fail_read)) return answer_lost(held);
    return started(held, store_routes_get(f->inner, in, on_routes, held));
}

static int faulty_route_put(struct store *store, const struct store_route_put *in,
                            store_done_cb *cb, void *arg)
{
    struct faulty *f = faulty_of(store);

    if (happens(f, f->odds.refuse)) return ERR_OVERLOADED;
    struct held_call *held = hold(f, &route_job_new(in, cb, arg)->job);
    if (happens(f, f->odds.lose)) return answer_lost(held);
    held->is_lie = happens(f, f->odds.lie);
    return started(held, store_route_put(f->inner, in, on_done, held));
}

static void on_lease(void *arg, int err, bool is_held)
{
    struct held_call *held = arg;

    job_lease(held->job)->is_held = is_held;
    answer(held, err);
}

static int faulty_lease(struct store *store, const struct store_lease *in, store_lease_cb *cb,
                        void *arg)
{
    struct faulty *f = faulty_of(store);

    if (happens(f, f->odds.refuse)) return ERR_OVERLOADED;
    struct held_call *held = hold(f, &lease_job_new(in, cb, arg)->job);
    if (happens(f, f->odds.lose)) return answer_lost(held);
    held->is_lie = happens(f, f->odds.lie);
    return started(held, store_lease(f->inner, in, on_lease, held));
}

/* --- news ------------------------------------------------------------------------------------ */

static void hold_news(struct faulty *f, struct str room, const struct message *message)
{
    const struct store_append content = {.room = room, .message = *message};
    struct held_news *held = xcalloc(1, sizeof(*held));

    held->copy = append_job_new(&content, NULL, NULL);
    held->copy->in.message.id = message->id;
    held->copy->in.message.prev = message->prev;
    held->copy->in.message.ordinal = message->ordinal;
    held->after = f->call_count;
    held->due_ms = due_after(f, f->odds.news_delay);
    list_init(&held->node);
    list_push(&f->news, &held->node);
}

static void on_news(void *arg, struct str room, const struct message *message)
{
    struct faulty *f = arg;
    bool is_lost = happens(f, f->odds.news_lose);
    bool is_doubled = happens(f, f->odds.news_double);

    if (!is_lost) hold_news(f, room, message);
    if (!is_lost && is_doubled) hold_news(f, room, message);
}

static void free_news(struct held_news *held)
{
    list_remove(&held->node);
    job_free(&held->copy->job);
    free(held);
}

static void faulty_watch(struct store *store, struct str room)
{
    store_watch(faulty_of(store)->inner, room);
}

static void faulty_unwatch(struct store *store, struct str room)
{
    store_unwatch(faulty_of(store)->inner, room);
}

/* --- dispatch -------------------------------------------------------------------------------- */

/* The room whose order a call keeps, or STR_NONE. */
static struct str ordered_room(const struct held_call *held)
{
    switch (held->job->kind) {
    case JOB_APPEND: return job_append(held->job)->in.room;
    case JOB_ROOM_PUT: return job_room(held->job)->in.room;
    case JOB_READ:
    case JOB_ROOM_GET:
    case JOB_ROOM_LIST:
    case JOB_PING:
    case JOB_VIEWERS_ADD:
    case JOB_VIEWERS_MERGE:
    case JOB_VIEWERS_COUNT:
    case JOB_SAMPLE_PUT:
    case JOB_SAMPLE_RANGE:
    case JOB_PRESENCE_PUT:
    case JOB_PRESENCE_COUNT:
    case JOB_PRESENCE_PAGE:
    case JOB_NODE_BEAT:
    case JOB_ROUTES_GET:
    case JOB_ROUTE_PUT:
    case JOB_LEASE:
    case JOB_NEWS: return STR_NONE;
    }
    UNREACHABLE();
}

/* A write to the room, of calls up to `last`, is held. Few are held at once, so the walk is short.
 */
static bool is_room_held(const struct faulty *f, struct str room, uint64_t last)
{
    if (room.len == 0) return false;
    LIST_FOREACH (it, &f->calls) {
        const struct held_call *held = CONTAINER_OF(it, struct held_call, node);
        if (held->number > last) break;
        if (str_eq(ordered_room(held), room)) return true;
    }
    return false;
}

static bool is_call_blocked(const struct faulty *f, const struct held_call *held)
{
    return is_room_held(f, ordered_room(held), held->number - 1);
}

static bool is_news_blocked(const struct faulty *f, const struct held_news *held)
{
    return is_room_held(f, held->copy->in.room, held->after);
}

/* Callbacks call us again, so those that are due are taken out first. */
static void fire_calls(struct faulty *f)
{
    struct list due;
    struct list *node;

    list_init(&due);
    LIST_FOREACH_SAFE (it, &f->calls) {
        struct held_call *held = CONTAINER_OF(it, struct held_call, node);
        if (!held->is_ready || held->due_ms > f->now_ms || is_call_blocked(f, held)) continue;
        list_remove(&held->node);
        list_push(&due, &held->node);
    }
    while ((node = list_take(&due)) != NULL) {
        struct held_call *held = CONTAINER_OF(node, struct held_call, node);
        struct job *job = held->job;
        free(held);
        front_finish(&f->front, job);
    }
}

static void fire_news(struct faulty *f)
{
    struct list due;
    struct list *node;

    list_init(&due);
    LIST_FOREACH_SAFE (it, &f->news) {
        struct held_news *held = CONTAINER_OF(it, struct held_news, node);
        if (held->due_ms > f->now_ms || is_news_blocked(f, held)) continue;
        list_remove(&held->node);
        list_push(&due, &held->node);
    }
    while ((node = list_take(&due)) != NULL) {
        struct held_news *held = CONTAINER_OF(node, struct held_news, node);
        const struct store_append *in = &held->copy->in;
        if (f->front.env.on_news != NULL)
            f->front.env.on_news(f->front.env.news_arg, in->room, &in->message);
        free_news(held);
    }
}

/* What is blocked comes when that which blocks it does. */
static int64_t next_due(const struct faulty *f)
{
    int64_t next_ms = INT64_MAX;

    LIST_FOREACH (it, &f->calls) {
        const struct held_call *held = CONTAINER_OF(it, struct held_call, node);
        if (held->is_ready && held->due_ms < next_ms && !is_call_blocked(f, held))
            next_ms = held->due_ms;
    }
    LIST_FOREACH (it, &f->news) {
        const struct held_news *held = CONTAINER_OF(it, struct held_news, node);
        if (held->due_ms < next_ms && !is_news_blocked(f, held)) next_ms = held->due_ms;
    }
    return next_ms > f->now_ms ? next_ms : f->now_ms;
}

/* A delay is at most max_delay_ms, also when the clock steps back by more. */
static void hurry(struct faulty *f, int64_t now_ms)
{
    LIST_FOREACH (it, &f->calls) {
        struct held_call *held = CONTAINER_OF(it, struct held_call, node);
        if (held->due_ms > now_ms) held->due_ms = now_ms;
    }
    LIST_FOREACH (it, &f->news) {
        struct held_news *held = CONTAINER_OF(it, struct held_news, node);
        if (held->due_ms > now_ms) held->due_ms = now_ms;
    }
}

static int64_t faulty_dispatch(struct store *store, int64_t now_ms)
{
    struct faulty *f = faulty_of(store);

    if (now_ms < f->now_ms) hurry(f, now_ms);
    f->now_ms = now_ms;
    int64_t inner_ms = store_dispatch(f->inner, now_ms);
    fire_calls(f);
    fire_news(f);
    int64_t own_ms = next_due(f);
    return own_ms < inner_ms ? own_ms : inner_ms;
}

/* --- open and close -------------------------------------------------------------------------- */

static const struct store_stats *faulty_stats(struct store *store)
{
    return store_stats(faulty_of(store)->inner);
}

static void faulty_free(struct faulty *f)
{
    LIST_FOREACH_SAFE (it, &f->calls) let_go(CONTAINER_OF(it, struct held_call, node));
    LIST_FOREACH_SAFE (it, &f->news) free_news(CONTAINER_OF(it, struct held_news, node));
    front_deinit(&f->front);
    free(f);
}

static void faulty_close(struct store *store)
{
    struct faulty *f = faulty_of(store);

    store_close(f->inner);
    faulty_free(f);
}

static const struct store_ops faulty_ops = {
    .append = faulty_append,
    .read = faulty_read,
    .watch = faulty_watch,
    .unwatch = faulty_unwatch,
    .room_put = faulty_put,
    .room_get = faulty_get,
    .room_list = faulty_list,
    .ping = faulty_ping,
    .presence_put = faulty_presence_put,
    .presence_count = faulty_presence_count,
    .presence_page = faulty_presence_page,
    .node_beat = faulty_node_beat,
    .routes_get = faulty_routes_get,
    .route_put = faulty_route_put,
    .lease = faulty_lease,
    .viewers_add = faulty_viewers_add,
    .viewers_merge = faulty_viewers_merge,
    .viewers_count = faulty_viewers_count,
    .sample_put = faulty_sample_put,
    .sample_range = faulty_sample_range,
    .stats = faulty_stats,
    .dispatch = faulty_dispatch,
    .close = faulty_close,
};

int faulty_store_open(const struct faulty_setup *setup, const struct store_config *config,
                      struct store **ret_store, char *ret_why, size_t why_cap)
{
    struct faulty *f = xcalloc(1, sizeof(*f));
    struct store_config inner = *config;

    f->store.ops = &faulty_ops;
    f->odds = setup->odds;
    rng_init(&f->rng, setup->seed);
    list_init(&f->calls);
    list_init(&f->news);
    front_init(&f->front, &config->env);
    inner.env.on_news = on_news;
    inner.env.news_arg = f;
    int err = store_open(setup->url, &inner, &f->inner, ret_why, why_cap);
    if (err != 0) {
        faulty_free(f);
        return err;
    }
    f->store.is_shared = f->inner->is_shared;
    *ret_store = &f->store;
    return 0;
}

void faulty_set_odds(struct store *store, const struct faulty_odds *odds)
{
    ASSERT(store->ops == &faulty_ops);
    faulty_of(store)->odds = *odds;
}

void faulty_lose_all(struct store *store)
{
    ASSERT(store->ops == &faulty_ops);
    memory_store_lose_all(faulty_of(store)->inner);
}
