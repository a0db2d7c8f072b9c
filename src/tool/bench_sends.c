/* The process that sends: the publisher and the senders are the same thing, a slot with a
 * connection.
 *
 * A publisher's message is due at a time that does not depend on the server (open loop); any free
 * slot takes it. Its stamp, and so every latency, counts from when it was due: a server that stalls
 * cannot hide that by also stalling the clock (coordinated omission). A sender's slot sends its
 * next message as soon as the last one is acknowledged (closed loop). */
#include "tool/bench.h"

#include "base/alloc.h"
#include "base/assert.h"

#define TICK_MS                 20
#define LATE_US                 10000
#define RETRY_MS                100
#define SOURCE_OFFSET           BENCH_PROCESSES /* its source addresses follow those of the viewers */
#define PUBLISHER_SLOTS_MIN     4
#define PUBLISHER_SLOTS_MAX     512
#define PUBLISHER_RATE_PER_SLOT 50 /* an acknowledgement may take 20 ms before messages wait */

struct slot {
    struct sends *sends;
    struct client_conn conn;
    struct client_timer timer; /* a sender that was put off */
    struct poll_scan scan;
    bool is_sender;
    enum list_kind list; /* of the message under way */
    uint32_t room;       /* the same; a sender's own */
    uint32_t url;
    int64_t due_us;    /* of the message under way */
    struct slot *next; /* in the list of free publishers */
};

struct sends {
    const struct bench *bench;
    struct bench_sends *shared;
    struct client *client;
    struct slot *slots; /* owned */
    size_t count, under_way;
    struct slot *free; /* publishers with nothing to do */
    int64_t start_us;
    uint64_t
        requests; /* number of the next one: each is a message of its own, as a client would send it */
    uint64_t published, to_publish; /* messages of the schedule: that went out, that there are */
    bool stopping;                  /* senders begin no more; the publisher ends its schedule */
    struct buf request, body;
};

/* ---- requests ---------------------------------------------------------------------- */

/* {"t":DUE,"pad":"xxx…"}, as long as asked for: the measure is the message's body. */
static void write_body(struct sends *s, const struct slot *slot)
{
    struct buf *out = &s->body;
    buf_clear(out);
    if (slot->is_sender)
        buf_add_lit(out, "{\"pad\":\"");
    else
        buf_printf(out, "{\"t\":%lld,\"pad\":\"", (long long)slot->due_us);
    while (out->len + 2 < s->bench->options.size_bytes) buf_add_char(out, 'x');
    buf_add_lit(out, "\"}");
}

static void write_request(struct sends *s, const struct slot *slot, const struct url *url)
{
    struct protocol_peer peer = {s->bench->protocol, url, s->bench->options.key,
                                 s->bench->rooms[slot->room]};
    write_body(s, slot);
    struct protocol_send send = {
        .body = buf_str(&s->body),
        .list = slot->list,
        .run = (uint64_t)s->start_us,
        .request = s->requests++,
    };
    buf_clear(&s->request);
    protocol_write_send(&s->request, &peer, &send);
}

static void slot_rest(struct slot *slot);

static void slot_send(struct slot *slot, uint32_t room, int64_t due_us)
{
    struct sends *s = slot->sends;
    const struct url *url = &s->bench->urls.url[slot->url];
    slot->room = room;
    slot->due_us = due_us;
    write_request(s, slot, url);
    poll_scan_init(&slot->scan, NULL, NULL, false);
    s->under_way++;
    if (client_conn_request(&slot->conn, url, buf_str(&s->request)) == 0) return;
    s->under_way--;
    counter_add(&s->shared->lost_connections, 1);
    slot_rest(slot);
}

/* ---- slots ------------------------------------------------------------------------- */

/* Nothing is under way: a publisher is free for the next message, a sender tries again after a
 * while. */
static void slot_rest(struct slot *slot)
{
    struct sends *s = slot->sends;
    if (slot->is_sender) {
        client_timer_arm(s->client, &slot->timer, RETRY_MS);
        return;
    }
    slot->next = s->free;
    s->free = slot;
}

static void on_sender_due(struct client_timer *timer)
{
    struct slot *slot = CONTAINER_OF(timer, struct slot, timer);
    if (!slot->sends->stopping) slot_send(slot, slot->room, client_now_us());
}

static void publish_due(struct sends *s);

static void slot_go_on(struct slot *slot, bool acknowledged)
{
    struct sends *s = slot->sends;
    if (slot->is_sender && acknowledged && !s->stopping) {
        slot_send(slot, slot->room, client_now_us());
        return;
    }
    slot_rest(slot);
    if (!slot->is_sender) publish_due(s);
}

static void on_body(struct client_conn *conn, struct str bytes)
{
    poll_scan_feed(&CONTAINER_OF(conn, struct slot, conn)->scan, bytes);
}

static void note_refusal(struct bench_sends *shared, int status, const char *code)
{
    counter_add(status == 429 || status == 503 ? &shared->put_off : &shared->errors, 1);
    snprintf(shared->refused, sizeof(shared->refused), "%d %s", status, code);
}

static void on_answer(struct client_conn *conn, int status)
{
    struct slot *slot = CONTAINER_OF(conn, struct slot, conn);
    struct sends *s = slot->sends;
    bool whole = poll_scan_finish(&slot->scan);
    enum protocol protocol = s->bench->protocol;
    bool readable = whole || protocol != PROTOCOL_STOA;
    bool acknowledged = readable && protocol_is_stored(protocol, status, &slot->scan);
    s->under_way--;
    if (acknowledged) {
        counter_add(&s->shared->acknowledged, 1);
        counter_add(&s->bench->shared->sent[slot->room][slot->list], 1);
        histogram_add(&s->shared->latency, client_now_us() - slot->due_us);
    } else {
        note_refusal(s->shared, status, whole ? slot->scan.code : "");
    }
    slot_go_on(slot, acknowledged);
}

