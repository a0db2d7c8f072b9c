#include "store/memory.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "store/attendance.h"
#include "store/fleet.h"
#include "store/front.h"
#include "store/memory_room.h"

#define TRIM_INTERVAL_MS 1000

static const struct hash_key ROOMS_HASH_KEY = {0x73746f612e6d656d, 0x6f72792e726f6f6d};

struct memory_store {
    struct store store;
    struct front front;
    struct store_retention retention[LIST_KINDS];
    struct store_history history;
    struct map rooms; /* key -> struct memory_room */
    struct attendance attendance;
    struct fleet fleet;
    struct list jobs; /* called and not finished, in the order of the calls */
    int64_t trimmed_ms;
};

static struct memory_store *memory_of(struct store *store)
{
    return CONTAINER_OF(store, struct memory_store, store);
}

/* --- carrying out ---------------------------------------------------------------------------- */

static int run_append(struct memory_store *m, struct append_job *job)
{
    struct store_append *in = &job->in;
    struct memory_room *room = map_get(&m->rooms, in->room);
    if (room == NULL) return ERR_ROOM_NOT_FOUND;

    const struct store_appended *first = memory_room_find_key(room, in->key, in->now_ms);
    if (first != NULL) {
        job->out = *first;
        job->out.duplicate = true;
        return 0;
    }
    int err = ledger_admit(&room->ledger, in, &job->out.retry_after_ms);
    if (err != 0) return err;

    memory_room_store(room, &in->message, in->now_ms);
    job->out.id = in->message.id;
    job->out.prev = in->message.prev;
    job->out.ordinal = in->message.ordinal;
    memory_room_add_key(room, in->key, &job->out, in->now_ms);
    counter_add(&m->front.stats.trimmed, memory_room_trim(room, m->retention, in->now_ms));
    return 0;
}

static int run_read(struct memory_store *m, struct read_job *job)
{
    const struct memory_room *room = map_get(&m->rooms, job->in.room);

    if (room != NULL) memory_room_read(room, job);
    return 0;
}

static struct room_record record_of(const struct memory_room *room)
{
    struct room_record record = room->record;

    record.unique = memory_counting_life(&room->counting).unique;
    return record;
}

static int run_put(struct memory_store *m, struct room_job *job)
{
    struct memory_room *room = map_get(&m->rooms, job->in.room);

    if (room != NULL && job->in.only_new) return ERR_ROOM_EXISTS;
    if (room == NULL) {
        room = memory_room_new(job->in.room);
        room->record.created_ms = job->in.now_ms;
        ledger_begin(&room->ledger, job->in.known);
        map_put(&m->rooms, room);
        job->created = true;
    } else if (job->in.control.type.len > 0) {
        memory_room_store(room, &job->in.control, job->in.now_ms);
    }
    room->record.settings = job->in.settings;
    room->record.state = job->in.state;
    room->record.version++;
    room->ledger.state = job->in.state;
    job->out = record_of(room);
    return 0;
}

static int run_get(struct memory_store *m, struct room_job *job)
{
    const struct memory_room *room = map_get(&m->rooms, job->in.room);
    if (room == NULL) return ERR_ROOM_NOT_FOUND;

    job->out = record_of(room);
    return 0;
}

static int compare_rooms(const void *a, const void *b)
{
    return str_compare((*(struct memory_room *const *)a)->key,
                       (*(struct memory_room *const *)b)->key);
}

static struct str room_key(const void *value)
{
    const struct memory_room *it = value;
    return it->key;
}

static bool is_on_page(const struct list_job *job, struct str key)
{
    struct str id;

    return str_eq(str_split(key, '/', &id), job->app) && str_compare(id, job->after) > 0;
}

/* Sorts all rooms of the app for each page: fit for tests, and this store is for tests. */
static int run_list(struct memory_store *m, struct list_job *job)
{
    struct memory_room **found = xmalloc((m->rooms.count + 1) * sizeof(struct memory_room *));
    size_t count = 0;

    MAP_FOREACH (it, &m->rooms) {
        if (is_on_page(job, room_key(it->value))) found[count++] = it->value;
    }
    qsort(found, count, sizeof(struct memory_room *), compare_rooms);
    for (size_t i = 0; i < count; i++) {
        struct room_record record = record_of(found[i]);
        if (!list_job_add(job, found[i]->key, &record)) break;
    }
    free(found);
    return 0;
}

static int run_viewers(struct memory_store *m, struct viewers_job *job)
{
    struct memory_room *room = map_get(&m->rooms, job->room);
    if (room == NULL) return ERR_ROOM_NOT_FOUND;

    if (job->job.kind != JOB_VIEWERS_COUNT) return memory_counting_add(&room->counting, job);
    memory_counting_count(&room->counting, job);
    return 0;
}

