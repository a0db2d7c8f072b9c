#include "store/sqlite_retention.h"

#include "core/id.h"

#define STEP_ROWS   256 /* at least, per transaction */
#define SWEEP_LISTS 256 /* per second */

static const char *const SQL[SQL_RETENTION_COUNT] = {
    [SQL_TRIM_TAIL] = "SELECT trimmed, trimmed_ordinal, " SQLITE_TAIL_ORDINAL
                      " FROM floors WHERE room_id = ?1 AND list = ?2",
    [SQL_TRIM_OLDEST] = "SELECT id, ordinal FROM messages WHERE room_id = ?1 AND list = ?2"
                        " ORDER BY id LIMIT ?3",
    [SQL_TRIM_DELETE] = "DELETE FROM messages WHERE room_id = ?1 AND list = ?2 AND id <= ?3",
    [SQL_TRIM_MARK] =
        "UPDATE floors SET trimmed = ?3, trimmed_ordinal = ?4 WHERE room_id = ?1 AND list = ?2",
    [SQL_TRIM_NEXT] = "SELECT room_id, list FROM floors WHERE (room_id, list) > (?1, ?2)"
                      " ORDER BY room_id, list LIMIT 1",
    [SQL_KEYS_PURGE] =
        "DELETE FROM idempotency WHERE (room_id, key) IN"
        " (SELECT room_id, key FROM idempotency WHERE at_ms <= ?1 ORDER BY at_ms LIMIT ?2)",
};

/* One list to trim: where it is, and what is known of it. */
struct trim {
    int64_t room_id, list;
    uint64_t ordinal;                  /* of its tail */
    uint64_t trimmed, trimmed_ordinal; /* grow as it is trimmed */
};

int sqlite_retention_init(struct sqlite_retention *r, sqlite3 *db,
                          const struct store_retention rules[LIST_KINDS])
{
    *r = (struct sqlite_retention){.db = db};
    for (int i = 0; i < LIST_KINDS; i++) r->rules[i] = rules[i];
    return sql_prepare(db, SQL, SQL_RETENTION_COUNT, r->sql);
}

void sqlite_retention_deinit(struct sqlite_retention *r)
{
    sql_finalize(r->sql, SQL_RETENTION_COUNT);
}

/* --- one list -------------------------------------------------------------------------------- */

static void bind_list(sqlite3_stmt *stmt, const struct trim *t)
{
    sql_bind_i64(stmt, 1, t->room_id);
    sql_bind_i64(stmt, 2, t->list);
}

static int load_trim(struct sqlite_retention *r, struct trim *t)
{
    sqlite3_stmt *stmt = r->sql[SQL_TRIM_TAIL];

    bind_list(stmt, t);
    int rc = sql_first(stmt);
    if (rc != SQLITE_ROW) return rc;
    t->trimmed = sql_u64(stmt, 0);
    t->trimmed_ordinal = sql_u64(stmt, 1);
    t->ordinal = sql_u64(stmt, 2);
    sql_reset(stmt);
    return SQLITE_OK;
}

static bool has_to_go(const struct sqlite_retention *r, const struct trim *t, uint64_t id,
                      uint64_t ordinal)
{
    const struct store_retention *rule = &r->rules[t->list];
    bool is_over = rule->max_count > 0 && t->ordinal - ordinal >= rule->max_count;
    bool is_old = rule->max_age_ms > 0 && r->now_ms - id_ms(id) > rule->max_age_ms;

    return is_over || is_old;
}

/* Moves the mark over the messages that have to go, within the budget. */
static int find_mark(struct sqlite_retention *r, struct trim *t, bool *ret_is_finished)
{
    sqlite3_stmt *stmt = r->sql[SQL_TRIM_OLDEST];
    bool is_finished = false;
    size_t limit = r->budget;
    size_t count = 0;
    int rc;

    bind_list(stmt, t);
    sql_bind_u64(stmt, 3, limit);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        is_finished = !has_to_go(r, t, sql_u64(stmt, 0), sql_u64(stmt, 1));
        if (is_finished) break;
        t->trimmed = sql_u64(stmt, 0);
        t->trimmed_ordinal = sql_u64(stmt, 1);
        count++;
    }
    sql_reset(stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) return rc;
    r->budget -= count;
    r->trimmed += count;
    *ret_is_finished = is_finished || count < limit;
    return SQLITE_OK;
}

