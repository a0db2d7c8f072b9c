/* A call to a store that is under way: an owned copy of its arguments, its callback, and its
 * answer.
 *
 * The calling thread makes a job (x_job_new), a driver carries it out, perhaps on another thread,
 * and the calling thread fires its callback and frees it (front_finish in store/front.h). One
 * thread has the job at a time; whoever passes it on does not touch it again.
 *
 * To add a verb: a kind, a struct that begins with struct job, its x_job_new, and its cases in
 * job_free() and front_finish(). */
#ifndef STOA_STORE_JOB_H
#define STOA_STORE_JOB_H

#include "base/list.h"
#include "core/store.h"
#include "store/arena.h"

/* What the messages of one answer may take in bytes; more come with the next read. */
#define JOB_RANGE_BYTES ((size_t)1024 * 1024)

enum job_kind {
    JOB_APPEND,
    JOB_READ,
    JOB_ROOM_PUT,
    JOB_ROOM_GET,
    JOB_ROOM_LIST,
    JOB_PING,
    JOB_VIEWERS_ADD,
    JOB_VIEWERS_MERGE,
    JOB_VIEWERS_COUNT,
    JOB_SAMPLE_PUT,
    JOB_SAMPLE_RANGE,
    JOB_PRESENCE_PUT,
    JOB_PRESENCE_COUNT,
    JOB_PRESENCE_PAGE,
    JOB_NODE_BEAT,
    JOB_ROUTES_GET,
    JOB_ROUTE_PUT,
    JOB_LEASE,
    JOB_NEWS,
};

struct job {
    struct list node; /* for whoever has the job; linked to itself at first */
    enum job_kind kind;
    size_t size_bytes; /* taken by the arguments */
    int err;           /* the answer's; 0 at first */
};

struct append_job {
    struct job job;
    struct store_append in; /* in.message gets its id, prev and ordinal when it is stored */
    store_append_cb *cb;
    void *arg;
    struct store_appended out;
    char bytes[];
};

struct read_job {
    struct job job;
    struct store_read in;
    store_read_cb *cb;
    void *arg;
    struct store_range out; /* filled by read_job_add(); tail and trimmed by the driver */
    struct message *messages;
    size_t cap;
    struct arena arena;
    bool is_known; /* answered from what an earlier read found */
    char bytes[];
};

/* A put and a get, by kind. */
struct room_job {
    struct job job;
    struct store_room_put
        in; /* in.control gets its id when it is stored; a get has the room alone */
    store_room_cb *cb;
    void *arg;
    struct room_record out;
    bool created;
    char bytes[];
};

struct list_job {
    struct job job;
    struct str app, after; /* in */
    uint32_t limit;
    store_list_cb *cb;
    void *arg;
    struct store_room_item *items; /* out, by list_job_add() */
    size_t count, cap;
    bool more;
    struct arena arena;
    char bytes[];
};

struct ping_job {
    struct job job;
    store_ping_cb *cb;
    void *arg;
};

/* An add, a merge and a count, by kind. */
struct viewers_job {
    struct job job;
    struct str room;
    int64_t bucket_ms;      /* of an add and a merge */
    int64_t from_ms, to_ms; /* of a count */
    size_t count;           /* of users */
    struct str sketch;      /* of a merge */
    store_viewers_cb *cb;
    void *arg;
    struct viewers_count out;
    struct viewers sum; /* a driver's, of a count that it carries out in steps */
    int64_t at_ms;      /* the first bucket that is not in it */
    bool has_sum;
    struct str users[]; /* of an add; the strings of all of them lie behind */
};

struct sample_job {
    struct job job;
    struct store_sample_put in;
    store_sample_cb *cb;
    void *arg;
    char bytes[];
};

struct samples_job {
    struct job job;
    struct store_sample_range in;
    store_samples_cb *cb;
    void *arg;
    struct sample *samples; /* out, by samples_job_add() */
    size_t count, cap;
    bool more;
    char bytes[];
};

struct presence_put_job {
    struct job job;
    struct store_presence_put in;
    store_presence_put_cb *cb;
    void *arg;
    struct store_present users[]; /* the strings of all of them lie behind */
};

/* A count and a page, by kind. */
struct presence_job {
    struct job job;
    struct store_presence_query in; /* a count has the room and the time alone */
    store_presence_count_cb *count_cb;
    store_presence_page_cb *page_cb;
    void *arg;
    uint64_t online; /* out, of a count */
    int64_t as_of_ms;
    struct store_presence_page out; /* by presence_job_add(), but for more and last */
    struct store_present *users;
    size_t cap;
    struct arena arena;
    char bytes[];
};

