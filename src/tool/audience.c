#include "tool/audience.h"

#include "base/alloc.h"
#include "tool/nchan_scan.h"

#define BACK_OFF_FIRST_MS 50
#define BACK_OFF_MOST_MS  2000
/* An answer may come this much later than the poll's own timeout: pace, load, a slow network. */
#define LATE_MS 15000

/* What is needed while an answer comes in: pooled, since few of many viewers are at it at once. */
struct reading {
    struct poll_scan scan;       /* of nchan's answers: the cursor alone is set, at their end */
    struct nchan_scan nchan;     /* unused with Stoa */
    struct viewer_tally tally;   /* the viewer's, as it will be when the answer is whole */
    uint64_t before[LIST_KINDS]; /* last ids before this answer */
    bool normal_begun;           /* and no high one may follow */
    struct reading *next;
};

static void ask(struct viewer *v);

static struct viewer *viewer_of(struct client_conn *conn)
{
    return CONTAINER_OF(conn, struct viewer, conn);
}

static bool has_joined(const struct viewer *v)
{
    return v->cursor != NULL;
}

/* ---- reading an answer ------------------------------------------------------------- */

static void check_order(struct reading *r, const struct poll_message *m)
{
    struct viewer_tally *tally = &r->tally;
    bool late = m->list == LIST_HIGH && r->normal_begun;
    if (m->list == LIST_NORMAL) r->normal_begun = true;
    if (m->id <= r->before[m->list] || m->id == tally->last_id[m->list])
        tally->repeated[m->list]++;
    else if (m->id < tally->last_id[m->list] || late)
        tally->out_of_order[m->list]++;
}

static void on_message(void *arg, const struct poll_message *m)
{
    struct viewer *v = arg;
    struct viewer_tally *tally = &v->reading->tally;
    uint64_t repeated = tally->repeated[m->list];
    if (has_joined(v)) {
        check_order(v->reading, m);
        bool counts = v->audience->config.events->on_message(v, m);
        if (counts && tally->repeated[m->list] == repeated) tally->received[m->list]++;
    }
    if (m->id > tally->last_id[m->list]) tally->last_id[m->list] = m->id;
}

static struct reading *reading_take(struct viewer *v)
{
    struct audience *a = v->audience;
    struct reading *r = a->free_readings;
    if (r != NULL)
        a->free_readings = r->next;
    else
        r = xmalloc(sizeof(*r));
    poll_scan_init(&r->scan, on_message, v, a->config.want_content);
    if (a->config.protocol == PROTOCOL_NCHAN) nchan_scan_init(&r->nchan);
    r->tally = v->tally;
    r->normal_begun = false;
    memcpy(r->before, v->tally.last_id, sizeof(r->before));
    return r;
}

static void reading_drop(struct viewer *v)
{
    if (v->reading == NULL) return;
    v->reading->next = v->audience->free_readings;
    v->audience->free_readings = v->reading;
    v->reading = NULL;
}

static struct reading *reading_of(struct viewer *v)
{
    if (v->reading == NULL) v->reading = reading_take(v);
    return v->reading;
}

static void on_body(struct client_conn *conn, struct str bytes)
{
    poll_scan_feed(&reading_of(viewer_of(conn))->scan, bytes);
}

static void on_nchan_header(struct client_conn *conn, enum reply_header_part part, struct str bytes)
{
    nchan_scan_header(&reading_of(viewer_of(conn))->nchan, part, bytes);
}

static void on_nchan_body(struct client_conn *conn, struct str bytes)
{
    nchan_scan_body(&reading_of(viewer_of(conn))->nchan, bytes);
}

/* False if the answer is not whole, or makes no sense. */
static bool reading_finish(struct viewer *v, int status)
{
    struct reading *r = v->reading;
    struct poll_message message;
    if (v->audience->config.protocol == PROTOCOL_STOA) return poll_scan_finish(&r->scan);
    if (status != 200 || !nchan_scan_finish(&r->nchan, &message, r->scan.cursor)) return false;
    on_message(v, &message);
    return true;
}