static int remove_to_mark(struct sqlite_retention *r, const struct trim *t)
{
    sqlite3_stmt *delete = r->sql[SQL_TRIM_DELETE];
    sqlite3_stmt *mark = r->sql[SQL_TRIM_MARK];

    bind_list(delete, t);
    sql_bind_u64(delete, 3, t->trimmed);
    int rc = sql_run(delete);
    if (rc != SQLITE_OK) return rc;
    bind_list(mark, t);
    sql_bind_u64(mark, 3, t->trimmed);
    sql_bind_u64(mark, 4, t->trimmed_ordinal);
    return sql_run(mark);
}

static int trim_list(struct sqlite_retention *r, struct trim *t, bool *ret_is_finished)
{
    int rc = load_trim(r, t);
    if (rc == SQLITE_DONE) { /* no such list */
        *ret_is_finished = true;
        return SQLITE_OK;
    }
    if (rc != SQLITE_OK) return rc;

    uint64_t trimmed_before = t->trimmed;
    rc = find_mark(r, t, ret_is_finished);
    if (rc != SQLITE_OK || t->trimmed == trimmed_before) return rc;
    return remove_to_mark(r, t);
}

/* --- which lists ----------------------------------------------------------------------------- */

/* Trimming a row at a time costs a seek for each; with a sixteenth of slack it comes in runs. */
static bool is_too_long(const struct sqlite_retention *r, const struct sqlite_room *room, int kind)
{
    uint64_t max_count = r->rules[kind].max_count;

    return max_count > 0 && ledger_kept(&room->ledger.lists[kind]) > max_count + max_count / 16;
}

static void note_behind(struct sqlite_retention *r, struct sqlite_rooms *rooms)
{
    LIST_FOREACH (it, &rooms->touched) {
        struct sqlite_room *room = CONTAINER_OF(it, struct sqlite_room, touched);
        for (int kind = 0; kind < LIST_KINDS; kind++) {
            if (is_too_long(r, room, kind) && !list_is_linked(&room->behind))
                list_push(&rooms->behind, &room->behind);
        }
    }
}

static int trim_room(struct sqlite_retention *r, struct sqlite_rooms *rooms,
                     struct sqlite_room *room, bool *ret_is_finished)
{
    *ret_is_finished = true;
    sqlite_rooms_touch(rooms, room); /* its marks change: to be undone with the transaction */
    for (int kind = 0; kind < LIST_KINDS; kind++) {
        struct trim t = {.room_id = room->id, .list = kind};
        bool is_finished = true;
        if (!is_too_long(r, room, kind)) continue;
        int rc = trim_list(r, &t, &is_finished);
        if (rc != SQLITE_OK) return rc;
        room->ledger.lists[kind].trimmed = t.trimmed;
        room->ledger.lists[kind].trimmed_ordinal = t.trimmed_ordinal;
        *ret_is_finished = *ret_is_finished && is_finished;
    }
    return SQLITE_OK;
}

static int trim_behind(struct sqlite_retention *r, struct sqlite_rooms *rooms)
{
    LIST_FOREACH_SAFE (it, &rooms->behind) {
        struct sqlite_room *room = CONTAINER_OF(it, struct sqlite_room, behind);
        bool is_finished = false;
        if (r->budget == 0) return SQLITE_OK;
        int rc = trim_room(r, rooms, room, &is_finished);
        if (rc != SQLITE_OK) return rc;
        if (is_finished) list_remove(&room->behind);
    }
    return SQLITE_OK;
}

