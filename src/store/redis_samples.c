/* History: samples by time and node. What nodes saw is united when it is read (store/sample_nodes.h),
 * and old minutes become hours in the same way: this side reads an hour and writes it back as one. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/error.h"
#include "store/redis_store.h"
#include "store/sample_nodes.h"

#define RANGE_MAX       1024 /* samples read at once */
#define EXPIRE_SLACK_MS (INT64_C(60) * 60 * 1000)

static struct redis_store *redis_of(struct store *store)
{
    return CONTAINER_OF(store, struct redis_store, store);
}

/* --- a sample as text: "span online peak joins high normal unique" --------------------------- */

static void words_sample(struct redis_words *w, const struct sample *sample)
{
    char text[192];
    int len =
        snprintf(text, sizeof(text),
                 "%" PRId64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
                 sample->span_ms, sample->online_ms, sample->online_peak, sample->joins,
                 sample->messages[LIST_HIGH], sample->messages[LIST_NORMAL], sample->unique);

    words_str(w, arena_copy(&w->made, str_make(text, (size_t)len)));
}

/* name: "time:node". False: it is neither. */
static bool sample_parse(struct str name, struct str value, struct sample *ret,
                         struct str *ret_node)
{
    uint64_t at_ms, numbers[7] = {0};

    if (!str_parse_u64(str_split(name, ':', ret_node), &at_ms) || at_ms > INT64_MAX) return false;
    for (int i = 0; i < 7; i++)
        if (!str_parse_u64(str_split(value, ' ', &value), &numbers[i])) return false;
    *ret = (struct sample){
        .at_ms = (int64_t)at_ms,
        .span_ms = (int64_t)numbers[0],
        .online_ms = numbers[1],
        .online_peak = numbers[2],
        .joins = numbers[3],
        .messages = {[LIST_HIGH] = numbers[4], [LIST_NORMAL] = numbers[5]},
        .unique = numbers[6],
    };
    return true;
}

/* --- put ------------------------------------------------------------------------------------- */

static void on_put(struct redis_store *s, void *arg, const redisReply *reply)
{
    redis_done(s, arg, redis_u64(reply) == 1 ? 0 : ERR_ROOM_NOT_FOUND);
}

int redis_sample_put(struct store *store, const struct store_sample_put *in, store_sample_cb *cb,
                     void *arg)
{
    struct redis_store *s = redis_of(store);
    struct sample_job *job = sample_job_new(in, cb, arg);
    struct redis_words *w = &s->words;

    int err = redis_start(s, &job->job);
    if (err != 0) return err;
    redis_touch(s, redis_room(s, in->room));
    words_begin(w);
    words_call(w, "sample_put", redis_room_key(s, in->room, ""));
    words_i64(w, in->sample.at_ms);
    words_str(w, in->node);
    words_sample(w, &in->sample);
    words_i64(w, s->history.max_age_ms > 0 ? s->history.max_age_ms + EXPIRE_SLACK_MS : 0);
    redis_ask_for(s, &job->job, on_put, false);
    return 0;
}

/* --- range ----------------------------------------------------------------------------------- */

/* Read in parts; one begins with the time at which the one before ended, whose names are skipped. */
struct range {
    struct samples_job *job;
    struct sample_nodes minute;
    int64_t last_ms;
    struct buf last; /* name */
};

static void ask_range(struct redis_store *s, struct range *r);

static void range_free(struct range *r)
{
    buf_deinit(&r->last);
    free(r);
}

static void range_lost(struct redis_store *s, void *arg)
{
    struct range *r = arg;

    redis_done(s, &r->job->job, ERR_STORE_UNAVAILABLE);
    range_free(r);
}

static void range_finish(struct redis_store *s, struct range *r, bool is_full)
{
    struct sample sample;

    if (!is_full && sample_nodes_end(&r->minute, &sample)) samples_job_add(r->job, &sample);
    redis_done(s, &r->job->job, 0);
    range_free(r);
}

/* False: the answer is full. */
static bool range_add(struct range *r, struct str name, struct str value)
{
    struct sample sample, minute;
    struct str node;

    if (!sample_parse(name, value, &sample, &node)) return true;
    bool is_told = sample.at_ms == r->last_ms && str_compare(name, buf_str(&r->last)) <= 0;
    if (is_told) return true;
    r->last_ms = sample.at_ms;
    buf_clear(&r->last);
    buf_add_str(&r->last, name);
    return !sample_nodes_add(&r->minute, node, &sample, &minute) ||
           samples_job_add(r->job, &minute);
}

