/* Reads of a list. */
#include "base/error.h"
#include "store/redis_store.h"

#define FIELD_PREV    1 /* the values of an entry's fields, between their names */
#define FIELD_ORDINAL 3
#define FIELD_TYPE    5
#define FIELD_FROM    7
#define FIELD_NAME    9
#define FIELD_BODY    11

static struct message message_of(const redisReply *entry, enum list_kind list)
{
    const redisReply *fields = redis_at(entry, 1);

    return (struct message){
        .id = redis_stream_id(redis_at(entry, 0)),
        .prev = redis_stream_id(redis_at(fields, FIELD_PREV)),
        .ordinal = redis_u64(redis_at(fields, FIELD_ORDINAL)),
        .list = list,
        .type = redis_str(redis_at(fields, FIELD_TYPE)),
        .from = redis_str(redis_at(fields, FIELD_FROM)),
        .name = redis_str(redis_at(fields, FIELD_NAME)),
        .body = redis_str(redis_at(fields, FIELD_BODY)),
    };
}

static void on_read(struct redis_store *s, void *arg, const redisReply *reply)
{
    struct read_job *job = job_read(arg);
    const redisReply *entries = redis_at(reply, 3);
    size_t count = entries != NULL && entries->type == REDIS_REPLY_ARRAY ? entries->elements : 0;

    for (size_t i = 0; i < count; i++) {
        struct message m = message_of(entries->element[i], job->in.list);
        if (!read_job_add(job, &m)) break;
    }
    read_job_seal(job);
    job->out.tail = redis_stream_id(redis_at(reply, 0));
    job->out.tail_ordinal = redis_u64(redis_at(reply, 1));
    job->out.trimmed = redis_stream_id(redis_at(reply, 2));
    redis_done(s, &job->job, 0);
}

/* One more than the limit, so that the answer can say that there is more. */
static void ask(struct redis_store *s, struct read_job *job)
{
    bool is_after = job->in.direction == STORE_AFTER;
    struct redis_words *w = &s->words;

    words_begin(w);
    words_call(w, "read", redis_room_key(s, job->in.room, ""));
    words_lit(w, job->in.list == LIST_HIGH ? "h" : "n");
    words_lit(w, is_after ? "after" : "before");
    if (!is_after && job->in.from == UINT64_MAX)
        words_lit(w, "+");
    else
        words_stream_id(w, job->in.from);
    words_u64(w, (uint64_t)job->in.limit + 1);
    words_u64(w, JOB_RANGE_BYTES);
    redis_ask_for(s, &job->job, on_read, false);
}

int redis_read(struct store *store, const struct store_read *in, store_read_cb *cb, void *arg)
{
    struct redis_store *s = CONTAINER_OF(store, struct redis_store, store);
    struct read_job *job = read_job_new(in, cb, arg);

    int err = redis_start(s, &job->job);
    if (err != 0) return err;
    ask(s, job);
    return 0;
}