/* *ret_list: the one after where the sweep is. SQLITE_DONE at the end. */
static int next_list(struct sqlite_retention *r, struct trim *ret_list)
{
    sqlite3_stmt *stmt = r->sql[SQL_TRIM_NEXT];

    sql_bind_i64(stmt, 1, r->at_room_id);
    sql_bind_i64(stmt, 2, r->at_list);
    int rc = sql_first(stmt);
    if (rc != SQLITE_ROW) return rc;
    *ret_list = (struct trim){.room_id = sql_i64(stmt, 0), .list = sql_i64(stmt, 1)};
    sql_reset(stmt);
    return SQLITE_ROW;
}

/* Stops where the budget ends, to go on from there; a sweep that came round begins anew next
 * second. */
static int sweep(struct sqlite_retention *r)
{
    for (int i = 0; i < SWEEP_LISTS; i++) {
        struct trim t;
        bool is_finished = true;
        if (r->budget == 0) return SQLITE_OK;
        int rc = next_list(r, &t);
        if (rc == SQLITE_DONE) {
            r->at_room_id = r->at_list = 0;
            break;
        }
        if (rc != SQLITE_ROW) return rc;
        if (t.list >= 0 && t.list < LIST_KINDS) rc = trim_list(r, &t, &is_finished);
        if (rc != SQLITE_ROW && rc != SQLITE_OK) return rc;
        if (!is_finished) return SQLITE_OK;
        r->at_room_id = t.room_id;
        r->at_list = t.list;
    }
    r->is_sweeping = false;
    return SQLITE_OK;
}

static int purge_keys(struct sqlite_retention *r)
{
    sqlite3_stmt *stmt = r->sql[SQL_KEYS_PURGE];
    if (r->budget == 0) return SQLITE_OK;

    sql_bind_i64(stmt, 1, r->now_ms - (int64_t)LIMIT_IDEMPOTENCY_MS);
    sql_bind_u64(stmt, 2, r->budget);
    int rc = sql_run(stmt);
    if (rc != SQLITE_OK) return rc;
    size_t count = (size_t)sqlite3_changes(r->db);
    r->is_purging = count == r->budget;
    r->budget -= count;
    return SQLITE_OK;
}

/* --- when ------------------------------------------------------------------------------------ */

static bool is_tick(const struct sqlite_retention *r, int64_t now_ms)
{
    return now_ms - r->tick_ms >= RETENTION_TICK_MS || now_ms < r->tick_ms;
}

bool sqlite_retention_is_due(const struct sqlite_retention *r, const struct sqlite_rooms *rooms,
                             int64_t now_ms)
{
    if (is_tick(r, now_ms)) return true;
    return !r->is_paused && (r->is_sweeping || r->is_purging || !list_is_empty(&rooms->behind));
}

static void tick(struct sqlite_retention *r, int64_t now_ms)
{
    r->tick_ms = now_ms;
    r->is_paused = false;
    r->is_purging = true;
    for (int i = 0; i < LIST_KINDS; i++) {
        if (r->rules[i].max_age_ms > 0 || r->rules[i].max_count > 0) r->is_sweeping = true;
    }
}

int sqlite_retention_step(struct sqlite_retention *r, struct sqlite_rooms *rooms, int64_t now_ms,
                          size_t rows)
{
    int rc = SQLITE_OK;

    r->now_ms = now_ms;
    r->budget = rows + STEP_ROWS;
    r->trimmed = 0;
    if (is_tick(r, now_ms)) tick(r, now_ms);
    note_behind(r, rooms);
    if (r->is_paused) return SQLITE_OK;
    rc = trim_behind(r, rooms);
    if (rc == SQLITE_OK && r->is_sweeping) rc = sweep(r);
    if (rc == SQLITE_OK && r->is_purging) rc = purge_keys(r);
    return rc;
}

void sqlite_retention_pause(struct sqlite_retention *r, int64_t now_ms)
{
    r->tick_ms = now_ms;
    r->is_paused = true;
}
