#include "core/hub_switch.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/error.h"
#include "core/hub_internal.h"

#define LEASE_NAME STR("switch")

struct hub_switch {
    struct hub *hub;
    struct switching switching;
    bool is_running; /* a round is under way */
    bool has_given_up;
    int64_t next_ms;
    int64_t asked_ms;      /* for the lease, in this round */
    int64_t held_until_ms; /* 0: not held */
    struct switch_decision decisions[SWITCH_MAX];
    size_t decision_count, done_count;
};

struct hub_switch *hub_switch_new(struct hub *hub)
{
    struct hub_switch *sw = xcalloc(1, sizeof *sw);
    sw->hub = hub;
    sw->next_ms = hub->now_ms;
    switching_init(&sw->switching, &hub->config.nodes.switching, hub->config.hash_key);
    return sw;
}

void hub_switch_free(struct hub_switch *sw)
{
    if (sw == NULL) return;
    switching_deinit(&sw->switching);
    free(sw);
}

static bool is_held(const struct hub_switch *sw)
{
    return !sw->has_given_up && sw->hub->now_ms < sw->held_until_ms;
}

/* What it had observed was in another's hands meanwhile. */
static void lose(struct hub_switch *sw)
{
    if (sw->held_until_ms > 0) switching_reset(&sw->switching);
    sw->held_until_ms = 0;
    counter_set(&sw->hub->metrics.switch_lease, 0);
}

static void end_round(struct hub_switch *sw)
{
    sw->is_running = false;
    if (!is_held(sw)) lose(sw);
}

static void put_next(struct hub_switch *sw);

static void count(struct hub_switch *sw, const struct switch_decision *decision)
{
    struct hub_metrics *m = &sw->hub->metrics;
    const struct hub_nodes_config *config = &sw->hub->config.nodes;
    struct counter *counter =
        decision->sect[0] != '\0' ? &m->switch_promotions_total : &m->switch_demotions_total;
    counter_add(config->switching.is_dry ? &m->switch_dry_total : counter, 1);
    if (config->on_switch != NULL) config->on_switch(config->arg, decision);
}

static void on_put(void *arg, int err)
{
    struct hub_switch *sw = arg;
    if (err == OK)
        count(sw, &sw->decisions[sw->done_count]);
    else
        counter_add(&sw->hub->metrics.switch_failed_total, 1);
    sw->done_count++;
    put_next(sw);
}

/* What fails is decided again in the next round, if it still holds. */
static int put(struct hub_switch *sw, const struct switch_decision *decision)
{
    const struct store_route_put in = {.room = str_of(decision->room),
                                       .sect = str_of(decision->sect),
                                       .is_automatic = true,
                                       .now_ms = sw->hub->now_ms};
    return store_route_put(sw->hub->store, &in, on_put, sw);
}

static void put_next(struct hub_switch *sw)
{
    for (; sw->done_count < sw->decision_count && is_held(sw); sw->done_count++) {
        const struct switch_decision *decision = &sw->decisions[sw->done_count];
        if (sw->switching.config.is_dry) {
            count(sw, decision);
            continue;
        }
        if (put(sw, decision) == OK) return;
        counter_add(&sw->hub->metrics.switch_failed_total, 1);
    }
    if (sw->done_count > 0) sw->hub->nodes.ask_ms = sw->hub->now_ms;
    end_round(sw);
}

static void on_routes(void *arg, int err, const struct routes *routes)
{
    struct hub_switch *sw = arg;
    if (err != OK || !is_held(sw)) {
        end_round(sw);
        return;
    }
    sw->done_count = 0;
    sw->decision_count = switching_decide(&sw->switching, routes, sw->hub->now_ms, sw->decisions);
    put_next(sw);
}

/* The lease runs from the time at which it was asked for, not from the answer. */
static void on_lease(void *arg, int err, bool is_ours)
{
    struct hub_switch *sw = arg;
    const struct store_routes_get in = {.now_ms = sw->hub->now_ms};
    if (err == OK) {
        if (!is_ours || sw->has_given_up) lose(sw);
        sw->held_until_ms = is_ours ? sw->asked_ms + HUB_SWITCH_LEASE_MS : 0;
    }
    counter_set(&sw->hub->metrics.switch_lease, is_held(sw));
    if (err != OK || !is_held(sw) || store_routes_get(sw->hub->store, &in, on_routes, sw) != OK)
        end_round(sw);
}

static int ask(struct hub_switch *sw, int64_t ttl_ms, store_lease_cb *cb)
{
    const struct store_lease in = {.name = LEASE_NAME,
                                   .holder = str_of(sw->hub->config.node),
                                   .ttl_ms = ttl_ms,
                                   .now_ms = sw->hub->now_ms};
    sw->asked_ms = sw->hub->now_ms;
    return store_lease(sw->hub->store, &in, cb, sw);
}

int64_t hub_switch_tick(struct hub_switch *sw)
{
    if (sw->has_given_up) return INT64_MAX;
    if (sw->is_running) return INT64_MAX; /* the store's answer brings the next turn */
    if (sw->hub->now_ms >= sw->next_ms) {
        sw->next_ms = sw->hub->now_ms + HUB_SWITCH_MS;
        if (!is_held(sw)) lose(sw);
        sw->is_running = ask(sw, HUB_SWITCH_LEASE_MS, on_lease) == OK;
    }
    return sw->is_running ? INT64_MAX : sw->next_ms;
}

static void on_given_up(void *arg, int err, bool is_ours)
{
    (void)arg, (void)err, (void)is_ours; /* if it failed, it lapses */
}

/* Also one that was asked for and not answered yet. */
void hub_switch_give_up(struct hub_switch *sw)
{
    if (sw->has_given_up) return;
    sw->has_given_up = true;
    if (sw->held_until_ms > 0 || sw->is_running) (void)ask(sw, 0, on_given_up);
    lose(sw);
}
