#include "store/sqlite_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"

#define APPLICATION_ID  0x53746f61 /* "Stoa": file(1) and we ourselves tell our files by it */
#define BUSY_TIMEOUT_MS 2000       /* somebody writes with sqlite3 beside us */

/* Prefix columns before the long ones: what retention reads never leaves the leaf page. */
static const char *const MIGRATIONS[] = {
    "CREATE TABLE rooms ("
    "  id INTEGER PRIMARY KEY,"
    "  key TEXT NOT NULL UNIQUE," /* app/room */
    "  closed INTEGER NOT NULL,"
    "  version INTEGER NOT NULL,"
    "  created_ms INTEGER NOT NULL,"
    "  title TEXT NOT NULL,"
    "  sect TEXT NOT NULL,"
    "  slow_mode_s INTEGER NOT NULL,"
    "  max_body_bytes INTEGER NOT NULL,"
    "  normal_per_s INTEGER NOT NULL,"
    "  high_per_s INTEGER NOT NULL,"
    "  max_online INTEGER NOT NULL"
    ");"
    "CREATE TABLE tails ("
    "  room_id INTEGER NOT NULL,"
    "  list INTEGER NOT NULL,"
    "  tail INTEGER NOT NULL DEFAULT 0,"
    "  ordinal INTEGER NOT NULL DEFAULT 0,"
    "  trimmed INTEGER NOT NULL DEFAULT 0,"
    "  trimmed_ordinal INTEGER NOT NULL DEFAULT 0,"
    "  PRIMARY KEY (room_id, list)"
    ") WITHOUT ROWID;"
    "CREATE TABLE messages ("
    "  room_id INTEGER NOT NULL,"
    "  list INTEGER NOT NULL,"
    "  id INTEGER NOT NULL,"
    "  ordinal INTEGER NOT NULL,"
    "  prev INTEGER NOT NULL,"
    "  type TEXT NOT NULL,"
    "  sender TEXT NOT NULL,"
    "  name TEXT NOT NULL,"
    "  body TEXT NOT NULL,"
    "  PRIMARY KEY (room_id, list, id)"
    ") WITHOUT ROWID;"
    "CREATE TABLE idempotency ("
    "  room_id INTEGER NOT NULL,"
    "  key TEXT NOT NULL,"
    "  id INTEGER NOT NULL,"
    "  prev INTEGER NOT NULL,"
    "  ordinal INTEGER NOT NULL,"
    "  at_ms INTEGER NOT NULL,"
    "  PRIMARY KEY (room_id, key)"
    ") WITHOUT ROWID;"
    "CREATE INDEX idempotency_age ON idempotency (at_ms);"
    "CREATE TABLE probe (id INTEGER PRIMARY KEY CHECK (id = 1), at_ms INTEGER NOT NULL);"
    "CREATE VIEW chat AS SELECT"
    "  rooms.key AS room,"
    "  CASE list WHEN 0 THEN 'high' ELSE 'normal' END AS list,"
    "  (messages.id >> 20) || '-' || (messages.id & 1048575) AS id,"
    "  datetime((messages.id >> 20) / 1000, 'unixepoch') AS at,"
    "  type, sender, name, body"
    "  FROM messages JOIN rooms ON rooms.id = messages.room_id;",
    /* The large value last: what looks for old buckets and for counts stays on the leaf page. */
    "CREATE TABLE viewers ("
    "  room_id INTEGER NOT NULL,"
    "  bucket_ms INTEGER NOT NULL," /* 0: the room's whole life */
    "  users INTEGER NOT NULL,"
    "  exact INTEGER NOT NULL,"
    "  sketch BLOB NOT NULL,"
    "  PRIMARY KEY (room_id, bucket_ms)"
    ") WITHOUT ROWID;"
    "CREATE INDEX viewers_age ON viewers (bucket_ms);"
    "CREATE TABLE viewer_users ("
    "  room_id INTEGER NOT NULL,"
    "  bucket_ms INTEGER NOT NULL,"
    "  user TEXT NOT NULL,"
    "  PRIMARY KEY (room_id, bucket_ms, user)"
    ") WITHOUT ROWID;"
    "CREATE TABLE samples ("
    "  room_id INTEGER NOT NULL,"
    "  at_ms INTEGER NOT NULL,"
    "  hourly INTEGER NOT NULL,"
    "  span_ms INTEGER NOT NULL,"
    "  online_ms INTEGER NOT NULL,"
    "  online_peak INTEGER NOT NULL,"
    "  joins INTEGER NOT NULL,"
    "  high INTEGER NOT NULL,"
    "  normal INTEGER NOT NULL,"
    "  uniq INTEGER NOT NULL,"
    "  PRIMARY KEY (room_id, at_ms)"
    ") WITHOUT ROWID;"
    "CREATE INDEX samples_age ON samples (hourly, at_ms);"
    "CREATE VIEW history AS SELECT"
    "  rooms.key AS room, datetime(at_ms / 1000, 'unixepoch') AS at, span_ms / 1000 AS span_s,"
    "  online_ms * 1.0 / span_ms AS online_avg, online_peak, joins, high, normal, uniq"
    "  FROM samples JOIN rooms ON rooms.id = samples.room_id;",
    /* By key and not by id: a room may be assigned before it is there. */
    "CREATE TABLE routes ("
    "  room TEXT PRIMARY KEY,"
    "  sect TEXT NOT NULL,"
    "  automatic INTEGER NOT NULL,"
    "  since_ms INTEGER NOT NULL"
    ") WITHOUT ROWID;"
    "INSERT INTO routes SELECT key, sect, 0, created_ms FROM rooms WHERE sect <> '' AND closed = "
    "0;",
    /* Several nodes have samples of one minute. Those that are here already stand for themselves. A copy
     * and no RENAME: that looks at all views, and fails at one that somebody has made of `history`. */
    "DROP VIEW history;"
    "CREATE TABLE samples_of_one AS SELECT * FROM samples;"
    "DROP TABLE samples;"
    "CREATE TABLE samples ("
    "  room_id INTEGER NOT NULL,"
    "  at_ms INTEGER NOT NULL,"
    "  node TEXT NOT NULL," /* empty: of all of them */
    "  hourly INTEGER NOT NULL,"
    "  span_ms INTEGER NOT NULL,"
    "  online_ms INTEGER NOT NULL,"
    "  online_peak INTEGER NOT NULL,"
    "  joins INTEGER NOT NULL,"
    "  high INTEGER NOT NULL,"
    "  normal INTEGER NOT NULL,"
    "  uniq INTEGER NOT NULL,"
    "  PRIMARY KEY (room_id, at_ms, node)"
    ") WITHOUT ROWID;"
    "INSERT INTO samples SELECT room_id, at_ms, '', hourly, span_ms, online_ms, online_peak,"
    "  joins, high, normal, uniq FROM samples_of_one;"
    "DROP TABLE samples_of_one;"
    "CREATE INDEX samples_age ON samples (hourly, at_ms);"
    "CREATE VIEW history AS SELECT"
    "  rooms.key AS room, datetime(at_ms / 1000, 'unixepoch') AS at, span_ms / 1000 AS span_s,"
    "  online_ms * 1.0 / span_ms AS online_avg, online_peak, joins, high, normal, uniq, node"
    "  FROM samples JOIN rooms ON rooms.id = samples.room_id;",
    /* The newest message says where its list ends; what is left to keep is where it begins. */
    "CREATE TABLE floors ("
    "  room_id INTEGER NOT NULL,"
    "  list INTEGER NOT NULL,"
    "  trimmed INTEGER NOT NULL DEFAULT 0,"
    "  trimmed_ordinal INTEGER NOT NULL DEFAULT 0,"
    "  PRIMARY KEY (room_id, list)"
    ") WITHOUT ROWID;"
    "INSERT INTO floors SELECT room_id, list, iif(is_empty, tail, trimmed),"
    "  iif(is_empty, ordinal, trimmed_ordinal)"
    "  FROM (SELECT *, NOT EXISTS (SELECT 1 FROM messages WHERE messages.room_id = tails.room_id"
    "    AND messages.list = tails.list) AS is_empty FROM tails);"
    "DROP TABLE tails;",
};
#define SCHEMA_VERSION ((int)(sizeof(MIGRATIONS) / sizeof(MIGRATIONS[0])))

