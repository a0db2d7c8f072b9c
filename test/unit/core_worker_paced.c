#include "unit/core_worker_paced.h"

struct paced_room paced_open(void **state)
{
    struct paced_room room = {.f = *state, .high = PACED_HIGH, .normal = PACED_NORMAL};
    struct cursor none = worker_fixture_cursor(ROOM, 0, 0);
    worker_fixture_pace(room.f, "1:2000");
    uint64_t waiter = worker_fixture_poll(room.f, 0, "", &none);
    room.sub = worker_fixture_ready(room.f, PACED_HIGH, PACED_NORMAL);
    worker_cancel(room.f->worker, waiter, room.f->now_ms);
    struct note online = {.kind = NOTE_ONLINE, .sub = room.sub, .count = 100};
    worker_fixture_note(room.f, &online);
    worker_fixture_turn(room.f);
    return room;
}

struct worker_room *paced_copy(const struct paced_room *room)
{
    return slots_get(&room->f->worker->room_handles, room->sub);
}

const struct worker_metrics *paced_metrics(const struct paced_room *room)
{
    return worker_metrics(room->f->worker);
}

uint64_t paced_poll_at(struct paced_room *room, const char *user, uint64_t high, uint64_t normal,
                       int64_t at_ms)
{
    struct cursor cursor = worker_fixture_cursor(ROOM, high, normal);
    cursor.at_ms = at_ms;
    worker_fixture_poll(room->f, ++room->exchange, user, &cursor);
    return room->exchange;
}

uint64_t paced_poll(struct paced_room *room, const char *user)
{
    return paced_poll_at(room, user, room->high, room->normal, room->f->now_ms);
}

void paced_tell(struct paced_room *room, enum list_kind list)
{
    uint64_t number = list == LIST_HIGH ? ++room->high : ++room->normal;
    worker_fixture_news(room->f, room->sub, list, number);
}

bool paced_is_answered(const struct paced_room *room, uint64_t exchange)
{
    return worker_fixture_outcome(room->f, exchange) == 1;
}

void paced_pass(struct paced_room *room, int64_t ms)
{
    worker_fixture_pass(room->f, ms);
}

int64_t paced_wait(struct paced_room *room, uint64_t exchange)
{
    int64_t began_ms = room->f->now_ms;
    while (worker_fixture_outcome(room->f, exchange) == 0 && room->f->now_ms < began_ms + 60000)
        paced_pass(room, 1);
    return room->f->now_ms - began_ms;
}
