/* A call on its way: packed once, sent to a node, said again when that is lost, answered, and told
 * to the hub in the next dispatch. */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "store/link_internal.h"

static uint32_t users_of(const struct link_request *request)
{
    if (request->verb == LINK_VIEWERS_ADD) return (uint32_t)request->viewers_add.count;
    if (request->verb == LINK_PRESENCE_PUT) return (uint32_t)request->presence_put.count;
    return 0;
}

/* --- start ----------------------------------------------------------------------------------- */

static bool is_full(const struct link_store *l)
{
    return l->calls.count >= LIMIT_LINK_CALLS_OUT || l->call_bytes >= LIMIT_LINK_CALLS_BYTES;
}

/* An append without a key could not be said again: it gets one. */
static bool give_key(struct link_store *l, struct link_request *request, char *text, size_t cap)
{
    if (request->verb != LINK_APPEND || request->append.key.len > 0) return false;
    int len = snprintf(text, cap, "%s%llx", l->key_prefix, (unsigned long long)l->keys++);
    request->append.key = str_make(text, (size_t)len);
    return true;
}

static struct link_call *call_new(struct link_store *l, struct link_request *request)
{
    struct link_call *call = xcalloc(1, sizeof(*call));
    char key[LIMIT_IDEMPOTENCY_KEY + 1];

    list_init(&call->event.node);
    call->event.kind = LINK_EVENT_CALL;
    call->id = slots_add(&l->calls, call);
    call->verb = request->verb;
    call->count = users_of(request);
    call->has_own_key = give_key(l, request, key, sizeof(key));
    if (!link_request_write(&call->bytes, call->id, request)) {
        slots_remove(&l->calls, call->id);
        free(call);
        return NULL;
    }
    l->call_bytes += call->bytes.len;
    if (request->room.len > 0) {
        call->room = link_room_enter(l, request->room);
        call->room->calls++;
    }
    return call;
}

int link_call_start(struct link_store *l, struct link_request *request, union link_cb cb, void *arg)
{
    struct link_call *call = l->is_closing || is_full(l) ? NULL : call_new(l, request);

    if (call == NULL) {
        counter_add(&l->stats.overloads, 1);
        return ERR_OVERLOADED;
    }
    call->cb = cb;
    call->arg = arg;
    call->is_own = arg == l;
    link_call_send(l, call);
    return OK;
}

void link_call_free(struct link_store *l, struct link_call *call)
{
    list_remove(&call->event.node);
    slots_remove(&l->calls, call->id);
    l->call_bytes -= call->bytes.len;
    if (call->room != NULL) {
        call->room->calls--;
        link_room_leave(l, call->room);
    }
    link_packet_free(call->answer);
    buf_deinit(&call->bytes);
    free(call);
}

/* --- sending --------------------------------------------------------------------------------- */

static void wait_for_node(struct link_store *l, struct link_call *call)
{
    if (call->hold_until_ms == 0) {
        call->hold_until_ms = uv_now(l->peer_setup.loop) + LINK_HOLD_MS;
        counter_add(&l->metrics.edge_calls_held_total, !call->is_own);
    }
    list_push(&l->unsent, &call->event.node);
}

/* Appends of a room are at one node at a time. */
static bool has_to_be_held(const struct link_room *room)
{
    return !list_is_empty(&room->held) || (room->appends > 0 && room->append_peer != room->peer);
}

static void send_to(struct link_store *l, struct link_call *call, struct link_peer *peer)
{
    call->peer = peer;
    call->hold_until_ms = 0;
    list_push(&peer->calls, &call->event.node);
    peer->call_count++;
    buf_add_str(&peer->out, buf_str(&call->bytes));
    if (call->verb == LINK_APPEND) {
        call->room->appends++;
        call->room->append_peer = peer;
    }
    if (!l->is_dirty) link_wake(l);
    l->is_dirty = true;
}

void link_call_send(struct link_store *l, struct link_call *call)
{
    struct link_room *room = call->room;
    struct link_peer *peer = room != NULL ? room->peer : link_find_peer(l, STR_NONE);

    if (peer == NULL) {
        wait_for_node(l, call);
    } else if (call->verb == LINK_APPEND && has_to_be_held(room)) {
        counter_add(&l->metrics.edge_appends_held_total, 1);
        list_push(&room->held, &call->event.node);
    } else {
        send_to(l, call, peer);
    }
}

/* --- answers --------------------------------------------------------------------------------- */

/* It is under way no more. */
static void leave_peer(struct link_call *call)
{
    list_remove(&call->event.node);
    if (call->peer == NULL) return;
    call->peer->call_count--;
    call->peer = NULL;
    if (call->verb == LINK_APPEND) call->room->appends--;
}

void link_call_answered(struct link_store *l, struct link_call *call, Link__Packet *answer, int err)
{
    bool was_append = call->peer != NULL && call->verb == LINK_APPEND;

    leave_peer(call);
    call->answer = answer;
    call->err = err;
    if (list_is_empty(&l->inbox)) link_wake(l);
    list_push(&l->inbox, &call->event.node);
    if (was_append) link_room_let_go(l, call->room);
}

/* Whether it does no harm to carry it out twice. */
static bool is_repeatable(const struct link_call *call)
{
    return call->verb != LINK_ROOM_PUT;
}

/* Before those of the same room that were held behind it. */
static void say_again(struct link_store *l, struct link_call *call)
{
    struct link_peer *peer = call->room != NULL ? call->room->peer : link_find_peer(l, STR_NONE);

    counter_add(&l->metrics.edge_calls_repeated_total, 1);
    if (peer == NULL)
        wait_for_node(l, call);
    else
        send_to(l, call, peer);
}

