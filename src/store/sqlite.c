#include "store/sqlite.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/error.h"
#include "store/attendance.h"
#include "store/front.h"
#include "store/sqlite_file.h"
#include "store/sqlite_reader.h"
#include "store/sqlite_writer.h"

/* Jobs finished by one dispatch: the hub has others to serve. */
#define DISPATCH_MAX 1024

struct sqlite_store {
    struct store store;
    struct front front;
    struct sqlite_file file;
    struct lane writes, reads;
    struct sqlite_writer writer;
    struct sqlite_reader reader;
    bool has_writer, has_reader;  /* they are to be deinited */
    struct attendance attendance; /* not in the file: nodes say it again */
    struct fleet fleet;           /* nor are nodes and leases; assignments are, and copied here */
    struct list known;            /* calls that need no thread: answered by the next dispatch */
    int64_t tick_ms;              /* when the writer was last woken for its retention */
};

static struct sqlite_store *sqlite_of(struct store *store)
{
    return CONTAINER_OF(store, struct sqlite_store, store);
}

/* --- the verbs ------------------------------------------------------------------------------- */

static int submit(struct sqlite_store *s, struct lane *lane, struct job *job)
{
    if (lane_submit(lane, job)) return 0;
    counter_add(&s->front.stats.overloads, 1);
    job_free(job);
    return ERR_OVERLOADED;
}

static int answer_soon(struct sqlite_store *s, struct job *job)
{
    if (list_is_empty(&s->known) && s->front.env.wake != NULL)
        s->front.env.wake(s->front.env.wake_arg);
    list_push(&s->known, &job->node);
    return 0;
}

static int sqlite_append(struct store *store, const struct store_append *in, store_append_cb *cb,
                         void *arg)
{
    struct sqlite_store *s = sqlite_of(store);

    return submit(s, &s->writes, &append_job_new(in, cb, arg)->job);
}

static int sqlite_read(struct store *store, const struct store_read *in, store_read_cb *cb,
                       void *arg)
{
    struct sqlite_store *s = sqlite_of(store);
    struct read_job *job = read_job_new(in, cb, arg);

    job->is_known = front_knows(&s->front, in, &job->out);
    if (!job->is_known) return submit(s, &s->reads, &job->job);
    counter_add(&s->front.stats.reads_known, 1);
    return answer_soon(s, &job->job);
}

static void sqlite_watch(struct store *store, struct str room)
{
    front_watch(&sqlite_of(store)->front, room);
}

static void sqlite_unwatch(struct store *store, struct str room)
{
    front_unwatch(&sqlite_of(store)->front, room);
}

static int sqlite_put(struct store *store, const struct store_room_put *in, store_room_cb *cb,
                      void *arg)
{
    struct sqlite_store *s = sqlite_of(store);

    return submit(s, &s->writes, &room_put_job_new(in, cb, arg)->job);
}

static int sqlite_get(struct store *store, struct str room, store_room_cb *cb, void *arg)
{
    struct sqlite_store *s = sqlite_of(store);

    return submit(s, &s->reads, &room_get_job_new(room, cb, arg)->job);
}

static int sqlite_list(struct store *store, struct str app, struct str after, uint32_t limit,
                       store_list_cb *cb, void *arg)
{
    struct sqlite_store *s = sqlite_of(store);

    return submit(s, &s->reads, &list_job_new(app, after, limit, cb, arg)->job);
}

static int sqlite_ping(struct store *store, store_ping_cb *cb, void *arg)
{
    struct sqlite_store *s = sqlite_of(store);

    return submit(s, &s->writes, &ping_job_new(cb, arg)->job);
}

static int sqlite_viewers_add(struct store *store, const struct store_viewers_add *in,
                              store_viewers_cb *cb, void *arg)
{
    struct sqlite_store *s = sqlite_of(store);

    return submit(s, &s->writes, &viewers_add_job_new(in, cb, arg)->job);
}

static int sqlite_viewers_merge(struct store *store, const struct store_viewers_merge *in,
                                store_viewers_cb *cb, void *arg)
{
    struct sqlite_store *s = sqlite_of(store);

    return submit(s, &s->writes, &viewers_merge_job_new(in, cb, arg)->job);
}

static int sqlite_viewers_count(struct store *store, const struct store_viewers_count *in,
                                store_viewers_cb *cb, void *arg)
{
    struct sqlite_store *s = sqlite_of(store);

    return submit(s, &s->reads, &viewers_count_job_new(in, cb, arg)->job);
}

