#include "store/faulty_internal.h"

#include "base/assert.h"

static void on_appended(void *arg, int err, const struct store_appended *appended)
{
    struct held_call *held = arg;

    job_append(held->job)->out = *appended;
    faulty_answer(held, err);
}

static int faulty_append(struct store *store, const struct store_append *in, store_append_cb *cb,
                         void *arg)
{
    struct held_call *held;

    int err = faulty_hold_write(store, &append_job_new(in, cb, arg)->job, &held);
    if (held == NULL) return err;
    return faulty_started(held, store_append(held->owner->inner, in, on_appended, held));
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
    faulty_answer(held, err);
}

static int faulty_read(struct store *store, const struct store_read *in, store_read_cb *cb,
                       void *arg)
{
    struct held_call *held;

    int err = faulty_hold_read(store, &read_job_new(in, cb, arg)->job, &held);
    if (held == NULL) return err;
    return faulty_started(held, store_read(held->owner->inner, in, on_read, held));
}

static void on_room(void *arg, int err, const struct room_record *record, bool created)
{
    struct held_call *held = arg;
    struct room_job *job = job_room(held->job);

    if (record != NULL) job->out = *record;
    job->created = created;
    faulty_answer(held, err);
}

static int faulty_put(struct store *store, const struct store_room_put *in, store_room_cb *cb,
                      void *arg)
{
    struct held_call *held;

    int err = faulty_hold_write(store, &room_put_job_new(in, cb, arg)->job, &held);
    if (held == NULL) return err;
    return faulty_started(held, store_room_put(held->owner->inner, in, on_room, held));
}

static int faulty_get(struct store *store, struct str room, store_room_cb *cb, void *arg)
{
    struct held_call *held;

    int err = faulty_hold_read(store, &room_get_job_new(room, cb, arg)->job, &held);
    if (held == NULL) return err;
    return faulty_started(held, store_room_get(held->owner->inner, room, on_room, held));
}

static void on_list(void *arg, int err, const struct store_room_item *items, size_t count,
                    bool more)
{
    struct held_call *held = arg;
    struct list_job *job = job_list(held->job);

    for (size_t i = 0; i < count; i++) ASSERT(list_job_add(job, items[i].room, &items[i].record));
    job->more = more;
    faulty_answer(held, err);
}

static int faulty_list(struct store *store, struct str app, struct str after, uint32_t limit,
                       store_list_cb *cb, void *arg)
{
    struct held_call *held;

    int err = faulty_hold_read(store, &list_job_new(app, after, limit, cb, arg)->job, &held);
    if (held == NULL) return err;
    return faulty_started(held,
                          store_room_list(held->owner->inner, app, after, limit, on_list, held));
}

static void on_done(void *arg, int err)
{
    faulty_answer(arg, err);
}

static int faulty_ping(struct store *store, store_ping_cb *cb, void *arg)
{
    struct held_call *held;

    int err = faulty_hold_read(store, &ping_job_new(cb, arg)->job, &held);
    if (held == NULL) return err;
    return faulty_started(held, store_ping(held->owner->inner, on_done, held));
}

static void on_viewers(void *arg, int err, const struct viewers_count *count)
{
    struct held_call *held = arg;

    if (count != NULL) job_viewers(held->job)->out = *count;
    faulty_answer(held, err);
}

static int faulty_viewers_add(struct store *store, const struct store_viewers_add *in,
                              store_viewers_cb *cb, void *arg)
{
    struct held_call *held;

    int err = faulty_hold_write(store, &viewers_add_job_new(in, cb, arg)->job, &held);
    if (held == NULL) return err;
    return faulty_started(held, store_viewers_add(held->owner->inner, in, on_viewers, held));
}

static int faulty_viewers_merge(struct store *store, const struct store_viewers_merge *in,
                                store_viewers_cb *cb, void *arg)
{
    struct held_call *held;

    int err = faulty_hold_write(store, &viewers_merge_job_new(in, cb, arg)->job, &held);
    if (held == NULL) return err;
    return faulty_started(held, store_viewers_merge(held->owner->inner, in, on_viewers, held));
}

static int faulty_viewers_count(struct store *store, const struct store_viewers_count *in,
                                store_viewers_cb *cb, void *arg)
{
    struct held_call *held;

    int err = faulty_hold_read(store, &viewers_count_job_new(in, cb, arg)->job, &held);
    if (held == NULL) return err;
    return faulty_started(held, store_viewers_count(held->owner->inner, in, on_viewers, held));
}

