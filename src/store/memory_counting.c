#include "store/memory_counting.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "store/sample_nodes.h"

static const struct hash_key VIEWERS_HASH_KEY = {0x73746f612e766965, 0x776572732e6d656d};

struct memory_bucket {
    int64_t at_ms;
    struct viewers viewers;
};

struct memory_sample {
    struct sample sample;
    char node[LIMIT_NODE_NAME + 1]; /* empty: of all of them, an hour that was thinned */
};

static struct memory_bucket *bucket_new(int64_t at_ms)
{
    struct memory_bucket *bucket = xcalloc(1, sizeof(*bucket));

    bucket->at_ms = at_ms;
    viewers_init(&bucket->viewers, VIEWERS_HASH_KEY);
    return bucket;
}

static void bucket_free(struct memory_bucket *bucket)
{
    if (bucket == NULL) return;
    viewers_deinit(&bucket->viewers);
    free(bucket);
}

void memory_counting_deinit(struct memory_counting *c)
{
    for (size_t i = 0; i < c->bucket_count; i++) bucket_free(c->buckets[i]);
    bucket_free(c->life);
    free(c->buckets);
    free(c->samples);
    *c = (struct memory_counting){0};
}

/* Room for one more at the index, where *array has `count` of them. */
static void *open_gap(void *array, size_t count, size_t *cap, size_t item_bytes, size_t index)
{
    if (count == *cap) {
        *cap = *cap == 0 ? 16 : *cap * 2;
        array = xrealloc(array, *cap * item_bytes);
    }
    char *at = (char *)array + index * item_bytes;
    memmove(at + item_bytes, at, (count - index) * item_bytes);
    return array;
}

/* --- viewers --------------------------------------------------------------------------------- */

/* New ones come at the end, so the search begins there. */
static struct memory_bucket *bucket_of(struct memory_counting *c, int64_t at_ms)
{
    size_t index = c->bucket_count;

    while (index > 0 && c->buckets[index - 1]->at_ms > at_ms) index--;
    if (index > 0 && c->buckets[index - 1]->at_ms == at_ms) return c->buckets[index - 1];
    c->buckets = open_gap(c->buckets, c->bucket_count, &c->bucket_cap,
                          sizeof(struct memory_bucket *), index);
    c->bucket_count++;
    return c->buckets[index] = bucket_new(at_ms);
}

struct viewers_count memory_counting_life(const struct memory_counting *c)
{
    return c->life != NULL ? viewers_count(&c->life->viewers)
                           : (struct viewers_count){.exact = true};
}

static void add_users(struct memory_bucket *bucket, const struct viewers_job *job)
{
    for (size_t i = 0; i < job->count; i++) viewers_add(&bucket->viewers, job->users[i]);
}

int memory_counting_add(struct memory_counting *c, struct viewers_job *job)
{
    struct hll sketch = {0};
    bool is_sketch = job->job.kind == JOB_VIEWERS_MERGE;

    if (is_sketch && !hll_read(&sketch, job->sketch)) return ERR_BAD_REQUEST;
    if (c->life == NULL) c->life = bucket_new(0);
    struct memory_bucket *bucket = bucket_of(c, job->bucket_ms);
    if (is_sketch) {
        viewers_merge_sketch(&bucket->viewers, &sketch);
        viewers_merge_sketch(&c->life->viewers, &sketch);
    } else {
        add_users(bucket, job);
        add_users(c->life, job);
    }
    hll_deinit(&sketch);
    job->out = memory_counting_life(c);
    return 0;
}

void memory_counting_count(const struct memory_counting *c, struct viewers_job *job)
{
    struct viewers sum;

    if (job->to_ms == 0) {
        job->out = memory_counting_life(c);
        return;
    }
    viewers_init(&sum, VIEWERS_HASH_KEY);
    for (size_t i = 0; i < c->bucket_count; i++) {
        const struct memory_bucket *bucket = c->buckets[i];
        if (bucket->at_ms >= job->from_ms && bucket->at_ms < job->to_ms)
            viewers_merge(&sum, &bucket->viewers);
    }
    job->out = viewers_count(&sum);
    viewers_deinit(&sum);
}

/* --- samples --------------------------------------------------------------------------------- */

static size_t sample_index(const struct memory_counting *c, int64_t at_ms)
{
    size_t index = c->sample_count;

    while (index > 0 && c->samples[index - 1].sample.at_ms >= at_ms) index--;
    return index;
}

