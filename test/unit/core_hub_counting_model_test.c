/* Counting against a model: people come and go at random for half an hour, over a store that loses,
 * lies, refuses and delays. In the end every bucket, the room's life and the sums of its history
 * are those of the model, to the last user and millisecond. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "core/hub.h"
#include "core/hub_counting.h"
#include "store/faulty.h"
#include "unit/core_fixture.h"

#define ROOM    STR("dev/lobby")
#define USERS   300
#define SPAN_MS (31 * 60 * 1000)
#define BUCKETS 8
#define RUNS    40
#define FIRST   (FIXTURE_START_MS - FIXTURE_START_MS % VIEWERS_BUCKET_MS)

struct run {
    struct hub *hub;
    struct queue *notes;
    struct store *store;
    struct rng rng;
    int64_t now_ms;
    struct call *home;
    /* The model. */
    bool is_here[USERS];
    bool was_in[BUCKETS][USERS], was_ever[USERS];
    uint64_t online, joins, online_ms, messages;
};

static const struct faulty_odds ODDS = {.refuse = 0.1,
                                        .lose = 0.1,
                                        .lie = 0.1,
                                        .fail_read = 0.1,
                                        .delay = 0.3,
                                        .news_lose = 0.1,
                                        .max_delay_ms = 400};

static void listen(struct run *r)
{
    for (struct note note; queue_pop(r->notes, &note);) {
        if (note.kind == NOTE_CALL)
            r->home = note.call;
        else
            note_drop(&note);
    }
}

static int64_t bucket_of(const struct run *r)
{
    return (r->now_ms - FIRST) / VIEWERS_BUCKET_MS;
}

/* Time passes, and the hub is late: whoever is here is in each bucket that it touches. */
static void pass_unseen(struct run *r, int64_t ms)
{
    r->online_ms += r->online * (uint64_t)ms;
    r->now_ms += ms;
    for (int user = 0; user < USERS; user++)
        if (r->is_here[user]) r->was_in[bucket_of(r)][user] = true;
}

static void pass(struct run *r, int64_t ms)
{
    pass_unseen(r, ms);
    hub_tick(r->hub, r->now_ms);
    listen(r);
}

/* Until it goes well; whether it does is the store's matter. */
static void call_until_ok(struct run *r, enum call_kind kind)
{
    for (int err = ERR_OVERLOADED; err != OK;) {
        struct call *call = call_new(kind, ROOM);
        call->sub = 1;
        hub_call(r->hub, call, r->now_ms);
        for (r->home = NULL; r->home == NULL;) pass(r, 1);
        err = r->home->err;
        call_free(r->home);
    }
}

static void toggle(struct run *r, int user)
{
    struct call *call = call_new(CALL_PRESENCE, ROOM);
    char name[16];
    bool came = r->is_here[user] = !r->is_here[user];
    snprintf(name, sizeof name, "user-%d", user);
    presence_write(&call->text, came ? PRESENCE_CAME : PRESENCE_LEFT, str_of(name));
    hub_call(r->hub, call, r->now_ms);
    r->home = NULL;
    listen(r);
    assert_ptr_equal(r->home, call); /* the room is active: at once */
    call_free(call);
    r->was_in[bucket_of(r)][user] = r->was_ever[user] = true;
    r->online += came ? 1 : (uint64_t)-1;
    r->joins += came;
}

static void say(struct run *r)
{
    struct call *call = call_new(CALL_APPEND, ROOM);
    struct message message = {.list = LIST_HIGH, .type = STR("text"), .body = STR("1")};
    char key[32];
    snprintf(key, sizeof key, "key-%llu", (unsigned long long)r->messages++);
    for (int err = ERR_OVERLOADED; err != OK; call = call_new(CALL_APPEND, ROOM)) {
        call_set_message(call, &message, str_of(key));
        call->no_user_rate = true;
        hub_call(r->hub, call, r->now_ms);
        for (r->home = NULL; r->home == NULL;) pass(r, 1);
        err = r->home->err;
        call_free(r->home);
    }
    call_free(call);
}

