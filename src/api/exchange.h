/* One request on its way to its answer, and the ways to answer it. Internal to the api. */
#ifndef STOA_API_EXCHANGE_H
#define STOA_API_EXCHANGE_H

#include "api/api.h"
#include "base/map.h"
#include "http/json_read.h"

#define LIMIT_CORS_ORIGINS 60 /* distinct ones, over all apps and reloads */

/* Decoded parts of the request at hand. Kept by the api, so that a poll allocates nothing for them;
 * no longer than a request's head. */
struct exchange_text {
    struct buf room;        /* id of the path */
    struct buf rest;        /* part of the path behind the room, if any */
    struct buf credentials; /* token or key */
    struct buf user;
    struct buf page; /* since, before or page */
};

struct api {
    struct api_config config;
    struct apps *apps;
    struct worker *worker;
    uint64_t next_anonymous;
    struct map identities; /* by their credentials' digest */
    struct exchange_text text;
    struct buf scratch; /* of the answer being written */
    struct buf headers;
    /* Origins that answers may name, so that a waiter remembers one in six bits. Only grows. */
    char *origins[LIMIT_CORS_ORIGINS];
    uint32_t origin_count;
    /* Strings of the poll that repeats at the moment. */
    char poll_room[LIMIT_ROOM_KEY + 1], poll_user[LIMIT_USER_ID + 1];
};

/* How an answer is written; fits the 8 bits that a waiter keeps of it. */
struct answer_form {
    bool keep_alive;
    bool head_only;
    uint8_t origin; /* 0: no CORS; 1: any; n: origins[n - 2] */
};

struct exchange {
    struct api *api;
    struct api_conn *conn;
    uint64_t handle;
    const struct http_request *request;
    struct str wire; /* the request's bytes, or STR_NONE */
    int64_t now_ms;
    struct answer_form form;
    struct identity who; /* filled by exchange_identify() */
    bool is_anonymous;   /* the user's name was made up here */
    struct exchange_text *text;
    uint64_t waiter; /* out: of a poll that waits */
};

uint8_t form_pack(struct answer_form form);
struct answer_form form_unpack(uint8_t packed);

/* answering: each ends the exchange */
void answer_json(struct api *api, uint64_t exchange, struct answer_form form, int status,
                 struct str body);
void answer_empty(struct api *api, uint64_t exchange, struct answer_form form, int status);
void answer_problem(struct api *api, uint64_t exchange, struct answer_form form, int err,
                    const char *detail, int64_t retry_after_ms);
void answer_bytes(struct api *api, uint64_t exchange, struct answer_form form,
                  struct str content_type, struct str extra_headers, struct str body);
/* 405 with the Allow header. */
void answer_method(struct exchange *x, const char *allow);
void answer_preflight(struct exchange *x);
/* The same for an exchange at hand. */
void refuse(struct exchange *x, int err, const char *detail);

/* who is asking (access.c) */
/* Fills x->who; false: answered already. */
bool exchange_identify(struct exchange *x);
struct str identity_key(const void *identity);
void identity_unref(struct api *api, struct identity *identity); /* NULL is fine */
/* May this identity act in this room, in this role? false: answered already. */
bool exchange_require(struct exchange *x, enum role role);
/* The key "app/room". */
struct str room_key_of(const struct app *app, struct str room, char ret[LIMIT_ROOM_KEY + 1]);
struct str exchange_room_key(const struct exchange *x, char ret[LIMIT_ROOM_KEY + 1]);
/* The name of a connection's anonymous user. */
struct str anonymous_name(uint64_t number, char ret[LIMIT_USER_ID + 1]);
/* Reads an integer of the query; false: answered already. */
bool exchange_query_u64(struct exchange *x, const char *name, uint64_t min, uint64_t max,
                        uint64_t *ret);
/* Sends a call, whose outcome api_on_call() writes; false: answered already. */
bool exchange_call(struct exchange *x, struct call *call);

/* resources */
void messages_get(struct exchange *x);  /* messages.c: the poll, history */
void messages_post(struct exchange *x); /* send.c */
void messages_post_done(struct api *api, struct call *call);
/* Keeps a poll of the exchange's connection, for api_repeats(); before it is answered. */
void repeat_keep(struct exchange *x, const struct poll *poll); /* repeat.c */
/* The wire form of a poll's answer. */
struct blob *messages_render(struct api *api, const struct answer *answer, struct answer_form form);
void messages_history_done(struct api *api, struct call *call);
void leave_post(struct exchange *x); /* online.c */
void online_get(struct exchange *x);
void online_done(struct api *api, struct call *call);
void online_users_get(struct exchange *x);
void online_users_done(struct api *api, struct call *call);
void room_put(struct exchange *x); /* rooms.c */
void room_get(struct exchange *x);
void room_delete(struct exchange *x);
void room_list(struct exchange *x);
void room_done(struct api *api, struct call *call);
void room_list_done(struct api *api, struct call *call);
void viewers_get(struct exchange *x); /* counting.c */
void viewers_done(struct api *api, struct call *call);
void stats_get(struct exchange *x);
void stats_done(struct api *api, struct call *call);
void nodes_get(struct exchange *x); /* nodes.c */
void sects_get(struct exchange *x);
void routes_done(struct api *api, struct call *call);
void sect_put(struct exchange *x);
void sect_put_done(struct api *api, struct call *call);
/* The member "sect" of a body, null as the empty string. NULL, or what is wrong. */
const char *sect_read(struct json_reader *json, char ret[LIMIT_SECT + 1]);
/* Answers a call that failed; ERR_BAD_REQUEST by which sects there are. */
void sect_problem(struct api *api, const struct call *call);
void ops_healthz(struct exchange *x); /* ops.c */
void ops_readyz(struct exchange *x);
void ops_metrics(struct exchange *x);
void ops_ping_done(struct api *api, struct call *call);

#endif
