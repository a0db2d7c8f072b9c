/* What the writer removes: messages past their list's retention, and idempotency keys past theirs.
 *
 * It goes in steps of a bounded number of rows, within the writer's transactions: each step costs
 * no more than about as many rows as the appends beside it, so it keeps up with them and never
 * holds them up long.
 *
 *   by count   a list that an append made too long is `behind`, and trimmed in the same transaction
 *   by age     once a second a sweep walks on over the lists, SWEEP_LISTS lists at most
 *   keys       once a second, the oldest first
 *
 * The writer's thread only; SQLite's codes, as in store/sqlite_sql.h. */
#ifndef STOA_STORE_SQLITE_RETENTION_H
#define STOA_STORE_SQLITE_RETENTION_H

#include "store/sqlite_rooms.h"

#define RETENTION_TICK_MS 1000

enum {
    SQL_TRIM_TAIL,
    SQL_TRIM_OLDEST,
    SQL_TRIM_DELETE,
    SQL_TRIM_MARK,
    SQL_TRIM_NEXT,
    SQL_KEYS_PURGE,
    SQL_RETENTION_COUNT
};

struct sqlite_retention {
    struct store_retention rules[LIST_KINDS];
    sqlite3 *db;
    sqlite3_stmt *sql[SQL_RETENTION_COUNT];
    int64_t tick_ms;
    int64_t now_ms;
    size_t budget;               /* rows that this step may still look at */
    uint64_t trimmed;            /* messages removed by this step */
    int64_t at_room_id, at_list; /* the sweep is behind this list */
    bool is_sweeping, is_purging, is_paused;
};

int sqlite_retention_init(struct sqlite_retention *r, sqlite3 *db,
                          const struct store_retention rules[LIST_KINDS]);
void sqlite_retention_deinit(struct sqlite_retention *r);
/* There is something to remove, or a second has passed. */
bool sqlite_retention_is_due(const struct sqlite_retention *r, const struct sqlite_rooms *rooms,
                             int64_t now_ms);
/* Within a transaction, after all that appends. rows: that the transaction has written so far. */
int sqlite_retention_step(struct sqlite_retention *r, struct sqlite_rooms *rooms, int64_t now_ms,
                          size_t rows);
/* A step was undone: rest until the next second, so that a full disk does not make the writer spin.
 */
void sqlite_retention_pause(struct sqlite_retention *r, int64_t now_ms);

#endif
