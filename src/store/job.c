#include "store/job.h"

#include "base/alloc.h"
#include "base/assert.h"

/* Zeroed, with room for the strings behind it. */
static void *job_alloc(enum job_kind kind, size_t struct_bytes, size_t string_bytes)
{
    struct job *job = xcalloc(1, struct_bytes + string_bytes);
    list_init(&job->node);
    job->kind = kind;
    job->size_bytes = struct_bytes + string_bytes;
    return job;
}

/* Moves a borrowed string to *at, and *at behind it. */
static void own(struct str *s, char **at)
{
    if (s->len == 0) {
        *s = STR_NONE;
        return;
    }
    memcpy(*at, s->ptr, s->len);
    s->ptr = *at;
    *at += s->len;
}

static size_t message_bytes(const struct message *m)
{
    return m->type.len + m->from.len + m->name.len + m->body.len;
}

static void own_message(struct message *m, char **at)
{
    own(&m->type, at);
    own(&m->from, at);
    own(&m->name, at);
    own(&m->body, at);
    m->id = m->prev = m->ordinal = 0;
}

struct append_job *append_job_new(const struct store_append *in, store_append_cb *cb, void *arg)
{
    size_t bytes = in->room.len + in->key.len + message_bytes(&in->message);
    struct append_job *job = job_alloc(JOB_APPEND, sizeof(*job), bytes);
    char *at = job->bytes;

    job->in = *in;
    own(&job->in.room, &at);
    own(&job->in.key, &at);
    own_message(&job->in.message, &at);
    job->cb = cb;
    job->arg = arg;
    return job;
}

struct read_job *read_job_new(const struct store_read *in, store_read_cb *cb, void *arg)
{
    struct read_job *job = job_alloc(JOB_READ, sizeof(*job), in->room.len);
    char *at = job->bytes;

    job->in = *in;
    own(&job->in.room, &at);
    job->cb = cb;
    job->arg = arg;
    return job;
}

struct room_job *room_put_job_new(const struct store_room_put *in, store_room_cb *cb, void *arg)
{
    size_t bytes = in->room.len + message_bytes(&in->control);
    struct room_job *job = job_alloc(JOB_ROOM_PUT, sizeof(*job), bytes);
    char *at = job->bytes;

    job->in = *in;
    own(&job->in.room, &at);
    own_message(&job->in.control, &at);
    job->in.control.list = LIST_HIGH;
    job->cb = cb;
    job->arg = arg;
    return job;
}

struct room_job *room_get_job_new(struct str room, store_room_cb *cb, void *arg)
{
    struct room_job *job = job_alloc(JOB_ROOM_GET, sizeof(*job), room.len);
    char *at = job->bytes;

    job->in.room = room;
    own(&job->in.room, &at);
    job->cb = cb;
    job->arg = arg;
    return job;
}

struct list_job *list_job_new(struct str app, struct str after, uint32_t limit, store_list_cb *cb,
                              void *arg)
{
    struct list_job *job = job_alloc(JOB_ROOM_LIST, sizeof(*job), app.len + after.len);
    char *at = job->bytes;

    job->app = app;
    job->after = after;
    own(&job->app, &at);
    own(&job->after, &at);
    job->limit = limit;
    job->cb = cb;
    job->arg = arg;
    return job;
}

struct ping_job *ping_job_new(store_ping_cb *cb, void *arg)
{
    struct ping_job *job = job_alloc(JOB_PING, sizeof(*job), 0);
    job->cb = cb;
    job->arg = arg;
    return job;
}

/* *ret_at: where the strings go. */
static struct viewers_job *viewers_job_new(enum job_kind kind, size_t count, size_t string_bytes,
                                           char **ret_at)
{
    size_t array_bytes = count * sizeof(struct str);
    struct viewers_job *job = job_alloc(kind, sizeof(*job), array_bytes + string_bytes);

    job->count = count;
    *ret_at = (char *)job->users + array_bytes;
    return job;
}

struct viewers_job *viewers_add_job_new(const struct store_viewers_add *in, store_viewers_cb *cb,
                                        void *arg)
{
    size_t bytes = in->room.len;
    char *at;

    ASSERT(in->bucket_ms > 0 && in->count > 0 && in->count <= STORE_VIEWERS_MAX);
    for (size_t i = 0; i < in->count; i++) bytes += in->users[i].len;
    struct viewers_job *job = viewers_job_new(JOB_VIEWERS_ADD, in->count, bytes, &at);
    job->room = in->room;
    own(&job->room, &at);
    for (size_t i = 0; i < in->count; i++) {
        job->users[i] = in->users[i];
        own(&job->users[i], &at);
    }
    job->bucket_ms = in->bucket_ms;
    job->cb = cb;
    job->arg = arg;
    return job;
}

