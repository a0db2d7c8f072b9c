/* Who is asking, and what they may do. */
#include "api/exchange.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "core/room.h"
#include "http/query.h"

#define BEARER STR("Bearer ")

/* The token or key: from the header, else from ?token= (EventSource and sendBeacon cannot set
 * headers). */
static int find_credentials(struct exchange *x)
{
    struct buf *ret = &x->text->credentials;
    struct str header = x->request->authorization;
    if (header.len == 0) {
        int err = query_get(x->request->query, STR("token"), ret);
        return err == ERR_NOT_FOUND ? OK : err;
    }
    if (header.len <= BEARER.len || !str_eq_nocase(str_make(header.ptr, BEARER.len), BEARER))
        return ERR_UNAUTHORIZED;
    buf_add_str(ret, str_trim(str_make(header.ptr + BEARER.len, header.len - BEARER.len)));
    return OK;
}

static bool is_token(struct str credentials)
{
    return memchr(credentials.ptr, '.', credentials.len) != NULL;
}

static int verify(struct exchange *x, struct str credentials, const char **ret_why)
{
    const struct apps *apps = x->api->apps;
    const struct app *app = apps_by_key(apps, credentials);
    if (app == NULL && is_token(credentials))
        return token_verify(apps, credentials, x->now_ms, &x->who, ret_why);
    if (app == NULL) return ERR_UNAUTHORIZED;
    x->who = (struct identity){.app = app,
                               .generation = apps->generation,
                               .role = ROLE_KEY,
                               .expires_ms = INT64_MAX,
                               .room = "*"};
    return OK;
}

struct str identity_key(const void *identity)
{
    const struct identity *it = identity;
    return str_make((const char *)it->credentials, sizeof it->credentials);
}

void identity_unref(struct api *api, struct identity *identity)
{
    if (identity == NULL || --identity->refs > 0) return;
    /* A newer one may have taken its place, after a reload. */
    if (map_get(&api->identities, identity_key(identity)) == identity)
        map_take(&api->identities, identity_key(identity));
    free(identity);
}

static bool is_current(const struct exchange *x, const struct identity *identity)
{
    return identity != NULL && identity->generation == x->api->apps->generation;
}

/* One for all connections with these credentials; they are verified, if none has shown them yet. */
static int find_identity(struct exchange *x, struct str credentials, uint64_t tag,
                         const char **ret_why)
{
    struct api *api = x->api;
    struct identity look = {0};
    SHA256((const unsigned char *)credentials.ptr, credentials.len, look.credentials);
    struct identity *identity = map_get(&api->identities, identity_key(&look));
    if (!is_current(x, identity)) {
        int err = verify(x, credentials, ret_why);
        if (err != OK) return err;
        if (identity != NULL) map_take(&api->identities, identity_key(identity));
        identity = xmalloc(sizeof *identity);
        *identity = x->who;
        identity->refs = 0;
        identity->tag = tag;
        memcpy(identity->credentials, look.credentials, sizeof look.credentials);
        map_put(&api->identities, identity);
    }
    identity->refs++;
    identity_unref(api, x->conn->identity);
    x->conn->identity = identity;
    return OK;
}

static int use_credentials(struct exchange *x, struct str credentials, const char **ret_why)
{
    uint64_t tag = hash_bytes(x->api->config.hash_key, credentials);
    const struct identity *known = x->conn->identity;
    if (!is_current(x, known) || known->tag != tag) {
        int err = find_identity(x, credentials, tag, ret_why);
        if (err != OK) return err;
    }
    x->who = *x->conn->identity;
    return x->who.expires_ms <= x->now_ms ? ERR_TOKEN_EXPIRED : OK;
}

static int be_anonymous(struct exchange *x)
{
    const struct app *app = apps_anonymous(x->api->apps);
    if (app == NULL) return ERR_UNAUTHORIZED;
    x->who = (struct identity){.app = app,
                               .generation = x->api->apps->generation,
                               .role = ROLE_SPEAKER,
                               .expires_ms = INT64_MAX,
                               .room = "*"};
    return OK;
}

/* ?user= names whom a key acts for, and who an anonymous speaker claims to be; a token says it
 * itself. */
static int take_user(struct exchange *x)
{
    struct buf *user = &x->text->user;
    int err = query_get(x->request->query, STR("user"), user);
    if (err == ERR_NOT_FOUND) return OK;
    if (err != OK) return err;
    if (!user_id_is_valid(buf_str(user))) return ERR_BAD_UTF8;
    str_copy(buf_str(user), x->who.user, sizeof x->who.user);
    return OK;
}

