#include "store/front.h"

#include "base/alloc.h"
#include "base/error.h"

/* Room keys are chosen by those who may create rooms, and are few; the key of the hash needs no
 * secret. */
static const struct hash_key WATCH_HASH_KEY = {0x73746f612e776174, 0x63682e726f6f6d73};

struct known_list {
    int64_t read_ms; /* 0: never */
    uint64_t trimmed, tail, tail_ordinal;
};

struct watch {
    struct str room;
    struct known_list lists[LIST_KINDS];
    uint64_t told[LIST_KINDS]; /* the newest that was news: what comes twice is told once */
    char bytes[];
};

static struct str watch_key(const void *value)
{
    const struct watch *it = value;
    return it->room;
}

void front_init(struct front *f, const struct store_env *env)
{
    *f = (struct front){.env = *env};
    map_init(&f->watched, WATCH_HASH_KEY, watch_key);
}

void front_deinit(struct front *f)
{
    MAP_FOREACH (it, &f->watched) free(it->value);
    map_deinit(&f->watched);
}

void front_watch(struct front *f, struct str room)
{
    if (map_get(&f->watched, room) != NULL) return;

    struct watch *watch = xcalloc(1, sizeof(*watch) + room.len);
    memcpy(watch->bytes, room.ptr, room.len);
    watch->room = str_make(watch->bytes, room.len);
    map_put(&f->watched, watch);
}

void front_unwatch(struct front *f, struct str room)
{
    free(map_take(&f->watched, room));
}

/* Answers may come out of order, a read's and that of an append behind it: the later tail counts. */
static void learn_tail(struct known_list *known, uint64_t tail, uint64_t ordinal)
{
    if (tail <= known->tail) return;
    known->tail = tail;
    known->tail_ordinal = ordinal;
}

static void learn_read(struct front *f, const struct read_job *job)
{
    struct watch *watch = map_get(&f->watched, job->in.room);
    if (watch == NULL || job->job.err != 0 || job->is_known) return;
    struct known_list *known = &watch->lists[job->in.list];
    known->read_ms = f->now_ms;
    known->trimmed = job->out.trimmed;
    learn_tail(known, job->out.tail, job->out.tail_ordinal);
}

bool front_knows(const struct front *f, const struct store_read *in, struct store_range *ret)
{
    const struct watch *watch = map_get(&f->watched, in->room);
    if (watch == NULL || in->direction != STORE_AFTER) return false;
    const struct known_list *known = &watch->lists[in->list];
    bool is_recent = known->read_ms > 0 && f->now_ms - known->read_ms < FRONT_KNOWN_MS;
    if (!is_recent || in->from != known->tail) return false;
    *ret = (struct store_range){
        .trimmed = known->trimmed, .tail = known->tail, .tail_ordinal = known->tail_ordinal};
    return true;
}

static void tell(struct front *f, struct str room, const struct message *message)
{
    struct watch *watch = map_get(&f->watched, room);
    if (watch == NULL) return;
    learn_tail(&watch->lists[message->list], message->id, message->ordinal);
    if (message->id <= watch->told[message->list]) return;
    watch->told[message->list] = message->id;
    if (f->env.on_news == NULL) return;
    counter_add(&f->stats.news, 1);
    f->env.on_news(f->env.news_arg, room, message);
}

static void count_append(struct store_stats *stats, const struct append_job *job)
{
    if (job->job.err == 0)
        counter_add(job->out.duplicate ? &stats->duplicates : &stats->appends, 1);
    else if (job->job.err != ERR_STORE_UNAVAILABLE)
        counter_add(&stats->refused, 1);
}

static void finish_append(struct front *f, struct append_job *job)
{
    count_append(&f->stats, job);
    job->cb(job->arg, job->job.err, &job->out);
    if (job->job.err == 0 && !job->out.duplicate) tell(f, job->in.room, &job->in.message);
}

static void finish_put(struct front *f, struct room_job *job)
{
    bool is_told = job->job.err == 0 && job->in.control.id != 0;

    if (is_told) counter_add(&f->stats.appends, 1);
    job->cb(job->arg, job->job.err, job->job.err == 0 ? &job->out : NULL, job->created);
    if (is_told) tell(f, job->in.room, &job->in.control);
}

static void finish_get(struct front *f, struct room_job *job)
{
    counter_add(&f->stats.reads, 1);
    job->cb(job->arg, job->job.err, job->job.err == 0 ? &job->out : NULL, false);
}

