/* Who is here. Users are spread over the room's shards by hash; each shard has a hash tag of its own, so
 * that a large room is the work of all masters.
 *
 *   order of a user   their hash, 32 bits, read from the lowest bit (as core/presence.h has it)
 *   shard of a user   the lowest bits of the hash: of 2^k shards each has one stretch of the order
 *
 * A room begins with one shard, which counts itself. Whoever counts more than SHARD_USERS in each makes
 * more shards, and tells the first one; nodes learn of it with their next put or count. A user moves
 * when their node names them next (it does within 20 s): for MOVING_MS a put also takes them back from
 * the shards where they may have been. Meanwhile they are counted in one place or the other, and pages
 * may miss them.
 *
 * The count of a room with more shards is summed by whoever asks for it when the published one is older
 * than FRESH_MS, and wins a short claim at the first shard; the others read what was published. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"
#include "store/redis_store.h"

#define SHARDS_MAX  64
#define SHARD_USERS 4096
#define MOVING_MS   (INT64_C(90) * 1000)
#define FRESH_MS    2000
#define SCAN_MAX    4096 /* users looked at for one page */
#define SWEEPS_MAX  64   /* steps of a shard's sweep in one count */

/* The same at all nodes: it decides where users are. No secret: ids are given by apps. */
static const struct hash_key USERS_HASH_KEY = {0x73746f612e707265, 0x73656e63652e7231};

static struct redis_store *redis_of(struct store *store)
{
    return CONTAINER_OF(store, struct redis_store, store);
}

static uint32_t reverse(uint32_t v)
{
    v = (v >> 1 & 0x55555555u) | (v & 0x55555555u) << 1;
    v = (v >> 2 & 0x33333333u) | (v & 0x33333333u) << 2;
    v = (v >> 4 & 0x0f0f0f0fu) | (v & 0x0f0f0f0fu) << 4;
    return __builtin_bswap32(v);
}

static uint32_t hash_of(struct str user)
{
    return (uint32_t)hash_bytes(USERS_HASH_KEY, user);
}

/* The first is at home with the room. */
static void words_shard(struct redis_store *s, const char *function, struct str room,
                        uint32_t shard)
{
    struct redis_words *w = &s->words;
    struct buf name = {0};

    words_begin(w);
    buf_add_str(&name, room);
    if (shard > 0) buf_printf(&name, "#%u", shard);
    words_call2(w, function, words_key(w, buf_str(&name), ":p"),
                words_key(w, buf_str(&name), ":o"));
    buf_deinit(&name);
}

/* What cannot be is not believed. */
static void learn_shards(struct redis_room *room, uint64_t count, int64_t grown_ms)
{
    bool can_be = count > 0 && count <= SHARDS_MAX && (count & (count - 1)) == 0;

    if (can_be || room->shards == 0) room->shards = can_be ? (uint32_t)count : 1;
    if (can_be) room->grown_ms = grown_ms;
}

/* Something that has to know how many shards there are. */
struct needing {
    struct redis_room *room;
    void (*begin)(struct redis_store *, void *);
    void (*lost)(struct redis_store *, void *);
    void *arg;
};

static void on_shards(struct redis_store *s, void *arg, const redisReply *reply)
{
    struct needing needing = *(struct needing *)arg;

    free(arg);
    learn_shards(needing.room, redis_u64(redis_at(reply, 3)), redis_i64(redis_at(reply, 4)));
    needing.begin(s, needing.arg);
}

static void shards_lost(struct redis_store *s, void *arg)
{
    struct needing needing = *(struct needing *)arg;

    free(arg);
    needing.lost(s, needing.arg);
}

static void words_count(struct redis_store *s, struct str room, uint32_t shard, int64_t now_ms,
                        int64_t fresh_ms)
{
    words_shard(s, "presence_count", room, shard);
    words_i64(&s->words, now_ms);
    words_i64(&s->words, STORE_PRESENCE_TTL_MS);
    words_i64(&s->words, fresh_ms);
}

/* Asks the first shard, unless it has said so already; then begins. */
static void with_shards(struct redis_store *s, const struct needing *needing, int64_t now_ms)
{
    if (needing->room->shards > 0) {
        needing->begin(s, needing->arg);
        return;
    }
    struct needing *copy = xmalloc(sizeof(*copy));
    *copy = *needing;
    words_count(s, needing->room->key, 0, now_ms, 0);
    redis_ask(s,
              &(struct redis_question){.then = on_shards, .otherwise = shards_lost, .arg = copy});
}

