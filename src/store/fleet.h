/* The nodes that are live, the rooms that are assigned to a sect, and the leases: for the stores of
 * one process, in memory. Nodes and leases go when their time is over, as of the now_ms of each call.
 *
 * A store that keeps the assignments elsewhere gives them with fleet_set_route(), when it is opened
 * and after each change. The hub's thread. */
#ifndef STOA_STORE_FLEET_H
#define STOA_STORE_FLEET_H

#include "store/job.h"

#define FLEET_LEASES 16 /* at once; their names are constants of ours */

struct fleet_node;

struct fleet_lease {
    char name[LIMIT_NODE_NAME + 1], holder[LIMIT_NODE_NAME + 1];
    int64_t until_ms;
};

/* Zeroed is empty. */
struct fleet {
    struct fleet_node **nodes; /* by name */
    size_t node_count, node_cap;
    struct route *routes; /* by room */
    size_t route_count, route_cap;
    struct fleet_lease leases[FLEET_LEASES];
    size_t lease_count;
    uint64_t version; /* 0: to be found anew */
};

void fleet_deinit(struct fleet *f);
/* Carries out a job of nodes, routes or leases. 0, or ERR_OVERLOADED where a limit is reached. */
int fleet_run(struct fleet *f, struct job *job);
/* What is stored for route->room; an empty sect: nothing is. Not bounded by LIMIT_ROUTES. */
void fleet_set_route(struct fleet *f, const struct route *route);

#endif
