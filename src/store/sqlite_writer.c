#include "store/sqlite_writer.h"

#include <time.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/log.h"

const char *const SQLITE_WRITER_SQL[SQL_WRITER_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_MESSAGE_ADD] =
        "INSERT INTO messages (room_id, list, id, ordinal, prev, type, sender, name, body)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [SQL_KEY_FIND] =
        "SELECT id, prev, ordinal, at_ms FROM idempotency WHERE room_id = ?1 AND key = ?2",
    [SQL_KEY_ADD] = "INSERT OR REPLACE INTO idempotency (room_id, key, id, prev, ordinal, at_ms)"
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [SQL_ROOM_PUT] =
        "INSERT INTO rooms (key, closed, version, created_ms, title, sect, slow_mode_s,"
        " max_body_bytes, normal_per_s, high_per_s, max_online)"
        " VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
        " ON CONFLICT (key) DO UPDATE SET closed = excluded.closed, version = version + 1,"
        " title = excluded.title, sect = excluded.sect, slow_mode_s = excluded.slow_mode_s,"
        " max_body_bytes = excluded.max_body_bytes, normal_per_s = excluded.normal_per_s,"
        " high_per_s = excluded.high_per_s, max_online = excluded.max_online"
        " RETURNING id, version, created_ms,"
        " (SELECT users FROM viewers WHERE room_id = rooms.id AND bucket_ms = 0)",
    [SQL_FLOOR_ADD] = "INSERT INTO floors (room_id, list, trimmed, trimmed_ordinal)"
                      " VALUES (?1, ?2, ?3, ?4)",
    [SQL_PROBE] = "INSERT OR REPLACE INTO probe (id, at_ms) VALUES (1, ?1)",
};

int sqlite_writer_init(struct sqlite_writer *w, const struct sqlite_writer_setup *setup)
{
    int rc;

    *w = (struct sqlite_writer){.db = setup->db, .lane = setup->lane, .stats = setup->stats};
    list_init(&w->group);
    if ((rc = sql_prepare(w->db, SQLITE_WRITER_SQL, SQL_WRITER_COUNT, w->sql)) != SQLITE_OK)
        return rc;
    if ((rc = sqlite_rooms_init(&w->rooms, w->db)) != SQLITE_OK) goto no_rooms;
    if ((rc = sqlite_retention_init(&w->retention, w->db, setup->retention)) != SQLITE_OK)
        goto no_retention;
    if ((rc = sqlite_viewers_init(&w->viewers, w->db)) != SQLITE_OK) goto no_viewers;
    if ((rc = sqlite_history_init(&w->history, w->db, setup->history)) != SQLITE_OK)
        goto no_history;
    if ((rc = sqlite_routes_init(&w->routes, w->db)) != SQLITE_OK) goto no_routes;
    return SQLITE_OK;
no_routes:
    sqlite_history_deinit(&w->history);
no_history:
    sqlite_viewers_deinit(&w->viewers);
no_viewers:
    sqlite_retention_deinit(&w->retention);
no_retention:
    sqlite_rooms_deinit(&w->rooms);
no_rooms:
    sql_finalize(w->sql, SQL_WRITER_COUNT);
    return rc;
}

void sqlite_writer_deinit(struct sqlite_writer *w)
{
    sqlite_routes_deinit(&w->routes);
    sqlite_history_deinit(&w->history);
    sqlite_viewers_deinit(&w->viewers);
    sqlite_retention_deinit(&w->retention);
    sqlite_rooms_deinit(&w->rooms);
    sql_finalize(w->sql, SQL_WRITER_COUNT);
}

void sqlite_writer_set_now(struct sqlite_writer *w, int64_t now_ms)
{
    atomic_store_explicit(&w->now_ms, now_ms, memory_order_relaxed);
}

static int64_t now_of(struct sqlite_writer *w)
{
    return atomic_load_explicit(&w->now_ms, memory_order_relaxed);
}

/* --- appends --------------------------------------------------------------------------------- */

static int add_message(struct sqlite_writer *w, struct sqlite_room *room, struct message *m,
                       int64_t now_ms)
{
    sqlite3_stmt *stmt = w->sql[SQL_MESSAGE_ADD];

    sqlite_rooms_touch(&w->rooms, room);
    ledger_number(&room->ledger, m, now_ms);
    sql_bind_i64(stmt, 1, room->id);
    sql_bind_i64(stmt, 2, m->list);
    sql_bind_u64(stmt, 3, m->id);
    sql_bind_u64(stmt, 4, m->ordinal);
    sql_bind_u64(stmt, 5, m->prev);
    sql_bind_str(stmt, 6, m->type);
    sql_bind_str(stmt, 7, m->from);
    sql_bind_str(stmt, 8, m->name);
    sql_bind_str(stmt, 9, m->body);
    w->rows++;
    return sql_run(stmt);
}

