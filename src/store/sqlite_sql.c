#include "store/sqlite_sql.h"

int sql_prepare(sqlite3 *db, const char *const *texts, size_t count, sqlite3_stmt **ret_stmts)
{
    for (size_t i = 0; i < count; i++) {
        ret_stmts[i] = NULL;
        int rc =
            sqlite3_prepare_v3(db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &ret_stmts[i], NULL);
        if (rc != SQLITE_OK) {
            sql_finalize(ret_stmts, i);
            return rc;
        }
    }
    return SQLITE_OK;
}

void sql_finalize(sqlite3_stmt **stmts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sqlite3_finalize(stmts[i]);
        stmts[i] = NULL;
    }
}

void sql_bind_u64(sqlite3_stmt *stmt, int at, uint64_t value)
{
    sqlite3_bind_int64(stmt, at, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

void sql_bind_i64(sqlite3_stmt *stmt, int at, int64_t value)
{
    sqlite3_bind_int64(stmt, at, value);
}

/* An empty string is '', not NULL, whatever it points to. */
void sql_bind_str(sqlite3_stmt *stmt, int at, struct str value)
{
    sqlite3_bind_text(stmt, at, value.len > 0 ? value.ptr : "", (int)value.len, SQLITE_STATIC);
}

void sql_bind_blob(sqlite3_stmt *stmt, int at, struct str value)
{
    sqlite3_bind_blob(stmt, at, value.len > 0 ? value.ptr : "", (int)value.len, SQLITE_STATIC);
}

int sql_run(sqlite3_stmt *stmt)
{
    int rc = sqlite3_step(stmt);

    sqlite3_reset(stmt);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

int sql_first(sqlite3_stmt *stmt)
{
    int rc = sqlite3_step(stmt);

    if (rc != SQLITE_ROW) sqlite3_reset(stmt);
    return rc;
}

void sql_reset(sqlite3_stmt *stmt)
{
    sqlite3_reset(stmt);
}

uint64_t sql_u64(sqlite3_stmt *stmt, int at)
{
    return (uint64_t)sqlite3_column_int64(stmt, at);
}

int64_t sql_i64(sqlite3_stmt *stmt, int at)
{
    return sqlite3_column_int64(stmt, at);
}

/* text before bytes, as SQLite wants it: bytes is the length of what text converted. */
struct str sql_str(sqlite3_stmt *stmt, int at)
{
    const unsigned char *text = sqlite3_column_text(stmt, at);

    return str_make((const char *)text, (size_t)sqlite3_column_bytes(stmt, at));
}

struct str sql_blob(sqlite3_stmt *stmt, int at)
{
    const void *bytes = sqlite3_column_blob(stmt, at);

    return str_make(bytes, (size_t)sqlite3_column_bytes(stmt, at));
}
