/* Readers: clients that poll, are interrupted, move, pause, leave, and come back with the cursor
 * that they have. */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "core/worker_internal.h" /* what interval a worker holds, to judge it by */
#include "sim/sim.h"

/* A poll that has not ended this long after its time-out never will: a room may take 10 s to
 * enter. */
#define OVERDUE_MS    15000
#define FUTURE_MS     3600000
#define ROUND_TRIP_MS 5

enum habit {
    HONEST,
    SAYS_LONG_AGO, /* was its last answer */
    SAYS_JUST_NOW,
    SAYS_LATER,
    JOINS_ANEW, /* each time: checked for the pace alone, as the next */
    REPEATS_ITS_FIRST_CURSOR,
    HABITS
};

struct sim_reader {
    struct sim_actor actor;
    struct sim_room *room;
    struct sim_worker *worker;
    char user[LIMIT_USER_ID + 1];
    uint32_t generation; /* counts polls, so that an answer to an old one is seen */
    bool is_polling;
    uint64_t waiter;     /* the worker's handle, 0: none */
    int64_t hangs_up_ms; /* in the middle of the poll; 0: does not */
    bool has_cursor;
    bool is_turned_away; /* from a full room, by the last poll */
    char cursor[CURSOR_TEXT_LEN];
    struct check_answer poll; /* what is known of the answer while it is awaited */
    struct check_reader told;
    enum habit habit;
    bool has_honest_cursor;   /* in the poll that is awaited */
    uint32_t longest_pace_ms; /* of that poll */
    struct pace_reader paced;
};

/* An answer as our wire has it. */
struct sim_wire {
    struct cursor cursor;
    char text[CURSOR_TEXT_LEN];
    uint64_t online, skipped;
    uint32_t poll_after_ms;
    bool gap;
    size_t count;
    struct check_entry entries[LIMIT_POLL_HIGH + LIMIT_POLL_NORMAL];
};

/* --- answers on the wire ---------------------------------------------------------------------- */

/* The body is the last member, and a number unless the server made the message. */
static uint64_t body_of(const struct frame *frame)
{
    struct str json = frame_json(frame);
    size_t at = json.len - 1;
    uint64_t body = CHECK_CONTROL;
    while (json.ptr[at - 1] != ':') at--;
    str_parse_u64(str_make(json.ptr + at, json.len - 1 - at), &body);
    return body;
}

struct blob *sim_reader_render(void *arg, const struct answer *answer, uint8_t variant)
{
    static struct sim_wire wire; /* scratch: too large for a stack */
    wire.cursor = answer->cursor;
    cursor_encode(&answer->cursor, wire.text);
    wire.online = answer->online;
    wire.skipped = answer->skipped;
    wire.poll_after_ms = answer->poll_after_ms;
    wire.gap = answer->gap;
    wire.count = answer->count;
    for (size_t i = 0; i < wire.count; i++)
        wire.entries[i] = (struct check_entry){.list = answer->frames[i]->list,
                                               .id = answer->frames[i]->id,
                                               .body = body_of(answer->frames[i])};
    size_t unused = sizeof wire.entries - wire.count * sizeof *wire.entries;
    return blob_new(str_make((const char *)&wire, sizeof wire - unused));
}

/* --- polling ---------------------------------------------------------------------------------- */

static uint64_t exchange_of(const struct sim *sim, const struct sim_reader *r)
{
    return (uint64_t)r->generation << 32 | (uint64_t)(r - sim->readers);
}

/* NULL, and the run is wrong: the poll of this exchange has ended before. */
static struct sim_reader *reader_of(struct sim *sim, uint64_t exchange)
{
    struct sim_reader *r = &sim->readers[exchange & UINT32_MAX];
    if (r->is_polling && r->generation == exchange >> 32) return r;
    sim_fail(sim, "a poll was answered that had ended");
    return NULL;
}

static void changes_until(struct sim *sim, int64_t at_ms)
{
    if (sim->changed_ms < at_ms) sim->changed_ms = at_ms;
}

/* The next poll comes at once, most of the time; a reader that was away is not waiting
 * meanwhile. */
static void poll_again(struct sim *sim, struct sim_reader *r, int64_t after_ms)
{
    bool pauses = !sim->is_settling && sim_happens(sim, sim->setup->pause);
    r->is_polling = false;
    r->waiter = 0;
    /* Whoever is always answered at once would be so for ever in the same millisecond. */
    if (r->habit >= JOINS_ANEW) after_ms += 1 + sim_some(sim, ROUND_TRIP_MS);
    if (pauses) after_ms += sim_some(sim, sim->setup->max_pause_ms);
    if (after_ms > 0) r->poll.waiting_since_ms = sim->now_ms + after_ms;
    /* A shorter pause is no absence, unless the reader has not come yet. */
    if (after_ms >= SIM_LINGER_MS || !r->has_cursor) changes_until(sim, sim->now_ms + after_ms);
    wheel_cancel(&sim->wheel, &r->actor.timer);
    sim_wake(sim, &r->actor, sim->now_ms + after_ms);
}

