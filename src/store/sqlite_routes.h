/* Assignments of rooms to sects in the SQLite store: the table `routes`, which the writer changes, and
 * its copy in memory (store/fleet.h), from which they are read. */
#ifndef STOA_STORE_SQLITE_ROUTES_H
#define STOA_STORE_SQLITE_ROUTES_H

#include "store/fleet.h"
#include "store/sqlite_sql.h"

enum { SQL_ROUTE_PUT, SQL_ROUTE_DELETE, SQL_ROUTE_GET, SQL_ROUTES_COUNT };

struct sqlite_routes {
    sqlite3_stmt *sql[SQL_ROUTES_COUNT];
};

/* SQLite's codes, as in store/sqlite_sql.h. */
int sqlite_routes_init(struct sqlite_routes *r, sqlite3 *db);
void sqlite_routes_deinit(struct sqlite_routes *r);
/* The writer's thread, within a transaction. job->out is what is stored then. */
int sqlite_routes_run(struct sqlite_routes *r, struct route_job *job);
/* When the store is opened: all of them into the fleet. */
int sqlite_routes_load(sqlite3 *db, struct fleet *fleet);

#endif
