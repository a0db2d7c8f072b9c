#include "store/sqlite_rooms.h"

#include "base/alloc.h"

static const struct hash_key ROOMS_HASH_KEY = {0x73746f612e73716c, 0x6974652e726f6f6d};

static const char *const SQL[SQL_ROOM_COUNT] = {
    [SQL_ROOM_FIND] = "SELECT id, closed FROM rooms WHERE key = ?1",
    [SQL_ROOM_TAILS] = "SELECT list, trimmed, trimmed_ordinal, " SQLITE_TAIL
                       ", " SQLITE_TAIL_ORDINAL " FROM floors WHERE room_id = ?1",
};

static struct str room_key(const void *value)
{
    const struct sqlite_room *it = value;
    return it->key;
}

int sqlite_rooms_init(struct sqlite_rooms *rooms, sqlite3 *db)
{
    *rooms = (struct sqlite_rooms){.max_count = SQLITE_ROOMS_MAX};
    map_init(&rooms->map, ROOMS_HASH_KEY, room_key);
    list_init(&rooms->by_use);
    list_init(&rooms->touched);
    list_init(&rooms->behind);
    return sql_prepare(db, SQL, SQL_ROOM_COUNT, rooms->sql);
}

static struct sqlite_room *room_new(struct str key)
{
    struct sqlite_room *room = xcalloc(1, sizeof(*room) + key.len);

    memcpy(room->bytes, key.ptr, key.len);
    room->key = str_make(room->bytes, key.len);
    list_init(&room->by_use);
    list_init(&room->touched);
    list_init(&room->behind);
    return room;
}

static void forget(struct sqlite_rooms *rooms, struct sqlite_room *room)
{
    map_take(&rooms->map, room->key);
    list_remove(&room->by_use);
    list_remove(&room->touched);
    list_remove(&room->behind);
    free(room);
}

void sqlite_rooms_deinit(struct sqlite_rooms *rooms)
{
    sql_finalize(rooms->sql, SQL_ROOM_COUNT);
    LIST_FOREACH_SAFE (it, &rooms->by_use)
        forget(rooms, CONTAINER_OF(it, struct sqlite_room, by_use));
    map_deinit(&rooms->map);
}

static void load_tail(struct sqlite_room *room, sqlite3_stmt *row)
{
    uint64_t kind = sql_u64(row, 0);
    if (kind >= LIST_KINDS) return; /* somebody else's row: the file is open to its owner */

    struct ledger_list *list = &room->ledger.lists[kind];
    list->trimmed = sql_u64(row, 1);
    list->trimmed_ordinal = sql_u64(row, 2);
    list->tail = sql_u64(row, 3);
    list->ordinal = sql_u64(row, 4);
    if (list->tail > room->ledger.last_id) room->ledger.last_id = list->tail;
}

static int load_tails(struct sqlite_rooms *rooms, struct sqlite_room *room)
{
    sqlite3_stmt *stmt = rooms->sql[SQL_ROOM_TAILS];
    int rc;

    sql_bind_i64(stmt, 1, room->id);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) load_tail(room, stmt);
    sql_reset(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* SQLITE_ROW, SQLITE_DONE when there is no such room, or an error. */
static int load(struct sqlite_rooms *rooms, struct sqlite_room *room)
{
    sqlite3_stmt *stmt = rooms->sql[SQL_ROOM_FIND];

    sql_bind_str(stmt, 1, room->key);
    int rc = sql_first(stmt);
    if (rc != SQLITE_ROW) return rc;
    room->id = sql_i64(stmt, 0);
    room->ledger.state = sql_i64(stmt, 1) != 0 ? ROOM_CLOSED : ROOM_OPEN;
    sql_reset(stmt);

    rc = load_tails(rooms, room);
    if (rc != SQLITE_OK) return rc;
    room->is_loaded = true;
    return SQLITE_ROW;
}

static struct sqlite_room *find_or_add(struct sqlite_rooms *rooms, struct str key)
{
    struct sqlite_room *room = map_get(&rooms->map, key);

    if (room == NULL) {
        room = room_new(key);
        map_put(&rooms->map, room);
    }
    list_remove(&room->by_use);
    list_push(&rooms->by_use, &room->by_use);
    return room;
}

int sqlite_rooms_get(struct sqlite_rooms *rooms, struct str key, struct sqlite_room **ret_room)
{
    struct sqlite_room *room = find_or_add(rooms, key);
    int rc = room->is_loaded ? SQLITE_ROW : load(rooms, room);

    if (rc != SQLITE_ROW) {
        forget(rooms, room);
        room = NULL;
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) return rc;
    *ret_room = room;
    return SQLITE_OK;
}

void sqlite_rooms_touch(struct sqlite_rooms *rooms, struct sqlite_room *room)
{
    if (!list_is_linked(&room->touched)) list_push(&rooms->touched, &room->touched);
}

static void shrink(struct sqlite_rooms *rooms, int64_t now_ms)
{
    while (rooms->map.count > rooms->max_count) {
        struct sqlite_room *oldest = CONTAINER_OF(rooms->by_use.next, struct sqlite_room, by_use);
        if (list_is_linked(&oldest->behind) || !ledger_is_idle(&oldest->ledger, now_ms)) break;
        forget(rooms, oldest);
    }
}

void sqlite_rooms_end(struct sqlite_rooms *rooms, bool is_committed, int64_t now_ms)
{
    struct list *node;

    while ((node = list_take(&rooms->touched)) != NULL) {
        struct sqlite_room *room = CONTAINER_OF(node, struct sqlite_room, touched);
        if (!is_committed) room->is_loaded = false;
    }
    shrink(rooms, now_ms);
}
