/* Prepared statements of SQLite, with as few words as possible. One connection belongs to one
 * thread.
 *
 * Functions return SQLite's own codes: the driver turns them into ours where it answers a call.
 * Strings are bound without a copy, so they must live until the statement has run. */
#ifndef STOA_STORE_SQLITE_SQL_H
#define STOA_STORE_SQLITE_SQL_H

#include <sqlite3.h>

#include "base/str.h"

/* All of them are either prepared, or none is. */
int sql_prepare(sqlite3 *db, const char *const *texts, size_t count, sqlite3_stmt **ret_stmts);
void sql_finalize(sqlite3_stmt **stmts, size_t count);

/* Parameters count from 1. A number above INT64_MAX, which no id reaches, is bound as that. */
void sql_bind_u64(sqlite3_stmt *stmt, int at, uint64_t value);
void sql_bind_i64(sqlite3_stmt *stmt, int at, int64_t value);
void sql_bind_str(sqlite3_stmt *stmt, int at, struct str value);
void sql_bind_blob(sqlite3_stmt *stmt, int at, struct str value);

/* Runs a statement that gives no rows, and resets it. SQLITE_OK or an error. */
int sql_run(sqlite3_stmt *stmt);
/* For a statement that gives one row or none: SQLITE_ROW (then read it, and sql_reset), SQLITE_DONE
 * or an error (then it is reset already). */
int sql_first(sqlite3_stmt *stmt);
void sql_reset(sqlite3_stmt *stmt);

/* Columns count from 0. A string is borrowed until the statement's next step or reset. */
uint64_t sql_u64(sqlite3_stmt *stmt, int at);
int64_t sql_i64(sqlite3_stmt *stmt, int at);
struct str sql_str(sqlite3_stmt *stmt, int at);
struct str sql_blob(sqlite3_stmt *stmt, int at);

#endif