static void finish_read(struct front *f, struct read_job *job)
{
    counter_add(&f->stats.reads, 1);
    learn_read(f, job);
    job->cb(job->arg, job->job.err, job->job.err == 0 ? &job->out : NULL);
}

static void finish_list(struct front *f, struct list_job *job)
{
    size_t count = job->job.err == 0 ? job->count : 0;

    counter_add(&f->stats.reads, 1);
    job->cb(job->arg, job->job.err, count > 0 ? job->items : NULL, count,
            job->job.err == 0 && job->more);
}

static void finish_viewers(struct front *f, struct viewers_job *job)
{
    bool is_ok = job->job.err == 0;

    if (job->job.kind == JOB_VIEWERS_COUNT)
        counter_add(&f->stats.reads, 1);
    else if (is_ok && job->job.kind == JOB_VIEWERS_ADD)
        counter_add(&f->stats.viewers, job->count);
    else if (is_ok)
        counter_add(&f->stats.sketches, 1);
    job->cb(job->arg, job->job.err, is_ok ? &job->out : NULL);
}

static void finish_sample(struct front *f, struct sample_job *job)
{
    if (job->job.err == 0) counter_add(&f->stats.samples, 1);
    job->cb(job->arg, job->job.err);
}

static void finish_samples(struct front *f, struct samples_job *job)
{
    size_t count = job->job.err == 0 ? job->count : 0;

    counter_add(&f->stats.reads, 1);
    job->cb(job->arg, job->job.err, count > 0 ? job->samples : NULL, count,
            job->job.err == 0 && job->more);
}

static void finish_presence_put(struct front *f, struct presence_put_job *job)
{
    if (job->job.err == 0) counter_add(&f->stats.presences, job->in.count);
    job->cb(job->arg, job->job.err);
}

static void finish_presence(struct front *f, struct presence_job *job)
{
    bool is_ok = job->job.err == 0;

    counter_add(&f->stats.reads, 1);
    if (job->job.kind == JOB_PRESENCE_COUNT)
        job->count_cb(job->arg, job->job.err, is_ok ? job->online : 0, is_ok ? job->as_of_ms : 0);
    else
        job->page_cb(job->arg, job->job.err, is_ok ? &job->out : NULL);
}

static void finish_routes(struct routes_job *job)
{
    job->cb(job->arg, job->job.err, job->job.err == 0 ? job->out : NULL);
}

static void finish_lease(struct lease_job *job)
{
    job->cb(job->arg, job->job.err, job->job.err == 0 && job->is_held);
}

void front_finish(struct front *f, struct job *job)
{
    if (job->err == ERR_STORE_UNAVAILABLE) counter_add(&f->stats.failures, 1);
    switch (job->kind) {
    case JOB_APPEND: finish_append(f, job_append(job)); break;
    case JOB_READ: finish_read(f, job_read(job)); break;
    case JOB_ROOM_PUT: finish_put(f, job_room(job)); break;
    case JOB_ROOM_GET: finish_get(f, job_room(job)); break;
    case JOB_ROOM_LIST: finish_list(f, job_list(job)); break;
    case JOB_PING: job_ping(job)->cb(job_ping(job)->arg, job->err); break;
    case JOB_VIEWERS_ADD:
    case JOB_VIEWERS_MERGE:
    case JOB_VIEWERS_COUNT: finish_viewers(f, job_viewers(job)); break;
    case JOB_SAMPLE_PUT: finish_sample(f, job_sample(job)); break;
    case JOB_SAMPLE_RANGE: finish_samples(f, job_samples(job)); break;
    case JOB_PRESENCE_PUT: finish_presence_put(f, job_presence_put(job)); break;
    case JOB_PRESENCE_COUNT:
    case JOB_PRESENCE_PAGE: finish_presence(f, job_presence(job)); break;
    case JOB_NODE_BEAT: job_beat(job)->cb(job_beat(job)->arg, job->err); break;
    case JOB_ROUTES_GET: finish_routes(job_routes(job)); break;
    case JOB_ROUTE_PUT: job_route(job)->cb(job_route(job)->arg, job->err); break;
    case JOB_LEASE: finish_lease(job_lease(job)); break;
    case JOB_NEWS: tell(f, job_news(job)->room, &job_news(job)->message); break;
    }
    job_free(job);
}
