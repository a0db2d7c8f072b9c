#include "store/faulty_internal.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "store/memory.h"
#include "store/open.h"

struct held_news {
    struct list node;
    struct append_job *copy; /* holds the room and the message; never carried out */
    uint64_t after;          /* the last call before it came: its own append is no later */
    int64_t due_ms;
};

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

void faulty_answer(struct held_call *held, int err)
{
    held->job->err = held->is_lie ? ERR_STORE_UNAVAILABLE : err;
    held->is_ready = true;
    held->due_ms = due_after(held->owner, held->owner->odds.delay);
}

static int hold_unless(struct store *store, struct job *job, double lose,
                       struct held_call **ret_held)
{
    struct faulty *f = faulty_of(store);
    struct store_env *env = &f->front.env;

    *ret_held = NULL;
    if (happens(f, f->odds.refuse)) {
        job_free(job);
        return ERR_OVERLOADED;
    }
    struct held_call *held = hold(f, job);
    if (!happens(f, lose)) {
        *ret_held = held;
        return 0;
    }
    faulty_answer(held, ERR_STORE_UNAVAILABLE);
    if (env->wake != NULL) env->wake(env->wake_arg);
    return 0;
}

int faulty_hold_write(struct store *store, struct job *job, struct held_call **ret_held)
{
    struct faulty *f = faulty_of(store);

    int err = hold_unless(store, job, f->odds.lose, ret_held);
    if (*ret_held != NULL) (*ret_held)->is_lie = happens(f, f->odds.lie);
    return err;
}

int faulty_hold_read(struct store *store, struct job *job, struct held_call **ret_held)
{
    return hold_unless(store, job, faulty_of(store)->odds.fail_read, ret_held);
}

int faulty_started(struct held_call *held, int err)
{
    if (err != 0) let_go(held);
    return err;
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

void faulty_watch(struct store *store, struct str room)
{
    store_watch(faulty_of(store)->inner, room);
}

void faulty_unwatch(struct store *store, struct str room)
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

int64_t faulty_dispatch(struct store *store, int64_t now_ms)
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

const struct store_stats *faulty_stats(struct store *store)
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

void faulty_close(struct store *store)
{
    struct faulty *f = faulty_of(store);

    store_close(f->inner);
    faulty_free(f);
}

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
