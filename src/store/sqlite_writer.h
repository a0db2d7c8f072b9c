/* The thread that writes to the SQLite store, by group commit.
 *
 * It takes every append, put, ping, and what is counted, that waits, at most GROUP_MAX of them,
 * carries them out in one transaction, commits it, and only then lets them complete. While it waits
 * for the disk the next group gathers: the slower the disk, the larger the group, and the cost of a
 * commit is shared. Where commits would be many and small, it waits for others
 * (store/group_window.h).
 *
 *   take what waits ─▶ BEGIN ─▶ each job ─▶ some retention ─▶ COMMIT ─▶ done
 *                          └─────────────────── any error of SQLite ────────────────────┤
 *                                                                                       ▼
 *                            ROLLBACK, and every job of the group is ERR_STORE_UNAVAILABLE
 *
 * A job that is refused for its own reason (closed, over quota, known key) is refused before it
 * writes anything, so it leaves the others alone and nothing has to be undone. */
#ifndef STOA_STORE_SQLITE_WRITER_H
#define STOA_STORE_SQLITE_WRITER_H

#include "store/group_window.h"
#include "store/sqlite_history.h"
#include "store/sqlite_lane.h"
#include "store/sqlite_retention.h"
#include "store/sqlite_routes.h"
#include "store/sqlite_viewers.h"

#define SQLITE_GROUP_MAX 1024

enum {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_MESSAGE_ADD,
    SQL_KEY_FIND,
    SQL_KEY_ADD,
    SQL_ROOM_PUT,
    SQL_FLOOR_ADD,
    SQL_PROBE,
    SQL_WRITER_COUNT
};

struct sqlite_writer {
    sqlite3 *db;
    struct lane *lane;
    struct store_stats *stats; /* commits, commit_us and what goes by age are this thread's */
    sqlite3_stmt *sql[SQL_WRITER_COUNT];
    struct sqlite_rooms rooms;
    struct sqlite_retention retention;
    struct sqlite_viewers viewers;
    struct sqlite_history history;
    struct sqlite_routes routes;
    struct group_window window;
    struct list group;      /* being carried out */
    size_t rows;            /* that it wrote */
    bool is_failing;        /* the last group failed, and it has been logged */
    _Atomic int64_t now_ms; /* told by the hub's thread */
};

struct sqlite_writer_setup {
    sqlite3 *db;
    struct lane *lane;
    struct store_stats *stats;
    const struct store_retention *retention; /* per list; copied */
    const struct store_history *history;     /* copied */
};

/* SQLITE_OK or an error, after which there is nothing to deinit. */
int sqlite_writer_init(struct sqlite_writer *w, const struct sqlite_writer_setup *setup);
void sqlite_writer_deinit(struct sqlite_writer *w);
void *sqlite_writer_main(void *writer);
/* The hub's thread: what time it is. */
void sqlite_writer_set_now(struct sqlite_writer *w, int64_t now_ms);

/* For bench/store_append.c, which does the same without us. */
extern const char *const SQLITE_WRITER_SQL[SQL_WRITER_COUNT];

#endif