static int sqlite_sample_put(struct store *store, const struct store_sample_put *in,
                             store_sample_cb *cb, void *arg)
{
    struct sqlite_store *s = sqlite_of(store);

    return submit(s, &s->writes, &sample_job_new(in, cb, arg)->job);
}

static int sqlite_sample_range(struct store *store, const struct store_sample_range *in,
                               store_samples_cb *cb, void *arg)
{
    struct sqlite_store *s = sqlite_of(store);

    return submit(s, &s->reads, &samples_job_new(in, cb, arg)->job);
}

/* Who is here is known at once; it is told in a dispatch as all else. */
static int run_presence(struct store *store, struct job *job)
{
    struct sqlite_store *s = sqlite_of(store);

    job->err = attendance_run(&s->attendance, job);
    return answer_soon(s, job);
}

static int sqlite_presence_put(struct store *store, const struct store_presence_put *in,
                               store_presence_put_cb *cb, void *arg)
{
    return run_presence(store, &presence_put_job_new(in, cb, arg)->job);
}

static int sqlite_presence_count(struct store *store, struct str room, int64_t now_ms,
                                 store_presence_count_cb *cb, void *arg)
{
    return run_presence(store, &presence_count_job_new(room, now_ms, cb, arg)->job);
}

static int sqlite_presence_page(struct store *store, const struct store_presence_query *in,
                                store_presence_page_cb *cb, void *arg)
{
    return run_presence(store, &presence_page_job_new(in, cb, arg)->job);
}

/* So are nodes, leases, and the routes that they and the assignments make. */
static int run_fleet(struct store *store, struct job *job)
{
    struct sqlite_store *s = sqlite_of(store);

    job->err = fleet_run(&s->fleet, job);
    return answer_soon(s, job);
}

static int sqlite_node_beat(struct store *store, const struct store_node_beat *in,
                            store_done_cb *cb, void *arg)
{
    return run_fleet(store, &beat_job_new(in, cb, arg)->job);
}

static int sqlite_routes_get(struct store *store, const struct store_routes_get *in,
                             store_routes_cb *cb, void *arg)
{
    return run_fleet(store, &routes_job_new(in, cb, arg)->job);
}

static int sqlite_lease(struct store *store, const struct store_lease *in, store_lease_cb *cb,
                        void *arg)
{
    return run_fleet(store, &lease_job_new(in, cb, arg)->job);
}

static int sqlite_route_put(struct store *store, const struct store_route_put *in,
                            store_done_cb *cb, void *arg)
{
    struct sqlite_store *s = sqlite_of(store);

    return submit(s, &s->writes, &route_job_new(in, cb, arg)->job);
}

static const struct store_stats *sqlite_stats(struct store *store)
{
    return &sqlite_of(store)->front.stats;
}

/* --- dispatch -------------------------------------------------------------------------------- */

/* Calls from the callbacks wake the thread once, behind them all: then they make one group. */
static size_t finish_done(struct sqlite_store *s, struct lane *lane, size_t max)
{
    struct job *job;
    size_t count = 0;

    while (count < max && (job = lane_collect(lane)) != NULL) {
        if (job->kind == JOB_ROUTE_PUT && job->err == 0)
            fleet_set_route(&s->fleet, &job_route(job)->out);
        front_finish(&s->front, job);
        count++;
    }
    return count;
}

static void finish_known(struct sqlite_store *s)
{
    struct list known;

    list_init(&known);
    list_move_all(&known, &s->known);
    for (struct list *node; (node = list_take(&known)) != NULL;)
        front_finish(&s->front, CONTAINER_OF(node, struct job, node));
}

/* The writer has no clock: it lives by the hub's. */
static void tell_time(struct sqlite_store *s, int64_t now_ms)
{
    sqlite_writer_set_now(&s->writer, now_ms);
    if (now_ms - s->tick_ms < RETENTION_TICK_MS && now_ms >= s->tick_ms) return;
    s->tick_ms = now_ms;
    lane_wake(&s->writes);
    counter_add(&s->front.stats.lapsed, attendance_sweep(&s->attendance, now_ms));
}

static int64_t sqlite_dispatch(struct store *store, int64_t now_ms)
{
    struct sqlite_store *s = sqlite_of(store);

    s->front.now_ms = now_ms;
    lane_hold(&s->writes);
    lane_hold(&s->reads);
    finish_known(s);
    size_t count = finish_done(s, &s->writes, DISPATCH_MAX);
    count += finish_done(s, &s->reads, DISPATCH_MAX);
    lane_release(&s->writes);
    lane_release(&s->reads);
    tell_time(s, now_ms);
    return count >= DISPATCH_MAX ? now_ms : s->tick_ms + RETENTION_TICK_MS;
}

