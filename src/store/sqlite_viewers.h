/* Viewers in the SQLite store, the writer's side: users and sketches go into their bucket and into
 * the room's life, which is the bucket 0.
 *
 *   viewers       (room_id, bucket_ms): how many, whether that is exact, and the sketch
 *   viewer_users  (room_id, bucket_ms, user): the exact set, while there is one
 *
 * Rows, and not a set in one value: who comes costs a row, and not everybody else written anew. A
 * bucket that nobody new came to is not written at all. Nothing is kept in memory between
 * transactions, so there is nothing to put right when one is undone. */
#ifndef STOA_STORE_SQLITE_VIEWERS_H
#define STOA_STORE_SQLITE_VIEWERS_H

#include "store/job.h"
#include "store/sqlite_sql.h"

#define SQLITE_LIFE_BUCKET 0

enum { SQL_BUCKET_GET, SQL_BUCKET_PUT, SQL_VIEWER_ADD, SQL_VIEWERS_DROP, SQL_VIEWERS_COUNT };

struct sqlite_viewers {
    sqlite3 *db;
    sqlite3_stmt *sql[SQL_VIEWERS_COUNT];
    struct buf packed; /* scratch */
};

/* SQLite's codes, as in store/sqlite_sql.h. */
int sqlite_viewers_init(struct sqlite_viewers *v, sqlite3 *db);
void sqlite_viewers_deinit(struct sqlite_viewers *v);
/* An add or a merge in a room that is there; within a transaction. Fills in job->out, or job.err.
 * *rows grows by what was written. */
int sqlite_viewers_run(struct sqlite_viewers *v, int64_t room_id, struct viewers_job *job,
                       size_t *rows);

#endif
