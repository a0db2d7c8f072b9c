#include "store/sqlite_count.h"

#include "store/sketch.h"
#include "store/sqlite_viewers.h"

#define SKETCH_ROWS 100 /* what merging a sketch costs, in rows */

static const struct hash_key VIEWERS_HASH_KEY = {0x73746f612e766965, 0x776572732e73716c};

static const char *const SQL[SQL_COUNT_COUNT] = {
    [SQL_COUNT_LIFE] = "SELECT users, exact FROM viewers WHERE room_id = ?1 AND bucket_ms = ?2",
    [SQL_COUNT_BUCKET] = "SELECT bucket_ms, exact, users, sketch FROM viewers"
                         " WHERE room_id = ?1 AND bucket_ms >= ?2 AND bucket_ms < ?3"
                         " ORDER BY bucket_ms LIMIT 1",
    [SQL_COUNT_USERS] = "SELECT user FROM viewer_users WHERE room_id = ?1 AND bucket_ms = ?2",
};

int sqlite_count_init(struct sqlite_count *c, sqlite3 *db)
{
    return sql_prepare(db, SQL, SQL_COUNT_COUNT, c->sql);
}

void sqlite_count_deinit(struct sqlite_count *c)
{
    sql_finalize(c->sql, SQL_COUNT_COUNT);
}

int sqlite_count_life(struct sqlite_count *c, int64_t room_id, struct viewers_job *job)
{
    sqlite3_stmt *stmt = c->sql[SQL_COUNT_LIFE];

    job->out = (struct viewers_count){.exact = true};
    sql_bind_i64(stmt, 1, room_id);
    sql_bind_i64(stmt, 2, SQLITE_LIFE_BUCKET);
    int rc = sql_first(stmt);
    if (rc != SQLITE_ROW) return rc == SQLITE_DONE ? SQLITE_OK : rc;
    job->out.unique = sql_u64(stmt, 0);
    job->out.exact = sql_i64(stmt, 1) != 0;
    if (!job->out.exact) job->out.standard_error = HLL_STANDARD_ERROR;
    sql_reset(stmt);
    return SQLITE_OK;
}

static int add_users(struct sqlite_count *c, int64_t room_id, struct viewers_job *job)
{
    sqlite3_stmt *stmt = c->sql[SQL_COUNT_USERS];
    int rc;

    sql_bind_i64(stmt, 1, room_id);
    sql_bind_i64(stmt, 2, job->at_ms);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) viewers_add(&job->sum, sql_str(stmt, 0));
    sql_reset(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* The bucket at job->at_ms. Names matter only while the sum is made of names. */
static int add_bucket(struct sqlite_count *c, int64_t room_id, struct viewers_job *job, bool exact,
                      uint64_t users, struct str packed)
{
    struct hll sketch = {0};

    if (exact && job->sum.is_exact) return add_users(c, room_id, job);
    sketch_unpack(packed, &sketch);
    viewers_merge_sketch(&job->sum, &sketch);
    viewers_expect(&job->sum, users);
    hll_deinit(&sketch);
    return SQLITE_OK;
}

/* SQLITE_ROW: one more bucket is in the sum, which cost *ret_rows. SQLITE_DONE: there is none. */
static int next_bucket(struct sqlite_count *c, int64_t room_id, struct viewers_job *job,
                       size_t *ret_rows)
{
    sqlite3_stmt *stmt = c->sql[SQL_COUNT_BUCKET];

    sql_bind_i64(stmt, 1, room_id);
    sql_bind_i64(stmt, 2, job->at_ms);
    sql_bind_i64(stmt, 3, job->to_ms);
    int rc = sql_first(stmt);
    if (rc != SQLITE_ROW) return rc;
    job->at_ms = sql_i64(stmt, 0);
    bool exact = sql_i64(stmt, 1) != 0;
    uint64_t users = sql_u64(stmt, 2);
    *ret_rows = 1 + (exact && job->sum.is_exact ? (size_t)users : SKETCH_ROWS);
    rc = add_bucket(c, room_id, job, exact, users, sql_blob(stmt, 3));
    sql_reset(stmt);
    job->at_ms++;
    return rc == SQLITE_OK ? SQLITE_ROW : rc;
}

int sqlite_count_step(struct sqlite_count *c, int64_t room_id, struct viewers_job *job,
                      bool *ret_is_finished)
{
    size_t rows = 0, more = 0;
    int rc = SQLITE_ROW;

    if (!job->has_sum) viewers_init(&job->sum, VIEWERS_HASH_KEY);
    job->has_sum = true;
    if (job->at_ms <= SQLITE_LIFE_BUCKET) job->at_ms = SQLITE_LIFE_BUCKET + 1;
    while (rc == SQLITE_ROW && rows < COUNT_STEP_ROWS) {
        rc = next_bucket(c, room_id, job, &more);
        rows += more;
    }
    *ret_is_finished = rc == SQLITE_DONE;
    if (rc == SQLITE_DONE) job->out = viewers_count(&job->sum);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}