static int run_sample(struct memory_store *m, struct sample_job *job)
{
    struct memory_room *room = map_get(&m->rooms, job->in.room);
    if (room == NULL) return ERR_ROOM_NOT_FOUND;

    memory_counting_put(&room->counting, &job->in);
    return 0;
}

static int run_samples(struct memory_store *m, struct samples_job *job)
{
    const struct memory_room *room = map_get(&m->rooms, job->in.room);
    if (room == NULL) return ERR_ROOM_NOT_FOUND;

    memory_counting_range(&room->counting, job);
    return 0;
}

static int run(struct memory_store *m, struct job *job)
{
    switch (job->kind) {
    case JOB_APPEND: return run_append(m, job_append(job));
    case JOB_READ: return run_read(m, job_read(job));
    case JOB_ROOM_PUT: return run_put(m, job_room(job));
    case JOB_ROOM_GET: return run_get(m, job_room(job));
    case JOB_ROOM_LIST: return run_list(m, job_list(job));
    case JOB_PING: return 0;
    case JOB_VIEWERS_ADD:
    case JOB_VIEWERS_MERGE:
    case JOB_VIEWERS_COUNT: return run_viewers(m, job_viewers(job));
    case JOB_SAMPLE_PUT: return run_sample(m, job_sample(job));
    case JOB_SAMPLE_RANGE: return run_samples(m, job_samples(job));
    case JOB_PRESENCE_PUT:
    case JOB_PRESENCE_COUNT:
    case JOB_PRESENCE_PAGE: return attendance_run(&m->attendance, job);
    case JOB_NODE_BEAT:
    case JOB_ROUTES_GET:
    case JOB_ROUTE_PUT:
    case JOB_LEASE: return fleet_run(&m->fleet, job);
    case JOB_NEWS: break;
    }
    UNREACHABLE();
}

/* --- the verbs ------------------------------------------------------------------------------- */

static int start(struct store *store, struct job *job)
{
    struct memory_store *m = memory_of(store);

    list_push(&m->jobs, &job->node);
    if (m->front.env.wake != NULL) m->front.env.wake(m->front.env.wake_arg);
    return 0;
}

static int memory_append(struct store *store, const struct store_append *in, store_append_cb *cb,
                         void *arg)
{
    return start(store, &append_job_new(in, cb, arg)->job);
}

static int memory_read(struct store *store, const struct store_read *in, store_read_cb *cb,
                       void *arg)
{
    return start(store, &read_job_new(in, cb, arg)->job);
}

static void memory_watch(struct store *store, struct str room)
{
    front_watch(&memory_of(store)->front, room);
}

static void memory_unwatch(struct store *store, struct str room)
{
    front_unwatch(&memory_of(store)->front, room);
}

static int memory_put(struct store *store, const struct store_room_put *in, store_room_cb *cb,
                      void *arg)
{
    return start(store, &room_put_job_new(in, cb, arg)->job);
}

static int memory_get(struct store *store, struct str room, store_room_cb *cb, void *arg)
{
    return start(store, &room_get_job_new(room, cb, arg)->job);
}

static int memory_list(struct store *store, struct str app, struct str after, uint32_t limit,
                       store_list_cb *cb, void *arg)
{
    return start(store, &list_job_new(app, after, limit, cb, arg)->job);
}

static int memory_ping(struct store *store, store_ping_cb *cb, void *arg)
{
    return start(store, &ping_job_new(cb, arg)->job);
}

static int memory_viewers_add(struct store *store, const struct store_viewers_add *in,
                              store_viewers_cb *cb, void *arg)
{
    return start(store, &viewers_add_job_new(in, cb, arg)->job);
}

static int memory_viewers_merge(struct store *store, const struct store_viewers_merge *in,
                                store_viewers_cb *cb, void *arg)
{
    return start(store, &viewers_merge_job_new(in, cb, arg)->job);
}

static int memory_viewers_count(struct store *store, const struct store_viewers_count *in,
                                store_viewers_cb *cb, void *arg)
{
    return start(store, &viewers_count_job_new(in, cb, arg)->job);
}

static int memory_sample_put(struct store *store, const struct store_sample_put *in,
                             store_sample_cb *cb, void *arg)
{
    return start(store, &sample_job_new(in, cb, arg)->job);
}

static int memory_sample_range(struct store *store, const struct store_sample_range *in,
                               store_samples_cb *cb, void *arg)
{
    return start(store, &samples_job_new(in, cb, arg)->job);
}

static int memory_presence_put(struct store *store, const struct store_presence_put *in,
                               store_presence_put_cb *cb, void *arg)
{
    return start(store, &presence_put_job_new(in, cb, arg)->job);
}

static int memory_presence_count(struct store *store, struct str room, int64_t now_ms,
                                 store_presence_count_cb *cb, void *arg)
{
    return start(store, &presence_count_job_new(room, now_ms, cb, arg)->job);
}