struct opening {
    const char *path;
    char *why;
    size_t why_cap;
};

/* --- saying why ------------------------------------------------------------------------------ */

static int fail(const struct opening *o, const char *reason)
{
    snprintf(o->why, o->why_cap, "%s: %s", o->path, reason);
    return ERR_STORE_UNAVAILABLE;
}

static int fail_with(const struct opening *o, sqlite3 *db)
{
    int system_errno = db != NULL ? sqlite3_system_errno(db) : 0;
    const char *reason = db != NULL ? sqlite3_errmsg(db) : "out of memory";

    if (system_errno == 0) return fail(o, reason);
    snprintf(o->why, o->why_cap, "%s: %s (%s)", o->path, reason, strerror(system_errno));
    return ERR_STORE_UNAVAILABLE;
}

/* --- whose it is ----------------------------------------------------------------------------- */

static int fail_in_use(const struct opening *o, int lock_fd)
{
    char pid[24] = "";
    ssize_t len = pread(lock_fd, pid, sizeof(pid) - 1, 0);

    if (len <= 0) return fail(o, "in use by another server");
    pid[strcspn(pid, "\n")] = '\0';
    snprintf(o->why, o->why_cap, "%s: in use by another server (process %s)", o->path, pid);
    return ERR_STORE_UNAVAILABLE;
}