static void start(struct run *r, uint64_t seed)
{
    struct faulty_setup setup = {.url = "memory:", .seed = seed, .odds = ODDS};
    struct hub_config config = {.workers = 1, .seed = seed, .hash_key = {1, 2}, .counting = true};
    struct store_config store = {0};
    char why[128];
    *r = (struct run){.now_ms = FIXTURE_START_MS};
    rng_init(&r->rng, seed);
    config.notes[0] = r->notes = queue_new(sizeof(struct note), LIMIT_NOTES_PER_WORKER);
    r->hub = hub_new(&config, r->now_ms);
    hub_store_env(r->hub, &store.env);
    assert_int_equal(faulty_store_open(&setup, &store, &r->store, why, sizeof why), OK);
    hub_set_store(r->hub, r->store);
    call_until_ok(r, CALL_ROOM_PUT);
    call_until_ok(r, CALL_SUBSCRIBE);
}

static void stop(struct run *r)
{
    store_close(r->store);
    hub_free(r->hub);
    queue_free(r->notes);
    free(r);
}

static struct viewers_count count(struct run *r, int64_t from_ms, int64_t to_ms)
{
    struct call *call = call_new(CALL_VIEWERS, ROOM);
    call->from_ms = from_ms;
    call->to_ms = to_ms;
    hub_call(r->hub, call, r->now_ms);
    for (r->home = NULL; r->home == NULL;) pass(r, 1);
    struct viewers_count result = call->viewers;
    assert_int_equal(call->err, OK);
    call_free(call);
    return result;
}

static uint64_t sum(const bool *was)
{
    uint64_t total = 0;
    for (int user = 0; user < USERS; user++) total += was[user];
    return total;
}

static void check_viewers(struct run *r)
{
    for (int i = 0; i < BUCKETS - 1; i++) {
        int64_t at_ms = FIRST + i * (int64_t)VIEWERS_BUCKET_MS;
        struct viewers_count window = count(r, at_ms, at_ms + VIEWERS_BUCKET_MS);
        assert_int_equal(window.unique, sum(r->was_in[i]));
        assert_true(window.exact);
    }
    assert_int_equal(count(r, 0, 0).unique, sum(r->was_ever));
}

static void check_history(struct run *r)
{
    struct sample total = {0};
    struct call *call = call_new(CALL_SAMPLES, ROOM);
    call->to_ms = INT64_MAX;
    call->step_ms = SAMPLE_MS;
    call->limit = LIMIT_POINTS;
    hub_call(r->hub, call, r->now_ms);
    for (r->home = NULL; r->home == NULL;) pass(r, 1);
    assert_int_equal(call->err, OK);
    for (uint32_t i = 0; i < call->sample_count; i++) {
        assert_true(call->samples[i].span_ms <= SAMPLE_MS);
        sample_merge(&total, &call->samples[i]);
    }
    assert_int_equal(total.joins, r->joins);
    assert_int_equal(total.online_ms, r->online_ms);
    assert_int_equal(total.messages[LIST_HIGH], r->messages);
    assert_int_equal(total.unique, sum(r->was_ever));
    call_free(call);
}

static void what_is_counted_is_what_happened(void **state)
{
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        const struct faulty_odds none = {0};
        struct run *r = xcalloc(1, sizeof *r);
        start(r, seed);
        int64_t until_ms = r->now_ms + SPAN_MS;
        /* In the beginning few ever come; so the last buckets differ from the first. */
        while (r->now_ms < until_ms) {
            int64_t ms = 1 + (int64_t)rng_below(&r->rng, 4000);
            if (rng_below(&r->rng, 3) == 0)
                pass_unseen(r, ms);
            else
                pass(r, ms);
            uint64_t known = 50 + (uint64_t)(bucket_of(r) * (USERS - 50) / BUCKETS);
            toggle(r, (int)rng_below(&r->rng, known));
            if (rng_below(&r->rng, 50) == 0) say(r);
        }
        for (int user = 0; user < USERS; user++)
            if (r->is_here[user]) toggle(r, user);
        faulty_set_odds(r->store, &none);
        for (int i = 0; i < 100; i++) pass(r, 1000);
        assert_int_equal(counter_get(&hub_metrics(r->hub)->viewers_waiting), 0);
        assert_int_equal(counter_get(&hub_metrics(r->hub)->samples_waiting), 0);
        assert_true(counter_get(&hub_metrics(r->hub)->viewers_failed_total) > 3);
        check_viewers(r);
        check_history(r);
        stop(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_counted_is_what_happened)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
