/* The world of the simulation: time, nodes, and what happens to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "core/hub_internal.h" /* how many it holds, to judge it by */
#include "sim/sim.h"

/* Turns within one millisecond, before that is taken for an endless loop. */
#define MAX_TURNS_AT_ONCE 200000
/* All has settled this long after the last message was acknowledged: the linger, the second in
 * which a count is told, the time-out of the longest poll, and the fallback poll come one after the
 * other. */
#define SETTLE_MS(setup)                                                                           \
    (SIM_LINGER_MS + 2000 + 2 * (setup)->max_timeout_ms + 2000 +                                   \
     ((setup)->is_shared ? SIM_SHARED_MS(setup) + 2 * (setup)->max_timeout_ms : 0))
/* Senders must be done this long after the store has come back. */
#define SEND_AGAIN_MS 30000

/* Sanitizers make a run ten times slower, and show what they show in fewer. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SEEDS_DIVISOR 10
#else
#define SEEDS_DIVISOR 1
#endif

/* --- time ------------------------------------------------------------------------------------- */

void sim_wake(struct sim *sim, struct sim_actor *actor, int64_t at_ms)
{
    if (at_ms < sim->now_ms) at_ms = sim->now_ms;
    if (timer_is_armed(&actor->timer) && actor->timer.due_ms <= at_ms) return;
    wheel_arm(&sim->wheel, &actor->timer, at_ms);
}

static void give_turn(void *arg, struct timer *timer)
{
    struct sim_actor *actor = CONTAINER_OF(timer, struct sim_actor, timer);
    actor->run(arg, actor);
}

static void run_until(struct sim *sim, int64_t until_ms)
{
    uint32_t turns = 0;
    while (sim->wrong == NULL) {
        int64_t next_ms = wheel_next_ms(&sim->wheel);
        if (next_ms > until_ms) break;
        turns = next_ms > sim->now_ms ? 0 : turns + 1;
        if (turns > MAX_TURNS_AT_ONCE) sim_fail(sim, "time stands still");
        if (next_ms > sim->now_ms) sim->now_ms = next_ms;
        wheel_advance(&sim->wheel, sim->now_ms, give_turn, sim);
    }
    if (sim->now_ms < until_ms) sim->now_ms = until_ms;
}

/* --- chance ----------------------------------------------------------------------------------- */

bool sim_happens(struct sim *sim, double chance)
{
    return rng_unit(&sim->rng) < chance;
}

int64_t sim_some(struct sim *sim, int64_t bound)
{
    return (int64_t)rng_below(&sim->rng, (uint64_t)bound + 1);
}

struct sim_worker *sim_some_worker(struct sim *sim)
{
    struct sim_node *node = &sim->nodes[rng_below(&sim->rng, sim->setup->nodes)];
    return &node->workers[rng_below(&sim->rng, sim->setup->workers)];
}

void sim_fail(struct sim *sim, const char *what)
{
    if (sim->wrong == NULL) sim->wrong = what;
}

/* --- nodes ------------------------------------------------------------------------------------ */

static void check_places(struct sim *sim, const struct sim_node *node)
{
    if (sim->setup->max_online == 0 || sim->setup->is_shared) return;
    for (uint32_t i = 0; i < sim->setup->rooms; i++) {
        bool is_known;
        uint64_t online = hub_online_count(node->hub, str_of(sim->rooms[i].name), &is_known);
        if (online > sim->setup->max_online) sim_fail(sim, "a room took more than it takes");
    }
}

static void run_hub(struct sim *sim, struct sim_actor *actor)
{
    struct sim_node *node = CONTAINER_OF(actor, struct sim_node, actor);
    struct call *call;
    for (uint32_t i = 0; i < sim->setup->workers; i++)
        while (queue_pop(node->workers[i].calls, &call)) hub_call(node->hub, call, sim->now_ms);
    int64_t next_ms = hub_tick(node->hub, sim->now_ms);
    check_places(sim, node);
    uint64_t wakes = hub_take_wakes(node->hub);
    for (uint32_t i = 0; i < sim->setup->workers; i++)
        if ((wakes & 1ull << i) != 0)
            sim_wake(sim, &node->workers[i].actor, sim->now_ms + sim_some(sim, 1));
    if (next_ms != INT64_MAX) sim_wake(sim, actor, next_ms);
}

