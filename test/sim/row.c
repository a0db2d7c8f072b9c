#include "sim/row.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/list.h"
#include "base/rng.h"
#include "store/front.h"

struct row {
    struct row_setup setup;
    struct store *bottom;
    struct rng rng;
    struct list nodes;
    int64_t now_ms;
};

struct row_node {
    struct store store;
    struct list node;
    struct row *row;
    struct front front;    /* fires the callbacks; it watches nothing, so gives no news */
    struct front watched;  /* only what is watched is kept here */
    struct list under_way; /* struct row_call, at the store below */
    struct list done;      /* of them, whose callbacks are to be fired */
    struct list news;      /* struct row_news */
};

struct row_call {
    struct list node;
    struct row_node *owner;
    struct job *job;
};

struct row_news {
    struct list node;
    struct append_job *copy; /* of room and message */
    int64_t due_ms;
};

static struct row_node *node_of(struct store *store)
{
    return CONTAINER_OF(store, struct row_node, store);
}

/* --- calls: down with a callback of ours, and back into the list of the node that called ------ */

static struct row_call *call_new_for(struct store *store, struct job *job)
{
    struct row_call *call = xcalloc(1, sizeof *call);
    list_init(&call->node);
    call->owner = node_of(store);
    call->job = job;
    list_push(&call->owner->under_way, &call->node);
    return call;
}

static void call_drop(struct row_call *call)
{
    list_remove(&call->node);
    job_free(call->job);
    free(call);
}

static void wake(const struct row_node *node)
{
    node->front.env.wake(node->front.env.wake_arg);
}

static int started(struct row_call *call, int err)
{
    if (err != OK)
        call_drop(call);
    else
        wake(call->owner); /* the store below works only when it is dispatched */
    return err;
}

static void done(struct row_call *call, int err)
{
    call->job->err = err;
    list_remove(&call->node);
    list_push(&call->owner->done, &call->node);
    wake(call->owner);
}

static void on_appended(void *arg, int err, const struct store_appended *appended)
{
    struct row_call *call = arg;
    job_append(call->job)->out = *appended;
    done(call, err);
}

static void on_read(void *arg, int err, const struct store_range *range)
{
    struct row_call *call = arg;
    struct read_job *job = job_read(call->job);
    if (range != NULL) {
        for (size_t i = 0; i < range->count; i++) read_job_add(job, &range->messages[i]);
        job->out = *range;
        job->out.messages = job->messages;
    }
    done(call, err);
}

static void on_room(void *arg, int err, const struct room_record *record, bool created)
{
    struct row_call *call = arg;
    if (record != NULL) job_room(call->job)->out = *record;
    job_room(call->job)->created = created;
    done(call, err);
}

static void on_list(void *arg, int err, const struct store_room_item *items, size_t count,
                    bool more)
{
    struct row_call *call = arg;
    for (size_t i = 0; i < count; i++)
        list_job_add(job_list(call->job), items[i].room, &items[i].record);
    job_list(call->job)->more = more;
    done(call, err);
}

static void on_pong(void *arg, int err)
{
    done(arg, err);
}

static void on_viewers(void *arg, int err, const struct viewers_count *count)
{
    struct row_call *call = arg;
    if (count != NULL) job_viewers(call->job)->out = *count;
    done(call, err);
}

static void on_samples(void *arg, int err, const struct sample *samples, size_t count, bool more)
{
    struct row_call *call = arg;
    for (size_t i = 0; i < count; i++) samples_job_add(job_samples(call->job), &samples[i]);
    job_samples(call->job)->more = more;
    done(call, err);
}

static void on_presence_count(void *arg, int err, uint64_t online, int64_t as_of_ms)
{
    struct row_call *call = arg;
    job_presence(call->job)->online = online;
    job_presence(call->job)->as_of_ms = as_of_ms;
    done(call, err);
}

static void on_presence_page(void *arg, int err, const struct store_presence_page *page)
{
    struct row_call *call = arg;
    struct presence_job *job = job_presence(call->job);
    for (size_t i = 0; page != NULL && i < page->count; i++) presence_job_add(job, &page->users[i]);
    if (page != NULL && page->more) presence_job_end(job, page->last);
    done(call, err);
}

static struct store *bottom_of(struct store *store)
{
    return node_of(store)->row->bottom;
}

static int row_append(struct store *store, const struct store_append *in, store_append_cb *cb,
                      void *arg)
{
    struct row_call *call = call_new_for(store, &append_job_new(in, cb, arg)->job);
    return started(call, store_append(bottom_of(store), in, on_appended, call));
}

static int row_read(struct store *store, const struct store_read *in, store_read_cb *cb, void *arg)
{
    struct row_call *call = call_new_for(store, &read_job_new(in, cb, arg)->job);
    return started(call, store_read(bottom_of(store), in, on_read, call));
}

static int row_put(struct store *store, const struct store_room_put *in, store_room_cb *cb,
                   void *arg)
{
    struct row_call *call = call_new_for(store, &room_put_job_new(in, cb, arg)->job);
    return started(call, store_room_put(bottom_of(store), in, on_room, call));
}

