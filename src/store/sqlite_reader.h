/* The thread that reads from the SQLite store, on a connection of its own: it waits for no commit.
 *
 * It takes what waits, at most READER_BATCH jobs, and answers them from one snapshot. The snapshot
 * begins after they were taken, hence after every append whose callback came before their calls: so
 * a read sees every append that its caller knows to be stored.
 *
 * Counts of viewers over a window can take long. They go on one at a time and in steps, one step
 * after each batch, in a snapshot of its own. */
#ifndef STOA_STORE_SQLITE_READER_H
#define STOA_STORE_SQLITE_READER_H

#include "store/sqlite_count.h"
#include "store/sqlite_lane.h"

enum {
    SQL_READ_BEGIN,
    SQL_READ_END,
    SQL_READ_TAIL,
    SQL_READ_AFTER,
    SQL_READ_BEFORE,
    SQL_READ_ROOM,
    SQL_READ_ROOMS,
    SQL_READ_ROOM_ID,
    SQL_READ_SAMPLES,
    SQL_READER_COUNT
};

struct sqlite_reader {
    sqlite3 *db;
    struct lane *lane;
    sqlite3_stmt *sql[SQL_READER_COUNT];
    struct sqlite_count count;
    struct list counts; /* of windows, that have begun or wait for those before them */
    bool is_failing;    /* the last read failed, and it has been logged */
};

/* SQLITE_OK or an error, after which there is nothing to deinit. */
int sqlite_reader_init(struct sqlite_reader *r, sqlite3 *db, struct lane *lane);
void sqlite_reader_deinit(struct sqlite_reader *r);
void *sqlite_reader_main(void *reader);

#endif
