/* What the files of the Redis driver share (store/redis.h). The hub's thread.
 *
 * A verb makes a job (store/job.h), redis_start()s it, and asks Redis, once or several times: each time
 * redis_ask() with what is to be done with the answer. redis_done() ends it; its callback fires in the
 * next dispatch. */
#ifndef STOA_STORE_REDIS_STORE_H
#define STOA_STORE_REDIS_STORE_H

#include "store/front.h"
#include "store/redis_cluster.h"
#include "store/redis_library.h"
#include "store/redis_words.h"

struct redis_store;

/* Something of ours that stores messages in a room and is under way: its news, which may come before
 * its answer, have this number. */
struct redis_flight {
    struct list node; /* of the room's */
    uint64_t number;
};

/* Appends to one list of a room. */
struct redis_queue {
    struct redis_room *room;
    struct list jobs;  /* wait to be sent */
    struct list ready; /* in the store's, while there are some and none is under way */
    bool is_flying;
};

/* A room as this node has to do with it. Made at the first need, forgotten when it has been idle. */
struct redis_room {
    struct str key;
    struct redis_queue queues[LIST_KINDS];
    struct list flights;
    uint64_t awaits[LIST_KINDS];  /* number of the flight whose end lets go of: */
    struct list held[LIST_KINDS]; /* news */
    size_t held_count;
    struct list sweep; /* in the store's, by sweep_ms */
    int64_t sweep_ms, touched_ms;
    bool is_watched, is_sweeping;
    unsigned users; /* calls under way that hold on to it */
    /* Presence: into how many shards users go, and when that was last made more. */
    uint32_t shards; /* 0: not known yet */
    int64_t grown_ms;
    char bytes[];
};

struct redis_store {
    struct store store;
    struct front front;
    struct redis_library library;
    struct redis_cluster *cluster;
    struct store_retention retention[LIST_KINDS];
    struct store_history history;
    bool is_callers_clock; /* leases go by the now_ms of the calls: for tests */
    bool is_closing;
    struct list done;   /* jobs whose callback is due */
    struct list asked;  /* questions without an answer yet */
    size_t jobs, bytes; /* under way */
    struct map rooms;   /* key -> struct redis_room */
    struct list ready;  /* queues with something to send */
    struct list sweeps; /* rooms, the next to be swept first */
    size_t sweeping;
    uint64_t tag; /* of this store, in the news of what it stored */
    uint64_t flight_number;
    int64_t complained_ms;
    struct redis_words words; /* of the command that is being made */
};

struct redis_room *redis_room(struct redis_store *s, struct str key); /* makes one */
struct str redis_room_key(struct redis_store *s, struct str room, const char *suffix); /* a word */
void redis_room_forget(struct redis_store *s, struct redis_room *room);
/* Somebody has to do with it: sweep it one day. */
void redis_touch(struct redis_store *s, struct redis_room *room);

/* ERR_OVERLOADED, and the job is freed: too many are under way. */
int redis_start(struct redis_store *s, struct job *job);
/* The callback is due. */
void redis_done(struct redis_store *s, struct job *job, int err);

/* reply: what was asked for, never an error. */
typedef void redis_then(struct redis_store *s, void *arg, const redisReply *reply);
typedef void redis_else(struct redis_store *s, void *arg);

struct redis_question {
    redis_then *then;
    redis_else *otherwise; /* no answer, or an error, which is logged */
    void *arg;
    bool is_replicated;
};

/* Sends the command in s->words. Exactly one of the two is called, from the loop, or from inside when
 * it cannot be sent. */
void redis_ask(struct redis_store *s, const struct redis_question *question);
/* For a job that has nothing to clean up: without an answer it is done with ERR_STORE_UNAVAILABLE. */
void redis_ask_for(struct redis_store *s, struct job *job, redis_then *then, bool is_replicated);

/* Replies. What is not as expected reads as 0, or as empty. */
struct str redis_str(const redisReply *reply);
int64_t redis_i64(const redisReply *reply);
uint64_t redis_u64(const redisReply *reply);
uint64_t redis_stream_id(const redisReply *reply);                 /* "ms-n" */
const redisReply *redis_at(const redisReply *reply, size_t index); /* NULL: not there */

/* redis_append.c */
int redis_append(struct store *store, const struct store_append *in, store_append_cb *cb,
                 void *arg);
void redis_append_flush(struct redis_store *s);

/* redis_news.c */
void redis_watch(struct store *store, struct str room);
void redis_unwatch(struct store *store, struct str room);
void redis_on_message(void *arg, struct str channel, struct str payload);
void redis_on_resubscribed(void *arg, struct str channel);
void redis_fly(struct redis_store *s, struct redis_room *room, struct redis_flight *flight);
void redis_land(struct redis_store *s, struct redis_room *room, struct redis_flight *flight);
/* The head of the news of a flight: a word. */
void redis_flight_word(struct redis_store *s, const struct redis_flight *flight);

/* redis_read.c */
int redis_read(struct store *store, const struct store_read *in, store_read_cb *cb, void *arg);

/* redis_rooms.c */
int redis_room_put(struct store *store, const struct store_room_put *in, store_room_cb *cb,
                   void *arg);
int redis_room_get(struct store *store, struct str room, store_room_cb *cb, void *arg);
int redis_room_list(struct store *store, struct str app, struct str after, uint32_t limit,
                    store_list_cb *cb, void *arg);

/* redis_viewers.c */
int redis_viewers_add(struct store *store, const struct store_viewers_add *in, store_viewers_cb *cb,
                      void *arg);
int redis_viewers_merge(struct store *store, const struct store_viewers_merge *in,
                        store_viewers_cb *cb, void *arg);
int redis_viewers_count(struct store *store, const struct store_viewers_count *in,
                        store_viewers_cb *cb, void *arg);

/* redis_samples.c */
int redis_sample_put(struct store *store, const struct store_sample_put *in, store_sample_cb *cb,
                     void *arg);
int redis_sample_range(struct store *store, const struct store_sample_range *in,
                       store_samples_cb *cb, void *arg);
/* Makes one hour of samples that are older than before_ms one sample; then calls back. */
void redis_samples_thin(struct redis_store *s, struct redis_room *room, int64_t before_ms,
                        void (*then)(struct redis_store *, struct redis_room *, bool more));

/* redis_presence.c */
int redis_presence_put(struct store *store, const struct store_presence_put *in,
                       store_presence_put_cb *cb, void *arg);
int redis_presence_count(struct store *store, struct str room, int64_t now_ms,
                         store_presence_count_cb *cb, void *arg);
int redis_presence_page(struct store *store, const struct store_presence_query *in,
                        store_presence_page_cb *cb, void *arg);

/* redis_nodes.c */
int redis_node_beat(struct store *store, const struct store_node_beat *in, store_done_cb *cb,
                    void *arg);
int redis_routes_get(struct store *store, const struct store_routes_get *in, store_routes_cb *cb,
                     void *arg);
int redis_route_put(struct store *store, const struct store_route_put *in, store_done_cb *cb,
                    void *arg);
int redis_lease(struct store *store, const struct store_lease *in, store_lease_cb *cb, void *arg);

/* redis_sweep.c */
void redis_sweep(struct redis_store *s, int64_t now_ms);
/* When the next room is due. */
int64_t redis_sweep_next(const struct redis_store *s);

#endif