/* Leaves room for a few news, as if another room had filled the queue while the worker was busy. */
static void fill_queue(struct sim *sim, struct sim_worker *worker)
{
    struct note nobodys = {.kind = NOTE_ONLINE};
    size_t left = LIMIT_CALLS_PER_WORKER + (size_t)sim_some(sim, 8);
    while (queue_space(worker->notes) > left) queue_push(worker->notes, &nobodys);
}

bool sim_is_stalled(const struct sim *sim, const struct sim_worker *worker)
{
    return sim->now_ms < worker->stalled_until_ms;
}

/* The work of its answers, which takes its time: what it cannot have done yet is owed. */
static void be_busy(struct sim *sim, struct sim_worker *w)
{
    uint64_t answers = counter_get(&worker_metrics(w->worker)->answers_total);
    uint64_t passed_us = (uint64_t)(sim->now_ms - w->busy_until_ms) * 1000;
    w->owed_us += (answers - w->answers_paid) * sim->setup->answer_cost_us;
    if (sim->is_settling) w->owed_us = 0;
    uint64_t spent_us = w->owed_us < passed_us ? w->owed_us : passed_us;
    w->answers_paid = answers;
    w->owed_us -= spent_us;
    w->busy_us += spent_us;
    w->busy_until_ms = sim->now_ms;
    worker_set_busy(w->worker, w->busy_us, sim->now_ms);
    uint32_t load_ms = (uint32_t)counter_get(&worker_metrics(w->worker)->pace_load_ms);
    if (load_ms > sim->longest_load_ms) sim->longest_load_ms = load_ms;
}

/* A slice at a time: what comes in between is part of what is tested. */
static void run_worker(struct sim *sim, struct sim_actor *actor)
{
    struct sim_worker *w = CONTAINER_OF(actor, struct sim_worker, actor);
    if (!sim->is_settling && !sim_is_stalled(sim, w) && sim_happens(sim, sim->setup->stall)) {
        w->stalled_until_ms = sim->now_ms + sim_some(sim, sim->setup->max_stall_ms);
        fill_queue(sim, w);
    }
    if (sim_is_stalled(sim, w)) {
        sim_wake(sim, actor, w->stalled_until_ms);
        return;
    }
    if (sim->setup->answer_cost_us > 0) be_busy(sim, w);
    worker_take_notes(w->worker, sim->now_ms);
    sim_readers_watch_pace(sim, w);
    bool more = worker_serve(w->worker, 1 + (uint32_t)sim_some(sim, 10), sim->now_ms);
    int64_t next_ms = worker_tick(w->worker, sim->now_ms);
    if (more) next_ms = sim->now_ms + sim_some(sim, 1);
    if (next_ms != INT64_MAX) sim_wake(sim, actor, next_ms);
    if (worker_take_wake(w->worker)) sim_wake(sim, &w->node->actor, sim->now_ms + sim_some(sim, 1));
}

void sim_touch_worker(struct sim *sim, struct sim_worker *worker)
{
    sim_wake(sim, &worker->actor, sim->now_ms);
}

static void on_call(void *arg, struct call *call)
{
    sim_sender_on_call(arg, call);
}

const struct worker_ops sim_worker_ops = {.render = sim_reader_render,
                                          .deliver = sim_reader_deliver,
                                          .refuse = sim_reader_refuse,
                                          .on_call = on_call};

