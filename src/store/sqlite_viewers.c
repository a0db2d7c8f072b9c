#include "store/sqlite_viewers.h"

#include "base/error.h"
#include "store/sketch.h"

static const char *const SQL[SQL_VIEWERS_COUNT] = {
    [SQL_BUCKET_GET] =
        "SELECT users, exact, sketch FROM viewers WHERE room_id = ?1 AND bucket_ms = ?2",
    [SQL_BUCKET_PUT] = "INSERT INTO viewers (room_id, bucket_ms, users, exact, sketch)"
                       " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET"
                       " users = excluded.users, exact = excluded.exact, sketch = excluded.sketch",
    [SQL_VIEWER_ADD] =
        "INSERT OR IGNORE INTO viewer_users (room_id, bucket_ms, user) VALUES (?1, ?2, ?3)",
    [SQL_VIEWERS_DROP] = "DELETE FROM viewer_users WHERE room_id = ?1 AND bucket_ms = ?2",
};

/* A bucket while it is being changed. */
struct bucket {
    int64_t room_id, at_ms;
    uint64_t users;
    bool exact;
    bool is_changed;
    struct hll sketch;
};

int sqlite_viewers_init(struct sqlite_viewers *v, sqlite3 *db)
{
    *v = (struct sqlite_viewers){.db = db};
    return sql_prepare(db, SQL, SQL_VIEWERS_COUNT, v->sql);
}

void sqlite_viewers_deinit(struct sqlite_viewers *v)
{
    sql_finalize(v->sql, SQL_VIEWERS_COUNT);
    buf_deinit(&v->packed);
}

static void bind_bucket(sqlite3_stmt *stmt, const struct bucket *b)
{
    sql_bind_i64(stmt, 1, b->room_id);
    sql_bind_i64(stmt, 2, b->at_ms);
}

/* A bucket that is not there is empty, and exact. So is one whose sketch is damaged: what is lost
 * is what was counted there, and not the store. */
static int load(struct sqlite_viewers *v, struct bucket *b)
{
    sqlite3_stmt *stmt = v->sql[SQL_BUCKET_GET];

    b->exact = true;
    bind_bucket(stmt, b);
    int rc = sql_first(stmt);
    if (rc != SQLITE_ROW) return rc == SQLITE_DONE ? SQLITE_OK : rc;
    b->users = sql_u64(stmt, 0);
    b->exact = sql_i64(stmt, 1) != 0;
    sketch_unpack(sql_blob(stmt, 2), &b->sketch);
    sql_reset(stmt);
    return SQLITE_OK;
}

static int save(struct sqlite_viewers *v, const struct bucket *b)
{
    sqlite3_stmt *stmt = v->sql[SQL_BUCKET_PUT];

    if (!b->is_changed) return SQLITE_OK;
    sketch_pack(&b->sketch, &v->packed);
    bind_bucket(stmt, b);
    sql_bind_u64(stmt, 3, b->users);
    sql_bind_i64(stmt, 4, b->exact);
    sql_bind_blob(stmt, 5, buf_str(&v->packed));
    return sql_run(stmt);
}

/* The names go, the sketch has them all. */
static int drop_exact(struct sqlite_viewers *v, struct bucket *b)
{
    b->exact = false;
    b->is_changed = true;
    bind_bucket(v->sql[SQL_VIEWERS_DROP], b);
    return sql_run(v->sql[SQL_VIEWERS_DROP]);
}

static int add_user(struct sqlite_viewers *v, struct bucket *b, struct str user)
{
    sqlite3_stmt *stmt = v->sql[SQL_VIEWER_ADD];

    if (!b->exact) {
        b->is_changed |= hll_add(&b->sketch, user);
        return SQLITE_OK;
    }
    bind_bucket(stmt, b);
    sql_bind_str(stmt, 3, user);
    int rc = sql_run(stmt);
    if (rc != SQLITE_OK || sqlite3_changes(v->db) == 0) return rc;
    hll_add(&b->sketch, user);
    b->is_changed = true;
    return ++b->users > VIEWERS_EXACT_MAX ? drop_exact(v, b) : SQLITE_OK;
}

static int add_users(struct sqlite_viewers *v, struct bucket *b, const struct viewers_job *job)
{
    for (size_t i = 0; i < job->count; i++) {
        int rc = add_user(v, b, job->users[i]);
        if (rc != SQLITE_OK) return rc;
    }
    return SQLITE_OK;
}

static int merge(struct sqlite_viewers *v, struct bucket *b, const struct hll *sketch)
{
    hll_merge(&b->sketch, sketch);
    b->is_changed = true;
    return b->exact ? drop_exact(v, b) : SQLITE_OK;
}

/* Never less than was counted before: what was exact was certain. */
static void estimate(struct bucket *b)
{
    uint64_t users = hll_count(&b->sketch);

    if (b->users < users) b->users = users;
}

/* sketch: of a merge; else NULL. Loads the bucket, changes and saves it. */
static int change(struct sqlite_viewers *v, struct bucket *b, const struct viewers_job *job,
                  const struct hll *sketch)
{
    int rc = load(v, b);

    if (rc == SQLITE_OK) rc = sketch != NULL ? merge(v, b, sketch) : add_users(v, b, job);
    if (rc == SQLITE_OK && !b->exact && b->is_changed) estimate(b);
    if (rc == SQLITE_OK) rc = save(v, b);
    hll_deinit(&b->sketch);
    return rc;
}

int sqlite_viewers_run(struct sqlite_viewers *v, int64_t room_id, struct viewers_job *job,
                       size_t *rows)
{
    struct bucket bucket = {.room_id = room_id, .at_ms = job->bucket_ms};
    struct bucket life = {.room_id = room_id, .at_ms = SQLITE_LIFE_BUCKET};
    bool is_merge = job->job.kind == JOB_VIEWERS_MERGE;
    struct hll sketch = {0};

    if (is_merge && !hll_read(&sketch, job->sketch)) {
        job->job.err = ERR_BAD_REQUEST;
        return SQLITE_OK;
    }
    int rc = change(v, &bucket, job, is_merge ? &sketch : NULL);
    if (rc == SQLITE_OK) rc = change(v, &life, job, is_merge ? &sketch : NULL);
    hll_deinit(&sketch);
    job->out = (struct viewers_count){
        .unique = life.users,
        .exact = life.exact,
        .standard_error = life.exact ? 0 : HLL_STANDARD_ERROR,
    };
    *rows += 2 + 2 * job->count;
    return rc;
}
