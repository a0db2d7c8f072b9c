/* A poll that repeats: the one that its connection sent before, with another cursor in it.
 *
 * The client of a long poll sends the same bytes again and again, and of them the cursor alone
 * changes. So what they came to (who asks, which room, how long, how the answer is written) is kept
 * with a keyed hash of all bytes but the cursor's, and no line of such a request is read again. The
 * hash only has to be unlikely to collide with what this very connection sent before, under a key
 * that nobody knows; it is SipHash (base/hash.h), over the part behind the cursor under a key that
 * the part before it and the apps' generation have changed.
 *
 * What the bytes do not decide is looked at each time: the expiry, the drain, and the worker's own
 * checks of a poll. Every request that is read whole forgets the poll that was kept; one that cannot
 * be read ends its connection. */
#include "api/exchange.h"

#include <string.h>

#include "base/assert.h"
#include "base/base64.h"
#include "http/query.h"

#define TARGET_AT 4 /* behind "GET " */
#define ROOMS     STR("GET /v1/rooms/")

_Static_assert(LIMIT_REQUEST_LINE + LIMIT_HEADER_BYTES <= UINT16_MAX, "places in a head fit");
_Static_assert(LIMIT_ROOM_ID <= UINT8_MAX && LIMIT_USER_ID <= UINT8_MAX, "and lengths of names,");
_Static_assert(LIMIT_POLL_NORMAL <= UINT8_MAX && LIMIT_POLL_TIMEOUT_MS / 1000 <= UINT8_MAX,
               "and what a poll asks for");

static uint64_t tag_of(const struct api *api, struct str wire, size_t since_at)
{
    size_t behind_at = since_at + CURSOR_TEXT_LEN;
    struct hash_key key = api->config.hash_key;
    key.k0 ^= hash_bytes(key, str_make(wire.ptr, since_at));
    key.k1 ^= api->apps->generation;
    return hash_bytes(key, str_make(wire.ptr + behind_at, wire.len - behind_at));
}

/* --- keeping it ------------------------------------------------------------------------------ */

/* Where in the request this value of its query is, or 0: not there, or not as sent. Requests with a
 * blank line before them or with the absolute form of the target do not begin with ROOMS. */
static uint16_t place_of(const struct exchange *x, const char *name, struct str value)
{
    struct str sent;
    if (!query_find(x->request->query, str_of(name), &sent) || !str_eq(sent, value)) return 0;
    size_t at = TARGET_AT + (size_t)(sent.ptr - x->request->path.ptr);
    ASSERT(memcmp(x->wire.ptr + at, value.ptr, value.len) == 0);
    return (uint16_t)at;
}

static bool has_plain_room(const struct exchange *x)
{
    struct str room = buf_str(&x->text->room);
    return str_starts(x->wire, ROOMS) && x->wire.len <= UINT16_MAX &&
           str_starts(str_make(x->wire.ptr + ROOMS.len, x->wire.len - ROOMS.len), room);
}

void repeat_keep(struct exchange *x, const struct poll *poll)
{
    struct str user = buf_str(&x->text->user);
    if (poll->since.len != CURSOR_TEXT_LEN || !has_plain_room(x)) return;
    uint16_t since_at = place_of(x, "since", poll->since);
    uint16_t user_at = user.len > 0 ? place_of(x, "user", user) : 0;
    if (since_at == 0 || (user.len > 0 && user_at == 0)) return;
    x->conn->repeat = (struct api_repeat){.tag = tag_of(x->api, x->wire, since_at),
                                          .len = (uint16_t)x->wire.len,
                                          .since_at = since_at,
                                          .user_at = user_at,
                                          .user_len = (uint8_t)user.len,
                                          .room_len = (uint8_t)x->text->room.len,
                                          .limit = (uint8_t)poll->limit,
                                          .timeout_s = (uint8_t)(poll->timeout_ms / 1000),
                                          .variant = poll->variant,
                                          .has_identity = x->text->credentials.len > 0};
}

/* --- finding it again ------------------------------------------------------------------------ */

/* Nothing but a cursor is where the cursor was: no '&', no blank. */
static bool has_cursor(struct str text)
{
    unsigned char bytes[CURSOR_BYTES];
    return base64_decode(text, bytes, sizeof bytes) == CURSOR_BYTES;
}

static bool is_same(const struct api *api, const struct api_repeat *kept, struct str wire)
{
    return kept->len != 0 && kept->len == wire.len &&
           has_cursor(str_make(wire.ptr + kept->since_at, CURSOR_TEXT_LEN)) &&
           tag_of(api, wire, kept->since_at) == kept->tag;
}

/* NULL: the credentials have expired. */
static const struct app *app_of(const struct api *api, const struct api_conn *conn, int64_t now_ms)
{
    if (!conn->repeat.has_identity) return apps_anonymous(api->apps);
    return conn->identity->expires_ms > now_ms ? conn->identity->app : NULL;
}

static struct str user_of(struct api *api, const struct api_conn *conn, struct str wire)
{
    const struct api_repeat *kept = &conn->repeat;
    if (kept->user_len > 0) return str_make(wire.ptr + kept->user_at, kept->user_len);
    if (kept->has_identity) return str_of(conn->identity->user);
    return anonymous_name(conn->anonymous, api->poll_user);
}

bool api_repeats(struct api *api, const struct api_conn *conn, struct str wire, int64_t now_ms,
                 struct poll *ret_poll)
{
    const struct api_repeat *kept = &conn->repeat;
    if (!is_same(api, kept, wire) || worker_is_draining(api->worker)) return false;
    const struct app *app = app_of(api, conn, now_ms);
    if (app == NULL) return false;
    struct str room = str_make(wire.ptr + ROOMS.len, kept->room_len);
    *ret_poll = (struct poll){.room = room_key_of(app, room, api->poll_room),
                              .auto_create = app->auto_create,
                              .user = user_of(api, conn, wire),
                              .since = str_make(wire.ptr + kept->since_at, CURSOR_TEXT_LEN),
                              .limit = kept->limit,
                              .timeout_ms = kept->timeout_s * 1000u,
                              .variant = kept->variant};
    return true;
}
