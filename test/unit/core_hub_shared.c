#include "unit/core_hub_shared.h"

#include <stdio.h>

#include "core/presence.h"

int hub_shared_setup(void **state)
{
    int err = hub_fixture_setup_shared(state);
    if (err != 0) return err;
    hub_create_room(*state);
    hub_subscribe(*state, 0);
    hub_pass(*state, 2);
    return 0;
}

static void on_count(void *arg, int err, uint64_t online, int64_t as_of_ms)
{
    assert_int_equal(err, OK);
    *(uint64_t *)arg = online;
}

uint64_t hub_stored(struct hub_fixture *f)
{
    uint64_t online = UINT64_MAX;
    int err = store_presence_count(f->stub->inner, ROOM, f->now_ms, on_count, &online);
    assert_int_equal(err, OK);
    store_dispatch(f->stub->inner, f->now_ms);
    assert_int_not_equal(online, UINT64_MAX);
    return online;
}

static void on_put(void *arg, int err)
{
    assert_int_equal(err, OK);
}

void hub_put_elsewhere(struct hub_fixture *f, const char *node, struct store_present user)
{
    struct store_presence_put put = {
        .room = ROOM, .node = str_of(node), .users = &user, .count = 1, .now_ms = f->now_ms};
    assert_int_equal(store_presence_put(f->stub->inner, &put, on_put, NULL), OK);
    store_dispatch(f->stub->inner, f->now_ms);
}

void hub_name_elsewhere(struct hub_fixture *f, const char *node, int from, int to, bool is_gone)
{
    for (int i = from; i < to; i++) {
        char name[16];
        snprintf(name, sizeof name, "e%d", i);
        struct store_present user = {
            .user = str_of(name), .since_ms = f->now_ms, .seen_ms = f->now_ms, .is_gone = is_gone};
        hub_put_elsewhere(f, node, user);
    }
}

uint64_t hub_told(struct hub_fixture *f)
{
    hub_listen(f, 0);
    return f->heard[0].online;
}
