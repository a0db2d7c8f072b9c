#include "unit/core_worker_fixture.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "core/select.h"

/* --- what the worker asks of its surroundings ------------------------------------------------- */

static struct blob *render(void *arg, const struct answer *answer, uint8_t variant)
{
    struct worker_fixture *f = arg;
    struct told told = {.cursor = answer->cursor,
                        .online = answer->online,
                        .skipped = answer->skipped,
                        .count = answer->count,
                        .poll_after_ms = answer->poll_after_ms,
                        .gap = answer->gap};
    f->renders++;
    str_copy(answer->user, told.user, sizeof told.user);
    for (uint32_t i = 0; i < answer->count; i++) told.ids[i] = answer->frames[i]->id;
    return blob_new(str_make((const char *)&told, sizeof told));
}

static struct outcome *outcome_of(struct worker_fixture *f, uint64_t exchange)
{
    assert_in_range(exchange, 0, EXCHANGES - 1);
    struct outcome *outcome = &f->outcome[exchange];
    assert_int_equal(outcome->delivered + outcome->refused, 0); /* a poll ends once */
    return outcome;
}

static void deliver(void *arg, uint64_t exchange, struct blob *wire, uint8_t variant)
{
    struct outcome *outcome = outcome_of(arg, exchange);
    outcome->delivered++;
    assert_int_equal(wire->len, sizeof outcome->told);
    memcpy(&outcome->told, wire->bytes, wire->len);
}

static void refuse(void *arg, uint64_t exchange, int err, int64_t retry_after_ms, uint8_t variant)
{
    struct outcome *outcome = outcome_of(arg, exchange);
    outcome->refused++;
    outcome->err = err;
    outcome->retry_after_ms = retry_after_ms;
}

static void on_call(void *arg, struct call *call)
{
    struct worker_fixture *f = arg;
    call_free(f->came_home);
    f->came_home = call;
}

static const struct worker_ops ops = {
    .render = render, .deliver = deliver, .refuse = refuse, .on_call = on_call};

static void make_worker(struct worker_fixture *f, const struct pace_config *pace)
{
    struct worker_config config = {.calls = f->calls,
                                   .notes = f->notes,
                                   .ops = &ops,
                                   .arg = f,
                                   .pace = *pace,
                                   .linger_ms = LINGER_MS,
                                   .seed = 1,
                                   .hash_key = {1, 2}};
    f->worker = worker_new(&config, f->now_ms);
}

int worker_fixture_setup(void **state)
{
    struct worker_fixture *f = xcalloc(1, sizeof *f);
    f->now_ms = FIXTURE_START_MS;
    f->calls = queue_new(sizeof(struct call *), LIMIT_CALLS_PER_WORKER);
    f->notes = queue_new(sizeof(struct note), LIMIT_NOTES_PER_WORKER);
    make_worker(f, &(struct pace_config){0});
    *state = f;
    return 0;
}

void worker_fixture_pace(struct worker_fixture *f, const char *table)
{
    struct pace_config pace = {.is_on = true};
    assert_true(pace_table_parse(str_of(table), &pace));
    worker_free(f->worker);
    make_worker(f, &pace);
}

int worker_fixture_teardown(void **state)
{
    struct worker_fixture *f = *state;
    struct call *call;
    worker_free(f->worker);
    while (queue_pop(f->calls, &call)) call_free(call);
    call_free(f->came_home);
    queue_free(f->calls);
    queue_free(f->notes);
    frame_bin_empty(&f->bin);
    free(f);
    return 0;
}

/* --- as a connection -------------------------------------------------------------------------- */

uint64_t worker_fixture_poll_as(struct worker_fixture *f, const struct poll *poll)
{
    f->outcome[poll->exchange] = (struct outcome){0};
    return worker_poll(f->worker, poll, f->now_ms);
}

uint64_t worker_fixture_poll(struct worker_fixture *f, uint64_t exchange, const char *user,
                             const struct cursor *since)
{
    char text[CURSOR_TEXT_LEN];
    struct poll poll = {
        .room = ROOM, .user = str_of(user), .limit = 50, .timeout_ms = 25000, .exchange = exchange};
    if (since != NULL) {
        cursor_encode(since, text);
        poll.since = str_make(text, sizeof text);
    }
    return worker_fixture_poll_as(f, &poll);
}

struct cursor worker_fixture_cursor(struct str room, uint64_t high, uint64_t normal)
{
    return (struct cursor){.high = fixture_id(LIST_HIGH, high),
                           .normal = fixture_id(LIST_NORMAL, normal),
                           .normal_ordinal = normal,
                           .at_ms = FIXTURE_START_MS,
                           .room = cursor_room_tag(room)};
}

int worker_fixture_outcome(const struct worker_fixture *f, uint64_t exchange)
{
    return (int)f->outcome[exchange].delivered - (int)f->outcome[exchange].refused;
}

/* --- as the hub ------------------------------------------------------------------------------- */

struct call *worker_fixture_take_call(struct worker_fixture *f, enum call_kind kind)
{
    struct call *call = NULL;
    if (!queue_pop(f->calls, &call)) return NULL;
    assert_int_equal(call->kind, kind);
    return call;
}

bool worker_fixture_has_calls(struct worker_fixture *f)
{
    return queue_space(f->calls) < LIMIT_CALLS_PER_WORKER;
}

void worker_fixture_note(struct worker_fixture *f, const struct note *note)
{
    assert_true(queue_push(f->notes, note));
}

void worker_fixture_return(struct worker_fixture *f, struct call *call, int err)
{
    struct note note = {.kind = NOTE_CALL, .call = call};
    call->err = err;
    worker_fixture_note(f, &note);
}

uint64_t worker_fixture_ready(struct worker_fixture *f, uint64_t high, uint64_t normal)
{
    struct call *call = worker_fixture_take_call(f, CALL_SUBSCRIBE);
    assert_non_null(call);
    uint64_t sub = call->sub;
    worker_fixture_return(f, call, OK);
    for (uint64_t i = 1; i <= high; i++) worker_fixture_news(f, sub, LIST_HIGH, i);
    for (uint64_t i = 1; i <= normal; i++) worker_fixture_news(f, sub, LIST_NORMAL, i);
    worker_fixture_turn(f);
    return sub;
}

void worker_fixture_answer_presence(struct worker_fixture *f, const char *refused)
{
    worker_fixture_turn(f);
    struct call *call = worker_fixture_take_call(f, CALL_PRESENCE);
    assert_non_null(call);
    if (refused != NULL) presence_write(&call->found, PRESENCE_CAME, str_of(refused));
    worker_fixture_return(f, call, OK);
    worker_fixture_turn(f);
}

void worker_fixture_news(struct worker_fixture *f, uint64_t sub, enum list_kind list,
                         uint64_t number)
{
    struct note note = {.kind = NOTE_FRAME,
                        .list = list,
                        .sub = sub,
                        .frame = fixture_frame(&f->bin, list, number, 0)};
    worker_fixture_note(f, &note);
}

/* --- time ------------------------------------------------------------------------------------- */

void worker_fixture_turn(struct worker_fixture *f)
{
    worker_take_notes(f->worker, f->now_ms);
    while (worker_serve(f->worker, 100, f->now_ms)) continue;
    worker_tick(f->worker, f->now_ms);
}

void worker_fixture_pass(struct worker_fixture *f, int64_t ms)
{
    for (int64_t i = 0; i < ms; i++) {
        f->now_ms++;
        worker_fixture_turn(f);
    }
}