/* For the eyes of the next one who is refused; the lock does not depend on it. */
static void write_pid(int lock_fd)
{
    if (ftruncate(lock_fd, 0) == 0) dprintf(lock_fd, "%d\n", (int)getpid());
}

/* The name comes from SQLite, which has resolved links: two names of one file have one lock. */
static int lock_file(const struct opening *o, sqlite3 *db, int *ret_fd)
{
    struct buf name = {0};
    int err = 0;

    buf_printf(&name, "%s.lock", sqlite3_db_filename(db, "main"));
    buf_add_char(&name, '\0');
    int fd = open(name.ptr, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    buf_deinit(&name);
    if (fd < 0) {
        snprintf(o->why, o->why_cap, "%s: cannot open its lock file: %s", o->path, strerror(errno));
        return ERR_STORE_UNAVAILABLE;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        err = errno == EWOULDBLOCK ? fail_in_use(o, fd) : fail(o, strerror(errno));
        close(fd);
        return err;
    }
    write_pid(fd);
    *ret_fd = fd;
    return 0;
}

/* --- what is in it --------------------------------------------------------------------------- */

static int query_int(sqlite3 *db, const char *sql, int *ret_value)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

    if (rc == SQLITE_OK) rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) *ret_value = sqlite3_column_int(stmt, 0);
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int migrate_step(sqlite3 *db, int version)
{
    char mark[64];

    snprintf(mark, sizeof(mark), "PRAGMA user_version = %d", version + 1);
    if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) return SQLITE_ERROR;
    if (sqlite3_exec(db, MIGRATIONS[version], NULL, NULL, NULL) != SQLITE_OK) return SQLITE_ERROR;
    if (sqlite3_exec(db, mark, NULL, NULL, NULL) != SQLITE_OK) return SQLITE_ERROR;
    return sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
}

/* Before anything is written: another program's database stays as it is. */
static int identify(const struct opening *o, sqlite3 *db, int *ret_version)
{
    int application_id = 0, version = 0, tables = 0;

    if (query_int(db, "PRAGMA application_id", &application_id) != SQLITE_OK ||
        query_int(db, "PRAGMA user_version", &version) != SQLITE_OK ||
        query_int(db, "SELECT count(*) FROM sqlite_schema", &tables) != SQLITE_OK)
        return fail_with(o, db);
    if (application_id != APPLICATION_ID && (application_id != 0 || version != 0 || tables != 0))
        return fail(o, "is a database of another program");
    if (version > SCHEMA_VERSION) return fail(o, "was written by a newer version of Stoa");
    *ret_version = version;
    return 0;
}

