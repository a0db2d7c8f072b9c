#include "unit/core_hub_fixture.h"

#include <stdlib.h>

#include "base/alloc.h"

static int setup(void **state, bool counting, bool is_shared, const struct hub_nodes_config *nodes)
{
    struct hub_fixture *f = xcalloc(1, sizeof *f);
    struct hub_config config = {.workers = HUB_WORKERS,
                                .seed = 1,
                                .hash_key = {1, 2},
                                .counting = counting,
                                .node = "here"};

    if (nodes != NULL) config.nodes = *nodes;

    f->now_ms = FIXTURE_START_MS;
    for (int i = 0; i < HUB_WORKERS; i++) {
        config.notes[i] = f->notes[i] = queue_new(sizeof(struct note), LIMIT_NOTES_PER_WORKER);
        list_init(&f->heard[i].calls);
    }
    f->hub = hub_new(&config, f->now_ms);
    f->config = config;
    hub_store_env(f->hub, &f->store_config.env);
    f->stub = stub_store_new(&f->store_config);
    f->stub->store.is_shared = is_shared;
    hub_set_store(f->hub, &f->stub->store);
    *state = f;
    return 0;
}

int hub_fixture_setup(void **state)
{
    return setup(state, false, false, NULL);
}

int hub_fixture_setup_counting(void **state)
{
    return setup(state, true, false, NULL);
}

int hub_fixture_setup_shared(void **state)
{
    return setup(state, true, true, NULL);
}

int hub_fixture_setup_nodes(void **state, const struct hub_nodes_config *nodes)
{
    return setup(state, false, false, nodes);
}

/* As at the end of the process: the store first, then what waits in the queues, then the hub. */
int hub_fixture_teardown(void **state)
{
    struct hub_fixture *f = *state;
    struct list *node;

    store_close(&f->stub->store);
    for (uint16_t i = 0; i < HUB_WORKERS; i++) {
        hub_listen(f, i);
        queue_free(f->notes[i]);
        while ((node = list_take(&f->heard[i].calls)) != NULL)
            call_free(CONTAINER_OF(node, struct call, node));
    }
    hub_free(f->hub);
    free(f);
    return 0;
}

void hub_pass(struct hub_fixture *f, int64_t ms)
{
    for (int64_t i = 0; i <= ms; i++) {
        if (i > 0) f->now_ms++;
        hub_tick(f->hub, f->now_ms);
    }
}

static void hear(struct hub_heard *heard, struct note *note)
{
    switch (note->kind) {
    case NOTE_CALL: list_push(&heard->calls, &note->call->node); break;
    case NOTE_FRAME:
        if (note->list == LIST_HIGH)
            heard->high[heard->highs++] = note->frame->id;
        else
            heard->normal[heard->normals++] = note->frame->id;
        break;
    case NOTE_RESTART:
        heard->restarts++;
        heard->restart = note->position;
        break;
    case NOTE_ONLINE:
        if (note->sub == 0) break; /* of a clog */
        heard->onlines++;
        heard->online = note->count;
        break;
    case NOTE_RECORD:
        heard->records++;
        heard->record = *note->record;
        break;
    case NOTE_LEAVE_AHEAD: heard->leaves_ahead++; break;
    case NOTE_LEAVE:
        heard->leaves++;
        str_copy(str_of(note->user), heard->left, sizeof heard->left);
        break;
    }
    note_drop(note);
}

void hub_listen(struct hub_fixture *f, uint16_t worker)
{
    struct note note;
    while (queue_pop(f->notes[worker], &note)) hear(&f->heard[worker], &note);
}

void hub_clog(struct hub_fixture *f, uint16_t worker, size_t left)
{
    struct note nobodys = {.kind = NOTE_ONLINE};
    while (queue_space(f->notes[worker]) > LIMIT_CALLS_PER_WORKER + left)
        assert_true(queue_push(f->notes[worker], &nobodys));
}

struct call *hub_make_call(enum call_kind kind, uint16_t worker)
{
    struct call *call = call_new(kind, ROOM);
    call->worker = worker;
    call->sub = 100u + worker;
    return call;
}

