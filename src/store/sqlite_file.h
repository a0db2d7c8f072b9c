/* The file of the SQLite store: whose it is, what is in it, and its two connections.
 *
 * One process at a time: PATH.lock is held with flock(2) while the file is open. (SQLite's own
 * locks cannot say this and still let somebody read the file beside us; a lock of ours on the file
 * itself would be undone by any close() of it in this process, POSIX says.) The lock file stays
 * behind: removing it would race with the next server.
 *
 * What is in it, for whoever opens it with sqlite3 PATH; the view `chat` is made for that:
 *
 *   rooms        one row per room: settings and state
 *   floors       per room and list: the highest id and ordinal that retention removed, behind which
 *                its messages begin; without any, the list ends there, too. (Else it ends at its
 *                newest message: who removes that one by hand moves the end.)
 *   messages     (room_id, list, id): list 0 is high, 1 is normal; id is milliseconds << 20 | n
 *   idempotency  the keys of the last five minutes, and what they were answered
 *   probe        one row that ping writes
 *   viewers      per room and 5-minute bucket, and bucket 0 for the room's life: how many users,
 *                whether that is exact, and their sketch (store/sketch.h)
 *   viewer_users their names, while the count is exact
 *   samples      history, a row a minute and node, later one an hour; the view `history` reads
 *                better
 *
 * user_version counts the schema's versions: to change it, add a step to MIGRATIONS; never edit
 * one. */
#ifndef STOA_STORE_SQLITE_FILE_H
#define STOA_STORE_SQLITE_FILE_H

#include <sqlite3.h>
#include <stddef.h>

struct sqlite_file {
    int lock_fd;
    sqlite3 *writer; /* for one thread each */
    sqlite3 *reader; /* sees every commit that came before its transaction; cannot write */
};

/* 0, or ERR_STORE_UNAVAILABLE with a sentence in ret_why that names the file and the reason. */
int sqlite_file_open(struct sqlite_file *f, const char *path, char *ret_why, size_t why_cap);
void sqlite_file_close(struct sqlite_file *f);

#endif