static void hang_up(struct sim *sim, struct sim_reader *r)
{
    worker_cancel(r->worker->worker, r->waiter, sim->now_ms);
    sim_touch_worker(sim, r->worker);
    poll_again(sim, r, 1 + sim_some(sim, sim->setup->max_pause_ms));
}

/* The answer to CALL_LEAVE is not waited for. */
static void leave(struct sim *sim, struct sim_reader *r)
{
    struct call *call = call_new(CALL_LEAVE, str_of(r->room->name));
    struct message message = {.from = str_of(r->user)};
    call_set_message(call, &message, STR_NONE);
    if (worker_call(r->worker->worker, call) != OK) call_free(call);
    sim_touch_worker(sim, r->worker);
    poll_again(sim, r, 1 + sim_some(sim, sim->setup->max_pause_ms));
}

static uint32_t some_limit(struct sim *sim)
{
    static const uint32_t limits[] = {1, 2, 5, 20, 50, LIMIT_POLL_NORMAL};
    return limits[rng_below(&sim->rng, sizeof limits / sizeof *limits)];
}

/* The cursor with which this reader polls now; text is room for it. */
static struct str cursor_of(const struct sim *sim, struct sim_reader *r, char text[CURSOR_TEXT_LEN])
{
    struct cursor cursor;
    r->has_honest_cursor = false;
    if (!r->has_cursor || r->habit == JOINS_ANEW) return STR_NONE;
    memcpy(text, r->cursor, CURSOR_TEXT_LEN);
    struct str since = str_make(text, CURSOR_TEXT_LEN);
    r->has_honest_cursor = r->habit == HONEST;
    if (r->habit == HONEST || r->habit == REPEATS_ITS_FIRST_CURSOR) return since;
    cursor_decode(since, cursor_room_tag(str_of(r->room->name)), &cursor);
    cursor.at_ms = r->habit == SAYS_LONG_AGO ? 0 : sim->now_ms;
    if (r->habit == SAYS_LATER) cursor.at_ms += FUTURE_MS;
    cursor_encode(&cursor, text);
    return since;
}

static void poll(struct sim *sim, struct sim_reader *r)
{
    char text[CURSOR_TEXT_LEN];
    struct poll poll = {.room = str_of(r->room->name),
                        .auto_create = true,
                        .user = str_of(r->user),
                        .since = cursor_of(sim, r, text),
                        .limit = some_limit(sim),
                        .timeout_ms = (uint32_t)sim_some(sim, sim->setup->max_timeout_ms)};
    r->generation++;
    r->is_polling = true;
    r->poll.is_join = poll.since.len == 0;
    r->longest_pace_ms = 0;
    r->poll.limit = poll.limit;
    r->poll.timeout_ms = poll.timeout_ms;
    r->poll.polled_ms = sim->now_ms;
    poll.exchange = exchange_of(sim, r);
    bool hangs_up = !sim->is_settling && sim_happens(sim, sim->setup->disconnect);
    r->hangs_up_ms = hangs_up ? sim->now_ms + sim_some(sim, poll.timeout_ms) : 0;
    /* Before the poll, which may be answered within. */
    sim_wake(sim, &r->actor,
             hangs_up ? r->hangs_up_ms : sim->now_ms + poll.timeout_ms + OVERDUE_MS);
    uint64_t waiter = worker_poll(r->worker->worker, &poll, sim->now_ms);
    if (r->is_polling) r->waiter = waiter;
    sim_readers_watch_pace(sim, r->worker);
    sim_touch_worker(sim, r->worker);
}

static void run_reader(struct sim *sim, struct sim_actor *actor)
{
    struct sim_reader *r = CONTAINER_OF(actor, struct sim_reader, actor);
    if (sim_is_stalled(sim, r->worker)) {
        sim_wake(sim, actor, r->worker->stalled_until_ms);
    } else if (r->is_polling && r->hangs_up_ms > 0) {
        hang_up(sim, r);
    } else if (r->is_polling) {
        sim_fail(sim, "a poll was never answered");
    } else if (!sim->is_settling && sim_happens(sim, sim->setup->leave)) {
        leave(sim, r);
    } else {
        if (!sim->is_settling && sim_happens(sim, sim->setup->move))
            r->worker = sim_some_worker(sim);
        poll(sim, r);
    }
}