void link_calls_lost(struct link_store *l, struct link_peer *peer)
{
    struct list lost;

    list_init(&lost);
    /* All have to have left before one is sent: appends of a room are at one node at a time. */
    while (!list_is_empty(&peer->calls)) {
        struct link_call *call = CONTAINER_OF(peer->calls.next, struct link_call, event.node);
        leave_peer(call);
        if (is_repeatable(call))
            list_push(&lost, &call->event.node);
        else
            link_call_answered(l, call, NULL, ERR_STORE_UNAVAILABLE);
    }
    for (struct list *node; (node = list_take(&lost)) != NULL;)
        say_again(l, CONTAINER_OF(node, struct link_call, event.node));
}

/* --- callbacks ------------------------------------------------------------------------------- */

static void count(struct link_store *l, const struct link_call *call,
                  const struct link_answer *answer)
{
    struct store_stats *stats = &l->stats;

    if (answer->err == ERR_STORE_UNAVAILABLE) counter_add(&stats->failures, 1);
    switch (call->verb) {
    case LINK_APPEND:
        if (answer->err == OK)
            counter_add(answer->appended.duplicate ? &stats->duplicates : &stats->appends, 1);
        else if (answer->err != ERR_STORE_UNAVAILABLE)
            counter_add(&stats->refused, 1);
        return;
    case LINK_READ:
    case LINK_ROOM_GET:
    case LINK_ROOM_LIST:
    case LINK_VIEWERS_COUNT:
    case LINK_SAMPLE_RANGE:
    case LINK_PRESENCE_COUNT:
    case LINK_PRESENCE_PAGE: counter_add(&stats->reads, 1); return;
    case LINK_VIEWERS_ADD:
        counter_add(&stats->viewers, answer->err == OK ? call->count : 0);
        return;
    case LINK_VIEWERS_MERGE: counter_add(&stats->sketches, answer->err == OK); return;
    case LINK_SAMPLE_PUT: counter_add(&stats->samples, answer->err == OK); return;
    case LINK_PRESENCE_PUT:
        counter_add(&stats->presences, answer->err == OK ? call->count : 0);
        return;
    case LINK_ROOM_PUT:
    case LINK_STORE_PING:
    case LINK_NODE_BEAT:
    case LINK_ROUTES_GET:
    case LINK_ROUTE_PUT:
    case LINK_LEASE: return;
    }
}

static void fire_routes(const struct link_call *call, const struct link_answer *a)
{
    bool has_news = a->err == OK && a->routes.version != 0;

    call->cb.routes(call->arg, a->err, has_news ? &a->routes : NULL);
}

static void fire_append(const struct link_call *call, struct link_answer *a)
{
    /* Whoever gave no key does not ask whether it was known. */
    if (call->has_own_key) a->appended.duplicate = false;
    call->cb.append(call->arg, a->err, &a->appended);
}

static void fire(const struct link_call *call, struct link_answer *a)
{
    bool is_ok = a->err == OK;

    switch (call->verb) {
    case LINK_APPEND: fire_append(call, a); return;
    case LINK_READ: call->cb.read(call->arg, a->err, is_ok ? &a->range : NULL); return;
    case LINK_ROOM_PUT:
    case LINK_ROOM_GET:
        call->cb.room(call->arg, a->err, is_ok ? &a->room.record : NULL, is_ok && a->room.created);
        return;
    case LINK_ROOM_LIST:
        call->cb.list(call->arg, a->err, a->page.count > 0 ? a->page.items : NULL, a->page.count,
                      a->page.more);
        return;
    case LINK_VIEWERS_ADD:
    case LINK_VIEWERS_MERGE:
    case LINK_VIEWERS_COUNT:
        call->cb.viewers(call->arg, a->err, is_ok ? &a->viewers : NULL);
        return;
    case LINK_SAMPLE_RANGE:
        call->cb.samples(call->arg, a->err, a->samples.count > 0 ? a->samples.samples : NULL,
                         a->samples.count, a->samples.more);
        return;
    case LINK_PRESENCE_COUNT:
        call->cb.online(call->arg, a->err, a->online.online, a->online.as_of_ms);
        return;
    case LINK_PRESENCE_PAGE:
        call->cb.presence(call->arg, a->err, is_ok ? &a->presence : NULL);
        return;
    case LINK_ROUTES_GET: fire_routes(call, a); return;
    case LINK_LEASE: call->cb.lease(call->arg, a->err, is_ok && a->is_held); return;
    case LINK_STORE_PING:
    case LINK_SAMPLE_PUT:
    case LINK_PRESENCE_PUT:
    case LINK_NODE_BEAT:
    case LINK_ROUTE_PUT: call->cb.done(call->arg, a->err); return;
    }
}

void link_call_finish(struct link_store *l, struct link_call *call)
{
    struct link_answer answer = {.verb = call->verb, .err = call->err};

    if (call->answer != NULL) link_answer_read(call->answer, call->verb, &answer);
    /* Whatever cannot be read leaves nothing behind in the other members. */
    if (answer.err != OK && call->verb != LINK_APPEND) {
        link_answer_deinit(&answer);
        answer = (struct link_answer){.verb = call->verb, .err = answer.err};
    }
    if (!call->is_own) count(l, call, &answer);
    fire(call, &answer);
    link_answer_deinit(&answer);
    link_call_free(l, call);
}