static void worker_start(struct sim *sim, struct sim_node *node, uint16_t index)
{
    struct sim_worker *w = &node->workers[index];
    w->node = node;
    w->actor.run = run_worker;
    timer_init(&w->actor.timer);
    w->calls = queue_new(sizeof(struct call *), LIMIT_CALLS_PER_WORKER);
    w->notes = queue_new(sizeof(struct note), 2 * LIMIT_CALLS_PER_WORKER);
    struct worker_config config = {.calls = w->calls,
                                   .notes = w->notes,
                                   .ops = &sim_worker_ops,
                                   .arg = sim,
                                   .index = index,
                                   .linger_ms = SIM_LINGER_MS,
                                   .seed = rng_next(&sim->rng),
                                   .hash_key = {3, 4}};
    config.pace.is_on = sim->setup->pace_table != NULL;
    if (config.pace.is_on) pace_table_parse(str_of(sim->setup->pace_table), &config.pace);
    w->worker = worker_new(&config, sim->now_ms);
    w->busy_until_ms = sim->now_ms;
}

static void wake_hub(void *arg)
{
    struct sim_node *node = arg;
    sim_wake(node->sim, &node->actor, node->sim->now_ms);
}

static void node_start(struct sim *sim, struct sim_node *node)
{
    struct hub_config config = {.workers = (uint16_t)sim->setup->workers,
                                .seed = rng_next(&sim->rng),
                                .hash_key = {3, 4},
                                .counting = sim->setup->counting};
    snprintf(config.node, sizeof config.node, "node-%d", (int)(node - sim->nodes));
    struct store_env env = {.wake = wake_hub, .wake_arg = node};
    node->sim = sim;
    node->actor.run = run_hub;
    timer_init(&node->actor.timer);
    for (uint16_t i = 0; i < sim->setup->workers; i++) {
        worker_start(sim, node, i);
        config.notes[i] = node->workers[i].notes;
    }
    node->hub = hub_new(&config, sim->now_ms);
    hub_store_env(node->hub, &env);
    node->store = row_add_node(sim->row, &env);
    hub_set_store(node->hub, node->store);
}

/* The workers before the hub: frames go back to its bin. */
static void node_free(struct sim *sim, struct sim_node *node)
{
    store_close(node->store);
    for (uint32_t i = 0; i < sim->setup->workers; i++) {
        struct sim_worker *w = &node->workers[i];
        worker_free(w->worker);
        queue_free(w->calls);
        queue_free(w->notes);
    }
    hub_free(node->hub);
}

/* --- the store -------------------------------------------------------------------------------- */

static void on_stored(void *arg, struct str key, const struct message *message)
{
    struct sim *sim = arg;
    uint64_t body = CHECK_CONTROL;
    str_parse_u64(message->body, &body);
    for (uint32_t i = 0; i < sim->setup->rooms; i++)
        if (str_eq(key, str_of(sim->rooms[i].name)))
            check_room_add(&sim->rooms[i].truth, message->list, message->id, body);
}

static void store_start(struct sim *sim)
{
    struct row_setup setup = {.seed = rng_next(&sim->rng),
                              .odds = sim->setup->odds,
                              .news_odds = sim->setup->news_odds,
                              .is_shared = sim->setup->is_shared,
                              .tap = on_stored,
                              .tap_arg = sim};
    for (int list = 0; list < LIST_KINDS; list++)
        setup.retention[list] = sim->setup->retention[list];
    sim->row = row_new(&setup);
    for (uint32_t i = 0; i < sim->setup->rooms; i++) {
        struct sim_room *room = &sim->rooms[i];
        snprintf(room->name, sizeof room->name, "sim/room-%u", i);
        for (int list = 0; list < LIST_KINDS; list++)
            room->truth.retention[list] = sim->setup->retention[list];
        row_follow(sim->row, str_of(room->name));
    }
}

static void expect_put(void *arg, int err, const struct room_record *record, bool created)
{
    if (err != OK) sim_fail(arg, "a room could not be made");
}

static void rooms_put(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->setup->rooms; i++) {
        struct store_room_put put = {.room = str_of(sim->rooms[i].name),
                                     .settings = room_settings_default(),
                                     .state = ROOM_OPEN,
                                     .now_ms = sim->now_ms};
        if (sim->setup->no_quotas) put.settings.normal_per_s = put.settings.high_per_s = 0;
        put.settings.max_online = sim->setup->max_online;
        int err = store_room_put(sim->nodes[0].store, &put, expect_put, sim);
        if (err != OK) sim_fail(sim, "a room could not be made");
    }
}