/* That of the node with its time, or a new one behind those of others. */
static struct memory_sample *sample_of(struct memory_counting *c, struct str node, int64_t at_ms)
{
    size_t index = sample_index(c, at_ms);

    for (; index < c->sample_count && c->samples[index].sample.at_ms == at_ms; index++)
        if (str_eq(str_of(c->samples[index].node), node)) return &c->samples[index];
    c->samples = open_gap(c->samples, c->sample_count, &c->sample_cap, sizeof(*c->samples), index);
    c->sample_count++;
    return &c->samples[index];
}

void memory_counting_put(struct memory_counting *c, const struct store_sample_put *in)
{
    struct memory_sample *it = sample_of(c, in->node, in->sample.at_ms);

    it->sample = in->sample;
    str_copy(in->node, it->node, sizeof(it->node));
}

void memory_counting_range(const struct memory_counting *c, struct samples_job *job)
{
    struct sample_nodes nodes;
    struct sample minute;

    sample_nodes_init(&nodes);
    for (size_t i = sample_index(c, job->in.from_ms); i < c->sample_count; i++) {
        const struct memory_sample *it = &c->samples[i];
        if (it->sample.at_ms >= job->in.to_ms) break;
        if (sample_nodes_add(&nodes, str_of(it->node), &it->sample, &minute) &&
            !samples_job_add(job, &minute))
            return;
    }
    if (sample_nodes_end(&nodes, &minute)) samples_job_add(job, &minute);
}

/* --- age ------------------------------------------------------------------------------------- */

static size_t expire_buckets(struct memory_counting *c, int64_t before_ms)
{
    size_t gone = 0;

    while (gone < c->bucket_count && c->buckets[gone]->at_ms < before_ms)
        bucket_free(c->buckets[gone++]);
    c->bucket_count -= gone;
    if (gone > 0)
        memmove(c->buckets, c->buckets + gone, c->bucket_count * sizeof(struct memory_bucket *));
    return gone;
}

static size_t expire_samples(struct memory_counting *c, int64_t before_ms)
{
    size_t gone = sample_index(c, before_ms);

    c->sample_count -= gone;
    if (gone > 0) memmove(c->samples, c->samples + gone, c->sample_count * sizeof(*c->samples));
    return gone;
}

static int64_t hour_of(const struct memory_sample *it)
{
    return sample_step(it->sample.at_ms, SAMPLE_THIN_MS);
}

/* Samples from *from on that are of one hour, as that hour; *from is moved behind them. */
static struct memory_sample sum_hour(const struct memory_counting *c, size_t *from, size_t end)
{
    struct sample_nodes nodes;
    struct memory_sample hour = {.sample.at_ms = hour_of(&c->samples[*from])};
    struct sample minute;

    sample_nodes_init(&nodes);
    for (; *from < end && hour_of(&c->samples[*from]) == hour.sample.at_ms; ++*from) {
        const struct memory_sample *it = &c->samples[*from];
        if (sample_nodes_add(&nodes, str_of(it->node), &it->sample, &minute))
            sample_merge(&hour.sample, &minute);
    }
    if (sample_nodes_end(&nodes, &minute)) sample_merge(&hour.sample, &minute);
    hour.sample.span_ms = SAMPLE_THIN_MS;
    return hour;
}

/* Whole hours only: before_ms is the beginning of one. */
static size_t thin(struct memory_counting *c, int64_t before_ms)
{
    size_t old = sample_index(c, before_ms), kept = 0;

    for (size_t i = 0; i < old;) {
        struct memory_sample hour = sum_hour(c, &i, old);
        c->samples[kept++] = hour;
    }
    if (kept < old)
        memmove(c->samples + kept, c->samples + old, (c->sample_count - old) * sizeof(*c->samples));
    c->sample_count -= old - kept;
    return old - kept;
}

struct memory_expired memory_counting_expire(struct memory_counting *c,
                                             const struct store_history *history, int64_t now_ms)
{
    struct memory_expired gone = {0};

    if (history->max_age_ms > 0) {
        gone.expired = expire_buckets(c, now_ms - history->max_age_ms);
        gone.expired += expire_samples(c, now_ms - history->max_age_ms);
    }
    if (history->thin_age_ms > 0)
        gone.thinned = thin(c, sample_step(now_ms - history->thin_age_ms, SAMPLE_THIN_MS));
    return gone;
}
