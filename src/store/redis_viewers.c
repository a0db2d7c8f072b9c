/* Viewers: adds and merges go to Redis, which keeps names and sketches; a window is put together here, a
 * bucket or a few sketches at a time, so that none keeps Redis busy for long. A room's viewers are all in
 * one slot: what one master can take is what a room can have. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/error.h"
#include "store/redis_store.h"
#include "store/sketch.h"

#define EXPIRE_SLACK_MS                                                                            \
    (INT64_C(60) * 60 * 1000) /* names and sketches outlive their bucket's time so */
#define INDEX_MAX    64       /* buckets of a window found at once, */
#define SKETCHES_MAX 8        /* and sketches read: 12 KiB each */

static const struct hash_key VIEWERS_HASH_KEY = {0x73746f612e766965, 0x776572732e726564};

static struct redis_store *redis_of(struct store *store)
{
    return CONTAINER_OF(store, struct redis_store, store);
}

/* --- add and merge --------------------------------------------------------------------------- */

static struct viewers_count count_of(const redisReply *unique, const redisReply *exact)
{
    bool is_exact = redis_u64(exact) == 1;

    return (struct viewers_count){
        .unique = redis_u64(unique),
        .exact = is_exact,
        .standard_error = is_exact ? 0 : HLL_STANDARD_ERROR,
    };
}

static void on_added(struct redis_store *s, void *arg, const redisReply *reply)
{
    struct viewers_job *job = arg;
    bool has_room = redis_at(reply, 0) != NULL;

    job->out = count_of(redis_at(reply, 0), redis_at(reply, 1));
    redis_done(s, &job->job, has_room ? 0 : ERR_ROOM_NOT_FOUND);
}

static void words_change(struct redis_store *s, const struct viewers_job *job, const char *function)
{
    int64_t age_ms = s->history.max_age_ms;

    redis_touch(s, redis_room(s, job->room));
    words_begin(&s->words);
    words_call(&s->words, function, redis_room_key(s, job->room, ""));
    words_i64(&s->words, job->bucket_ms);
    words_i64(&s->words, age_ms > 0 ? age_ms + EXPIRE_SLACK_MS : 0);
}

int redis_viewers_add(struct store *store, const struct store_viewers_add *in, store_viewers_cb *cb,
                      void *arg)
{
    struct redis_store *s = redis_of(store);
    struct viewers_job *job = viewers_add_job_new(in, cb, arg);

    int err = redis_start(s, &job->job);
    if (err != 0) return err;
    words_change(s, job, "viewers_add");
    words_u64(&s->words, VIEWERS_EXACT_MAX);
    for (size_t i = 0; i < job->count; i++) words_str(&s->words, job->users[i]);
    redis_ask_for(s, &job->job, on_added, false);
    return 0;
}

int redis_viewers_merge(struct store *store, const struct store_viewers_merge *in,
                        store_viewers_cb *cb, void *arg)
{
    struct redis_store *s = redis_of(store);
    struct viewers_job *job = viewers_merge_job_new(in, cb, arg);
    struct hll sketch = {0};

    int err = redis_start(s, &job->job);
    if (err != 0) return err;
    if (!hll_read(&sketch, job->sketch)) {
        redis_done(s, &job->job, ERR_BAD_REQUEST);
        return 0;
    }
    hll_deinit(&sketch);
    words_change(s, job, "viewers_merge");
    words_str(&s->words, job->sketch);
    redis_ask_for(s, &job->job, on_added, false);
    return 0;
}

/* --- count ----------------------------------------------------------------------------------- */

/* A bucket as the index has it: "bucket:exact:at_least:until". */
struct bucket {
    int64_t at_ms;
    uint64_t at_least;
    bool is_exact;
};

/* A window: the buckets that the index has named and that are not in the sum yet. */
struct window {
    struct viewers_job *job;
    size_t count, next, asked;
    bool is_end; /* of the index */
    struct bucket buckets[INDEX_MAX];
};

static bool bucket_parse(struct str text, struct bucket *ret)
{
    struct str rest;
    uint64_t at_ms;

    if (!str_parse_u64(str_split(text, ':', &rest), &at_ms) || at_ms > INT64_MAX) return false;
    ret->at_ms = (int64_t)at_ms;
    ret->is_exact = str_eq(str_split(rest, ':', &rest), STR("e"));
    return str_parse_u64(str_split(rest, ':', &rest), &ret->at_least);
}

static void window_lost(struct redis_store *s, void *arg)
{
    struct window *w = arg;

    redis_done(s, &w->job->job, ERR_STORE_UNAVAILABLE);
    free(w);
}

static void window_ask(struct redis_store *s, struct window *w, redis_then *then)
{
    redis_ask(s, &(struct redis_question){.then = then, .otherwise = window_lost, .arg = w});
}

static void window_step(struct redis_store *s, struct window *w);