struct viewers_job *viewers_merge_job_new(const struct store_viewers_merge *in,
                                          store_viewers_cb *cb, void *arg)
{
    char *at;

    ASSERT(in->bucket_ms > 0);
    struct viewers_job *job =
        viewers_job_new(JOB_VIEWERS_MERGE, 0, in->room.len + in->sketch.len, &at);
    job->room = in->room;
    job->sketch = in->sketch;
    own(&job->room, &at);
    own(&job->sketch, &at);
    job->bucket_ms = in->bucket_ms;
    job->cb = cb;
    job->arg = arg;
    return job;
}

struct viewers_job *viewers_count_job_new(const struct store_viewers_count *in,
                                          store_viewers_cb *cb, void *arg)
{
    char *at;
    struct viewers_job *job = viewers_job_new(JOB_VIEWERS_COUNT, 0, in->room.len, &at);

    job->room = in->room;
    own(&job->room, &at);
    job->from_ms = job->at_ms = viewers_bucket(in->from_ms);
    job->to_ms = in->to_ms;
    job->cb = cb;
    job->arg = arg;
    return job;
}

struct sample_job *sample_job_new(const struct store_sample_put *in, store_sample_cb *cb, void *arg)
{
    struct sample_job *job = job_alloc(JOB_SAMPLE_PUT, sizeof(*job), in->room.len + in->node.len);
    char *at = job->bytes;

    job->in = *in;
    own(&job->in.room, &at);
    own(&job->in.node, &at);
    job->cb = cb;
    job->arg = arg;
    return job;
}

struct samples_job *samples_job_new(const struct store_sample_range *in, store_samples_cb *cb,
                                    void *arg)
{
    struct samples_job *job = job_alloc(JOB_SAMPLE_RANGE, sizeof(*job), in->room.len);
    char *at = job->bytes;

    ASSERT(in->step_ms > 0);
    job->in = *in;
    own(&job->in.room, &at);
    job->cb = cb;
    job->arg = arg;
    return job;
}

static size_t presents_bytes(const struct store_presence_put *in)
{
    size_t bytes = 0;

    for (size_t i = 0; i < in->count; i++) bytes += in->users[i].user.len;
    return bytes;
}

struct presence_put_job *presence_put_job_new(const struct store_presence_put *in,
                                              store_presence_put_cb *cb, void *arg)
{
    size_t array_bytes = in->count * sizeof(struct store_present);
    size_t bytes = array_bytes + in->room.len + in->node.len + presents_bytes(in);

    ASSERT(in->count > 0 && in->count <= STORE_PRESENCE_MAX);
    ASSERT(in->node.len <= LIMIT_NODE_NAME);
    struct presence_put_job *job = job_alloc(JOB_PRESENCE_PUT, sizeof(*job), bytes);
    char *at = (char *)job->users + array_bytes;
    job->in = *in;
    own(&job->in.room, &at);
    own(&job->in.node, &at);
    for (size_t i = 0; i < in->count; i++) {
        job->users[i] = in->users[i];
        own(&job->users[i].user, &at);
    }
    job->in.users = job->users;
    job->cb = cb;
    job->arg = arg;
    return job;
}

static struct presence_job *presence_job_new(enum job_kind kind,
                                             const struct store_presence_query *in, void *arg)
{
    size_t bytes = in->room.len + in->after.len + in->prefix.len;
    struct presence_job *job = job_alloc(kind, sizeof(*job), bytes);
    char *at = job->bytes;

    job->in = *in;
    own(&job->in.room, &at);
    own(&job->in.after, &at);
    own(&job->in.prefix, &at);
    job->arg = arg;
    return job;
}

struct presence_job *presence_count_job_new(struct str room, int64_t now_ms,
                                            store_presence_count_cb *cb, void *arg)
{
    const struct store_presence_query in = {.room = room, .now_ms = now_ms};
    struct presence_job *job = presence_job_new(JOB_PRESENCE_COUNT, &in, arg);

    job->count_cb = cb;
    return job;
}

