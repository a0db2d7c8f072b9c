/* Appends: gathered per room and list while one call of them is under way, then sent together. */
#include "base/alloc.h"
#include "base/error.h"
#include "store/redis_bytes.h"
#include "store/redis_store.h"

#define BATCH_MAX   128 /* messages of one call */
#define BATCH_BYTES ((size_t)256 * 1024)

/* What the function says of a message. */
enum append_code {
    APPEND_STORED,
    APPEND_KNOWN, /* by its key */
    APPEND_RATE,  /* the id is how many milliseconds to wait */
    APPEND_CLOSED,
    APPEND_UNKNOWN, /* only_known */
};

struct redis_batch {
    struct redis_flight flight;
    struct redis_room *room;
    enum list_kind list;
    struct list jobs;
    uint64_t sent_us;
};

static void be_ready(struct redis_store *s, struct redis_queue *queue)
{
    if (list_is_empty(&queue->jobs) || queue->is_flying || list_is_linked(&queue->ready)) return;
    if (list_is_empty(&s->ready) && s->front.env.wake != NULL && !s->is_closing)
        s->front.env.wake(s->front.env.wake_arg);
    list_push(&s->ready, &queue->ready);
}

int redis_append(struct store *store, const struct store_append *in, store_append_cb *cb, void *arg)
{
    struct redis_store *s = CONTAINER_OF(store, struct redis_store, store);
    struct append_job *job = append_job_new(in, cb, arg);

    int err = redis_start(s, &job->job);
    if (err != 0) return err;
    struct redis_room *room = redis_room(s, in->room);
    struct redis_queue *queue = &room->queues[in->message.list];
    redis_touch(s, room);
    list_push(&queue->jobs, &job->job.node);
    be_ready(s, queue);
    return 0;
}

/* --- the answer ------------------------------------------------------------------------------ */

static int take_stored(struct append_job *job, const struct store_appended *appended)
{
    job->out = *appended;
    job->in.message.id = appended->id;
    job->in.message.prev = appended->prev;
    job->in.message.ordinal = appended->ordinal;
    return 0;
}

static int take_answer(struct append_job *job, struct redis_bytes *reply)
{
    uint64_t code = bytes_u(reply, 1);
    struct redis_bytes wait = *reply;
    struct store_appended appended = {.id = bytes_id(reply), .prev = bytes_id(reply)};

    appended.ordinal = bytes_u(reply, 8);
    if (reply->is_broken) return ERR_STORE_UNAVAILABLE;
    switch (code) {
    case APPEND_KNOWN: appended.duplicate = true; return take_stored(job, &appended);
    case APPEND_STORED: return take_stored(job, &appended);
    case APPEND_RATE: job->out.retry_after_ms = (int64_t)bytes_u(&wait, 8); return ERR_ROOM_RATE;
    case APPEND_CLOSED: return ERR_ROOM_CLOSED;
    case APPEND_UNKNOWN: return ERR_NOT_FOUND;
    default: return ERR_STORE_UNAVAILABLE;
    }
}

/* The queue is free again, and what was held back by the batch comes behind its answers. */
static void batch_free(struct redis_store *s, struct redis_batch *batch)
{
    struct redis_queue *queue = &batch->room->queues[batch->list];

    queue->is_flying = false;
    be_ready(s, queue);
    redis_land(s, batch->room, &batch->flight);
    free(batch);
}

static void on_appended(struct redis_store *s, void *arg, const redisReply *reply)
{
    struct redis_batch *batch = arg;
    struct redis_bytes answers = {redis_str(reply), false};
    bool has_room = answers.rest.len > 0;
    struct list *node;

    counter_add(&s->front.stats.commits, 1);
    counter_add(&s->front.stats.commit_us, uv_hrtime() / 1000 - batch->sent_us);
    if (has_room) counter_add(&s->front.stats.trimmed, bytes_u(&answers, 4));
    while ((node = list_take(&batch->jobs)) != NULL) {
        struct job *job = CONTAINER_OF(node, struct job, node);
        int err = has_room ? take_answer(job_append(job), &answers) : ERR_ROOM_NOT_FOUND;
        redis_done(s, job, err);
    }
    batch_free(s, batch);
}

static void on_append_lost(struct redis_store *s, void *arg)
{
    struct redis_batch *batch = arg;
    struct list *node;

    while ((node = list_take(&batch->jobs)) != NULL)
        redis_done(s, CONTAINER_OF(node, struct job, node), ERR_STORE_UNAVAILABLE);
    batch_free(s, batch);
}

/* --- the call -------------------------------------------------------------------------------- */

static void add_message(struct redis_words *w, const struct store_append *in)
{
    words_i64(w, in->now_ms);
    if (in->only_known)
        words_lit(w, "-1");
    else
        words_u64(w, in->per_s);
    words_str(w, in->key);
    words_str(w, in->message.type);
    words_str(w, in->message.from);
    words_str(w, in->message.name);
    words_str(w, in->message.body);
}

static void add_head(struct redis_store *s, const struct redis_batch *batch)
{
    const struct store_retention *rule = &s->retention[batch->list];
    struct redis_words *w = &s->words;

    words_begin(w);
    words_call(w, "append", redis_room_key(s, batch->room->key, ""));
    words_lit(w, batch->list == LIST_HIGH ? "h" : "n");
    redis_flight_word(s, &batch->flight);
    words_u64(w, rule->max_count);
    words_i64(w, rule->max_age_ms);
    words_i64(w, LIMIT_IDEMPOTENCY_MS);
}

/* From the queue's queue into the batch. */
static void fill(struct redis_store *s, struct redis_batch *batch, struct redis_queue *queue)
{
    size_t count = 0, bytes = 0;

    while (!list_is_empty(&queue->jobs) && count < BATCH_MAX && bytes < BATCH_BYTES) {
        struct job *job = CONTAINER_OF(list_take(&queue->jobs), struct job, node);
        add_message(&s->words, &job_append(job)->in);
        bytes += job->size_bytes;
        count++;
        list_push(&batch->jobs, &job->node);
    }
}

static void send_batch(struct redis_store *s, struct redis_room *room, enum list_kind list)
{
    struct redis_batch *batch = xcalloc(1, sizeof(*batch));

    batch->room = room;
    batch->list = list;
    batch->sent_us = uv_hrtime() / 1000;
    list_init(&batch->jobs);
    redis_fly(s, room, &batch->flight);
    room->queues[list].is_flying = true;
    add_head(s, batch);
    fill(s, batch, &room->queues[list]);
    redis_ask(s, &(struct redis_question){.then = on_appended,
                                          .otherwise = on_append_lost,
                                          .arg = batch,
                                          .is_replicated = list == LIST_HIGH});
}

/* Only those that are ready now: a call that fails at once makes its queue ready again. */
void redis_append_flush(struct redis_store *s)
{
    struct list due;
    struct list *node;

    list_init(&due);
    list_move_all(&due, &s->ready);
    while ((node = list_take(&due)) != NULL) {
        struct redis_queue *queue = CONTAINER_OF(node, struct redis_queue, ready);
        struct redis_room *room = queue->room;
        send_batch(s, room, queue == &room->queues[LIST_HIGH] ? LIST_HIGH : LIST_NORMAL);
    }
}