static int row_get(struct store *store, struct str room, store_room_cb *cb, void *arg)
{
    struct row_call *call = call_new_for(store, &room_get_job_new(room, cb, arg)->job);
    return started(call, store_room_get(bottom_of(store), room, on_room, call));
}

static int row_list(struct store *store, struct str app, struct str after, uint32_t limit,
                    store_list_cb *cb, void *arg)
{
    struct row_call *call = call_new_for(store, &list_job_new(app, after, limit, cb, arg)->job);
    return started(call, store_room_list(bottom_of(store), app, after, limit, on_list, call));
}

static int row_ping(struct store *store, store_ping_cb *cb, void *arg)
{
    struct row_call *call = call_new_for(store, &ping_job_new(cb, arg)->job);
    return started(call, store_ping(bottom_of(store), on_pong, call));
}

static int row_viewers_add(struct store *store, const struct store_viewers_add *in,
                           store_viewers_cb *cb, void *arg)
{
    struct row_call *call = call_new_for(store, &viewers_add_job_new(in, cb, arg)->job);
    return started(call, store_viewers_add(bottom_of(store), in, on_viewers, call));
}

static int row_viewers_merge(struct store *store, const struct store_viewers_merge *in,
                             store_viewers_cb *cb, void *arg)
{
    struct row_call *call = call_new_for(store, &viewers_merge_job_new(in, cb, arg)->job);
    return started(call, store_viewers_merge(bottom_of(store), in, on_viewers, call));
}

static int row_viewers_count(struct store *store, const struct store_viewers_count *in,
                             store_viewers_cb *cb, void *arg)
{
    struct row_call *call = call_new_for(store, &viewers_count_job_new(in, cb, arg)->job);
    return started(call, store_viewers_count(bottom_of(store), in, on_viewers, call));
}

static int row_sample_put(struct store *store, const struct store_sample_put *in,
                          store_sample_cb *cb, void *arg)
{
    struct row_call *call = call_new_for(store, &sample_job_new(in, cb, arg)->job);
    return started(call, store_sample_put(bottom_of(store), in, on_pong, call));
}

static int row_sample_range(struct store *store, const struct store_sample_range *in,
                            store_samples_cb *cb, void *arg)
{
    struct row_call *call = call_new_for(store, &samples_job_new(in, cb, arg)->job);
    return started(call, store_sample_range(bottom_of(store), in, on_samples, call));
}

static int row_presence_put(struct store *store, const struct store_presence_put *in,
                            store_presence_put_cb *cb, void *arg)
{
    struct row_call *call = call_new_for(store, &presence_put_job_new(in, cb, arg)->job);
    return started(call, store_presence_put(bottom_of(store), in, on_pong, call));
}

static int row_presence_count(struct store *store, struct str room, int64_t now_ms,
                              store_presence_count_cb *cb, void *arg)
{
    struct row_call *call =
        call_new_for(store, &presence_count_job_new(room, now_ms, cb, arg)->job);
    return started(call,
                   store_presence_count(bottom_of(store), room, now_ms, on_presence_count, call));
}

static int row_presence_page(struct store *store, const struct store_presence_query *in,
                             store_presence_page_cb *cb, void *arg)
{
    struct row_call *call = call_new_for(store, &presence_page_job_new(in, cb, arg)->job);
    return started(call, store_presence_page(bottom_of(store), in, on_presence_page, call));
}

/* --- news ------------------------------------------------------------------------------------- */

static void row_watch(struct store *store, struct str room)
{
    front_watch(&node_of(store)->watched, room);
}

static void row_unwatch(struct store *store, struct str room)
{
    front_unwatch(&node_of(store)->watched, room);
}

static bool happens(struct row *row, double chance)
{
    return rng_unit(&row->rng) < chance;
}

static void hold_news(struct row_node *node, struct str room, const struct message *message)
{
    struct row *row = node->row;
    const struct row_news_odds *odds = &row->setup.news_odds;
    const struct store_append content = {.room = room, .message = *message};
    struct row_news *news = xcalloc(1, sizeof *news);
    list_init(&news->node);
    news->copy = append_job_new(&content, NULL, NULL);
    news->copy->in.message.id = message->id;
    news->copy->in.message.prev = message->prev;
    news->copy->in.message.ordinal = message->ordinal;
    news->due_ms = row->now_ms;
    if (happens(row, odds->delay))
        news->due_ms += (int64_t)rng_below(&row->rng, (uint64_t)odds->max_delay_ms + 1);
    list_push(&node->news, &news->node);
    wake(node);
}

static void on_news(void *arg, struct str room, const struct message *message)
{
    struct row *row = arg;
    const struct row_news_odds *odds = &row->setup.news_odds;
    if (row->setup.tap != NULL) row->setup.tap(row->setup.tap_arg, room, message);
    LIST_FOREACH (it, &row->nodes) {
        struct row_node *node = CONTAINER_OF(it, struct row_node, node);
        if (map_get(&node->watched.watched, room) == NULL || happens(row, odds->lose)) continue;
        hold_news(node, room, message);
        if (happens(row, odds->twice)) hold_news(node, room, message);
    }
}

