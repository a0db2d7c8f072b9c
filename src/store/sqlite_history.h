/* History in the SQLite store, the writer's side: samples are put, thinned and removed, and buckets
 * of viewers removed, the oldest of all rooms first.
 *
 * Both by age go in steps of a bounded number of rows within the writer's transactions, as
 * messages do (store/sqlite_retention.h); but a bucket goes whole, and an hour is thinned whole, so
 * that what a reader sees is either the one or the other. */
#ifndef STOA_STORE_SQLITE_HISTORY_H
#define STOA_STORE_SQLITE_HISTORY_H

#include "store/job.h"
#include "store/sample_nodes.h"
#include "store/sqlite_sql.h"

#define HISTORY_TICK_MS 1000

enum {
    SQL_SAMPLE_PUT,
    SQL_THIN_OLDEST,
    SQL_THIN_HOUR,
    SQL_THIN_DELETE,
    SQL_SAMPLES_EXPIRE,
    SQL_BUCKET_OLDEST,
    SQL_BUCKET_DELETE,
    SQL_BUCKET_USERS_DELETE,
    SQL_HISTORY_COUNT
};

struct sqlite_history {
    struct store_history rules;
    sqlite3 *db;
    sqlite3_stmt *sql[SQL_HISTORY_COUNT];
    int64_t tick_ms, now_ms;
    size_t budget;           /* rows that this step may still touch */
    size_t thinned, expired; /* by this step */
    bool is_busy;            /* there may be more to do at once */
    bool is_paused;
};

/* SQLite's codes, as in store/sqlite_sql.h. */
int sqlite_history_init(struct sqlite_history *h, sqlite3 *db, const struct store_history *rules);
void sqlite_history_deinit(struct sqlite_history *h);
int sqlite_history_put(struct sqlite_history *h, int64_t room_id,
                       const struct store_sample_put *in);
bool sqlite_history_is_due(const struct sqlite_history *h, int64_t now_ms);
/* Within a transaction. rows: that the transaction has written so far. */
int sqlite_history_step(struct sqlite_history *h, int64_t now_ms, size_t rows);
/* A step was undone: rest until the next second. */
void sqlite_history_pause(struct sqlite_history *h, int64_t now_ms);

/* The columns of a sample in the order in which sqlite_history_add() reads them. */
#define SQLITE_SAMPLE_COLUMNS                                                                      \
    "at_ms, span_ms, online_ms, online_peak, joins, high, normal, uniq, node"
/* The row goes to those of its minute (store/sample_nodes.h), so rows come in the order of time.
 * True: *ret_minute has the minute before. */
bool sqlite_history_add(struct sample_nodes *nodes, sqlite3_stmt *row, struct sample *ret_minute);

#endif
