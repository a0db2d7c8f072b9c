#include "store/sqlite_reader.h"

#include "base/assert.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "store/sqlite_history.h"
#include "store/sqlite_rooms.h"

#define READER_BATCH 32

#define MESSAGE_COLUMNS "id, prev, ordinal, type, sender, name, body"
#define ROOM_COLUMNS                                                                               \
    "closed, version, created_ms, title, sect, slow_mode_s, max_body_bytes, normal_per_s,"         \
    " high_per_s, max_online,"                                                                     \
    " (SELECT users FROM viewers WHERE room_id = rooms.id AND bucket_ms = 0)"

static const char *const SQL[SQL_READER_COUNT] = {
    [SQL_READ_BEGIN] = "BEGIN",
    [SQL_READ_END] = "COMMIT",
    [SQL_READ_TAIL] = "SELECT rooms.id, " SQLITE_TAIL ", " SQLITE_TAIL_ORDINAL ", trimmed"
                      " FROM rooms JOIN floors ON room_id = rooms.id WHERE key = ?1 AND list = ?2",
    [SQL_READ_AFTER] = "SELECT " MESSAGE_COLUMNS " FROM messages"
                       " WHERE room_id = ?1 AND list = ?2 AND id > ?3 ORDER BY id LIMIT ?4",
    [SQL_READ_BEFORE] = "SELECT " MESSAGE_COLUMNS " FROM messages"
                        " WHERE room_id = ?1 AND list = ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4",
    [SQL_READ_ROOM] = "SELECT " ROOM_COLUMNS " FROM rooms WHERE key = ?1",
    [SQL_READ_ROOMS] = "SELECT " ROOM_COLUMNS ", key FROM rooms WHERE key > ?1 AND key < ?2"
                       " ORDER BY key LIMIT ?3",
    [SQL_READ_ROOM_ID] = "SELECT id FROM rooms WHERE key = ?1",
    [SQL_READ_SAMPLES] = "SELECT " SQLITE_SAMPLE_COLUMNS " FROM samples"
                         " WHERE room_id = ?1 AND at_ms >= ?2 AND at_ms < ?3"
                         " ORDER BY at_ms, node",
};

int sqlite_reader_init(struct sqlite_reader *r, sqlite3 *db, struct lane *lane)
{
    *r = (struct sqlite_reader){.db = db, .lane = lane};
    list_init(&r->counts);
    int rc = sql_prepare(db, SQL, SQL_READER_COUNT, r->sql);
    if (rc != SQLITE_OK) return rc;
    rc = sqlite_count_init(&r->count, db);
    if (rc != SQLITE_OK) sql_finalize(r->sql, SQL_READER_COUNT);
    return rc;
}

void sqlite_reader_deinit(struct sqlite_reader *r)
{
    struct list *node;

    while ((node = list_take(&r->counts)) != NULL) job_free(CONTAINER_OF(node, struct job, node));
    sqlite_count_deinit(&r->count);
    sql_finalize(r->sql, SQL_READER_COUNT);
}

/* --- messages -------------------------------------------------------------------------------- */

/* *ret_room_id stays as it is when the room has never had anything. */
static int read_tail(struct sqlite_reader *r, struct read_job *job, int64_t *ret_room_id)
{
    sqlite3_stmt *stmt = r->sql[SQL_READ_TAIL];

    sql_bind_str(stmt, 1, job->in.room);
    sql_bind_i64(stmt, 2, job->in.list);
    int rc = sql_first(stmt);
    if (rc != SQLITE_ROW) return rc == SQLITE_DONE ? SQLITE_OK : rc;
    *ret_room_id = sql_i64(stmt, 0);
    job->out.tail = sql_u64(stmt, 1);
    job->out.tail_ordinal = sql_u64(stmt, 2);
    job->out.trimmed = sql_u64(stmt, 3);
    sql_reset(stmt);
    return SQLITE_OK;
}

static struct message message_of(sqlite3_stmt *row, enum list_kind list)
{
    return (struct message){
        .id = sql_u64(row, 0),
        .prev = sql_u64(row, 1),
        .ordinal = sql_u64(row, 2),
        .list = list,
        .type = sql_str(row, 3),
        .from = sql_str(row, 4),
        .name = sql_str(row, 5),
        .body = sql_str(row, 6),
    };
}