/* --- the pace --------------------------------------------------------------------------------- */

static uint32_t pace_of(const struct sim_reader *r)
{
    const struct worker_room *room = map_get(&r->worker->worker->rooms, str_of(r->room->name));
    return room == NULL ? 0 : worker_interval(room);
}

static void watch_pace(struct sim_reader *r)
{
    uint32_t pace_ms = pace_of(r);
    if (pace_ms > r->longest_pace_ms) r->longest_pace_ms = pace_ms;
}

void sim_readers_watch_pace(struct sim *sim, const struct sim_worker *worker)
{
    if (sim->setup->rules.pace_slack_ms == 0) return;
    for (uint32_t i = 0; i < sim->setup->readers; i++) {
        struct sim_reader *r = &sim->readers[i];
        if (r->is_polling && r->worker == worker) watch_pace(r);
    }
}

static void note_turn(const struct sim *sim, struct sim_reader *r, const struct sim_wire *wire,
                      bool is_lost)
{
    if (sim->setup->rules.pace_slack_ms == 0) return;
    watch_pace(r);
    struct pace_turn turn = {.worker = (uint32_t)(r->worker - r->worker->node->workers) +
                                       SIM_WORKERS * (uint32_t)(r->worker->node - sim->nodes),
                             .polled_ms = r->poll.polled_ms,
                             .answered_ms = sim->now_ms,
                             .timeout_ms = r->poll.timeout_ms,
                             .pace_ms = pace_of(r),
                             .longest_ms = r->longest_pace_ms,
                             .high = wire->cursor.high,
                             .brings_high = wire->count > 0 && wire->entries[0].list == LIST_HIGH,
                             .is_honest = r->has_honest_cursor,
                             .is_lost = is_lost};
    pace_reader_add(&r->paced, &turn);
}

/* --- being answered --------------------------------------------------------------------------- */

static bool is_in(const struct sim_reader *r, const struct sim_room *room,
                  const struct sim_node *node)
{
    return r->room == room && (node == NULL || r->worker->node == node);
}

static bool is_counted_before(const struct sim *sim, uint32_t index, const struct sim_node *node)
{
    const struct sim_reader *r = &sim->readers[index];
    for (uint32_t i = 0; i < index; i++)
        if (is_in(&sim->readers[i], r->room, node) && strcmp(sim->readers[i].user, r->user) == 0)
            return true;
    return false;
}

uint64_t sim_users_in(const struct sim *sim, const struct sim_room *room,
                      const struct sim_node *node)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < sim->setup->readers; i++)
        if (is_in(&sim->readers[i], room, node) && !is_counted_before(sim, i, node)) count++;
    return count;
}

/* Users in this reader's room, as its node can know them when nobody is away. */
static uint64_t users_around(const struct sim *sim, const struct sim_reader *r)
{
    uint64_t count = sim_users_in(sim, r->room, sim->setup->is_shared ? NULL : r->worker->node);
    uint32_t max_online = sim->setup->max_online;
    return max_online > 0 && count > max_online ? max_online : count;
}

/* While readers come and go, the count may lag by the linger and two seconds more, and by what it
 * takes to go round the nodes. */
static void check_online(struct sim *sim, const struct sim_reader *r, uint64_t online)
{
    const struct sim_setup *setup = sim->setup;
    int64_t lag_ms = SIM_LINGER_MS + 2000 + (setup->is_shared ? SIM_SHARED_MS(setup) : 0);
    if (setup->max_online > 0 && !setup->is_shared && online > setup->max_online)
        sim_fail(sim, "more are told to be in a room than it takes");
    if (!sim->is_settling || sim->now_ms < sim->changed_ms + lag_ms) return;
    if (online != users_around(sim, r)) sim_fail(sim, "the online count is not the true one");
}

static void note_answer(struct sim *sim, struct sim_reader *r, struct sim_wire *wire)
{
    struct check_answer answer = r->poll;
    answer.answered_ms = sim->now_ms;
    answer.cursor = wire->cursor;
    answer.skipped = wire->skipped;
    answer.gap = wire->gap;
    answer.entries = wire->entries;
    answer.count = wire->count;
    r->is_turned_away = false;
    if (r->habit < JOINS_ANEW) check_reader_add(&r->told, &answer);
    check_online(sim, r, wire->online);
    if (r->habit == REPEATS_ITS_FIRST_CURSOR && r->has_cursor) return;
    memcpy(r->cursor, wire->text, sizeof r->cursor);
    r->has_cursor = true;
}

