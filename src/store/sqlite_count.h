/* Viewers in the SQLite store, the reader's side: counts.
 *
 * The room's life is one row. A window is the union of its buckets, of which there may be thousands
 * with thousands of users each; so it is added up in steps, of about COUNT_STEP_ROWS rows, between
 * which the reader serves others. Buckets do not change in what they hold, only by more, so it is
 * fine that each step sees a state of the store of its own. */
#ifndef STOA_STORE_SQLITE_COUNT_H
#define STOA_STORE_SQLITE_COUNT_H

#include "store/job.h"
#include "store/sqlite_sql.h"

#define COUNT_STEP_ROWS 10000

enum { SQL_COUNT_LIFE, SQL_COUNT_BUCKET, SQL_COUNT_USERS, SQL_COUNT_COUNT };

struct sqlite_count {
    sqlite3_stmt *sql[SQL_COUNT_COUNT];
};

/* SQLite's codes, as in store/sqlite_sql.h. */
int sqlite_count_init(struct sqlite_count *c, sqlite3 *db);
void sqlite_count_deinit(struct sqlite_count *c);
/* The viewers of a room's life. */
int sqlite_count_life(struct sqlite_count *c, int64_t room_id, struct viewers_job *job);
/* One step of a window; *ret_is_finished: job->out holds the count. */
int sqlite_count_step(struct sqlite_count *c, int64_t room_id, struct viewers_job *job,
                      bool *ret_is_finished);

#endif