/* --- a run ------------------------------------------------------------------------------------ */

static struct sim *sim_new(const struct sim_setup *setup, uint64_t seed)
{
    struct sim *sim = xcalloc(1, sizeof *sim);
    ASSERT(setup->nodes <= SIM_NODES && setup->workers <= SIM_WORKERS && setup->rooms <= SIM_ROOMS);
    sim->setup = setup;
    sim->now_ms = SIM_START_MS;
    rng_init(&sim->rng, seed);
    wheel_init(&sim->wheel, sim->now_ms);
    store_start(sim);
    for (uint32_t i = 0; i < setup->nodes; i++) node_start(sim, &sim->nodes[i]);
    if (setup->no_quotas || setup->max_online > 0) rooms_put(sim);
    sim_readers_start(sim);
    sim_senders_start(sim);
    return sim;
}

static void sim_free(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->setup->nodes; i++) node_free(sim, &sim->nodes[i]);
    row_free(sim->row);
    for (uint32_t i = 0; i < sim->setup->rooms; i++) check_room_deinit(&sim->rooms[i].truth);
    sim_readers_free(sim);
    sim_senders_free(sim);
    free(sim->sends);
    free(sim);
}

static void settle(struct sim *sim)
{
    int64_t until_ms = sim->now_ms + SEND_AGAIN_MS;
    sim->is_settling = true;
    sim->changed_ms = sim->now_ms;
    row_calm(sim->row);
    sim_readers_settle(sim);
    while (!sim_senders_are_done(sim) && sim->now_ms < until_ms && sim->wrong == NULL)
        run_until(sim, sim->now_ms + 100);
    run_until(sim, sim->now_ms + SETTLE_MS(sim->setup));
}

static char *describe(const struct sim *sim, uint64_t seed, const char *what, size_t reader,
                      size_t answer)
{
    struct buf text = {0};
    buf_printf(&text, "%s: %s (reader %zu, answer %zu). Again: STOA_SIM_SEED=%llu",
               sim->setup->name, what, reader, answer, (unsigned long long)seed);
    buf_add_char(&text, '\0');
    return text.ptr;
}

static const char *check_all_sends(const struct sim *sim)
{
    struct check_room rooms[SIM_ROOMS];
    for (uint32_t i = 0; i < sim->setup->rooms; i++) rooms[i] = sim->rooms[i].truth;
    return check_sends(rooms, sim->setup->rooms, sim->sends, sim->send_count);
}

/* --- who was here ----------------------------------------------------------------------------- */

struct counted {
    bool is_done;
    int err;
    uint64_t unique;
};

static void on_viewers(void *arg, int err, const struct viewers_count *count)
{
    *(struct counted *)arg =
        (struct counted){.is_done = true, .err = err, .unique = err == OK ? count->unique : 0};
}

/* All are here at the end, so all have been. */
static const char *check_viewers(struct sim *sim, const struct sim_room *room)
{
    struct store *store = sim->nodes[0].store;
    struct counted counted = {0};
    struct store_viewers_count count = {.room = str_of(room->name)};
    if (sim_users_in(sim, room, NULL) == 0) return NULL;
    if (store_viewers_count(store, &count, on_viewers, &counted) != OK)
        return "viewers could not be counted";
    for (int i = 0; i < 10 && !counted.is_done; i++) store_dispatch(store, sim->now_ms);
    if (counted.err != OK) return "viewers were not counted";
    if (counted.unique != sim_users_in(sim, room, NULL))
        return "unique viewers are not those who were here";
    return NULL;
}

static const char *check_all_viewers(struct sim *sim)
{
    const char *wrong = NULL;
    if (!sim->setup->counting || sim->setup->max_online > 0) return NULL;
    for (uint32_t i = 0; i < sim->setup->rooms && wrong == NULL; i++)
        wrong = check_viewers(sim, &sim->rooms[i]);
    return wrong;
}

