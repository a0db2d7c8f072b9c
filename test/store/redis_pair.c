#include "store/redis_pair.h"

#include "store/redis_urls.h"

struct redis_fleet redis_pair_single, redis_pair_cluster;

/* --- servers --------------------------------------------------------------------------------- */

int redis_pair_start_single(void **state)
{
    redis_fleet_start_single(&redis_pair_single, NULL);
    return 0;
}

int redis_pair_stop_single(void **state)
{
    redis_fleet_stop(&redis_pair_single);
    return 0;
}

int redis_pair_start_cluster(void **state)
{
    redis_fleet_start_cluster(&redis_pair_cluster, 1500);
    return 0;
}

int redis_pair_stop_cluster(void **state)
{
    redis_fleet_stop(&redis_pair_cluster);
    return 0;
}

/* --- nodes ----------------------------------------------------------------------------------- */

static struct store_fixture fixture_of(struct redis_fleet *fleet, const char *more, bool is_first)
{
    static char url[256];

    return (struct store_fixture){.name = "redis",
                                  .url = redis_url_of(fleet, more, url, sizeof(url)),
                                  .empty = is_first ? redis_empty : NULL,
                                  .arg = fleet,
                                  .is_durable = true,
                                  .is_shared = true};
}

static int open_pair(void **state, struct redis_fleet *fleet, const char *more)
{
    struct redis_pair *pair = calloc(1, sizeof(*pair));
    void *node;

    pair->first = fixture_of(fleet, more, true);
    pair->second = fixture_of(fleet, more, false);
    node = &pair->first;
    harness_setup(&node);
    pair->a = node;
    node = &pair->second;
    harness_setup(&node);
    pair->b = node;
    *state = pair;
    return 0;
}

int redis_pair_open_single(void **state)
{
    return open_pair(state, &redis_pair_single, "&" PATIENT);
}

int redis_pair_open_cluster(void **state)
{
    return open_pair(state, &redis_pair_cluster, "&" PATIENT);
}

int redis_pair_open_losing(void **state)
{
    return open_pair(state, &redis_pair_cluster, "");
}

int redis_pair_close(void **state)
{
    struct redis_pair *pair = *state;
    void *a = pair->a, *b = pair->b;

    harness_teardown(&a);
    harness_teardown(&b);
    free(pair);
    return 0;
}
