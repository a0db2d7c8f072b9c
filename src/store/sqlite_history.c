#include "store/sqlite_history.h"

#define STEP_ROWS 256 /* at least, per transaction */

static const char *const SQL[SQL_HISTORY_COUNT] = {
    [SQL_SAMPLE_PUT] = "INSERT OR REPLACE INTO samples (room_id, hourly, " SQLITE_SAMPLE_COLUMNS
                       ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [SQL_THIN_OLDEST] = "SELECT room_id, at_ms FROM samples WHERE hourly = 0 AND at_ms < ?1"
                        " ORDER BY at_ms LIMIT 1",
    [SQL_THIN_HOUR] = "SELECT " SQLITE_SAMPLE_COLUMNS " FROM samples"
                      " WHERE room_id = ?1 AND at_ms >= ?2 AND at_ms < ?3"
                      " ORDER BY at_ms, node",
    [SQL_THIN_DELETE] = "DELETE FROM samples WHERE room_id = ?1 AND at_ms >= ?2 AND at_ms < ?3",
    [SQL_SAMPLES_EXPIRE] = "DELETE FROM samples WHERE (room_id, at_ms, node) IN"
                           " (SELECT room_id, at_ms, node FROM samples WHERE hourly = ?1 AND at_ms "
                           "< ?2 ORDER BY at_ms LIMIT ?3)",
    [SQL_BUCKET_OLDEST] =
        "SELECT room_id, bucket_ms FROM viewers WHERE bucket_ms > 0 AND bucket_ms < ?1"
        " ORDER BY bucket_ms LIMIT 1",
    [SQL_BUCKET_DELETE] = "DELETE FROM viewers WHERE room_id = ?1 AND bucket_ms = ?2",
    [SQL_BUCKET_USERS_DELETE] = "DELETE FROM viewer_users WHERE room_id = ?1 AND bucket_ms = ?2",
};

int sqlite_history_init(struct sqlite_history *h, sqlite3 *db, const struct store_history *rules)
{
    *h = (struct sqlite_history){.db = db, .rules = *rules};
    return sql_prepare(db, SQL, SQL_HISTORY_COUNT, h->sql);
}

void sqlite_history_deinit(struct sqlite_history *h)
{
    sql_finalize(h->sql, SQL_HISTORY_COUNT);
}

/* --- samples --------------------------------------------------------------------------------- */

bool sqlite_history_add(struct sample_nodes *nodes, sqlite3_stmt *row, struct sample *ret_minute)
{
    const struct sample sample = {
        .at_ms = sql_i64(row, 0),
        .span_ms = sql_i64(row, 1),
        .online_ms = sql_u64(row, 2),
        .online_peak = sql_u64(row, 3),
        .joins = sql_u64(row, 4),
        .messages = {[LIST_HIGH] = sql_u64(row, 5), [LIST_NORMAL] = sql_u64(row, 6)},
        .unique = sql_u64(row, 7),
    };
    return sample_nodes_add(nodes, sql_str(row, 8), &sample, ret_minute);
}

/* node empty: an hour of all of them. */
static int put(struct sqlite_history *h, int64_t room_id, struct str node, const struct sample *s)
{
    sqlite3_stmt *stmt = h->sql[SQL_SAMPLE_PUT];
    bool is_hourly = node.len == 0;

    sql_bind_i64(stmt, 1, room_id);
    sql_bind_i64(stmt, 2, is_hourly);
    sql_bind_i64(stmt, 3, s->at_ms);
    sql_bind_i64(stmt, 4, s->span_ms);
    sql_bind_u64(stmt, 5, s->online_ms);
    sql_bind_u64(stmt, 6, s->online_peak);
    sql_bind_u64(stmt, 7, s->joins);
    sql_bind_u64(stmt, 8, s->messages[LIST_HIGH]);
    sql_bind_u64(stmt, 9, s->messages[LIST_NORMAL]);
    sql_bind_u64(stmt, 10, s->unique);
    sql_bind_str(stmt, 11, node);
    return sql_run(stmt);
}

int sqlite_history_put(struct sqlite_history *h, int64_t room_id, const struct store_sample_put *in)
{
    return put(h, room_id, in->node, &in->sample);
}

static void spend(struct sqlite_history *h, size_t rows)
{
    h->budget -= rows < h->budget ? rows : h->budget;
}

/* --- thinning -------------------------------------------------------------------------------- */

static void bind_hour(sqlite3_stmt *stmt, int64_t room_id, int64_t hour_ms)
{
    sql_bind_i64(stmt, 1, room_id);
    sql_bind_i64(stmt, 2, hour_ms);
    sql_bind_i64(stmt, 3, hour_ms + SAMPLE_THIN_MS);
}