static void news_free(struct row_news *news)
{
    list_remove(&news->node);
    job_free(&news->copy->job);
    free(news);
}

/* --- dispatch --------------------------------------------------------------------------------- */

static void fire_done(struct row_node *node)
{
    struct list due;
    list_init(&due);
    list_move_all(&due, &node->done);
    for (struct list *it; (it = list_take(&due)) != NULL;) {
        struct row_call *call = CONTAINER_OF(it, struct row_call, node);
        struct job *job = call->job;
        free(call);
        front_finish(&node->front, job);
    }
}

/* Returns when the next ones are due. */
static int64_t fire_news(struct row_node *node, int64_t now_ms)
{
    const struct store_env *env = &node->front.env;
    int64_t next_ms = INT64_MAX;
    LIST_FOREACH_SAFE (it, &node->news) {
        struct row_news *news = CONTAINER_OF(it, struct row_news, node);
        if (news->due_ms > now_ms) {
            if (news->due_ms < next_ms) next_ms = news->due_ms;
            continue;
        }
        env->on_news(env->news_arg, news->copy->in.room, &news->copy->in.message);
        news_free(news);
    }
    return next_ms;
}

static int64_t row_dispatch(struct store *store, int64_t now_ms)
{
    struct row_node *node = node_of(store);
    node->row->now_ms = now_ms;
    int64_t bottom_ms = store_dispatch(node->row->bottom, now_ms);
    fire_done(node);
    int64_t news_ms = fire_news(node, now_ms);
    return bottom_ms < news_ms ? bottom_ms : news_ms;
}

static void row_close(struct store *store)
{
    struct row_node *node = node_of(store);
    LIST_FOREACH_SAFE (it, &node->under_way) call_drop(CONTAINER_OF(it, struct row_call, node));
    LIST_FOREACH_SAFE (it, &node->done) call_drop(CONTAINER_OF(it, struct row_call, node));
    LIST_FOREACH_SAFE (it, &node->news) news_free(CONTAINER_OF(it, struct row_news, node));
    front_deinit(&node->front);
    front_deinit(&node->watched);
    list_remove(&node->node);
    free(node);
}

static const struct store_ops row_ops = {.append = row_append,
                                         .read = row_read,
                                         .watch = row_watch,
                                         .unwatch = row_unwatch,
                                         .room_put = row_put,
                                         .room_get = row_get,
                                         .room_list = row_list,
                                         .ping = row_ping,
                                         .viewers_add = row_viewers_add,
                                         .viewers_merge = row_viewers_merge,
                                         .viewers_count = row_viewers_count,
                                         .sample_put = row_sample_put,
                                         .sample_range = row_sample_range,
                                         .presence_put = row_presence_put,
                                         .presence_count = row_presence_count,
                                         .presence_page = row_presence_page,
                                         .dispatch = row_dispatch,
                                         .close = row_close};

/* --- the row ---------------------------------------------------------------------------------- */

struct row *row_new(const struct row_setup *setup)
{
    struct row *row = xcalloc(1, sizeof *row);
    struct faulty_setup faults = {.url = "memory:", .seed = setup->seed, .odds = setup->odds};
    struct store_config config = {.env = {.on_news = on_news, .news_arg = row}};
    char why[200];
    row->setup = *setup;
    rng_init(&row->rng, setup->seed ^ 0x726f77);
    list_init(&row->nodes);
    for (int list = 0; list < LIST_KINDS; list++) config.retention[list] = setup->retention[list];
    int err = faulty_store_open(&faults, &config, &row->bottom, why, sizeof why);
    ASSERT(err == OK);
    return row;
}

void row_free(struct row *row)
{
    ASSERT(list_is_empty(&row->nodes));
    store_close(row->bottom);
    free(row);
}

void row_follow(struct row *row, struct str room)
{
    store_watch(row->bottom, room);
}

struct store *row_add_node(struct row *row, const struct store_env *env)
{
    struct row_node *node = xcalloc(1, sizeof *node);
    struct store_env none = {0};
    node->store.ops = &row_ops;
    node->store.is_shared = row->setup.is_shared;
    node->row = row;
    front_init(&node->front, env);
    front_init(&node->watched, &none);
    list_init(&node->under_way);
    list_init(&node->done);
    list_init(&node->news);
    list_init(&node->node);
    list_push(&row->nodes, &node->node);
    return &node->store;
}

void row_lose_all(struct row *row)
{
    faulty_lose_all(row->bottom);
}

void row_set_odds(struct row *row, const struct faulty_odds *odds)
{
    faulty_set_odds(row->bottom, odds);
}

void row_calm(struct row *row)
{
    struct faulty_odds none = {0};
    row_set_odds(row, &none);
}