struct presence_job *presence_page_job_new(const struct store_presence_query *in,
                                           store_presence_page_cb *cb, void *arg)
{
    ASSERT(in->limit > 0 && in->limit <= STORE_PRESENCE_MAX);
    struct presence_job *job = presence_job_new(JOB_PRESENCE_PAGE, in, arg);

    job->page_cb = cb;
    return job;
}

struct beat_job *beat_job_new(const struct store_node_beat *in, store_done_cb *cb, void *arg)
{
    struct beat_job *job = job_alloc(JOB_NODE_BEAT, sizeof(*job), 0);

    ASSERT(in->node->name[0] != '\0');
    job->in = *in;
    job->node = *in->node;
    job->in.node = &job->node;
    job->cb = cb;
    job->arg = arg;
    return job;
}

struct routes_job *routes_job_new(const struct store_routes_get *in, store_routes_cb *cb, void *arg)
{
    struct routes_job *job = job_alloc(JOB_ROUTES_GET, sizeof(*job), 0);

    job->in = *in;
    job->cb = cb;
    job->arg = arg;
    return job;
}

struct route_job *route_job_new(const struct store_route_put *in, store_done_cb *cb, void *arg)
{
    struct route_job *job = job_alloc(JOB_ROUTE_PUT, sizeof(*job), in->room.len + in->sect.len);
    char *at = job->bytes;

    ASSERT(in->room.len > 0 && in->room.len <= LIMIT_ROOM_KEY && in->sect.len <= LIMIT_SECT);
    job->in = *in;
    own(&job->in.room, &at);
    own(&job->in.sect, &at);
    job->cb = cb;
    job->arg = arg;
    return job;
}

struct lease_job *lease_job_new(const struct store_lease *in, store_lease_cb *cb, void *arg)
{
    struct lease_job *job = job_alloc(JOB_LEASE, sizeof(*job), in->name.len + in->holder.len);
    char *at = job->bytes;

    ASSERT(in->name.len > 0 && in->name.len <= LIMIT_NODE_NAME);
    ASSERT(in->holder.len > 0 && in->holder.len <= LIMIT_NODE_NAME);
    job->in = *in;
    own(&job->in.name, &at);
    own(&job->in.holder, &at);
    job->cb = cb;
    job->arg = arg;
    return job;
}

struct news_job *news_job_new(struct str room, const struct message *message)
{
    struct news_job *job = job_alloc(JOB_NEWS, sizeof(*job), room.len + message_bytes(message));
    char *at = job->bytes;

    job->room = room;
    job->message = *message;
    own(&job->room, &at);
    own_message(&job->message, &at);
    job->message.id = message->id;
    job->message.prev = message->prev;
    job->message.ordinal = message->ordinal;
    return job;
}

void job_free(struct job *job)
{
    if (job == NULL) return;
    switch (job->kind) {
    case JOB_READ:
        free(job_read(job)->messages);
        arena_deinit(&job_read(job)->arena);
        break;
    case JOB_ROOM_LIST:
        free(job_list(job)->items);
        arena_deinit(&job_list(job)->arena);
        break;
    case JOB_VIEWERS_COUNT:
        if (job_viewers(job)->has_sum) viewers_deinit(&job_viewers(job)->sum);
        break;
    case JOB_SAMPLE_RANGE: free(job_samples(job)->samples); break;
    case JOB_PRESENCE_PAGE:
        free(job_presence(job)->users);
        arena_deinit(&job_presence(job)->arena);
        break;
    case JOB_ROUTES_GET: free(job_routes(job)->out); break;
    case JOB_APPEND:
    case JOB_ROOM_PUT:
    case JOB_ROOM_GET:
    case JOB_PING:
    case JOB_VIEWERS_ADD:
    case JOB_VIEWERS_MERGE:
    case JOB_SAMPLE_PUT:
    case JOB_PRESENCE_PUT:
    case JOB_PRESENCE_COUNT:
    case JOB_NODE_BEAT:
    case JOB_ROUTE_PUT:
    case JOB_LEASE:
    case JOB_NEWS: break;
    }
    free(job);
}

#define DOWNCAST(name, type, is_it)                                                                \
    struct type *name(struct job *job)                                                             \
    {                                                                                              \
        ASSERT(is_it);                                                                             \
        return CONTAINER_OF(job, struct type, job);                                                \
    }
