/* Senders: each sends one message after the other, and repeats it with the same key until it knows
 * what became of it. */
#include <stdlib.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/error.h"
#include "sim/sim.h"

struct sim_sender {
    struct sim_actor actor;
    struct sim_room *room;
    struct sim_worker *worker;
    bool is_waiting; /* for a call to come home */
    uint64_t body;   /* of the message in hand */
    bool is_known;   /* what became of it; the next turn makes a new one */
    bool has_key;
    bool is_repeating; /* it was acknowledged, and is sent once more all the same */
    uint32_t burst;    /* messages to send without a pause */
    enum list_kind list;
};

static void next_turn(struct sim *sim, struct sim_sender *s, int64_t after_ms)
{
    sim_wake(sim, &s->actor, sim->now_ms + after_ms);
}

static struct check_send *record_of(struct sim *sim, const struct sim_sender *s)
{
    return &sim->sends[s->body];
}

static void make_message(struct sim *sim, struct sim_sender *s)
{
    if (sim->send_count == sim->send_cap) {
        sim->send_cap = sim->send_cap == 0 ? 256 : 2 * sim->send_cap;
        sim->sends = xrealloc(sim->sends, sim->send_cap * sizeof *sim->sends);
    }
    s->body = sim->send_count++;
    s->list = sim_happens(sim, sim->setup->high) ? LIST_HIGH : LIST_NORMAL;
    s->has_key = !sim_happens(sim, sim->setup->keyless);
    s->is_known = false;
    *record_of(sim, s) = (struct check_send){.list = s->list};
}

static void send(struct sim *sim, struct sim_sender *s)
{
    char body[24], key[32];
    snprintf(body, sizeof body, "%llu", (unsigned long long)s->body);
    snprintf(key, sizeof key, "key-%s", body);
    struct message message = {
        .list = s->list, .type = STR("text"), .from = STR("sender"), .body = str_of(body)};
    struct call *call = call_new(CALL_APPEND, str_of(s->room->name));
    call_set_message(call, &message, s->has_key ? str_of(key) : STR_NONE);
    call->no_user_rate = true;
    call->auto_create = true;
    call->origin = (uint64_t)(s - sim->senders);
    s->is_waiting = worker_call(s->worker->worker, call) == OK;
    if (!s->is_waiting) {
        call_free(call);
        next_turn(sim, s, 100);
    }
    sim_touch_worker(sim, s->worker);
}

static void run_sender(struct sim *sim, struct sim_actor *actor)
{
    struct sim_sender *s = CONTAINER_OF(actor, struct sim_sender, actor);
    if (sim_is_stalled(sim, s->worker)) {
        sim_wake(sim, actor, s->worker->stalled_until_ms);
        return;
    }
    if (s->is_waiting || (s->is_known && sim->is_settling)) return;
    if (s->is_known) make_message(sim, s);
    send(sim, s);
}

/* --- outcomes --------------------------------------------------------------------------------- */

static void know(struct sim *sim, struct sim_sender *s, enum check_outcome outcome, uint64_t id)
{
    struct check_send *record = record_of(sim, s);
    record->outcome = outcome;
    record->id = id;
    s->is_known = true;
    s->is_repeating = false;
    if (s->burst == 0 && sim_happens(sim, sim->setup->burst))
        s->burst = 20 + (uint32_t)sim_some(sim, 400);
    if (s->burst > 0) s->burst--;
    next_turn(sim, s, s->burst > 0 ? 0 : sim_some(sim, sim->setup->max_quiet_ms));
}

static void try_again(struct sim *sim, struct sim_sender *s, int64_t after_ms)
{
    if (sim_happens(sim, sim->setup->move)) s->worker = sim_some_worker(sim);
    next_turn(sim, s, 1 + after_ms);
}

static void on_stored(struct sim *sim, struct sim_sender *s, const struct call *call)
{
    struct check_send *record = record_of(sim, s);
    if (s->is_repeating && (!call->duplicate || call->id != record->id))
        sim_fail(sim, "a repeated message was not known again");
    if (!s->is_repeating && s->has_key && sim_happens(sim, sim->setup->impatient)) {
        record->id = call->id;
        s->is_repeating = true;
        try_again(sim, s, sim_some(sim, 2000));
        return;
    }
    know(sim, s, CHECK_STORED, call->id);
}

static void on_outcome(struct sim *sim, struct sim_sender *s, const struct call *call)
{
    s->is_waiting = false;
    if (call->err == OK)
        on_stored(sim, s, call);
    else if (call->err == ERR_STORE_UNAVAILABLE && !s->has_key)
        know(sim, s, CHECK_UNKNOWN, 0);
    else if (call->err == ERR_STORE_UNAVAILABLE || call->err == ERR_OVERLOADED)
        try_again(sim, s, call->retry_after_ms);
    else if (call->err == ERR_ROOM_RATE && sim_happens(sim, 0.5))
        try_again(sim, s, call->retry_after_ms);
    else if (call->err == ERR_ROOM_RATE)
        know(sim, s, CHECK_REFUSED, 0);
    else
        sim_fail(sim, "a message was refused for no reason");
}

void sim_sender_on_call(struct sim *sim, struct call *call)
{
    if (call->kind == CALL_APPEND) on_outcome(sim, &sim->senders[call->origin], call);
    call_free(call);
}

/* --- all of them ------------------------------------------------------------------------------ */

void sim_senders_start(struct sim *sim)
{
    const struct sim_setup *setup = sim->setup;
    sim->senders = xcalloc(setup->senders, sizeof *sim->senders);
    for (uint32_t i = 0; i < setup->senders; i++) {
        struct sim_sender *s = &sim->senders[i];
        s->room = &sim->rooms[rng_below(&sim->rng, setup->rooms)];
        s->worker = sim_some_worker(sim);
        s->is_known = true;
        s->actor.run = run_sender;
        timer_init(&s->actor.timer);
        next_turn(sim, s, sim_some(sim, setup->max_quiet_ms));
    }
}

void sim_senders_free(struct sim *sim)
{
    free(sim->senders);
}

bool sim_senders_are_done(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->setup->senders; i++)
        if (!sim->senders[i].is_known) return false;
    return true;
}
