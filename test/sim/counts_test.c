/* Who is here over several nodes: three hubs over one store, users who come and go and are at two of
 * them, a store that fails and goes away, nodes that die. In the end each node tells the true count,
 * and goes on telling it. Again with one seed: STOA_SIM_SEED=n. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/rng.h"
#include "core/hub.h"
#include "sim/row.h"

#define START_MS 1732441234567
#define ROOM     STR("dev/lobby")
#define USERS    80
#define NODES    3
#define LIVES    8 /* of nodes: those that died are kept to the end, as is what waits for them */
#define STEP_MS  10
#define RUN_MS   180000
#define QUIET_MS 11000 /* after the last change */
#define AFTER_MS 70000 /* it stays so, longer than anybody's word holds */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SEEDS 6
#else
#define SEEDS 60
#endif

struct node {
    struct hub *hub;
    struct store *store;
    struct queue *notes;
    uint64_t told;
    struct call *home;
    bool is_here[USERS];
};

struct world {
    struct rng rng;
    struct row *row;
    int64_t now_ms;
    int64_t settled_ms; /* by then all that happened has to be told */
    struct node *nodes[NODES], *lives[LIVES];
    int life_count;
    int64_t outage_until_ms;
    bool nodes_die;
    uint64_t outages, deaths;
};

static const struct faulty_odds BAD = {.refuse = 0.03,
                                       .lose = 0.05,
                                       .lie = 0.05,
                                       .fail_read = 0.05,
                                       .delay = 0.3,
                                       .max_delay_ms = 200};
static const struct faulty_odds AWAY = {.lose = 1, .fail_read = 1};

static void no_wake(void *arg)
{
    (void)arg; /* every step gives every hub its turn */
}

/* --- nodes ------------------------------------------------------------------------------------ */

static void listen(struct node *node)
{
    for (struct note note; queue_pop(node->notes, &note);) {
        if (note.kind == NOTE_ONLINE) node->told = note.count;
        if (note.kind == NOTE_CALL)
            node->home = note.call;
        else
            note_drop(&note);
    }
}

static void step(struct world *w)
{
    w->now_ms += STEP_MS;
    for (int i = 0; i < NODES; i++) {
        hub_tick(w->nodes[i]->hub, w->now_ms);
        listen(w->nodes[i]);
    }
}

/* Until it is home; its error. */
static int call_and_wait(struct world *w, struct node *node, struct call *call)
{
    call->sub = 1;
    node->home = NULL;
    hub_call(node->hub, call, w->now_ms);
    for (int i = 0; i < 2000 && node->home == NULL; i++) {
        listen(node);
        if (node->home == NULL) step(w);
    }
    assert_ptr_equal(node->home, call);
    return call->err;
}

static void subscribe(struct world *w, struct node *node)
{
    for (int err = ERR_OVERLOADED; err != OK;) {
        struct call *call = call_new(CALL_SUBSCRIBE, ROOM);
        call->auto_create = true;
        err = call_and_wait(w, node, call);
        if (err == OK) node->told = call->online;
        call_free(call);
        if (err != OK) step(w);
    }
}

static struct node *node_new(struct world *w)
{
    struct node *node = xcalloc(1, sizeof *node);
    struct hub_config config = {.workers = 1,
                                .seed = rng_next(&w->rng),
                                .hash_key = {rng_next(&w->rng), 7},
                                .counting = true};
    struct store_env env = {.wake = no_wake};
    snprintf(config.node, sizeof config.node, "node-%d", w->life_count);
    config.notes[0] = node->notes = queue_new(sizeof(struct note), 2 * LIMIT_CALLS_PER_WORKER);
    node->hub = hub_new(&config, w->now_ms);
    hub_store_env(node->hub, &env);
    node->store = row_add_node(w->row, &env);
    hub_set_store(node->hub, node->store);
    w->lives[w->life_count++] = node;
    return node;
}

static void node_free(struct node *node)
{
    store_close(node->store);
    listen(node);
    queue_free(node->notes);
    hub_free(node->hub);
    free(node);
}

/* --- what happens ----------------------------------------------------------------------------- */

/* With a node that died the store goes on holding its users, until nobody has named them for a
 * while: also those whom another node named, and who leave that one later. */
static void changed(struct world *w)
{
    int64_t at_ms = w->now_ms + QUIET_MS + (w->deaths > 0 ? STORE_PRESENCE_TTL_MS : 0);
    if (w->settled_ms < at_ms) w->settled_ms = at_ms;
}

static void tell(struct world *w, struct node *node, int user, enum presence_event event)
{
    struct call *call = call_new(CALL_PRESENCE, ROOM);
    char name[16];
    snprintf(name, sizeof name, "user-%d", user);
    presence_write(&call->text, event, str_of(name));
    node->is_here[user] = event == PRESENCE_CAME;
    assert_int_equal(call_and_wait(w, node, call), OK);
    call_free(call);
    changed(w);
}