static int migrate(const struct opening *o, sqlite3 *db, int version)
{
    char mark[64];

    snprintf(mark, sizeof(mark), "PRAGMA application_id = %d", APPLICATION_ID);
    if (version == 0 && sqlite3_exec(db, mark, NULL, NULL, NULL) != SQLITE_OK)
        return fail_with(o, db);
    for (; version < SCHEMA_VERSION; version++) {
        if (migrate_step(db, version) != SQLITE_OK) return fail_with(o, db);
    }
    return 0;
}

/* --- the connections ------------------------------------------------------------------------- */

static int connect_to(const struct opening *o, int more_flags, sqlite3 **ret_db)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | more_flags;

    if (sqlite3_open_v2(o->path, ret_db, flags, NULL) != SQLITE_OK) return fail_with(o, *ret_db);
    sqlite3_extended_result_codes(*ret_db, 1);
    sqlite3_busy_timeout(*ret_db, BUSY_TIMEOUT_MS);
    return 0;
}

static bool is_wal(sqlite3 *db)
{
    sqlite3_stmt *stmt = NULL;
    bool is_on = false;

    if (sqlite3_prepare_v2(db, "PRAGMA journal_mode", -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        is_on = sqlite3_stricmp((const char *)sqlite3_column_text(stmt, 0), "wal") == 0;
    sqlite3_finalize(stmt);
    return is_on;
}

/* A checkpoint every 16 MB of log instead of 4: half as many pages are written twice in a busy
 * room. A page cache of 4 MiB is enough for the ends of the tables that a writer is at; it fills up
 * to that and stays. */
static int set_up_writer(const struct opening *o, sqlite3 *db)
{
    static const char PRAGMAS[] = "PRAGMA journal_mode = WAL;"
                                  "PRAGMA synchronous = FULL;"
                                  "PRAGMA wal_autocheckpoint = 4000;"
                                  "PRAGMA journal_size_limit = 67108864;"
                                  "PRAGMA cache_size = -4096;";

    if (sqlite3_exec(db, PRAGMAS, NULL, NULL, NULL) != SQLITE_OK) return fail_with(o, db);
    return is_wal(db) ? 0 : fail(o, "its file system cannot hold a write-ahead log");
}

static int set_up_reader(const struct opening *o, sqlite3 *db)
{
    static const char PRAGMAS[] = "PRAGMA query_only = ON;"
                                  "PRAGMA cache_size = -2048;";

    return sqlite3_exec(db, PRAGMAS, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail_with(o, db);
}

int sqlite_file_open(struct sqlite_file *f, const char *path, char *ret_why, size_t why_cap)
{
    const struct opening o = {path, ret_why, why_cap};
    int version = 0;
    int err;

    *f = (struct sqlite_file){.lock_fd = -1};
    if (path[0] == '\0' || path[0] == ':') {
        snprintf(ret_why, why_cap, "sqlite: needs the path of a file");
        return ERR_STORE_UNAVAILABLE;
    }
    if ((err = connect_to(&o, SQLITE_OPEN_CREATE, &f->writer)) != 0) goto out;
    if ((err = lock_file(&o, f->writer, &f->lock_fd)) != 0) goto out;
    if ((err = identify(&o, f->writer, &version)) != 0) goto out;
    if ((err = set_up_writer(&o, f->writer)) != 0) goto out;
    if ((err = migrate(&o, f->writer, version)) != 0) goto out;
    if ((err = connect_to(&o, 0, &f->reader)) != 0) goto out;
    err = set_up_reader(&o, f->reader);
out:
    if (err != 0) sqlite_file_close(f);
    return err;
}

/* The writer last: the last connection to go folds the log into the file. Then the lock. */
void sqlite_file_close(struct sqlite_file *f)
{
    sqlite3_close(f->reader);
    sqlite3_close(f->writer);
    if (f->lock_fd >= 0) close(f->lock_fd);
    *f = (struct sqlite_file){.lock_fd = -1};
}