/* --- put ------------------------------------------------------------------------------------- */

/* One put, over all shards that its users are in. */
struct put {
    struct presence_put_job *job;
    struct redis_room *room;
    size_t left;
    int err;
    uint32_t hashes[]; /* of the users */
};

static void put_end(struct redis_store *s, struct put *put, int err)
{
    if (put->err == 0) put->err = err;
    if (--put->left > 0) return;
    put->room->users--;
    redis_done(s, &put->job->job, put->err);
    free(put);
}

static void on_put(struct redis_store *s, void *arg, const redisReply *reply)
{
    struct put *put = arg;
    bool is_full = redis_u64(redis_at(reply, 0)) == 0;

    if (redis_u64(redis_at(reply, 0)) > put->room->shards)
        learn_shards(put->room, redis_u64(redis_at(reply, 0)), redis_i64(redis_at(reply, 1)));
    put_end(s, put, is_full ? ERR_OVERLOADED : 0);
}

static void put_lost(struct redis_store *s, void *arg)
{
    put_end(s, arg, ERR_STORE_UNAVAILABLE);
}

/* Where the user belongs, or where they may have been before there were so many shards. */
static bool concerns(uint32_t hash, uint32_t shard, uint32_t shards, bool is_moving,
                     bool *ret_is_home)
{
    *ret_is_home = (hash & (shards - 1)) == shard;
    for (uint32_t fewer = shards / 2; is_moving && fewer > 0; fewer /= 2)
        if ((hash & (fewer - 1)) == shard) return true;
    return *ret_is_home;
}

static void words_user(struct redis_words *w, const struct store_present *user, uint32_t hash,
                       bool is_gone)
{
    words_str(w, user->user);
    words_u64(w, reverse(hash));
    words_i64(w, is_gone ? user->seen_ms : user->since_ms);
    if (is_gone)
        words_lit(w, "");
    else
        words_i64(w, user->seen_ms);
}

/* Nothing is sent to a shard that no user is in. */
static void put_shard(struct redis_store *s, struct put *put, uint32_t shard, uint32_t shards)
{
    const struct store_presence_put *in = &put->job->in;
    bool is_moving = in->now_ms - put->room->grown_ms < MOVING_MS, is_home;

    words_shard(s, "presence_put", in->room, shard);
    words_i64(&s->words, in->now_ms);
    words_i64(&s->words, STORE_PRESENCE_TTL_MS);
    words_str(&s->words, in->node);
    size_t head = s->words.count;
    for (size_t i = 0; i < in->count; i++) {
        uint32_t hash = put->hashes[i];
        if (concerns(hash, shard, shards, is_moving, &is_home))
            words_user(&s->words, &in->users[i], hash, in->users[i].is_gone || !is_home);
    }
    if (s->words.count == head) return;
    put->left++;
    redis_ask(s, &(struct redis_question){.then = on_put, .otherwise = put_lost, .arg = put});
}

static void put_begin(struct redis_store *s, void *arg)
{
    struct put *put = arg;
    uint32_t shards = put->room->shards;

    for (uint32_t shard = 0; shard < shards; shard++) put_shard(s, put, shard, shards);
    put_end(s, put, 0);
}

int redis_presence_put(struct store *store, const struct store_presence_put *in,
                       store_presence_put_cb *cb, void *arg)
{
    struct redis_store *s = redis_of(store);
    struct presence_put_job *job = presence_put_job_new(in, cb, arg);

    int err = redis_start(s, &job->job);
    if (err != 0) return err;
    struct put *put = xcalloc(1, sizeof(*put) + in->count * sizeof(put->hashes[0]));
    put->job = job;
    put->room = redis_room(s, in->room);
    put->left = 1;
    for (size_t i = 0; i < in->count; i++) put->hashes[i] = hash_of(in->users[i].user);
    put->room->users++;
    redis_touch(s, put->room);
    with_shards(s, &(struct needing){put->room, put_begin, put_lost, put}, in->now_ms);
    return 0;
}

/* --- count ----------------------------------------------------------------------------------- */