DOWNCAST(job_append, append_job, job->kind == JOB_APPEND)
DOWNCAST(job_read, read_job, job->kind == JOB_READ)
DOWNCAST(job_room, room_job, job->kind == JOB_ROOM_PUT || job->kind == JOB_ROOM_GET)
DOWNCAST(job_list, list_job, job->kind == JOB_ROOM_LIST)
DOWNCAST(job_ping, ping_job, job->kind == JOB_PING)
DOWNCAST(job_viewers, viewers_job,
         job->kind == JOB_VIEWERS_ADD || job->kind == JOB_VIEWERS_MERGE ||
             job->kind == JOB_VIEWERS_COUNT)
DOWNCAST(job_sample, sample_job, job->kind == JOB_SAMPLE_PUT)
DOWNCAST(job_samples, samples_job, job->kind == JOB_SAMPLE_RANGE)
DOWNCAST(job_presence_put, presence_put_job, job->kind == JOB_PRESENCE_PUT)
DOWNCAST(job_presence, presence_job,
         job->kind == JOB_PRESENCE_COUNT || job->kind == JOB_PRESENCE_PAGE)
DOWNCAST(job_beat, beat_job, job->kind == JOB_NODE_BEAT)
DOWNCAST(job_routes, routes_job, job->kind == JOB_ROUTES_GET)
DOWNCAST(job_route, route_job, job->kind == JOB_ROUTE_PUT)
DOWNCAST(job_lease, lease_job, job->kind == JOB_LEASE)
DOWNCAST(job_news, news_job, job->kind == JOB_NEWS)
#undef DOWNCAST

/* The caller's limit bounds the answer, so the array may double until it fits. */
static void *grown(void *array, size_t *cap, size_t count, size_t item_bytes)
{
    if (count < *cap) return array;
    *cap = *cap == 0 ? 16 : *cap * 2;
    return xrealloc(array, *cap * item_bytes);
}

bool read_job_add(struct read_job *job, const struct message *message)
{
    struct store_range *out = &job->out;
    bool is_full =
        out->count > 0 && job->arena.used_bytes + message_bytes(message) > JOB_RANGE_BYTES;

    if (out->count >= job->in.limit || is_full) {
        out->more = true;
        return false;
    }
    job->messages = grown(job->messages, &job->cap, out->count, sizeof(*job->messages));
    struct message *copy = &job->messages[out->count++];
    *copy = *message;
    copy->type = arena_copy(&job->arena, message->type);
    copy->from = arena_copy(&job->arena, message->from);
    copy->name = arena_copy(&job->arena, message->name);
    copy->body = arena_copy(&job->arena, message->body);
    return true;
}

void read_job_seal(struct read_job *job)
{
    size_t count = job->out.count;

    job->out.messages = job->messages;
    if (job->in.direction == STORE_AFTER) return;
    for (size_t i = 0; i < count / 2; i++) {
        struct message other = job->messages[i];
        job->messages[i] = job->messages[count - 1 - i];
        job->messages[count - 1 - i] = other;
    }
}

bool list_job_add(struct list_job *job, struct str room, const struct room_record *record)
{
    if (job->count >= job->limit) {
        job->more = true;
        return false;
    }
    job->items = grown(job->items, &job->cap, job->count, sizeof(*job->items));
    job->items[job->count++] = (struct store_room_item){
        .room = arena_copy(&job->arena, room),
        .record = *record,
    };
    return true;
}

bool samples_job_add(struct samples_job *job, const struct sample *sample)
{
    int64_t step_ms = sample_step(sample->at_ms, job->in.step_ms);
    struct sample *last = job->count > 0 ? &job->samples[job->count - 1] : NULL;

    if (last != NULL && sample_step(last->at_ms, job->in.step_ms) == step_ms) {
        sample_merge(last, sample);
        return true;
    }
    if (job->count >= job->in.limit) {
        job->more = true;
        return false;
    }
    job->samples = grown(job->samples, &job->cap, job->count, sizeof(*job->samples));
    job->samples[job->count++] = *sample;
    return true;
}

void presence_job_add(struct presence_job *job, const struct store_present *user)
{
    struct store_presence_page *out = &job->out;

    ASSERT(out->count < job->in.limit);
    job->users = grown(job->users, &job->cap, out->count, sizeof(*job->users));
    job->users[out->count] = *user;
    job->users[out->count++].user = arena_copy(&job->arena, user->user);
    out->users = job->users;
}

void presence_job_end(struct presence_job *job, struct str last)
{
    job->out.more = true;
    job->out.last = arena_copy(&job->arena, last);
}