static int memory_presence_page(struct store *store, const struct store_presence_query *in,
                                store_presence_page_cb *cb, void *arg)
{
    return start(store, &presence_page_job_new(in, cb, arg)->job);
}

static int memory_node_beat(struct store *store, const struct store_node_beat *in,
                            store_done_cb *cb, void *arg)
{
    return start(store, &beat_job_new(in, cb, arg)->job);
}

static int memory_routes_get(struct store *store, const struct store_routes_get *in,
                             store_routes_cb *cb, void *arg)
{
    return start(store, &routes_job_new(in, cb, arg)->job);
}

static int memory_route_put(struct store *store, const struct store_route_put *in,
                            store_done_cb *cb, void *arg)
{
    return start(store, &route_job_new(in, cb, arg)->job);
}

static int memory_lease(struct store *store, const struct store_lease *in, store_lease_cb *cb,
                        void *arg)
{
    return start(store, &lease_job_new(in, cb, arg)->job);
}

static const struct store_stats *memory_stats(struct store *store)
{
    return &memory_of(store)->front.stats;
}

static void trim_rooms(struct memory_store *m, int64_t now_ms)
{
    struct store_stats *stats = &m->front.stats;

    MAP_FOREACH (it, &m->rooms) {
        struct memory_room *room = it->value;
        counter_add(&stats->trimmed, memory_room_trim(room, m->retention, now_ms));
        struct memory_expired gone = memory_counting_expire(&room->counting, &m->history, now_ms);
        counter_add(&stats->thinned, gone.thinned);
        counter_add(&stats->expired, gone.expired);
    }
    counter_add(&stats->lapsed, attendance_sweep(&m->attendance, now_ms));
    m->trimmed_ms = now_ms;
}

static int64_t memory_dispatch(struct store *store, int64_t now_ms)
{
    struct memory_store *m = memory_of(store);
    struct list due;
    struct list *node;

    list_init(&due);
    list_move_all(&due, &m->jobs);
    while ((node = list_take(&due)) != NULL) {
        struct job *job = CONTAINER_OF(node, struct job, node);
        job->err = run(m, job);
        front_finish(&m->front, job);
    }
    if (now_ms - m->trimmed_ms >= TRIM_INTERVAL_MS || now_ms < m->trimmed_ms) trim_rooms(m, now_ms);
    return list_is_empty(&m->jobs) ? m->trimmed_ms + TRIM_INTERVAL_MS : now_ms;
}

static void forget_all(struct memory_store *m)
{
    MAP_FOREACH (it, &m->rooms) {
        memory_room_free(it->value);
    }
    map_deinit(&m->rooms);
    attendance_deinit(&m->attendance);
}

static void memory_close(struct store *store)
{
    struct memory_store *m = memory_of(store);
    struct list *node;

    while ((node = list_take(&m->jobs)) != NULL) job_free(CONTAINER_OF(node, struct job, node));
    forget_all(m);
    fleet_deinit(&m->fleet);
    front_deinit(&m->front);
    free(m);
}

static const struct store_ops memory_ops = {
    .append = memory_append,
    .read = memory_read,
    .watch = memory_watch,
    .unwatch = memory_unwatch,
    .room_put = memory_put,
    .room_get = memory_get,
    .room_list = memory_list,
    .ping = memory_ping,
    .viewers_add = memory_viewers_add,
    .viewers_merge = memory_viewers_merge,
    .viewers_count = memory_viewers_count,
    .sample_put = memory_sample_put,
    .sample_range = memory_sample_range,
    .presence_put = memory_presence_put,
    .presence_count = memory_presence_count,
    .presence_page = memory_presence_page,
    .node_beat = memory_node_beat,
    .routes_get = memory_routes_get,
    .route_put = memory_route_put,
    .lease = memory_lease,
    .stats = memory_stats,
    .dispatch = memory_dispatch,
    .close = memory_close,
};

struct store *memory_store_new(const struct store_config *config)
{
    struct memory_store *m = xcalloc(1, sizeof(*m));

    m->store.ops = &memory_ops;
    front_init(&m->front, &config->env);
    for (int i = 0; i < LIST_KINDS; i++) m->retention[i] = config->retention[i];
    m->history = config->history;
    map_init(&m->rooms, ROOMS_HASH_KEY, room_key);
    attendance_init(&m->attendance);
    list_init(&m->jobs);
    return &m->store;
}

void memory_store_lose_all(struct store *store)
{
    struct memory_store *m = memory_of(store);

    ASSERT(store->ops == &memory_ops);
    forget_all(m);
    map_init(&m->rooms, ROOMS_HASH_KEY, room_key);
    attendance_init(&m->attendance);
}