/* SQLITE_ROW: the key is known, and out is filled. SQLITE_DONE: it is not. */
static int find_key(struct sqlite_writer *w, const struct sqlite_room *room, struct append_job *job)
{
    sqlite3_stmt *stmt = w->sql[SQL_KEY_FIND];
    if (job->in.key.len == 0) return SQLITE_DONE;

    sql_bind_i64(stmt, 1, room->id);
    sql_bind_str(stmt, 2, job->in.key);
    int rc = sql_first(stmt);
    if (rc != SQLITE_ROW) return rc;
    if (ledger_key_is_fresh(sql_i64(stmt, 3), job->in.now_ms))
        job->out = (struct store_appended){
            .id = sql_u64(stmt, 0),
            .prev = sql_u64(stmt, 1),
            .ordinal = sql_u64(stmt, 2),
            .duplicate = true,
        };
    sql_reset(stmt);
    return job->out.duplicate ? SQLITE_ROW : SQLITE_DONE;
}

static int add_key(struct sqlite_writer *w, const struct sqlite_room *room,
                   const struct append_job *job)
{
    sqlite3_stmt *stmt = w->sql[SQL_KEY_ADD];
    if (job->in.key.len == 0) return SQLITE_OK;

    sql_bind_i64(stmt, 1, room->id);
    sql_bind_str(stmt, 2, job->in.key);
    sql_bind_u64(stmt, 3, job->out.id);
    sql_bind_u64(stmt, 4, job->out.prev);
    sql_bind_u64(stmt, 5, job->out.ordinal);
    sql_bind_i64(stmt, 6, job->in.now_ms);
    return sql_run(stmt);
}

/* A known key first: its answer holds even when the room has been closed since, and costs no quota.
 */
static int run_append(struct sqlite_writer *w, struct append_job *job)
{
    struct message *m = &job->in.message;
    struct sqlite_room *room;
    int rc = sqlite_rooms_get(&w->rooms, job->in.room, &room);

    if (rc != SQLITE_OK) return rc;
    if (room == NULL) {
        job->job.err = ERR_ROOM_NOT_FOUND;
        return SQLITE_OK;
    }
    rc = find_key(w, room, job);
    if (rc != SQLITE_DONE) return rc == SQLITE_ROW ? SQLITE_OK : rc;
    job->job.err = ledger_admit(&room->ledger, &job->in, &job->out.retry_after_ms);
    if (job->job.err != 0) return SQLITE_OK;

    rc = add_message(w, room, m, job->in.now_ms);
    if (rc != SQLITE_OK) return rc;
    job->out = (struct store_appended){.id = m->id, .prev = m->prev, .ordinal = m->ordinal};
    return add_key(w, room, job);
}

/* --- rooms ----------------------------------------------------------------------------------- */

static void bind_put(sqlite3_stmt *stmt, const struct store_room_put *in)
{
    sql_bind_str(stmt, 1, in->room);
    sql_bind_i64(stmt, 2, in->state == ROOM_CLOSED);
    sql_bind_i64(stmt, 3, in->now_ms);
    sql_bind_str(stmt, 4, str_of(in->settings.title));
    sql_bind_str(stmt, 5, str_of(in->settings.sect));
    sql_bind_i64(stmt, 6, in->settings.slow_mode_s);
    sql_bind_i64(stmt, 7, in->settings.max_body_bytes);
    sql_bind_i64(stmt, 8, in->settings.normal_per_s);
    sql_bind_i64(stmt, 9, in->settings.high_per_s);
    sql_bind_i64(stmt, 10, in->settings.max_online);
}

static int write_room(struct sqlite_writer *w, struct room_job *job, int64_t *ret_id)
{
    sqlite3_stmt *stmt = w->sql[SQL_ROOM_PUT];

    bind_put(stmt, &job->in);
    int rc = sql_first(stmt);
    if (rc != SQLITE_ROW) return rc;
    *ret_id = sql_i64(stmt, 0);
    job->out = (struct room_record){
        .settings = job->in.settings,
        .state = job->in.state,
        .version = sql_u64(stmt, 1),
        .created_ms = sql_i64(stmt, 2),
        .unique = sql_u64(stmt, 3),
    };
    sql_reset(stmt);
    return SQLITE_OK;
}