/* An expired one reads as empty. */
static void on_names(struct redis_store *s, void *arg, const redisReply *reply)
{
    struct window *w = arg;
    size_t count = reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0;

    for (size_t i = 0; i < count; i++) viewers_add(&w->job->sum, redis_str(reply->element[i]));
    w->next++;
    window_step(s, w);
}

static void on_sketches(struct redis_store *s, void *arg, const redisReply *reply)
{
    struct window *w = arg;

    for (size_t i = 0; i < w->asked; i++) {
        struct hll sketch = {0};
        if (sketch_read_redis(redis_str(redis_at(reply, i)), &sketch)) {
            viewers_merge_sketch(&w->job->sum, &sketch);
            viewers_expect(&w->job->sum, w->buckets[w->next + i].at_least);
        }
        hll_deinit(&sketch);
    }
    w->next += w->asked;
    window_step(s, w);
}

static struct str bucket_key(struct redis_store *s, struct str room, char kind, int64_t at_ms)
{
    char suffix[32];

    snprintf(suffix, sizeof(suffix), ":%c%lld", kind, (long long)at_ms);
    return words_key(&s->words, room, suffix);
}

static void ask_sketches(struct redis_store *s, struct window *w)
{
    struct redis_words *words = &s->words;
    size_t left = w->count - w->next;

    w->asked = left < SKETCHES_MAX ? left : SKETCHES_MAX;
    words_begin(words);
    words_command(words, "MGET", bucket_key(s, w->job->room, 's', w->buckets[w->next].at_ms));
    for (size_t i = 1; i < w->asked; i++)
        words_str(words, bucket_key(s, w->job->room, 's', w->buckets[w->next + i].at_ms));
    window_ask(s, w, on_sketches);
}

static void on_buckets(struct redis_store *s, void *arg, const redisReply *reply)
{
    struct window *w = arg;
    size_t count = reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0;

    w->count = w->next = 0;
    w->is_end = count < INDEX_MAX;
    for (size_t i = 0; i < count && i < INDEX_MAX; i++)
        if (bucket_parse(redis_str(reply->element[i]), &w->buckets[w->count])) w->count++;
    if (w->count > 0)
        w->job->at_ms = w->buckets[w->count - 1].at_ms + 1;
    else
        w->is_end = true;
    window_step(s, w);
}

static void ask_index(struct redis_store *s, struct window *w)
{
    struct redis_words *words = &s->words;

    words_begin(words);
    words_command(words, "ZRANGEBYSCORE", redis_room_key(s, w->job->room, ":v"));
    words_i64(words, w->job->at_ms > 0 ? w->job->at_ms : 1); /* 0 is the life */
    words_i64(words, w->job->to_ms - 1);
    words_lit(words, "LIMIT");
    words_lit(words, "0");
    words_u64(words, INDEX_MAX);
    window_ask(s, w, on_buckets);
}

/* Names matter only while the sum is made of names. */
static void window_step(struct redis_store *s, struct window *w)
{
    struct viewers_job *job = w->job;

    if (w->next == w->count && w->is_end) {
        job->out = viewers_count(&job->sum);
        redis_done(s, &job->job, 0);
        free(w);
        return;
    }
    if (w->next == w->count) {
        ask_index(s, w);
    } else if (w->buckets[w->next].is_exact && job->sum.is_exact) {
        words_begin(&s->words);
        words_command(&s->words, "SMEMBERS",
                      bucket_key(s, job->room, 'u', w->buckets[w->next].at_ms));
        window_ask(s, w, on_names);
    } else {
        ask_sketches(s, w);
    }
}

static void on_life(struct redis_store *s, void *arg, const redisReply *reply)
{
    struct viewers_job *job = arg;
    bool has_room = redis_str(redis_at(reply, 0)).len > 0;
    bool has_viewers = redis_str(redis_at(reply, 1)).len > 0;

    if (!has_room || job->to_ms == 0) {
        job->out = has_viewers ? count_of(redis_at(reply, 1), redis_at(reply, 2))
                               : (struct viewers_count){.exact = true};
        redis_done(s, &job->job, has_room ? 0 : ERR_ROOM_NOT_FOUND);
        return;
    }
    struct window *w = xcalloc(1, sizeof(*w));
    w->job = job;
    viewers_init(&job->sum, VIEWERS_HASH_KEY);
    job->has_sum = true;
    window_step(s, w);
}

int redis_viewers_count(struct store *store, const struct store_viewers_count *in,
                        store_viewers_cb *cb, void *arg)
{
    struct redis_store *s = redis_of(store);
    struct viewers_job *job = viewers_count_job_new(in, cb, arg);

    int err = redis_start(s, &job->job);
    if (err != 0) return err;
    redis_touch(s, redis_room(s, in->room));
    words_begin(&s->words);
    words_command(&s->words, "HMGET", redis_room_key(s, job->room, ""));
    words_lit(&s->words, "state");
    words_lit(&s->words, "unique");
    words_lit(&s->words, "unique_exact");
    redis_ask_for(s, &job->job, on_life, false);
    return 0;
}