/* Splitmix64's mixing: numbers in sequence give names that look nothing alike. */
static uint64_t scramble(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

struct str anonymous_name(uint64_t number, char ret[LIMIT_USER_ID + 1])
{
    static const char letters[] = "abcdefghjkmnpqrstuvwxyz23456789x";
    char name[] = "anon-........";
    for (int i = 5; i < 13; i++, number >>= 5) name[i] = letters[number & 31];
    memcpy(ret, name, sizeof name);
    return str_make(ret, sizeof name - 1);
}

static void name_anonymous(struct exchange *x)
{
    if (x->conn->anonymous == 0) x->conn->anonymous = scramble(++x->api->next_anonymous) | 1;
    anonymous_name(x->conn->anonymous, x->who.user);
    x->is_anonymous = true;
}

static int identify(struct exchange *x, const char **ret_why)
{
    const struct buf *credentials = &x->text->credentials;
    int err = find_credentials(x);
    bool has_any = credentials->len > 0;
    if (err == OK)
        err = has_any ? use_credentials(x, buf_str(credentials), ret_why) : be_anonymous(x);
    if (err != OK) return err;
    if (!has_any || x->who.role == ROLE_KEY) err = take_user(x);
    if (err == OK && !has_any && x->who.user[0] == '\0') name_anonymous(x);
    return err;
}

bool exchange_identify(struct exchange *x)
{
    const char *why = NULL;
    int err = identify(x, &why);
    if (err == ERR_BAD_UTF8)
        why = "A user id is 1 to 64 bytes of UTF-8 without control characters.";
    if (err == ERR_BAD_REQUEST) why = "The query has a bad percent-escape.";
    if (err != OK) refuse(x, err, why);
    return err == OK;
}

static const char *role_needed(enum role role)
{
    switch (role) {
    case ROLE_VIEWER: return "This token is for another room.";
    case ROLE_SPEAKER: return "Sending needs a token with role speaker or host.";
    case ROLE_HOST: return "This needs a token with role host, or the app's key.";
    case ROLE_KEY: return "This needs the app's key.";
    }
    return NULL;
}

bool exchange_require(struct exchange *x, enum role role)
{
    bool is_room = x->text->room.len == 0 || str_eq(str_of(x->who.room), STR("*")) ||
                   str_eq(str_of(x->who.room), buf_str(&x->text->room));
    if (is_room && x->who.role >= role) return true;
    refuse(x, ERR_FORBIDDEN, is_room ? role_needed(role) : role_needed(ROLE_VIEWER));
    return false;
}

struct str room_key_of(const struct app *app, struct str room, char ret[LIMIT_ROOM_KEY + 1])
{
    struct str name = str_of(app->name);
    size_t len = name.len + 1 + room.len;
    ASSERT(len <= LIMIT_ROOM_KEY);
    memcpy(ret, name.ptr, name.len);
    ret[name.len] = '/';
    if (room.len > 0) memcpy(ret + name.len + 1, room.ptr, room.len);
    ret[len] = '\0';
    return str_make(ret, len);
}

struct str exchange_room_key(const struct exchange *x, char ret[LIMIT_ROOM_KEY + 1])
{
    return room_key_of(x->who.app, buf_str(&x->text->room), ret);
}

bool exchange_query_u64(struct exchange *x, const char *name, uint64_t min, uint64_t max,
                        uint64_t *ret)
{
    if (query_get_u64(x->request->query, str_of(name), min, max, ret) == OK) return true;
    char why[96];
    snprintf(why, sizeof why, "%s is a whole number from %llu to %llu.", name,
             (unsigned long long)min, (unsigned long long)max);
    refuse(x, ERR_BAD_REQUEST, why);
    return false;
}

bool exchange_call(struct exchange *x, struct call *call)
{
    call->origin = x->handle;
    call->variant = form_pack(x->form);
    /* A send uses a room; asking for its past, or leaving it, does not make one. One that will be used
     * may be assigned to a sect before. */
    call->auto_create =
        (call->kind == CALL_APPEND || call->kind == CALL_ROOM_SECT) && x->who.app->auto_create;
    call->tell_user = x->is_anonymous;
    int err = worker_is_draining(x->api->worker) ? ERR_DRAINING : worker_call(x->api->worker, call);
    if (err == OK) return true;
    call_free(call);
    answer_problem(x->api, x->handle, x->form, err, NULL, 1000);
    return false;
}