void sim_reader_deliver(void *arg, uint64_t exchange, struct blob *wire, uint8_t variant)
{
    static struct sim_wire copy; /* entries behind count are those of an older one */
    struct sim *sim = arg;
    struct sim_reader *r = reader_of(sim, exchange);
    if (r == NULL) return;
    memcpy(&copy, wire->bytes, wire->len);
    bool is_lost = !sim->is_settling && sim_happens(sim, sim->setup->lose_answer);
    note_turn(sim, r, &copy, is_lost);
    if (is_lost) {
        poll_again(sim, r, 1 + sim_some(sim, 1000)); /* with the cursor that it has */
        return;
    }
    note_answer(sim, r, &copy);
    poll_again(sim, r, copy.poll_after_ms);
}

void sim_reader_refuse(void *arg, uint64_t exchange, int err, int64_t retry_after_ms,
                       uint8_t variant)
{
    struct sim *sim = arg;
    struct sim_reader *r = reader_of(sim, exchange);
    if (r == NULL || err == ERR_DRAINING) return; /* the world ends */
    bool is_full = err == ERR_ROOM_FULL && sim->setup->max_online > 0;
    bool is_expected = err == ERR_STORE_UNAVAILABLE || err == ERR_OVERLOADED || is_full;
    r->is_turned_away = is_full;
    if (is_full) sim->full++;
    if (!is_expected) sim_fail(sim, "a poll was refused for no reason");
    poll_again(sim, r, 1 + retry_after_ms);
    /* Refused again and again, it may be gone meanwhile. Who finds a full room is not in it. */
    if (!is_full || !sim->is_settling) changes_until(sim, sim->now_ms + 1 + retry_after_ms);
}

/* --- all of them ------------------------------------------------------------------------------ */

void sim_readers_start(struct sim *sim)
{
    const struct sim_setup *setup = sim->setup;
    sim->readers = xcalloc(setup->readers, sizeof *sim->readers);
    for (uint32_t i = 0; i < setup->readers; i++) {
        struct sim_reader *r = &sim->readers[i];
        uint64_t user = setup->users > 0 ? rng_below(&sim->rng, setup->users) : i;
        snprintf(r->user, sizeof r->user, "user-%llu", (unsigned long long)user);
        r->room = &sim->rooms[rng_below(&sim->rng, setup->rooms)];
        r->worker = sim_some_worker(sim);
        if (setup->cheat > 0 && sim_happens(sim, setup->cheat))
            r->habit = HONEST + 1 + (enum habit)rng_below(&sim->rng, HABITS - 1);
        r->actor.run = run_reader;
        timer_init(&r->actor.timer);
        r->poll.waiting_since_ms = sim->now_ms + sim_some(sim, setup->run_ms / 4);
        sim_wake(sim, &r->actor, r->poll.waiting_since_ms);
    }
}

/* Everybody comes back now. */
void sim_readers_settle(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->setup->readers; i++) {
        struct sim_reader *r = &sim->readers[i];
        r->worker->stalled_until_ms = 0;
        if (!r->is_polling) poll_again(sim, r, 0);
        if (r->hangs_up_ms == 0) continue;
        r->hangs_up_ms = 0;
        wheel_cancel(&sim->wheel, &r->actor.timer);
        sim_wake(sim, &r->actor,
                 r->is_polling ? sim->now_ms + r->poll.timeout_ms + OVERDUE_MS : sim->now_ms);
    }
}

void sim_readers_free(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->setup->readers; i++) {
        check_reader_deinit(&sim->readers[i].told);
        pace_reader_deinit(&sim->readers[i].paced);
    }
    free(sim->readers);
}

static const char *check_reader(const struct sim *sim, const struct sim_reader *r,
                                size_t *ret_answer)
{
    int64_t slack_ms = sim->setup->rules.pace_slack_ms;
    const char *wrong = slack_ms == 0 ? NULL : pace_check(&r->paced, slack_ms, ret_answer);
    if (wrong != NULL || r->habit >= JOINS_ANEW) return wrong;
    if (r->is_turned_away) return NULL; /* what was told before was checked by its neighbours */
    /* All has settled, so the load is gone. */
    if (counter_get(&worker_metrics(r->worker->worker)->pace_load_ms) > 0)
        return "the interval by load did not end";
    wrong = check_answers(&r->room->truth, &r->told, &sim->setup->rules, ret_answer);
    if (wrong == NULL) wrong = check_has_seen_all(&r->room->truth, &r->told);
    return wrong;
}

const char *sim_readers_check(struct sim *sim, size_t *ret_reader, size_t *ret_answer)
{
    for (uint32_t i = 0; i < sim->setup->readers; i++) {
        *ret_reader = i;
        const char *wrong = check_reader(sim, &sim->readers[i], ret_answer);
        if (wrong != NULL) return wrong;
    }
    return NULL;
}