static void on_range(struct redis_store *s, void *arg, const redisReply *reply)
{
    struct range *r = arg;
    const redisReply *names = redis_at(reply, 0), *values = redis_at(reply, 1);
    size_t count = names != NULL && names->type == REDIS_REPLY_ARRAY ? names->elements : 0;
    bool is_full = false;

    if (names == NULL) {
        redis_done(s, &r->job->job, ERR_ROOM_NOT_FOUND);
        range_free(r);
        return;
    }
    for (size_t i = 0; i < count && !is_full; i++)
        is_full = !range_add(r, redis_str(names->element[i]), redis_str(redis_at(values, i)));
    if (is_full || count < RANGE_MAX)
        range_finish(s, r, is_full);
    else
        ask_range(s, r);
}

static void ask_range(struct redis_store *s, struct range *r)
{
    const struct store_sample_range *in = &r->job->in;
    struct redis_words *w = &s->words;

    words_begin(w);
    words_call(w, "sample_range", redis_room_key(s, in->room, ""));
    words_i64(w, r->last_ms > in->from_ms ? r->last_ms : in->from_ms);
    words_i64(w, in->to_ms);
    words_u64(w, RANGE_MAX);
    redis_ask(s, &(struct redis_question){.then = on_range, .otherwise = range_lost, .arg = r});
}

int redis_sample_range(struct store *store, const struct store_sample_range *in,
                       store_samples_cb *cb, void *arg)
{
    struct redis_store *s = redis_of(store);
    struct samples_job *job = samples_job_new(in, cb, arg);

    int err = redis_start(s, &job->job);
    if (err != 0) return err;
    struct range *r = xcalloc(1, sizeof(*r));
    redis_touch(s, redis_room(s, in->room));
    r->job = job;
    r->last_ms = INT64_MIN;
    ask_range(s, r);
    return 0;
}

/* --- thinning -------------------------------------------------------------------------------- */

struct thinning {
    struct redis_room *room;
    void (*then)(struct redis_store *, struct redis_room *, bool more);
};

static void thin_end(struct redis_store *s, struct thinning *t, bool more)
{
    t->then(s, t->room, more);
    free(t);
}

static void on_thinned(struct redis_store *s, void *arg, const redisReply *reply)
{
    counter_add(&s->front.stats.thinned, redis_u64(reply));
    thin_end(s, arg, true);
}

static void thin_lost(struct redis_store *s, void *arg)
{
    thin_end(s, arg, false);
}

/* All of one hour, as one sample that begins with it. */
static struct sample hour_of(int64_t at_ms, const redisReply *names, const redisReply *values)
{
    struct sample_nodes minutes;
    struct sample hour = {.at_ms = at_ms}, sample, minute;
    struct str node;

    sample_nodes_init(&minutes);
    for (size_t i = 0; i < names->elements; i++) {
        if (!sample_parse(redis_str(names->element[i]), redis_str(redis_at(values, i)), &sample,
                          &node))
            continue;
        if (sample_nodes_add(&minutes, node, &sample, &minute)) sample_merge(&hour, &minute);
    }
    if (sample_nodes_end(&minutes, &minute)) sample_merge(&hour, &minute);
    hour.at_ms = at_ms;
    hour.span_ms = SAMPLE_THIN_MS;
    return hour;
}

static void on_old(struct redis_store *s, void *arg, const redisReply *reply)
{
    struct thinning *t = arg;
    const redisReply *names = redis_at(reply, 1);
    struct redis_words *w = &s->words;

    if (names == NULL || names->type != REDIS_REPLY_ARRAY || names->elements == 0) {
        thin_end(s, t, false);
        return;
    }
    int64_t at_ms = redis_i64(redis_at(reply, 0));
    struct sample hour = hour_of(at_ms, names, redis_at(reply, 2));
    words_begin(w);
    words_call(w, "samples_thin", redis_room_key(s, t->room->key, ""));
    words_i64(w, at_ms);
    words_i64(w, SAMPLE_THIN_MS);
    words_sample(w, &hour);
    for (size_t i = 0; i < names->elements; i++) words_str(w, redis_str(names->element[i]));
    redis_ask(s, &(struct redis_question){.then = on_thinned, .otherwise = thin_lost, .arg = t});
}

void redis_samples_thin(struct redis_store *s, struct redis_room *room, int64_t before_ms,
                        void (*then)(struct redis_store *, struct redis_room *, bool more))
{
    struct thinning *t = xcalloc(1, sizeof(*t));
    struct redis_words *w = &s->words;

    *t = (struct thinning){room, then};
    words_begin(w);
    words_call(w, "samples_old", redis_room_key(s, room->key, ""));
    words_i64(w, before_ms);
    words_i64(w, SAMPLE_THIN_MS);
    redis_ask(s, &(struct redis_question){.then = on_old, .otherwise = thin_lost, .arg = t});
}
