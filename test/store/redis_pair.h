/* Two nodes on one Redis, a single server or a Cluster, for tests of what they are to each other. The
 * server is there for a group of tests, and empty at the beginning of each. */
#ifndef STOA_TEST_REDIS_PAIR_H
#define STOA_TEST_REDIS_PAIR_H

#include "store/harness.h"
#include "store/redis_fleet.h"

/* The state of a test. */
struct redis_pair {
    struct store_fixture first, second;
    struct harness *a, *b;
};

extern struct redis_fleet redis_pair_single, redis_pair_cluster;

/* Of a group of tests. */
int redis_pair_start_single(void **state);
int redis_pair_stop_single(void **state);
int redis_pair_start_cluster(void **state);
int redis_pair_stop_cluster(void **state);
/* Of a test. */
int redis_pair_open_single(void **state);
int redis_pair_open_cluster(void **state);
/* The cluster, with the limits that operators have: a server that hangs is to be given up. */
int redis_pair_open_losing(void **state);
int redis_pair_close(void **state);

#define ON(server, test)                                                                           \
    cmocka_unit_test_setup_teardown(test, redis_pair_open_##server, redis_pair_close)
#define RUN_ON(server, tests)                                                                      \
    cmocka_run_group_tests_name("redis " #server, tests, redis_pair_start_##server,                \
                                redis_pair_stop_##server)

#endif