/* Whether it was stored is not known, so it counts as not sent; a surplus at the viewers would show
 * it. */
static void on_lost(struct client_conn *conn, const char *reason)
{
    struct slot *slot = CONTAINER_OF(conn, struct slot, conn);
    (void)reason;
    slot->sends->under_way--;
    slot->url = (slot->url + 1) % (uint32_t)slot->sends->bench->urls.count;
    counter_add(&slot->sends->shared->lost_connections, 1);
    slot_rest(slot);
}

static const struct client_events client_events = {NULL, on_body, on_answer, on_lost};

/* ---- the publisher's schedule ------------------------------------------------------ */

/* Messages per second over all rooms. */
static double total_rate(const struct bench *bench)
{
    return bench->options.rate * bench->options.rooms;
}

static int64_t due_us(const struct sends *s, uint64_t number)
{
    return s->start_us + (int64_t)((double)number * 1e6 / total_rate(s->bench));
}

/* Of each room's messages, every Nth is high. */
static enum list_kind list_of(const struct bench *bench, uint64_t number)
{
    uint64_t in_room = number / bench->options.rooms, every = bench->options.high_every;
    bool high = bench->protocol == PROTOCOL_STOA && every > 0 && in_room % every == every - 1;
    return high ? LIST_HIGH : LIST_NORMAL;
}

static void on_publisher_due(void *arg);

/* Sends all that is due, as far as slots are free; a slot that becomes free comes here again. */
static void publish_due(struct sends *s)
{
    int64_t now_us = client_now_us(), next_us = now_us;
    while (s->published < s->to_publish) {
        next_us = due_us(s, s->published);
        if (next_us > now_us || s->free == NULL) break;
        struct slot *slot = s->free;
        s->free = slot->next;
        slot->list = list_of(s->bench, s->published);
        uint32_t room = (uint32_t)(s->published++ % s->bench->options.rooms);
        if (now_us - next_us > LATE_US) counter_add(&s->shared->late, 1);
        slot_send(slot, room, next_us);
    }
    if (s->published == s->to_publish) return;
    /* All busy, or none could connect: a while later. */
    if (next_us <= now_us) next_us = now_us + RETRY_MS * INT64_C(1000);
    client_set_alarm(s->client, next_us, on_publisher_due, s);
}

static void on_publisher_due(void *arg)
{
    publish_due(arg);
}

/* ---- the process ------------------------------------------------------------------- */

static uint32_t publisher_slots(const struct bench *bench)
{
    double wanted = total_rate(bench) / PUBLISHER_RATE_PER_SLOT;
    if (total_rate(bench) <= 0) return 0;
    if (wanted < PUBLISHER_SLOTS_MIN) return PUBLISHER_SLOTS_MIN;
    return wanted > PUBLISHER_SLOTS_MAX ? PUBLISHER_SLOTS_MAX : (uint32_t)wanted;
}

static void init(struct sends *s, const struct bench *bench)
{
    uint32_t senders = bench->options.senders, publishers = publisher_slots(bench);
    *s = (struct sends){.bench = bench, .shared = &bench->shared->sends};
    s->client = client_new(SOURCE_OFFSET, 4);
    ASSERT(s->client != NULL);
    s->count = senders + publishers;
    s->slots = xcalloc(s->count > 0 ? s->count : 1, sizeof(*s->slots));
    s->to_publish = (uint64_t)(total_rate(bench) * bench->options.secs);
    for (uint32_t i = 0; i < s->count; i++) {
        struct slot *slot = &s->slots[i];
        slot->sends = s;
        slot->is_sender = i < senders;
        slot->list = LIST_NORMAL;
        slot->room = i % bench->options.rooms;
        slot->url = i % (uint32_t)bench->urls.count;
        client_conn_init(&slot->conn, s->client, &client_events, i);
        client_timer_init(&slot->timer, on_sender_due);
        if (!slot->is_sender) slot_rest(slot);
    }
}

static void start(struct sends *s)
{
    s->start_us = client_now_us();
    for (size_t i = 0; i < s->count; i++)
        if (s->slots[i].is_sender) slot_send(&s->slots[i], s->slots[i].room, s->start_us);
    publish_due(s);
}

static void deinit(struct sends *s)
{
    client_clear_alarm(s->client);
    for (size_t i = 0; i < s->count; i++) {
        client_timer_cancel(s->client, &s->slots[i].timer);
        client_conn_close(&s->slots[i].conn);
    }
    free(s->slots);
    buf_deinit(&s->request);
    buf_deinit(&s->body);
    client_free(s->client);
}

static void run_while(struct sends *s, enum bench_phase phase)
{
    while (bench_phase(s->bench) == phase)
        client_run(s->client, client_now_ms(s->client) + TICK_MS);
}

void bench_run_sends(const struct bench *bench)
{
    struct sends s;
    init(&s, bench);
    run_while(&s, BENCH_JOIN);
    start(&s);
    run_while(&s, BENCH_MEASURE);
    s.stopping = true;
    while (bench_phase(bench) == BENCH_SETTLE) {
        bool idle = s.under_way == 0 && s.published == s.to_publish;
        counter_set(&s.shared->idle, idle);
        client_run(s.client, client_now_ms(s.client) + TICK_MS);
    }
    deinit(&s);
}
