/* Before the load: rooms whose quotas let it through. */
#include "tool/bench.h"

#include <errno.h>
#include <stdio.h>

#define SETUP_LIMIT_MS 10000
#define QUOTA_MAX      100000 /* messages per second: as much as a room may have */
#define ROOMS_AT_ONCE  16

struct setup {
    const struct bench *bench;
    struct client *client;
    uint32_t next, done;
    int refused; /* the first status that was not 2xx */
    char code[40];
    const char *lost; /* why a connection failed, NULL: none did */
    struct buf request;
};

struct setup_slot {
    struct setup *setup;
    struct client_conn conn;
    struct poll_scan scan;
};

static uint32_t quota(const struct bench_options *o)
{
    double wanted = 2 * o->rate + 200; /* after a stall the publisher catches up in a burst */
    return o->senders > 0 || wanted > QUOTA_MAX ? QUOTA_MAX : (uint32_t)wanted;
}

static void put_next(struct setup_slot *slot)
{
    struct setup *s = slot->setup;
    const struct bench_options *o = &s->bench->options;
    const struct url *url = &s->bench->urls.url[0];
    if (s->next == o->rooms) return;
    struct protocol_peer peer = {s->bench->protocol, url, o->key, s->bench->rooms[s->next++]};
    struct protocol_room room = {
        .normal_per_s = quota(o),
        .high_per_s = quota(o),
        .max_body_bytes = o->size_bytes > 4096 ? o->size_bytes : 4096,
    };
    buf_clear(&s->request);
    protocol_write_room(&s->request, &peer, &room);
    poll_scan_init(&slot->scan, NULL, NULL, false);
    if (client_conn_request(&slot->conn, url, buf_str(&s->request)) != 0) s->lost = "failed";
}

static void on_body(struct client_conn *conn, struct str bytes)
{
    poll_scan_feed(&CONTAINER_OF(conn, struct setup_slot, conn)->scan, bytes);
}

static void on_answer(struct client_conn *conn, int status)
{
    struct setup_slot *slot = CONTAINER_OF(conn, struct setup_slot, conn);
    struct setup *s = slot->setup;
    s->done++;
    if (status / 100 != 2 && s->refused == 0) {
        s->refused = status;
        str_copy(str_of(slot->scan.code), s->code, sizeof(s->code));
    }
    put_next(slot);
}

static void on_lost(struct client_conn *conn, const char *reason)
{
    CONTAINER_OF(conn, struct setup_slot, conn)->setup->lost = reason;
}

static const struct client_events events = {NULL, on_body, on_answer, on_lost};

static void run(struct setup *s)
{
    struct setup_slot slots[ROOMS_AT_ONCE];
    int64_t limit_ms = client_now_ms(s->client) + SETUP_LIMIT_MS;
    for (uint32_t i = 0; i < ROOMS_AT_ONCE; i++) {
        slots[i].setup = s;
        client_conn_init(&slots[i].conn, s->client, &events, i);
        put_next(&slots[i]);
    }
    while (s->done < s->bench->options.rooms && s->lost == NULL &&
           client_now_ms(s->client) < limit_ms)
        client_run(s->client, client_now_ms(s->client) + 10);
    for (uint32_t i = 0; i < ROOMS_AT_ONCE; i++) client_conn_close(&slots[i].conn);
}

int bench_prepare_rooms(const struct bench *bench, struct buf *why)
{
    struct setup s = {.bench = bench, .client = client_new(0, 0)};
    int err = 0;
    if (s.client == NULL) {
        buf_printf(why, "epoll: %s", strerror(errno));
        return -1;
    }
    run(&s);
    if (s.lost != NULL || s.done < bench->options.rooms) {
        buf_printf(why, "%s: %s: is the server there?", bench->urls.url[0].authority,
                   s.lost != NULL ? s.lost : "no answer");
        err = -1;
    } else if (s.refused == 401 || s.refused == 403) {
        buf_printf(why, "the server refuses the key: %d %s", s.refused, s.code);
        err = -1;
    } else if (s.refused != 0) {
        fprintf(stderr, "stoa bench: rooms keep their quotas: PUT gave %d %s\n", s.refused, s.code);
    }
    buf_deinit(&s.request);
    client_free(s.client);
    return err;
}