/* --- tallies ---------------------------------------------------------------------------------- */

static void count_worker(struct sim_tally *tally, const struct worker_metrics *m)
{
    tally->delivered += counter_get(&m->deliveries_total);
    tally->skipped += counter_get(&m->skipped_total);
    tally->gaps += counter_get(&m->gaps_total);
    tally->cold_polls += counter_get(&m->polls_cold_total);
    tally->shared_answers +=
        counter_get(&m->answers_total) - counter_get(&m->answers_encoded_total);
    tally->timed_out += counter_get(&m->polls_timed_out_total);
    tally->evicted += counter_get(&m->polls_evicted_total);
    tally->held += counter_get(&m->polls_held_total);
    tally->broken += counter_get(&m->holds_broken_total);
    tally->shed += counter_get(&m->polls_shed_total);
}

static void count_hub(struct sim_tally *tally, const struct hub_metrics *m)
{
    tally->stored += counter_get(&m->appends_total);
    tally->revived += counter_get(&m->rooms_revived_total);
    tally->holes += counter_get(&m->news_hole_total);
    tally->fallback_messages += counter_get(&m->fallback_messages_total);
    tally->failed_pulls += counter_get(&m->pulls_failed_total);
    tally->failed_appends += counter_get(&m->appends_failed_total);
    tally->duplicates += counter_get(&m->appends_duplicate_total);
    tally->deferred += counter_get(&m->notes_deferred_total);
}

static void count_all(const struct sim *sim, struct sim_tally *tally)
{
    if (sim->longest_load_ms > tally->longest_load_ms)
        tally->longest_load_ms = sim->longest_load_ms;
    tally->full += sim->full;
    for (uint32_t i = 0; i < sim->setup->nodes; i++) {
        const struct sim_node *node = &sim->nodes[i];
        count_hub(tally, hub_metrics(node->hub));
        for (uint32_t j = 0; j < sim->setup->workers; j++)
            count_worker(tally, worker_metrics(node->workers[j].worker));
    }
}

char *sim_run(const struct sim_setup *setup, uint64_t seed, struct sim_tally *tally)
{
    struct sim *sim = sim_new(setup, seed);
    size_t reader = 0, answer = 0;
    for (uint32_t i = 1; i <= setup->losses; i++) {
        run_until(sim, SIM_START_MS + setup->run_ms * i / (setup->losses + 1));
        row_lose_all(sim->row);
    }
    run_until(sim, SIM_START_MS + setup->run_ms);
    settle(sim);
    const char *wrong = sim->wrong;
    if (wrong == NULL) wrong = check_all_sends(sim);
    if (wrong == NULL) wrong = sim_readers_check(sim, &reader, &answer);
    if (wrong == NULL) wrong = check_all_viewers(sim);
    count_all(sim, tally);
    char *text = wrong == NULL ? NULL : describe(sim, seed, wrong, reader, answer);
    sim_free(sim);
    return text;
}

static uint64_t number_from_environment(const char *name, uint64_t otherwise)
{
    uint64_t value;
    return str_parse_u64(str_of(getenv(name)), &value) ? value : otherwise;
}

struct sim_tally sim_run_seeds(const struct sim_setup *setup, const char *name, uint64_t count)
{
    struct sim_setup named = *setup;
    struct sim_tally tally = {0};
    uint64_t only = number_from_environment("STOA_SIM_SEED", 0);
    uint64_t first = only > 0 ? only : 1;
    uint64_t last =
        only > 0 ? only : number_from_environment("STOA_SIM_SEEDS", count / SEEDS_DIVISOR);
    named.name = name;
    for (uint64_t seed = first; seed <= last; seed++) {
        char *wrong = sim_run(&named, seed, &tally);
        if (wrong != NULL) fail_msg("%s", wrong); /* ends the test */
    }
    if (last - first + 1 < count) memset(&tally, 1, sizeof tally);
    return tally;
}
