/* The embedded store: one SQLite file, durable, for one process (store/sqlite_file.h says what is
 * in it).
 *
 *   hub's thread ──▶ writer's thread   appends, puts, pings: one transaction for all that wait
 *                ──▶ reader's thread   ranges, rooms, lists: never waits for a commit
 *
 * Durable means: WAL with synchronous=FULL, so an append that was acknowledged survives a crash of
 * the process and of the machine. Calls beyond the limits below fail to start with ERR_OVERLOADED.
 */
#ifndef STOA_STORE_SQLITE_H
#define STOA_STORE_SQLITE_H

#include "core/store.h"

/* Under way at once; the bytes are those of the calls' arguments. */
#define SQLITE_WRITES_MAX      8192
#define SQLITE_WRITE_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define SQLITE_READS_MAX       1024

/* 0, or ERR_STORE_UNAVAILABLE with a sentence in ret_why. */
int sqlite_store_open(const char *path, const struct store_config *config, struct store **ret_store,
                      char *ret_why, size_t why_cap);

#endif
