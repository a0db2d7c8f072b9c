#include "tool/sender.h"

#include "base/json_write.h"

#define BACK_OFF_FIRST_MS 20
#define BACK_OFF_MOST_MS  1000
#define ANSWER_TIMEOUT_MS 15000

static struct sender_lane *lane_of(struct client_conn *conn)
{
    return CONTAINER_OF(conn, struct sender_lane, conn);
}

static const struct recorded *message_of(const struct sender_lane *lane)
{
    return &lane->sender->config.recording->messages[lane->next];
}

static void arm(struct sender_lane *lane, int64_t delay_ms)
{
    client_timer_arm(lane->sender->config.client, &lane->timer, delay_ms);
}

/* ---- sending ----------------------------------------------------------------------- */

static void write_body(struct buf *out, const struct recorded *m)
{
    buf_add_lit(out, "{\"type\":");
    json_write_string(out, m->type);
    buf_add_lit(out, ",\"from\":");
    json_write_string(out, m->from);
    buf_printf(out, ",\"priority\":\"%s\",\"body\":", m->list == LIST_HIGH ? "high" : "normal");
    buf_add_str(out, m->body);
    buf_add_char(out, '}');
}

static void write_request(struct sender_lane *lane, const struct url *url)
{
    const struct sender_config *config = &lane->sender->config;
    struct buf *out = &lane->sender->request, body = {0};
    write_body(&body, message_of(lane));
    buf_clear(out);
    buf_printf(out,
               "POST /v1/rooms/%s/messages HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"
               "Content-Type: application/json\r\nIdempotency-Key: replay-%016llx-%zu\r\n"
               "Content-Length: %zu\r\n\r\n",
               config->room, url->authority, config->key, (unsigned long long)config->run_id,
               lane->next, body.len);
    buf_add_str(out, buf_str(&body));
    buf_deinit(&body);
}

static void retry(struct sender_lane *lane, int64_t least_ms)
{
    int64_t delay = lane->tries < 6 ? (int64_t)BACK_OFF_FIRST_MS << lane->tries : BACK_OFF_MOST_MS;
    if (delay > BACK_OFF_MOST_MS) delay = BACK_OFF_MOST_MS;
    lane->tries++;
    lane->asking = false;
    lane->sender->retries++;
    arm(lane, least_ms > delay ? least_ms : delay);
}

static void retry_elsewhere(struct sender_lane *lane)
{
    lane->url = (lane->url + 1) % lane->sender->config.urls->count;
    retry(lane, 0);
}

static void send_message(struct sender_lane *lane)
{
    const struct url *url = &lane->sender->config.urls->url[lane->url];
    write_request(lane, url);
    poll_scan_init(&lane->scan, NULL, NULL, false);
    lane->asking = true;
    arm(lane, ANSWER_TIMEOUT_MS);
    if (client_conn_request(&lane->conn, url, buf_str(&lane->sender->request)) != 0)
        retry_elsewhere(lane);
}

/* ---- the schedule ------------------------------------------------------------------ */

static int64_t due_us(const struct sender_lane *lane)
{
    double recorded_us = message_of(lane)->t_ms * 1000.0;
    return lane->sender->start_us + (int64_t)(recorded_us / lane->sender->config.speed);
}

/* Moves on to the lane's next message, at or behind `from`, and waits until it is due. */
static void schedule(struct sender_lane *lane, size_t from)
{
    const struct recording *recording = lane->sender->config.recording;
    while (from < recording->count && recording->messages[from].list != lane->list) from++;
    lane->next = from;
    lane->tries = 0;
    lane->asking = false;
    lane->afresh = true;
    lane->done = from == recording->count;
    if (lane->done) {
        client_timer_cancel(lane->sender->config.client, &lane->timer);
        client_conn_close(&lane->conn);
        return;
    }
    /* Rounded up: early is never. */
    int64_t delay_ms = (due_us(lane) - client_now_us() + 999) / 1000;
    arm(lane, delay_ms > 0 ? delay_ms : 0);
}

/* Sends what is surely not stored yet: its latency counts from now. */
static void send_afresh(struct sender_lane *lane)
{
    const struct recorded *m = message_of(lane);
    lane->afresh = false;
    sent_begin(lane->sender->config.sent, lane->list, poll_scan_content(m->type, m->from, m->body),
               client_now_us());
    send_message(lane);
}

static void on_due(struct client_timer *timer)
{
    struct sender_lane *lane = CONTAINER_OF(timer, struct sender_lane, timer);
    if (lane->asking) { /* the answer is late */
        client_conn_close(&lane->conn);
        retry_elsewhere(lane);
    } else if (lane->afresh) {
        if (lane->tries == 0) lane->sender->behind_us = client_now_us() - due_us(lane);
        send_afresh(lane);
    } else {
        send_message(lane);
    }
}

/* ---- answers ----------------------------------------------------------------------- */

static void on_body(struct client_conn *conn, struct str bytes)
{
    poll_scan_feed(&lane_of(conn)->scan, bytes);
}

static void on_refused(struct sender_lane *lane, int status)
{
    struct sender *s = lane->sender;
    if (s->refused++ == 0)
        snprintf(s->refused_why, sizeof(s->refused_why), "%d %s", status, lane->scan.code);
    sent_drop(s->config.sent, lane->list);
    schedule(lane, lane->next + 1);
}

static void on_answer(struct client_conn *conn, int status)
{
    struct sender_lane *lane = lane_of(conn);
    bool whole = poll_scan_finish(&lane->scan);
    if ((status == 200 || status == 201) && whole && lane->scan.id != 0) {
        sent_acknowledge(lane->sender->config.sent, lane->list, lane->scan.id);
        schedule(lane, lane->next + 1);
    } else if (status == 429) {
        lane->afresh = true;
        retry(lane, (int64_t)lane->scan.retry_after_ms);
    } else if (status == 408 || status >= 500 || status < 300) {
        retry(lane, (int64_t)lane->scan.retry_after_ms);
    } else {
        on_refused(lane, status);
    }
}

static void on_lost(struct client_conn *conn, const char *reason)
{
    (void)reason;
    retry_elsewhere(lane_of(conn));
}

static const struct client_events client_events = {NULL, on_body, on_answer, on_lost};

/* ---- the interface ----------------------------------------------------------------- */

void sender_init(struct sender *s, const struct sender_config *config)
{
    *s = (struct sender){.config = *config};
    for (int i = 0; i < LIST_KINDS; i++) {
        struct sender_lane *lane = &s->lane[i];
        lane->sender = s;
        lane->list = (enum list_kind)i;
        client_conn_init(&lane->conn, config->client, &client_events, (uint32_t)i);
        client_timer_init(&lane->timer, on_due);
    }
}

void sender_start(struct sender *s)
{
    s->start_us = client_now_us();
    for (int i = 0; i < LIST_KINDS; i++) schedule(&s->lane[i], 0);
}

bool sender_is_done(const struct sender *s)
{
    for (int i = 0; i < LIST_KINDS; i++)
        if (!s->lane[i].done) return false;
    return true;
}

void sender_deinit(struct sender *s)
{
    for (int i = 0; i < LIST_KINDS; i++) {
        client_timer_cancel(s->config.client, &s->lane[i].timer);
        client_conn_close(&s->lane[i].conn);
    }
    buf_deinit(&s->request);
}