struct beat_job {
    struct job job;
    struct store_node_beat in; /* in.node is `node` */
    struct node_record node;
    store_done_cb *cb;
    void *arg;
};

struct routes_job {
    struct job job;
    struct store_routes_get in;
    store_routes_cb *cb;
    void *arg;
    struct routes *out; /* owned; NULL: what the caller knows is still true */
};

struct route_job {
    struct job job;
    struct store_route_put in;
    store_done_cb *cb;
    void *arg;
    struct route out; /* what is stored now; an empty sect: nothing is */
    char bytes[];
};

struct lease_job {
    struct job job;
    struct store_lease in;
    store_lease_cb *cb;
    void *arg;
    bool is_held; /* out */
    char bytes[];
};

/* No call: a message that somebody else has stored, on its way to whoever watches the room. */
struct news_job {
    struct job job;
    struct str room;
    struct message message;
    char bytes[];
};

struct append_job *append_job_new(const struct store_append *in, store_append_cb *cb, void *arg);
struct read_job *read_job_new(const struct store_read *in, store_read_cb *cb, void *arg);
struct room_job *room_put_job_new(const struct store_room_put *in, store_room_cb *cb, void *arg);
struct room_job *room_get_job_new(struct str room, store_room_cb *cb, void *arg);
struct list_job *list_job_new(struct str app, struct str after, uint32_t limit, store_list_cb *cb,
                              void *arg);
struct ping_job *ping_job_new(store_ping_cb *cb, void *arg);
struct viewers_job *viewers_add_job_new(const struct store_viewers_add *in, store_viewers_cb *cb,
                                        void *arg);
struct viewers_job *viewers_merge_job_new(const struct store_viewers_merge *in,
                                          store_viewers_cb *cb, void *arg);
struct viewers_job *viewers_count_job_new(const struct store_viewers_count *in,
                                          store_viewers_cb *cb, void *arg);
struct sample_job *sample_job_new(const struct store_sample_put *in, store_sample_cb *cb,
                                  void *arg);
struct samples_job *samples_job_new(const struct store_sample_range *in, store_samples_cb *cb,
                                    void *arg);
struct presence_put_job *presence_put_job_new(const struct store_presence_put *in,
                                              store_presence_put_cb *cb, void *arg);
struct presence_job *presence_count_job_new(struct str room, int64_t now_ms,
                                            store_presence_count_cb *cb, void *arg);
struct presence_job *presence_page_job_new(const struct store_presence_query *in,
                                           store_presence_page_cb *cb, void *arg);
struct beat_job *beat_job_new(const struct store_node_beat *in, store_done_cb *cb, void *arg);
struct routes_job *routes_job_new(const struct store_routes_get *in, store_routes_cb *cb,
                                  void *arg);
struct route_job *route_job_new(const struct store_route_put *in, store_done_cb *cb, void *arg);
struct lease_job *lease_job_new(const struct store_lease *in, store_lease_cb *cb, void *arg);
struct news_job *news_job_new(struct str room, const struct message *message);
void job_free(struct job *job); /* NULL is fine */

/* Downcasts; the kind is asserted. */
struct append_job *job_append(struct job *job);
struct read_job *job_read(struct job *job);
struct room_job *job_room(struct job *job);
struct list_job *job_list(struct job *job);
struct ping_job *job_ping(struct job *job);
struct viewers_job *job_viewers(struct job *job);
struct sample_job *job_sample(struct job *job);
struct samples_job *job_samples(struct job *job);
struct presence_put_job *job_presence_put(struct job *job);
struct presence_job *job_presence(struct job *job);
struct beat_job *job_beat(struct job *job);
struct routes_job *job_routes(struct job *job);
struct route_job *job_route(struct job *job);
struct lease_job *job_lease(struct job *job);
struct news_job *job_news(struct job *job);

/* Copies the next message into the answer, in the order of the read's direction. False, when the
 * answer takes no more (it then says so itself): offer limit + 1 messages, and stop at false. */
bool read_job_add(struct read_job *job, const struct message *message);
/* Puts what was added in id order. Once, after the last read_job_add(). */
void read_job_seal(struct read_job *job);
/* The same for a page of rooms. */
bool list_job_add(struct list_job *job, struct str room, const struct room_record *record);
/* Copies the next user of a page into the answer. */
void presence_job_add(struct presence_job *job, const struct store_present *user);
/* Where the page ends with more behind it. */
void presence_job_end(struct presence_job *job, struct str last);
/* The next sample in the order of time: opens a step of the answer, or goes into the one that is
 * open. False, when the answer takes no more: offer until then. */
bool samples_job_add(struct samples_job *job, const struct sample *sample);

#endif