static void some_user(struct world *w)
{
    struct node *node = w->nodes[rng_below(&w->rng, NODES)];
    int user = (int)rng_below(&w->rng, USERS);
    tell(w, node, user, node->is_here[user] ? PRESENCE_LEFT : PRESENCE_CAME);
}

/* Without a word, and another one in its place. */
static void some_death(struct world *w)
{
    int index = (int)rng_below(&w->rng, NODES);
    if (w->life_count == LIVES) return;
    w->nodes[index] = node_new(w);
    w->deaths++;
    changed(w);
    subscribe(w, w->nodes[index]);
}

static void some_outage(struct world *w)
{
    w->outage_until_ms = w->now_ms + 1000 + (int64_t)rng_below(&w->rng, 80000);
    row_set_odds(w->row, &AWAY);
    w->outages++;
}

static void end_outage(struct world *w)
{
    w->outage_until_ms = 0;
    row_set_odds(w->row, &BAD);
    changed(w);
}

static void happen(struct world *w)
{
    if (w->outage_until_ms > 0 && w->now_ms >= w->outage_until_ms) end_outage(w);
    if (rng_below(&w->rng, 100) < 10) some_user(w);
    if (w->outage_until_ms > 0) return; /* a node that starts meanwhile would wait for its end */
    if (w->nodes_die && rng_below(&w->rng, 10000) < 3) some_death(w);
    if (rng_below(&w->rng, 10000) < 2) some_outage(w);
}

/* --- what must be true ------------------------------------------------------------------------ */

static uint64_t truth(const struct world *w)
{
    uint64_t count = 0;
    for (int user = 0; user < USERS; user++) {
        bool is_here = false;
        for (int i = 0; i < NODES; i++) is_here |= w->nodes[i]->is_here[user];
        count += is_here;
    }
    return count;
}

static void check(struct world *w, uint64_t seed)
{
    for (int i = 0; i < NODES; i++) {
        if (w->nodes[i]->told == truth(w)) continue;
        fail_msg("seed %llu: node %d tells %llu, and there are %llu, %lld ms after the last change",
                 (unsigned long long)seed, i, (unsigned long long)w->nodes[i]->told,
                 (unsigned long long)truth(w), (long long)(w->now_ms - w->settled_ms + QUIET_MS));
    }
}

static void run(uint64_t seed, bool nodes_die, uint64_t *outages, uint64_t *deaths)
{
    struct world *w = xcalloc(1, sizeof *w);
    struct row_setup setup = {.seed = seed, .odds = BAD, .is_shared = true};
    rng_init(&w->rng, seed);
    w->now_ms = START_MS;
    w->nodes_die = nodes_die;
    w->row = row_new(&setup);
    for (int i = 0; i < NODES; i++) w->nodes[i] = node_new(w);
    for (int i = 0; i < NODES; i++) subscribe(w, w->nodes[i]);

    for (; w->now_ms < START_MS + RUN_MS; step(w)) happen(w);
    if (w->outage_until_ms > 0) changed(w);
    row_calm(w->row);
    while (w->now_ms < w->settled_ms) step(w);
    for (int64_t until_ms = w->now_ms + AFTER_MS; w->now_ms < until_ms; step(w)) check(w, seed);

    *outages += w->outages;
    *deaths += w->deaths;
    for (int i = 0; i < w->life_count; i++) node_free(w->lives[i]);
    row_free(w->row);
    free(w);
}

static void run_all(bool nodes_die, uint64_t *ret_outages, uint64_t *ret_deaths)
{
    uint64_t first = 1, last = SEEDS, only;
    if (str_parse_u64(str_of(getenv("STOA_SIM_SEEDS")), &only)) last = only;
    if (str_parse_u64(str_of(getenv("STOA_SIM_SEED")), &only)) first = last = only;
    for (uint64_t seed = first; seed <= last; seed++) run(seed, nodes_die, ret_outages, ret_deaths);
    if (first == last) *ret_outages = *ret_deaths = SEEDS;
}

static void every_node_tells_the_truth_after_outages(void **state)
{
    uint64_t outages = 0, deaths = 0;
    run_all(false, &outages, &deaths);
    assert_true(outages >= SEEDS);
}

static void every_node_tells_the_truth_after_deaths(void **state)
{
    uint64_t outages = 0, deaths = 0;
    run_all(true, &outages, &deaths);
    assert_true(deaths >= SEEDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_node_tells_the_truth_after_outages),
        cmocka_unit_test(every_node_tells_the_truth_after_deaths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