static int sum_hour(struct sqlite_history *h, int64_t room_id, struct sample *sum, size_t *count)
{
    sqlite3_stmt *stmt = h->sql[SQL_THIN_HOUR];
    struct sample_nodes nodes;
    struct sample minute;
    int rc;

    sample_nodes_init(&nodes);
    bind_hour(stmt, room_id, sum->at_ms);
    for (; (rc = sqlite3_step(stmt)) == SQLITE_ROW; ++*count)
        if (sqlite_history_add(&nodes, stmt, &minute)) sample_merge(sum, &minute);
    if (sample_nodes_end(&nodes, &minute)) sample_merge(sum, &minute);
    sql_reset(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int thin_hour(struct sqlite_history *h, int64_t room_id, int64_t hour_ms)
{
    struct sample sum = {.at_ms = hour_ms, .span_ms = SAMPLE_THIN_MS};
    size_t count = 0;
    int rc = sum_hour(h, room_id, &sum, &count);

    if (rc != SQLITE_OK) return rc;
    bind_hour(h->sql[SQL_THIN_DELETE], room_id, hour_ms);
    if ((rc = sql_run(h->sql[SQL_THIN_DELETE])) != SQLITE_OK) return rc;
    h->thinned += count;
    spend(h, count + 1);
    return put(h, room_id, STR_NONE, &sum);
}

/* Whole hours only, or one would be added to again and again. */
static int thin(struct sqlite_history *h)
{
    sqlite3_stmt *stmt = h->sql[SQL_THIN_OLDEST];
    int64_t before_ms = sample_step(h->now_ms - h->rules.thin_age_ms, SAMPLE_THIN_MS);

    if (h->rules.thin_age_ms <= 0) return SQLITE_OK;
    while (h->budget > 0) {
        sql_bind_i64(stmt, 1, before_ms);
        int rc = sql_first(stmt);
        if (rc != SQLITE_ROW) return rc == SQLITE_DONE ? SQLITE_OK : rc;
        int64_t room_id = sql_i64(stmt, 0), at_ms = sql_i64(stmt, 1);
        sql_reset(stmt);
        rc = thin_hour(h, room_id, sample_step(at_ms, SAMPLE_THIN_MS));
        if (rc != SQLITE_OK) return rc;
    }
    return SQLITE_OK;
}

/* --- age ------------------------------------------------------------------------------------- */

static int expire_samples(struct sqlite_history *h, bool is_hourly)
{
    sqlite3_stmt *stmt = h->sql[SQL_SAMPLES_EXPIRE];

    if (h->budget == 0) return SQLITE_OK;
    sql_bind_i64(stmt, 1, is_hourly);
    sql_bind_i64(stmt, 2, h->now_ms - h->rules.max_age_ms);
    sql_bind_u64(stmt, 3, h->budget);
    int rc = sql_run(stmt);
    if (rc != SQLITE_OK) return rc;
    h->expired += (size_t)sqlite3_changes(h->db);
    spend(h, (size_t)sqlite3_changes(h->db));
    return SQLITE_OK;
}

static int delete_bucket(struct sqlite_history *h, int64_t room_id, int64_t bucket_ms)
{
    static const int STATEMENTS[] = {SQL_BUCKET_DELETE, SQL_BUCKET_USERS_DELETE};

    for (size_t i = 0; i < sizeof(STATEMENTS) / sizeof(STATEMENTS[0]); i++) {
        sqlite3_stmt *stmt = h->sql[STATEMENTS[i]];
        sql_bind_i64(stmt, 1, room_id);
        sql_bind_i64(stmt, 2, bucket_ms);
        int rc = sql_run(stmt);
        if (rc != SQLITE_OK) return rc;
        spend(h, (size_t)sqlite3_changes(h->db));
    }
    h->expired++;
    return SQLITE_OK;
}

static int expire_buckets(struct sqlite_history *h)
{
    sqlite3_stmt *stmt = h->sql[SQL_BUCKET_OLDEST];

    while (h->budget > 0) {
        sql_bind_i64(stmt, 1, h->now_ms - h->rules.max_age_ms);
        int rc = sql_first(stmt);
        if (rc != SQLITE_ROW) return rc == SQLITE_DONE ? SQLITE_OK : rc;
        int64_t room_id = sql_i64(stmt, 0), bucket_ms = sql_i64(stmt, 1);
        sql_reset(stmt);
        if ((rc = delete_bucket(h, room_id, bucket_ms)) != SQLITE_OK) return rc;
    }
    return SQLITE_OK;
}

static int expire(struct sqlite_history *h)
{
    int rc = SQLITE_OK;

    if (h->rules.max_age_ms <= 0) return SQLITE_OK;
    for (int is_hourly = 0; rc == SQLITE_OK && is_hourly <= 1; is_hourly++)
        rc = expire_samples(h, is_hourly != 0);
    return rc == SQLITE_OK ? expire_buckets(h) : rc;
}

/* --- when ------------------------------------------------------------------------------------ */

static bool is_tick(const struct sqlite_history *h, int64_t now_ms)
{
    return now_ms - h->tick_ms >= HISTORY_TICK_MS || now_ms < h->tick_ms;
}

bool sqlite_history_is_due(const struct sqlite_history *h, int64_t now_ms)
{
    return is_tick(h, now_ms) || (h->is_busy && !h->is_paused);
}

/* Age first: what goes need not be thinned. */
int sqlite_history_step(struct sqlite_history *h, int64_t now_ms, size_t rows)
{
    h->thinned = h->expired = 0;
    if (!sqlite_history_is_due(h, now_ms)) return SQLITE_OK;
    if (is_tick(h, now_ms)) h->tick_ms = now_ms;
    h->now_ms = now_ms;
    h->is_paused = false;
    h->budget = rows + STEP_ROWS;
    int rc = expire(h);
    if (rc == SQLITE_OK) rc = thin(h);
    h->is_busy = h->budget == 0;
    return rc;
}

void sqlite_history_pause(struct sqlite_history *h, int64_t now_ms)
{
    h->tick_ms = now_ms;
    h->is_paused = true;
}