struct call *hub_round_trip(struct hub_fixture *f, struct call *call)
{
    struct hub_heard *heard = &f->heard[call->worker];
    hub_call(f->hub, call, f->now_ms);
    for (int turns = 0; turns < 20; turns++) {
        hub_listen(f, call->worker);
        LIST_FOREACH (node, &heard->calls) {
            if (CONTAINER_OF(node, struct call, node) != call) continue;
            list_remove(node);
            return call;
        }
        hub_pass(f, 0);
    }
    fail_msg("a call of kind %d has not come home", (int)call->kind);
    return NULL;
}

int hub_do(struct hub_fixture *f, struct call *call)
{
    call = hub_round_trip(f, call);
    int err = call->err;
    call_free(call);
    return err;
}

void hub_create_room(struct hub_fixture *f)
{
    struct call *put = hub_make_call(CALL_ROOM_PUT, 0);
    put->patch.normal_per_s = put->patch.high_per_s = true; /* to 0: no quota */
    assert_int_equal(hub_do(f, put), OK);
}

void hub_subscribe(struct hub_fixture *f, uint16_t worker)
{
    assert_int_equal(hub_do(f, hub_make_call(CALL_SUBSCRIBE, worker)), OK);
    hub_listen(f, worker);
}

struct call *hub_make_append(const char *user, enum list_kind list, const char *body)
{
    struct message message = {
        .list = list, .type = STR("text"), .from = str_of(user), .body = str_of(body)};
    struct call *call = hub_make_call(CALL_APPEND, 0);
    call_set_message(call, &message, STR_NONE);
    call->user_per_s = 2;
    call->user_burst = 5;
    return call;
}

uint64_t hub_append(struct hub_fixture *f, enum list_kind list)
{
    struct call *call = hub_make_append("back-end", list, "1");
    call->no_user_rate = true;
    call = hub_round_trip(f, call);
    assert_int_equal(call->err, OK);
    uint64_t id = call->id;
    call_free(call);
    return id;
}

void hub_tell(struct hub_fixture *f, uint16_t worker, enum presence_event event, const char *user)
{
    struct call *call = hub_make_call(CALL_PRESENCE, worker);
    presence_write(&call->text, event, str_of(user));
    assert_int_equal(hub_do(f, call), OK);
    for (uint16_t i = 0; i < HUB_WORKERS; i++) hub_listen(f, i);
}

void hub_tell_presence(struct hub_fixture *f, bool came, const char *user)
{
    struct call *call = hub_make_call(CALL_PRESENCE, 0);
    presence_write(&call->text, came ? PRESENCE_CAME : PRESENCE_LEFT, str_of(user));
    assert_int_equal(hub_do(f, call), OK);
}

static void expect_stored(void *arg, int err, const struct store_appended *appended)
{
    assert_int_equal(err, OK);
}

void hub_append_body(struct hub_fixture *f, enum list_kind list, struct str body)
{
    struct store_append append = {.room = ROOM,
                                  .message = {.list = list, .type = STR("text"), .body = body},
                                  .now_ms = f->now_ms};
    assert_int_equal(store_append(f->stub->inner, &append, expect_stored, NULL), OK);
    hub_pass(f, 0);
}

void hub_append_elsewhere(struct hub_fixture *f, enum list_kind list)
{
    hub_append_body(f, list, STR("1"));
}

void hub_come(struct hub_fixture *f, int from, int to)
{
    struct call *call = hub_make_call(CALL_PRESENCE, 0);
    char user[16];
    for (int i = from; i < to; i++) {
        snprintf(user, sizeof user, "u%d", i);
        presence_write(&call->text, PRESENCE_CAME, str_of(user));
    }
    assert_int_equal(hub_do(f, call), OK);
}

struct call *hub_make_leave(const char *user)
{
    struct message message = {.from = str_of(user)};
    struct call *call = hub_make_call(CALL_LEAVE, 0);
    call_set_message(call, &message, STR_NONE);
    return call;
}

static void expect_made(void *arg, int err, const struct room_record *record, bool created)
{
    assert_int_equal(err, OK);
    assert_true(created);
}

void hub_create_elsewhere(struct hub_fixture *f, const struct store_tail known[LIST_KINDS])
{
    struct store_room_put put = {
        .room = ROOM, .only_new = true, .settings = room_settings_default(), .now_ms = f->now_ms};
    put.settings.normal_per_s = put.settings.high_per_s = 0;
    for (int list = 0; known != NULL && list < LIST_KINDS; list++) put.known[list] = known[list];
    assert_int_equal(store_room_put(f->stub->inner, &put, expect_made, NULL), OK);
    store_dispatch(f->stub->inner, f->now_ms);
}