/* A count: of one shard, or of all of them. */
struct count {
    struct presence_job *job; /* NULL once it is answered */
    struct redis_room *room;
    int64_t now_ms;
    uint64_t sum;
    uint32_t shard; /* that is being counted */
    unsigned sweeps;
};

static void ask_count(struct redis_store *s, struct count *count);

static void count_free(struct count *count)
{
    count->room->users--;
    free(count);
}

static void answer(struct redis_store *s, struct count *count, uint64_t online, int64_t as_of_ms)
{
    struct presence_job *job = count->job;

    count->job = NULL;
    if (job == NULL) return;
    job->online = online;
    job->as_of_ms = as_of_ms;
    redis_done(s, &job->job, 0);
}

static void count_lost(struct redis_store *s, void *arg)
{
    struct count *count = arg;

    if (count->job != NULL) redis_done(s, &count->job->job, ERR_STORE_UNAVAILABLE);
    count_free(count);
}

static void on_published(struct redis_store *s, void *arg, const redisReply *reply)
{
    struct count *count = arg;

    uint64_t shards = redis_u64(reply);

    if (shards > count->room->shards) learn_shards(count->room, shards, count->now_ms);
    answer(s, count, count->sum, count->now_ms);
    count_free(count);
}

static uint32_t shards_for(uint64_t users, uint32_t shards)
{
    while (shards < SHARDS_MAX && users / shards > SHARD_USERS) shards *= 4;
    return shards < SHARDS_MAX ? shards : SHARDS_MAX;
}

static void publish(struct redis_store *s, struct count *count)
{
    words_shard(s, "presence_publish", count->room->key, 0);
    words_i64(&s->words, count->now_ms);
    words_i64(&s->words, STORE_PRESENCE_TTL_MS);
    words_u64(&s->words, count->sum);
    words_u64(&s->words, shards_for(count->sum, count->room->shards));
    redis_ask(
        s, &(struct redis_question){.then = on_published, .otherwise = count_lost, .arg = count});
}

/* All shards are in the sum. One that has grown out of its only shard is made more even if nobody
 * waits for it. */
static void sum_up(struct redis_store *s, struct count *count)
{
    if (count->room->shards > 1 || shards_for(count->sum, 1) > 1) {
        publish(s, count);
        return;
    }
    answer(s, count, count->sum, count->now_ms);
    count_free(count);
}

static void on_count(struct redis_store *s, void *arg, const redisReply *reply)
{
    struct count *count = arg;
    bool is_first = count->shard == 0 && count->sweeps == 0;
    bool is_due = redis_u64(redis_at(reply, 7)) == 1;

    counter_add(&s->front.stats.lapsed, redis_u64(redis_at(reply, 2)));
    if (count->shard == 0)
        learn_shards(count->room, redis_u64(redis_at(reply, 3)), redis_i64(redis_at(reply, 4)));
    if (is_first && count->room->shards > 1)
        answer(s, count, redis_u64(redis_at(reply, 5)), redis_i64(redis_at(reply, 6)));
    if (is_first && count->room->shards > 1 && !is_due) {
        count_free(count);
        return;
    }
    if (redis_u64(redis_at(reply, 1)) == 1 && ++count->sweeps < SWEEPS_MAX) {
        ask_count(s, count);
        return;
    }
    count->sum += redis_u64(redis_at(reply, 0));
    count->sweeps = 0;
    if (++count->shard < count->room->shards)
        ask_count(s, count);
    else
        sum_up(s, count);
}

static void ask_count(struct redis_store *s, struct count *count)
{
    bool is_first = count->shard == 0 && count->sweeps == 0;

    words_count(s, count->room->key, count->shard, count->now_ms, is_first ? FRESH_MS : 0);
    redis_ask(s, &(struct redis_question){.then = on_count, .otherwise = count_lost, .arg = count});
}

int redis_presence_count(struct store *store, struct str room, int64_t now_ms,
                         store_presence_count_cb *cb, void *arg)
{
    struct redis_store *s = redis_of(store);
    struct presence_job *job = presence_count_job_new(room, now_ms, cb, arg);

    int err = redis_start(s, &job->job);
    if (err != 0) return err;
    struct count *count = xcalloc(1, sizeof(*count));
    *count = (struct count){.job = job, .room = redis_room(s, room), .now_ms = now_ms};
    count->room->users++;
    redis_touch(s, count->room);
    ask_count(s, count);
    return 0;
}

