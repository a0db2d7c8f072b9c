/* The writer's memory of the rooms in use: their row ids and ledgers (store/ledger.h), so that an
 * append reads nothing from the file. The writer's thread only.
 *
 * Invariant: outside a transaction, a room with is_loaded agrees with the file. Within one, rooms
 * that were changed are in `touched`; their tails go to the file once per transaction
 * (sqlite_rooms_flush), however many messages there were. When the transaction is undone, touched
 * rooms are read again before their next use, and so are rooms that never came to be. What the file
 * does not hold stays: the bucket of the quota, and last_id, so that an id is not given twice
 * within a run even when its first message was undone.
 *
 * At most SQLITE_ROOMS_MAX are kept; the one used longest ago goes first, once its bucket is full.
 */
#ifndef STOA_STORE_SQLITE_ROOMS_H
#define STOA_STORE_SQLITE_ROOMS_H

#include "base/list.h"
#include "base/map.h"
#include "store/ledger.h"
#include "store/sqlite_sql.h"

#define SQLITE_ROOMS_MAX 65536

enum { SQL_ROOM_FIND, SQL_ROOM_TAILS, SQL_ROOM_FLUSH, SQL_ROOM_COUNT };

struct sqlite_room {
    struct str key;
    int64_t id;
    struct ledger ledger;
    uint64_t flushed_tail[LIST_KINDS]; /* as the file has it */
    bool is_loaded;
    struct list by_use;
    struct list touched; /* linked: changed in this transaction */
    struct list behind;  /* linked: holds more than retention allows */
    char bytes[];
};

struct sqlite_rooms {
    struct map map;     /* key -> struct sqlite_room */
    struct list by_use; /* the one used longest ago first */
    struct list touched, behind;
    size_t max_count; /* SQLITE_ROOMS_MAX, but for tests */
    sqlite3_stmt *sql[SQL_ROOM_COUNT];
};

/* SQLite's codes, as in store/sqlite_sql.h. */
int sqlite_rooms_init(struct sqlite_rooms *rooms, sqlite3 *db);
void sqlite_rooms_deinit(struct sqlite_rooms *rooms);
/* *ret_room is NULL when there is no such room. Valid until the transaction ends. */
int sqlite_rooms_get(struct sqlite_rooms *rooms, struct str key, struct sqlite_room **ret_room);
void sqlite_rooms_touch(struct sqlite_rooms *rooms, struct sqlite_room *room);
/* Writes the tails of the touched rooms. */
int sqlite_rooms_flush(struct sqlite_rooms *rooms);
/* After the transaction: forgets which were touched, and rooms that are too many. */
void sqlite_rooms_end(struct sqlite_rooms *rooms, bool is_committed, int64_t now_ms);

/* For bench/store_append.c, which does the same without us. */
extern const char *const SQLITE_ROOMS_SQL[SQL_ROOM_COUNT];

#endif