static int add_floors(struct sqlite_writer *w, int64_t room_id,
                      const struct store_tail known[LIST_KINDS])
{
    sqlite3_stmt *stmt = w->sql[SQL_FLOOR_ADD];

    for (int kind = 0; kind < LIST_KINDS; kind++) {
        sql_bind_i64(stmt, 1, room_id);
        sql_bind_i64(stmt, 2, kind);
        sql_bind_u64(stmt, 3, known[kind].id);
        sql_bind_u64(stmt, 4, known[kind].ordinal);
        int rc = sql_run(stmt);
        if (rc != SQLITE_OK) return rc;
    }
    return SQLITE_OK;
}

static int create_room(struct sqlite_writer *w, struct room_job *job)
{
    struct sqlite_room *room;
    int64_t id = 0;
    int rc;

    if ((rc = write_room(w, job, &id)) != SQLITE_OK) return rc;
    if ((rc = add_floors(w, id, job->in.known)) != SQLITE_OK) return rc;
    if ((rc = sqlite_rooms_get(&w->rooms, job->in.room, &room)) != SQLITE_OK) return rc;
    ASSERT(room != NULL);
    sqlite_rooms_touch(&w->rooms, room);
    job->created = true;
    return SQLITE_OK;
}

static int run_put(struct sqlite_writer *w, struct room_job *job)
{
    struct sqlite_room *room;
    int64_t id;
    int rc = sqlite_rooms_get(&w->rooms, job->in.room, &room);

    if (rc != SQLITE_OK) return rc;
    if (room == NULL) return create_room(w, job);
    if (job->in.only_new) {
        job->job.err = ERR_ROOM_EXISTS;
        return SQLITE_OK;
    }
    sqlite_rooms_touch(&w->rooms, room);
    room->ledger.state = job->in.state;
    rc = write_room(w, job, &id);
    if (rc != SQLITE_OK || job->in.control.type.len == 0) return rc;
    return add_message(w, room, &job->in.control, job->in.now_ms);
}

/* Writes, since only that tells whether an append could. */
static int run_ping(struct sqlite_writer *w)
{
    sql_bind_i64(w->sql[SQL_PROBE], 1, now_of(w));
    return sql_run(w->sql[SQL_PROBE]);
}

/* --- counting -------------------------------------------------------------------------------- */

static int run_viewers(struct sqlite_writer *w, struct viewers_job *job)
{
    struct sqlite_room *room;
    int rc = sqlite_rooms_get(&w->rooms, job->room, &room);

    if (rc != SQLITE_OK) return rc;
    if (room == NULL) {
        job->job.err = ERR_ROOM_NOT_FOUND;
        return SQLITE_OK;
    }
    return sqlite_viewers_run(&w->viewers, room->id, job, &w->rows);
}

static int run_sample(struct sqlite_writer *w, struct sample_job *job)
{
    struct sqlite_room *room;
    int rc = sqlite_rooms_get(&w->rooms, job->in.room, &room);

    if (rc != SQLITE_OK) return rc;
    if (room == NULL) {
        job->job.err = ERR_ROOM_NOT_FOUND;
        return SQLITE_OK;
    }
    w->rows++;
    return sqlite_history_put(&w->history, room->id, &job->in);
}

static int run_route(struct sqlite_writer *w, struct route_job *job)
{
    w->rows++;
    return sqlite_routes_run(&w->routes, job);
}

/* --- the group ------------------------------------------------------------------------------- */

static int run_job(struct sqlite_writer *w, struct job *job)
{
    switch (job->kind) {
    case JOB_APPEND: return run_append(w, job_append(job));
    case JOB_ROOM_PUT: return run_put(w, job_room(job));
    case JOB_PING: return run_ping(w);
    case JOB_VIEWERS_ADD:
    case JOB_VIEWERS_MERGE: return run_viewers(w, job_viewers(job));
    case JOB_SAMPLE_PUT: return run_sample(w, job_sample(job));
    case JOB_ROUTE_PUT: return run_route(w, job_route(job));
    case JOB_READ:
    case JOB_ROOM_GET:
    case JOB_ROOM_LIST:
    case JOB_VIEWERS_COUNT:
    case JOB_SAMPLE_RANGE:
    case JOB_PRESENCE_PUT:
    case JOB_PRESENCE_COUNT:
    case JOB_PRESENCE_PAGE:
    case JOB_NODE_BEAT:
    case JOB_ROUTES_GET:
    case JOB_LEASE:
    case JOB_NEWS: break;
    }
    UNREACHABLE(); /* those go to the reader, or need no thread */
}

