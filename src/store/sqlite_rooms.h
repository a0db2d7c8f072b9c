/* The writer's memory of the rooms in use: their row ids and ledgers (store/ledger.h), so that an
 * append reads nothing from the file. The writer's thread only.
 *
 * Invariant: outside a transaction, a room with is_loaded agrees with the file. Within one, rooms
 * that were changed are in `touched`. When the transaction is undone, touched rooms are read again
 * before their next use, and so are rooms that never came to be. What the file does not hold stays:
 * the bucket of the quota, and last_id, so that an id is not given twice within a run even when its
 * first message was undone.
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

enum { SQL_ROOM_FIND, SQL_ROOM_TAILS, SQL_ROOM_COUNT };

/* Where a list of the table `floors` ends: at its newest message, or, when it has none, at the one
 * that was removed last. An append writes the message alone: a row that said so, too, would be a
 * page more in the log for each. */
#define SQLITE_TAIL         SQLITE_OF_NEWEST("id", "trimmed")
#define SQLITE_TAIL_ORDINAL SQLITE_OF_NEWEST("ordinal", "trimmed_ordinal")
#define SQLITE_OF_NEWEST(column, none)                                                             \
    "coalesce((SELECT newest." column " FROM messages AS newest"                                   \
    " WHERE newest.room_id = floors.room_id AND newest.list = floors.list"                         \
    " ORDER BY newest.id DESC LIMIT 1), floors." none ")"

struct sqlite_room {
    struct str key;
    int64_t id;
    struct ledger ledger;
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
/* After the transaction: forgets which were touched, and rooms that are too many. */
void sqlite_rooms_end(struct sqlite_rooms *rooms, bool is_committed, int64_t now_ms);

#endif