/* --- open and close -------------------------------------------------------------------------- */

static void sqlite_close(struct store *store)
{
    struct sqlite_store *s = sqlite_of(store);

    lane_close(&s->writes);
    lane_close(&s->reads);
    if (s->has_writer) sqlite_writer_deinit(&s->writer);
    if (s->has_reader) sqlite_reader_deinit(&s->reader);
    for (struct list *node; (node = list_take(&s->known)) != NULL;)
        job_free(CONTAINER_OF(node, struct job, node));
    attendance_deinit(&s->attendance);
    fleet_deinit(&s->fleet);
    sqlite_file_close(&s->file);
    front_deinit(&s->front);
    free(s);
}

static const struct store_ops sqlite_ops = {
    .append = sqlite_append,
    .read = sqlite_read,
    .watch = sqlite_watch,
    .unwatch = sqlite_unwatch,
    .room_put = sqlite_put,
    .room_get = sqlite_get,
    .room_list = sqlite_list,
    .ping = sqlite_ping,
    .viewers_add = sqlite_viewers_add,
    .viewers_merge = sqlite_viewers_merge,
    .viewers_count = sqlite_viewers_count,
    .sample_put = sqlite_sample_put,
    .sample_range = sqlite_sample_range,
    .presence_put = sqlite_presence_put,
    .presence_count = sqlite_presence_count,
    .presence_page = sqlite_presence_page,
    .node_beat = sqlite_node_beat,
    .routes_get = sqlite_routes_get,
    .route_put = sqlite_route_put,
    .lease = sqlite_lease,
    .stats = sqlite_stats,
    .dispatch = sqlite_dispatch,
    .close = sqlite_close,
};

static int init_threads(struct sqlite_store *s, const struct store_config *config)
{
    const struct sqlite_writer_setup setup = {
        .db = s->file.writer,
        .lane = &s->writes,
        .stats = &s->front.stats,
        .retention = config->retention,
        .history = &config->history,
    };

    s->has_writer = sqlite_writer_init(&s->writer, &setup) == SQLITE_OK;
    s->has_reader =
        s->has_writer && sqlite_reader_init(&s->reader, s->file.reader, &s->reads) == SQLITE_OK;
    return s->has_reader ? 0 : ERR_STORE_UNAVAILABLE;
}

static int start_threads(struct sqlite_store *s, const struct store_config *config)
{
    static const struct lane_limits WRITES = {SQLITE_WRITES_MAX, SQLITE_WRITE_BYTES_MAX};
    static const struct lane_limits READS = {SQLITE_READS_MAX, SIZE_MAX};
    int err;

    if ((err = lane_open(&s->writes, &WRITES, &config->env)) != 0) return err;
    if ((err = lane_open(&s->reads, &READS, &config->env)) != 0) return err;
    if ((err = lane_start(&s->writes, "stoa-writer", sqlite_writer_main, &s->writer)) != 0)
        return err;
    return lane_start(&s->reads, "stoa-reader", sqlite_reader_main, &s->reader);
}

int sqlite_store_open(const char *path, const struct store_config *config, struct store **ret_store,
                      char *ret_why, size_t why_cap)
{
    struct sqlite_store *s = xcalloc(1, sizeof(*s));
    int err;

    s->store.ops = &sqlite_ops;
    list_init(&s->known);
    attendance_init(&s->attendance);
    front_init(&s->front, &config->env);
    if ((err = sqlite_file_open(&s->file, path, ret_why, why_cap)) != 0) goto out;
    if (sqlite_routes_load(s->file.writer, &s->fleet) != SQLITE_OK) err = ERR_STORE_UNAVAILABLE;
    if (err == 0) err = init_threads(s, config);
    if (err != 0) {
        snprintf(ret_why, why_cap, "%s: %s", path, sqlite3_errmsg(s->file.writer));
        goto out;
    }
    if (start_threads(s, config) != 0) {
        snprintf(ret_why, why_cap, "%s: no thread could be started", path);
        err = ERR_STORE_UNAVAILABLE;
    }
out:
    if (err != 0)
        sqlite_close(&s->store);
    else
        *ret_store = &s->store;
    return err;
}