static int run_transaction(struct sqlite_writer *w)
{
    int rc = sql_run(w->sql[SQL_BEGIN]);
    if (rc != SQLITE_OK) return rc;

    w->rows = 0;
    LIST_FOREACH (it, &w->group) {
        if ((rc = run_job(w, CONTAINER_OF(it, struct job, node))) != SQLITE_OK) return rc;
    }
    if ((rc = sqlite_retention_step(&w->retention, &w->rooms, now_of(w), w->rows)) != SQLITE_OK)
        return rc;
    if ((rc = sqlite_history_step(&w->history, now_of(w), w->rows)) != SQLITE_OK) return rc;
    return sql_run(w->sql[SQL_COMMIT]);
}

/* After some errors SQLite has rolled back by itself. */
static void undo(struct sqlite_writer *w)
{
    if (sqlite3_get_autocommit(w->db) == 0) sql_run(w->sql[SQL_ROLLBACK]);
    sqlite_retention_pause(&w->retention, now_of(w));
    sqlite_history_pause(&w->history, now_of(w));
    LIST_FOREACH (it, &w->group) {
        CONTAINER_OF(it, struct job, node)->err = ERR_STORE_UNAVAILABLE;
    }
}

/* Once when it begins and once when it is over, not once per group. */
static void note_health(struct sqlite_writer *w, int rc)
{
    bool is_failing = rc != SQLITE_OK;

    if (is_failing && !w->is_failing)
        log_error("sqlite",
                  "cannot write, sends are refused until it works again: %s (%d, system %d)",
                  sqlite3_errstr(rc), rc, sqlite3_system_errno(w->db));
    if (!is_failing && w->is_failing) log_info("sqlite", "can write again");
    w->is_failing = is_failing;
}

static uint64_t monotonic_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void complete_group(struct sqlite_writer *w)
{
    struct list *node;

    if (list_is_empty(&w->group)) return;
    while ((node = list_take(&w->group)) != NULL)
        lane_done(w->lane, CONTAINER_OF(node, struct job, node));
    lane_wake_hub(w->lane);
}

static void run_group(struct sqlite_writer *w)
{
    uint64_t began_us = monotonic_us();
    int rc = run_transaction(w);

    if (rc != SQLITE_OK) undo(w);
    sqlite_rooms_end(&w->rooms, rc == SQLITE_OK, now_of(w));
    note_health(w, rc);
    if (rc == SQLITE_OK) {
        counter_add(&w->stats->commits, 1);
        counter_add(&w->stats->commit_us, monotonic_us() - began_us);
        counter_add(&w->stats->trimmed, w->retention.trimmed);
        counter_add(&w->stats->thinned, w->history.thinned);
        counter_add(&w->stats->expired, w->history.expired);
    }
    complete_group(w);
}

static bool is_due(struct sqlite_writer *w)
{
    int64_t now_ms = now_of(w);

    return sqlite_retention_is_due(&w->retention, &w->rooms, now_ms) ||
           sqlite_history_is_due(&w->history, now_ms);
}

static void gather(struct sqlite_writer *w)
{
    size_t waiting = lane_waiting(w->lane);
    if (waiting == 0) return;
    uint64_t wait_us = group_window_wait(&w->window, waiting, monotonic_us());
    if (wait_us > 0) lane_gather(w->lane, group_window_quorum(&w->window), wait_us);
}

/* Closing is looked at before the queue: what was called before the close is then surely in it. */
void *sqlite_writer_main(void *writer)
{
    struct sqlite_writer *w = writer;

    for (;;) {
        bool is_closing = lane_is_closing(w->lane);
        if (!is_closing) gather(w);
        size_t count = lane_take(w->lane, &w->group, SQLITE_GROUP_MAX);
        if (count > 0) group_window_begin(&w->window, count, monotonic_us());
        if (count > 0 || (!is_closing && is_due(w)))
            run_group(w);
        else if (is_closing)
            return NULL;
        else
            lane_sleep(w->lane);
    }
}
