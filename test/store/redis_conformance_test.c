/* The Redis store keeps the contract, on a single server and on a Cluster, as it is and under faults. */
#include "store/conformance.h"
#include "store/faults.h"
#include "store/redis_fleet.h"
#include "store/redis_urls.h"

static int run(struct redis_fleet *fleet, const char *name, const struct faulty_odds *odds)
{
    char url[256];
    const struct store_fixture fixture = {
        .name = name,
        .url = redis_url_of(fleet, "&" PATIENT, url, sizeof(url)),
        .empty = redis_empty,
        .arg = fleet,
        .is_durable = true,
        .is_shared = true,
        .odds = odds,
    };

    return conformance_run(&fixture);
}

/* The servers, as the tests of a group of their own: cmocka ends a test that fails where it stands, and
 * outside of one there is nothing to end. */
static struct redis_fleet single, cluster;

static int start(void **state)
{
    redis_fleet_start_single(&single, NULL);
    redis_fleet_start_cluster(&cluster, 5000);
    return 0;
}

static int stop(void **state)
{
    redis_fleet_stop(&single);
    redis_fleet_stop(&cluster);
    return 0;
}

static void servers_run(void **state)
{
    redis_fleet_tell(&single, 0, "PING");
    redis_fleet_wait_whole(&cluster);
}

int main(void)
{
    const struct CMUnitTest servers[] = {cmocka_unit_test(servers_run)};

    int failed = cmocka_run_group_tests_name("redis servers", servers, start, NULL);
    if (failed == 0) {
        failed += run(&single, "redis", NULL);
        failed += run(&single, "redis, faulty", &FAULTS);
        failed += run(&cluster, "redis cluster", NULL);
    }
    stop(NULL);
    return failed;
}
