/* Polls are written as often as anything is received, so they are put together without printf. */
#include "tool/protocol.h"

static const char *const names[] = {[PROTOCOL_STOA] = "stoa", [PROTOCOL_NCHAN] = "nchan"};

bool protocol_parse(struct str name, enum protocol *ret)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!str_eq(name, str_of(names[i]))) continue;
        *ret = (enum protocol)i;
        return true;
    }
    return false;
}

static void add_text(struct buf *out, const char *text)
{
    buf_add_str(out, str_of(text));
}

/* What all of Stoa's requests have behind the target. */
static void add_stoa_head(struct buf *out, const struct protocol_peer *peer)
{
    buf_add_lit(out, " HTTP/1.1\r\nHost: ");
    add_text(out, peer->url->authority);
    buf_add_lit(out, "\r\nAuthorization: Bearer ");
    add_text(out, peer->key);
    buf_add_lit(out, "\r\n");
}

static void add_content(struct buf *out, size_t len)
{
    buf_add_lit(out, "Content-Type: application/json\r\nContent-Length: ");
    buf_add_u64(out, len);
    buf_add_lit(out, "\r\n\r\n");
}

static void add_nchan_head(struct buf *out, const struct protocol_peer *peer, const char *location)
{
    add_text(out, location);
    add_text(out, peer->room);
    buf_add_lit(out, " HTTP/1.1\r\nHost: ");
    add_text(out, peer->url->authority);
    buf_add_lit(out, "\r\n");
}

/* ---- polls ------------------------------------------------------------------------- */

static void write_stoa_poll(struct buf *out, const struct protocol_peer *peer,
                            const struct protocol_poll *poll)
{
    buf_add_lit(out, "GET /v1/rooms/");
    add_text(out, peer->room);
    buf_add_lit(out, "/messages?user=");
    add_text(out, poll->name_prefix);
    buf_add_char(out, '-');
    buf_add_u64(out, poll->number);
    if (poll->cursor == NULL) {
        buf_add_lit(out, "&limit=1");
    } else {
        buf_add_lit(out, "&limit=");
        buf_add_u64(out, LIMIT_POLL_NORMAL);
        buf_add_lit(out, "&timeout=");
        buf_add_u64(out, poll->timeout_s);
        buf_add_lit(out, "&since=");
        url_encode(out, str_of(poll->cursor));
    }
    add_stoa_head(out, peer);
    buf_add_lit(out, "\r\n");
}

static void write_nchan_poll(struct buf *out, const struct protocol_peer *peer,
                             const struct protocol_poll *poll)
{
    add_nchan_head(out, peer, "GET /sub/");
    if (poll->cursor != NULL) add_text(out, poll->cursor);
    buf_add_lit(out, "\r\n");
}

void protocol_write_poll(struct buf *out, const struct protocol_peer *peer,
                         const struct protocol_poll *poll)
{
    switch (peer->protocol) {
    case PROTOCOL_STOA: write_stoa_poll(out, peer, poll); break;
    case PROTOCOL_NCHAN: write_nchan_poll(out, peer, poll); break;
    }
}

/* ---- sends ------------------------------------------------------------------------- */

static void write_stoa_send(struct buf *out, const struct protocol_peer *peer,
                            const struct protocol_send *send)
{
    static const char shut[] = "}";
    struct str open = send->list == LIST_HIGH
                          ? STR("{\"from\":\"bench\",\"priority\":\"high\",\"body\":")
                          : STR("{\"from\":\"bench\",\"body\":");
    buf_add_lit(out, "POST /v1/rooms/");
    add_text(out, peer->room);
    buf_add_lit(out, "/messages");
    add_stoa_head(out, peer);
    buf_printf(out, "Idempotency-Key: %llx-%llx\r\n", (unsigned long long)send->run,
               (unsigned long long)send->request);
    add_content(out, open.len + send->body.len + sizeof(shut) - 1);
    buf_add_str(out, open);
    buf_add_str(out, send->body);
    buf_add_lit(out, shut);
}

static void write_nchan_send(struct buf *out, const struct protocol_peer *peer, struct str body)
{
    add_nchan_head(out, peer, "POST /pub/");
    add_content(out, body.len);
    buf_add_str(out, body);
}

void protocol_write_send(struct buf *out, const struct protocol_peer *peer,
                         const struct protocol_send *send)
{
    switch (peer->protocol) {
    case PROTOCOL_STOA: write_stoa_send(out, peer, send); break;
    case PROTOCOL_NCHAN: write_nchan_send(out, peer, send->body); break;
    }
}

bool protocol_is_stored(enum protocol protocol, int status, const struct poll_scan *scan)
{
    switch (protocol) {
    case PROTOCOL_STOA: return (status == 200 || status == 201) && scan->id != 0;
    case PROTOCOL_NCHAN: return status == 201 || status == 202; /* 202: nobody was waiting */
    }
    return false;
}

bool protocol_is_nothing_new(enum protocol protocol, int status)
{
    return protocol == PROTOCOL_NCHAN && status == 408;
}

/* ---- rooms ------------------------------------------------------------------------- */

static void write_stoa_room(struct buf *out, const struct protocol_peer *peer,
                            const struct protocol_room *room)
{
    struct buf body = {0};
    buf_printf(&body,
               "{\"title\":\"bench\",\"normal_per_s\":%u,\"high_per_s\":%u,\"max_body_bytes\":%u}",
               room->normal_per_s, room->high_per_s, room->max_body_bytes);
    buf_add_lit(out, "PUT /v1/rooms/");
    add_text(out, peer->room);
    add_stoa_head(out, peer);
    add_content(out, body.len);
    buf_add_str(out, buf_str(&body));
    buf_deinit(&body);
}

void protocol_write_room(struct buf *out, const struct protocol_peer *peer,
                         const struct protocol_room *room)
{
    switch (peer->protocol) {
    case PROTOCOL_STOA: write_stoa_room(out, peer, room); break;
    case PROTOCOL_NCHAN: write_nchan_send(out, peer, STR("{\"first\":true}")); break;
    }
}