static int faulty_sample_put(struct store *store, const struct store_sample_put *in,
                             store_sample_cb *cb, void *arg)
{
    struct held_call *held;

    int err = faulty_hold_write(store, &sample_job_new(in, cb, arg)->job, &held);
    if (held == NULL) return err;
    return faulty_started(held, store_sample_put(held->owner->inner, in, on_done, held));
}

static void on_samples(void *arg, int err, const struct sample *samples, size_t count, bool more)
{
    struct held_call *held = arg;
    struct samples_job *job = job_samples(held->job);

    for (size_t i = 0; i < count; i++) ASSERT(samples_job_add(job, &samples[i]));
    job->more = more;
    faulty_answer(held, err);
}

static int faulty_sample_range(struct store *store, const struct store_sample_range *in,
                               store_samples_cb *cb, void *arg)
{
    struct held_call *held;

    int err = faulty_hold_read(store, &samples_job_new(in, cb, arg)->job, &held);
    if (held == NULL) return err;
    return faulty_started(held, store_sample_range(held->owner->inner, in, on_samples, held));
}

static int faulty_presence_put(struct store *store, const struct store_presence_put *in,
                               store_presence_put_cb *cb, void *arg)
{
    struct held_call *held;

    int err = faulty_hold_write(store, &presence_put_job_new(in, cb, arg)->job, &held);
    if (held == NULL) return err;
    return faulty_started(held, store_presence_put(held->owner->inner, in, on_done, held));
}

static void on_presence_count(void *arg, int err, uint64_t online, int64_t as_of_ms)
{
    struct held_call *held = arg;

    job_presence(held->job)->online = online;
    job_presence(held->job)->as_of_ms = as_of_ms;
    faulty_answer(held, err);
}

static int faulty_presence_count(struct store *store, struct str room, int64_t now_ms,
                                 store_presence_count_cb *cb, void *arg)
{
    struct held_call *held;

    int err = faulty_hold_read(store, &presence_count_job_new(room, now_ms, cb, arg)->job, &held);
    if (held == NULL) return err;
    return faulty_started(
        held, store_presence_count(held->owner->inner, room, now_ms, on_presence_count, held));
}

static void on_presence_page(void *arg, int err, const struct store_presence_page *page)
{
    struct held_call *held = arg;
    struct presence_job *job = job_presence(held->job);

    for (size_t i = 0; page != NULL && i < page->count; i++) presence_job_add(job, &page->users[i]);
    if (page != NULL && page->more) presence_job_end(job, page->last);
    faulty_answer(held, err);
}

static int faulty_presence_page(struct store *store, const struct store_presence_query *in,
                                store_presence_page_cb *cb, void *arg)
{
    struct held_call *held;

    int err = faulty_hold_read(store, &presence_page_job_new(in, cb, arg)->job, &held);
    if (held == NULL) return err;
    return faulty_started(held,
                          store_presence_page(held->owner->inner, in, on_presence_page, held));
}

static int faulty_node_beat(struct store *store, const struct store_node_beat *in,
                            store_done_cb *cb, void *arg)
{
    struct held_call *held;

    int err = faulty_hold_write(store, &beat_job_new(in, cb, arg)->job, &held);
    if (held == NULL) return err;
    return faulty_started(held, store_node_beat(held->owner->inner, in, on_done, held));
}

static void on_routes(void *arg, int err, const struct routes *routes)
{
    struct held_call *held = arg;

    if (routes != NULL) job_routes(held->job)->out = routes_copy(routes);
    faulty_answer(held, err);
}

static int faulty_routes_get(struct store *store, const struct store_routes_get *in,
                             store_routes_cb *cb, void *arg)
{
    struct held_call *held;

    int err = faulty_hold_read(store, &routes_job_new(in, cb, arg)->job, &held);
    if (held == NULL) return err;
    return faulty_started(held, store_routes_get(held->owner->inner, in, on_routes, held));
}

static int faulty_route_put(struct store *store, const struct store_route_put *in,
                            store_done_cb *cb, void *arg)
{
    struct held_call *held;

    int err = faulty_hold_write(store, &route_job_new(in, cb, arg)->job, &held);
    if (held == NULL) return err;
    return faulty_started(held, store_route_put(held->owner->inner, in, on_done, held));
}

static void on_lease(void *arg, int err, bool is_held)
{
    struct held_call *held = arg;

    job_lease(held->job)->is_held = is_held;
    faulty_answer(held, err);
}

static int faulty_lease(struct store *store, const struct store_lease *in, store_lease_cb *cb,
                        void *arg)
{
    struct held_call *held;

    int err = faulty_hold_write(store, &lease_job_new(in, cb, arg)->job, &held);
    if (held == NULL) return err;
    return faulty_started(held, store_lease(held->owner->inner, in, on_lease, held));
}

const struct store_ops faulty_ops = {
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
