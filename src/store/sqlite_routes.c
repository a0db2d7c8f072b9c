#include "store/sqlite_routes.h"

#include "base/error.h"

#define TEXT_OF(x)  #x
#define VALUE_OF(x) TEXT_OF(x)

/* Both leave an operator's assignment as it is when they are automatic. At the limit nothing is put,
 * unless the room has its place already. */
static const char *const SQL[SQL_ROUTES_COUNT] = {
    [SQL_ROUTE_PUT] = "INSERT INTO routes (room, sect, automatic, since_ms) SELECT ?1, ?2, ?3, ?4"
                      " WHERE (SELECT count(*) FROM routes) < " VALUE_OF(
                          LIMIT_ROUTES) " OR EXISTS (SELECT 1 FROM routes WHERE room = ?1)"
                                        " ON CONFLICT (room) DO UPDATE SET sect = excluded.sect, "
                                        "automatic = excluded.automatic,"
                                        " since_ms = excluded.since_ms WHERE excluded.automatic = "
                                        "0 OR routes.automatic = 1",
    [SQL_ROUTE_DELETE] = "DELETE FROM routes WHERE room = ?1 AND (automatic = 1 OR ?2 = 0)",
    [SQL_ROUTE_GET] = "SELECT room, sect, automatic, since_ms FROM routes WHERE room = ?1",
};

int sqlite_routes_init(struct sqlite_routes *r, sqlite3 *db)
{
    return sql_prepare(db, SQL, SQL_ROUTES_COUNT, r->sql);
}

void sqlite_routes_deinit(struct sqlite_routes *r)
{
    sql_finalize(r->sql, SQL_ROUTES_COUNT);
}

/* False: whoever wrote this was not we, since it does not fit. */
static bool read_row(sqlite3_stmt *row, struct route *ret)
{
    *ret = (struct route){.is_automatic = sql_i64(row, 2) != 0, .since_ms = sql_i64(row, 3)};
    return str_copy(sql_str(row, 0), ret->room, sizeof(ret->room)) &&
           str_copy(sql_str(row, 1), ret->sect, sizeof(ret->sect));
}

static int put(struct sqlite_routes *r, const struct store_route_put *in)
{
    sqlite3_stmt *stmt = r->sql[SQL_ROUTE_PUT];

    sql_bind_str(stmt, 1, in->room);
    sql_bind_str(stmt, 2, in->sect);
    sql_bind_i64(stmt, 3, in->is_automatic);
    sql_bind_i64(stmt, 4, in->now_ms);
    return sql_run(stmt);
}

static int remove_route(struct sqlite_routes *r, const struct store_route_put *in)
{
    sqlite3_stmt *stmt = r->sql[SQL_ROUTE_DELETE];

    sql_bind_str(stmt, 1, in->room);
    sql_bind_i64(stmt, 2, in->is_automatic);
    return sql_run(stmt);
}

int sqlite_routes_run(struct sqlite_routes *r, struct route_job *job)
{
    const struct store_route_put *in = &job->in;
    sqlite3_stmt *get = r->sql[SQL_ROUTE_GET];
    int rc = in->sect.len > 0 ? put(r, in) : remove_route(r, in);

    if (rc != SQLITE_OK) return rc;
    str_copy(in->room, job->out.room, sizeof(job->out.room));
    sql_bind_str(get, 1, in->room);
    rc = sql_first(get);
    if (rc == SQLITE_ROW) {
        read_row(get, &job->out);
        sql_reset(get);
    } else if (rc == SQLITE_DONE && in->sect.len > 0) {
        job->job.err = ERR_OVERLOADED;
    }
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int sqlite_routes_load(sqlite3 *db, struct fleet *fleet)
{
    static const char *const ALL[] = {"SELECT room, sect, automatic, since_ms FROM routes"};
    sqlite3_stmt *stmt;
    struct route route;
    int rc = sql_prepare(db, ALL, 1, &stmt);

    if (rc != SQLITE_OK) return rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (read_row(stmt, &route)) fleet_set_route(fleet, &route);
    }
    sql_finalize(&stmt, 1);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}