/* ---- what to do next --------------------------------------------------------------- */

static void pause_for(struct viewer *v, int64_t delay_ms)
{
    v->state = VIEWER_PAUSED;
    client_timer_arm(v->audience->config.client, &v->timer, delay_ms);
}

/* Doubles with every failure in a row, +-50 %, so that viewers that lost one server do not come
 * back in step. */
static int64_t back_off_ms(struct viewer *v)
{
    int64_t most = BACK_OFF_MOST_MS;
    int64_t delay = v->failures < 8 ? (int64_t)BACK_OFF_FIRST_MS << v->failures : most;
    if (v->failures < UINT8_MAX) v->failures++;
    if (delay > most) delay = most;
    return delay / 2 + (int64_t)rng_below(&v->audience->rng, (uint64_t)delay);
}

static void try_elsewhere(struct viewer *v)
{
    v->url = (uint8_t)((v->url + 1) % v->audience->config.urls->count);
    pause_for(v, back_off_ms(v));
}

static void start_one(struct audience *a)
{
    if (a->started < a->count) ask(&a->viewers[a->started++]);
}

static void give_up(struct viewer *v, int status, const char *code)
{
    bool joining = !has_joined(v);
    v->state = VIEWER_GONE;
    client_timer_cancel(v->audience->config.client, &v->timer);
    client_conn_close(&v->conn);
    counter_add(&v->audience->config.counts->given_up, 1);
    v->audience->config.events->on_refused(v, status, code);
    if (joining) start_one(v->audience);
}

/* ---- answers ----------------------------------------------------------------------- */

static void add_to_counts(struct audience_counts *counts, const struct viewer_tally *now,
                          const struct viewer_tally *before)
{
    for (int i = 0; i < LIST_KINDS; i++) {
        counter_add(&counts->received[i], now->received[i] - before->received[i]);
        counter_add(&counts->repeated, now->repeated[i] - before->repeated[i]);
        counter_add(&counts->out_of_order, now->out_of_order[i] - before->out_of_order[i]);
    }
    counter_add(&counts->skipped, now->skipped - before->skipped);
    counter_add(&counts->gaps, now->gaps - before->gaps);
}

static void set_cursor(struct viewer *v, const char *cursor)
{
    size_t size = strlen(cursor) + 1;
    v->cursor = xrealloc(v->cursor, size);
    memcpy(v->cursor, cursor, size);
}

/* The answer is whole and good: what was staged comes true. */
static void apply(struct viewer *v, struct reading *r)
{
    struct audience_counts *counts = v->audience->config.counts;
    bool joining = !has_joined(v);
    counter_add(&counts->polls, 1);
    if (!joining) {
        r->tally.skipped += r->scan.skipped;
        r->tally.gaps += r->scan.gap;
        add_to_counts(counts, &r->tally, &v->tally);
    }
    v->tally = r->tally;
    v->failures = 0;
    set_cursor(v, r->scan.cursor);
    if (!joining) return;
    counter_add(&counts->joined, 1);
    start_one(v->audience);
}

static bool passes(int status)
{
    return status == 429 || status == 503 || status == 408 || status >= 500;
}

/* Returns how long to wait. */
static int64_t on_put_off(struct viewer *v, int status, const struct poll_scan *scan)
{
    struct audience_counts *counts = v->audience->config.counts;
    bool expected = status == 429 || status == 503;
    counter_add(expected ? &counts->put_off : &counts->errors, 1);
    uint64_t told = scan->retry_after_ms;
    if (scan->poll_after_ms > told) told = scan->poll_after_ms;
    int64_t own = back_off_ms(v);
    return told > 0 && told <= 60000 ? (int64_t)told : own;
}