/* One row more than asked for tells whether there are more. */
static int read_messages(struct sqlite_reader *r, struct read_job *job, int64_t room_id)
{
    sqlite3_stmt *stmt =
        r->sql[job->in.direction == STORE_AFTER ? SQL_READ_AFTER : SQL_READ_BEFORE];
    int rc;

    sql_bind_i64(stmt, 1, room_id);
    sql_bind_i64(stmt, 2, job->in.list);
    sql_bind_u64(stmt, 3, job->in.from);
    sql_bind_i64(stmt, 4, (int64_t)job->in.limit + 1);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct message message = message_of(stmt, job->in.list);
        if (!read_job_add(job, &message)) break;
    }
    sql_reset(stmt);
    read_job_seal(job);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int run_read(struct sqlite_reader *r, struct read_job *job)
{
    int64_t room_id = 0;
    int rc = read_tail(r, job, &room_id);

    if (rc != SQLITE_OK || job->out.tail == 0) return rc;
    return read_messages(r, job, room_id);
}

/* --- rooms ----------------------------------------------------------------------------------- */

static uint32_t column_u32(sqlite3_stmt *row, int at)
{
    int64_t value = sql_i64(row, at);

    return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

/* Text that is too long for its place can only come from somebody's hand; it reads as empty. */
static struct room_record record_of(sqlite3_stmt *row)
{
    struct room_record record = {
        .state = sql_i64(row, 0) != 0 ? ROOM_CLOSED : ROOM_OPEN,
        .version = sql_u64(row, 1),
        .created_ms = sql_i64(row, 2),
    };
    struct room_settings *settings = &record.settings;

    str_copy(sql_str(row, 3), settings->title, sizeof(settings->title));
    str_copy(sql_str(row, 4), settings->sect, sizeof(settings->sect));
    settings->slow_mode_s = column_u32(row, 5);
    settings->max_body_bytes = column_u32(row, 6);
    settings->normal_per_s = column_u32(row, 7);
    settings->high_per_s = column_u32(row, 8);
    settings->max_online = column_u32(row, 9);
    record.unique = sql_u64(row, 10);
    return record;
}

static int run_get(struct sqlite_reader *r, struct room_job *job)
{
    sqlite3_stmt *stmt = r->sql[SQL_READ_ROOM];

    sql_bind_str(stmt, 1, job->in.room);
    int rc = sql_first(stmt);
    if (rc == SQLITE_DONE) job->job.err = ERR_ROOM_NOT_FOUND;
    if (rc != SQLITE_ROW) return rc == SQLITE_DONE ? SQLITE_OK : rc;
    job->out = record_of(stmt);
    sql_reset(stmt);
    return SQLITE_OK;
}

/* Keys of the app are those between "app/" and "app0": '0' is the character after '/'. */
static int run_list(struct sqlite_reader *r, struct list_job *job)
{
    sqlite3_stmt *stmt = r->sql[SQL_READ_ROOMS];
    struct buf after = {0}, end = {0};
    int rc;

    buf_printf(&after, "%.*s/%.*s", STR_ARG(job->app), STR_ARG(job->after));
    buf_printf(&end, "%.*s0", STR_ARG(job->app));
    sql_bind_str(stmt, 1, buf_str(&after));
    sql_bind_str(stmt, 2, buf_str(&end));
    sql_bind_i64(stmt, 3, (int64_t)job->limit + 1);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct room_record record = record_of(stmt);
        if (!list_job_add(job, sql_str(stmt, 11), &record)) break;
    }
    sql_reset(stmt);
    buf_deinit(&after);
    buf_deinit(&end);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* --- counting -------------------------------------------------------------------------------- */

/* SQLITE_ROW, SQLITE_DONE when there is no such room, or an error. */
static int find_room(struct sqlite_reader *r, struct str key, int64_t *ret_room_id)
{
    sqlite3_stmt *stmt = r->sql[SQL_READ_ROOM_ID];

    sql_bind_str(stmt, 1, key);
    int rc = sql_first(stmt);
    if (rc != SQLITE_ROW) return rc;
    *ret_room_id = sql_i64(stmt, 0);
    sql_reset(stmt);
    return SQLITE_ROW;
}

static int run_count(struct sqlite_reader *r, struct viewers_job *job, bool *ret_is_finished)
{
    int64_t room_id;
    int rc = find_room(r, job->room, &room_id);

    *ret_is_finished = true;
    if (rc == SQLITE_DONE) job->job.err = ERR_ROOM_NOT_FOUND;
    if (rc != SQLITE_ROW) return rc == SQLITE_DONE ? SQLITE_OK : rc;
    if (job->to_ms == 0) return sqlite_count_life(&r->count, room_id, job);
    return sqlite_count_step(&r->count, room_id, job, ret_is_finished);
}

static int read_samples(struct sqlite_reader *r, struct samples_job *job, int64_t room_id)
{
    sqlite3_stmt *stmt = r->sql[SQL_READ_SAMPLES];
    struct sample_nodes nodes;
    struct sample minute;
    int rc;

    sql_bind_i64(stmt, 1, room_id);
    sql_bind_i64(stmt, 2, job->in.from_ms);
    sql_bind_i64(stmt, 3, job->in.to_ms);
    sample_nodes_init(&nodes);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
        if (sqlite_history_add(&nodes, stmt, &minute) && !samples_job_add(job, &minute)) break;
    if (rc == SQLITE_DONE && sample_nodes_end(&nodes, &minute)) samples_job_add(job, &minute);
    sql_reset(stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int run_samples(struct sqlite_reader *r, struct samples_job *job)
{
    int64_t room_id;
    int rc = find_room(r, job->in.room, &room_id);

    if (rc == SQLITE_DONE) job->job.err = ERR_ROOM_NOT_FOUND;
    if (rc != SQLITE_ROW) return rc == SQLITE_DONE ? SQLITE_OK : rc;
    return read_samples(r, job, room_id);
}

/* --- the thread ------------------------------------------------------------------------------ */

static int run_job(struct sqlite_reader *r, struct job *job)
{
    bool is_finished;

    switch (job->kind) {
    case JOB_READ: return run_read(r, job_read(job));
    case JOB_ROOM_GET: return run_get(r, job_room(job));
    case JOB_ROOM_LIST: return run_list(r, job_list(job));
    case JOB_SAMPLE_RANGE: return run_samples(r, job_samples(job));
    case JOB_VIEWERS_COUNT: return run_count(r, job_viewers(job), &is_finished);
    case JOB_APPEND:
    case JOB_ROOM_PUT:
    case JOB_PING:
    case JOB_VIEWERS_ADD:
    case JOB_VIEWERS_MERGE:
    case JOB_SAMPLE_PUT:
    case JOB_PRESENCE_PUT:
    case JOB_PRESENCE_COUNT:
    case JOB_PRESENCE_PAGE:
    case JOB_NODE_BEAT:
    case JOB_ROUTES_GET:
    case JOB_ROUTE_PUT:
    case JOB_LEASE:
    case JOB_NEWS: break;
    }
    UNREACHABLE(); /* those go to the writer */
}

static void note_health(struct sqlite_reader *r, int rc)
{
    bool is_failing = rc != SQLITE_OK;

    if (is_failing && !r->is_failing)
        log_error("sqlite", "cannot read: %s (%d, system %d)", sqlite3_errstr(rc), rc,
                  sqlite3_system_errno(r->db));
    if (!is_failing && r->is_failing) log_info("sqlite", "can read again");
    r->is_failing = is_failing;
}

static void finish(struct sqlite_reader *r, struct job *job, int rc)
{
    if (rc != SQLITE_OK) job->err = ERR_STORE_UNAVAILABLE;
    note_health(r, rc);
    lane_done(r->lane, job);
}

/* One more step of the oldest count. */
static void step_count(struct sqlite_reader *r, int begun)
{
    bool is_finished = true;

    if (list_is_empty(&r->counts)) return;
    struct job *job = CONTAINER_OF(r->counts.next, struct job, node);
    int rc = begun == SQLITE_OK ? run_count(r, job_viewers(job), &is_finished) : begun;
    if (rc == SQLITE_OK && !is_finished) return;
    list_remove(&job->node);
    finish(r, job, rc);
}

/* That of a room's life is one row. */
static bool is_long(struct job *job)
{
    return job->kind == JOB_VIEWERS_COUNT && job_viewers(job)->to_ms != 0;
}

static void run_batch(struct sqlite_reader *r, struct list *batch)
{
    int begun = sql_run(r->sql[SQL_READ_BEGIN]);
    struct list *node;

    while ((node = list_take(batch)) != NULL) {
        struct job *job = CONTAINER_OF(node, struct job, node);
        if (is_long(job))
            list_push(&r->counts, &job->node);
        else
            finish(r, job, begun == SQLITE_OK ? run_job(r, job) : begun);
    }
    step_count(r, begun);
    if (sqlite3_get_autocommit(r->db) == 0) sql_run(r->sql[SQL_READ_END]);
    lane_wake_hub(r->lane);
}

/* A read that waits when the store closes is not carried out: nobody would get its answer. */
void *sqlite_reader_main(void *reader)
{
    struct sqlite_reader *r = reader;
    struct list batch;

    list_init(&batch);
    while (!lane_is_closing(r->lane)) {
        if (lane_take(r->lane, &batch, READER_BATCH) > 0 || !list_is_empty(&r->counts))
            run_batch(r, &batch);
        else
            lane_sleep(r->lane);
    }
    return NULL;
}