/* --- pages ----------------------------------------------------------------------------------- */

struct page {
    struct presence_job *job;
    struct redis_room *room;
    uint32_t shards, stretch; /* of the order, that is being looked at */
    uint32_t from;            /* in the order */
    size_t looked;
    struct buf after;
};

static void ask_page(struct redis_store *s, struct page *page);

static void page_free(struct page *page)
{
    page->room->users--;
    buf_deinit(&page->after);
    free(page);
}

static void page_lost(struct redis_store *s, void *arg)
{
    struct page *page = arg;

    redis_done(s, &page->job->job, ERR_STORE_UNAVAILABLE);
    page_free(page);
}

/* The stretch after the last one looked at. False: that was the last of all. */
static bool next_stretch(struct page *page)
{
    if (++page->stretch >= page->shards) return false;
    page->from = (uint32_t)((uint64_t)page->stretch * ((UINT64_C(1) << 32) / page->shards));
    return true;
}

static void take_users(struct page *page, const redisReply *users)
{
    size_t count = users != NULL && users->type == REDIS_REPLY_ARRAY ? users->elements / 3 : 0;

    for (size_t i = 0; i < count && page->job->out.count < page->job->in.limit; i++) {
        const struct store_present user = {
            .user = redis_str(users->element[3 * i]),
            .since_ms = redis_i64(users->element[3 * i + 1]),
            .seen_ms = redis_i64(users->element[3 * i + 2]),
        };
        presence_job_add(page->job, &user);
    }
}

static void on_page(struct redis_store *s, void *arg, const redisReply *reply)
{
    struct page *page = arg;
    struct presence_job *job = page->job;
    struct str last = redis_str(redis_at(reply, 1));
    bool has_moved = last.len > 0 && !str_eq(last, buf_str(&page->after));
    bool is_more = redis_u64(redis_at(reply, 0)) == 1;

    take_users(page, redis_at(reply, 2));
    page->looked += SCAN_MAX / 4;
    if (has_moved) {
        buf_clear(&page->after);
        buf_add_str(&page->after, last);
        page->from = reverse(hash_of(last));
    }
    bool is_full = job->out.count >= job->in.limit || page->looked >= SCAN_MAX * 4;
    if (!is_more && !next_stretch(page)) {
        redis_done(s, &job->job, 0);
    } else if (is_full && page->after.len > 0) {
        presence_job_end(job, buf_str(&page->after));
        redis_done(s, &job->job, 0);
    } else {
        ask_page(s, page);
        return;
    }
    page_free(page);
}

static void ask_page(struct redis_store *s, struct page *page)
{
    const struct store_presence_query *in = &page->job->in;
    uint32_t bits = (uint32_t)__builtin_ctz(page->shards);
    uint32_t shard = bits == 0 ? 0 : reverse(page->stretch) >> (32 - bits);
    struct redis_words *w = &s->words;

    words_shard(s, "presence_page", in->room, shard);
    words_i64(w, in->now_ms - STORE_PRESENCE_TTL_MS);
    words_u64(w, page->from);
    words_str(w, buf_str(&page->after));
    words_str(w, in->prefix);
    words_u64(w, in->limit - page->job->out.count);
    words_u64(w, SCAN_MAX / 4);
    redis_ask(s, &(struct redis_question){.then = on_page, .otherwise = page_lost, .arg = page});
}

static void page_begin(struct redis_store *s, void *arg)
{
    struct page *page = arg;

    page->shards = page->room->shards;
    page->stretch = (uint32_t)((uint64_t)page->from * page->shards >> 32);
    ask_page(s, page);
}

int redis_presence_page(struct store *store, const struct store_presence_query *in,
                        store_presence_page_cb *cb, void *arg)
{
    struct redis_store *s = redis_of(store);
    struct presence_job *job = presence_page_job_new(in, cb, arg);

    int err = redis_start(s, &job->job);
    if (err != 0) return err;
    struct page *page = xcalloc(1, sizeof(*page));
    page->job = job;
    page->room = redis_room(s, in->room);
    page->room->users++;
    redis_touch(s, page->room);
    if (in->after.len > 0) page->from = reverse(hash_of(in->after));
    buf_add_str(&page->after, in->after);
    with_shards(s, &(struct needing){page->room, page_begin, page_lost, page}, in->now_ms);
    return 0;
}