static void on_answer(struct client_conn *conn, int status)
{
    struct viewer *v = viewer_of(conn);
    struct reading *r = reading_of(v); /* there is none yet for an answer without a body */
    bool whole = reading_finish(v, status);
    int64_t wait_ms = (int64_t)r->scan.poll_after_ms;
    client_timer_cancel(v->audience->config.client, &v->timer);

    if (status == 200 && whole && r->scan.cursor[0] != '\0') {
        apply(v, r);
    } else if (protocol_is_nothing_new(v->audience->config.protocol, status)) {
        counter_add(&v->audience->config.counts->polls, 1);
    } else if (status == 200 || passes(status)) {
        wait_ms = on_put_off(v, status, &r->scan);
    } else {
        give_up(v, status, whole ? r->scan.code : "");
    }
    reading_drop(v);
    if (v->state == VIEWER_GONE) return;
    if (wait_ms > 0)
        pause_for(v, wait_ms);
    else
        ask(v);
}

static void on_lost(struct client_conn *conn, const char *reason)
{
    struct viewer *v = viewer_of(conn);
    (void)reason;
    reading_drop(v);
    counter_add(&v->audience->config.counts->lost_connections, 1);
    try_elsewhere(v);
}

static void on_due(struct client_timer *timer)
{
    struct viewer *v = CONTAINER_OF(timer, struct viewer, timer);
    if (v->state == VIEWER_PAUSED) {
        ask(v);
        return;
    }
    counter_add(&v->audience->config.counts->timeouts, 1);
    client_conn_close(&v->conn);
    reading_drop(v);
    try_elsewhere(v);
}

/* ---- asking ------------------------------------------------------------------------ */

static void write_request(struct viewer *v, const struct url *url)
{
    const struct audience_config *config = &v->audience->config;
    struct protocol_peer peer = {config->protocol, url, config->key, config->rooms[v->room]};
    struct protocol_poll poll = {
        .name_prefix = config->name_prefix,
        .number = v->number,
        .timeout_s = config->timeout_s,
        .cursor = v->cursor,
    };
    buf_clear(&v->audience->request);
    protocol_write_poll(&v->audience->request, &peer, &poll);
}

static void ask(struct viewer *v)
{
    struct audience *a = v->audience;
    const struct url *url = &a->config.urls->url[v->url];
    write_request(v, url);
    v->state = VIEWER_ASKING;
    client_timer_arm(a->config.client, &v->timer, a->config.timeout_s * INT64_C(1000) + LATE_MS);
    if (client_conn_request(&v->conn, url, buf_str(&a->request)) == 0) return;
    counter_add(&a->config.counts->lost_connections, 1);
    try_elsewhere(v);
}

static const struct client_events client_events[] = {
    [PROTOCOL_STOA] = {NULL, on_body, on_answer, on_lost},
    [PROTOCOL_NCHAN] = {on_nchan_header, on_nchan_body, on_answer, on_lost},
};

void audience_init(struct audience *a, const struct audience_config *config, uint32_t count)
{
    *a = (struct audience){.config = *config, .count = count};
    rng_init(&a->rng, config->first_number + 1);
    a->viewers = xcalloc(count > 0 ? count : 1, sizeof(*a->viewers));
    for (uint32_t i = 0; i < count; i++) {
        struct viewer *v = &a->viewers[i];
        v->audience = a;
        v->number = config->first_number + i;
        v->room = v->number % config->room_count;
        v->url = (uint8_t)(v->number % config->urls->count);
        client_conn_init(&v->conn, config->client, &client_events[config->protocol], i);
        client_timer_init(&v->timer, on_due);
    }
}

void audience_start(struct audience *a)
{
    for (int i = 0; i < AUDIENCE_JOINS; i++) start_one(a);
}

void audience_deinit(struct audience *a)
{
    for (uint32_t i = 0; i < a->count; i++) {
        struct viewer *v = &a->viewers[i];
        client_timer_cancel(a->config.client, &v->timer);
        client_conn_close(&v->conn);
        reading_drop(v);
        free(v->cursor);
    }
    while (a->free_readings != NULL) {
        struct reading *r = a->free_readings;
        a->free_readings = r->next;
        free(r);
    }
    free(a->viewers);
    buf_deinit(&a->request);
}
