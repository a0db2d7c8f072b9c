/* Tokens: a JWS in compact form (RFC 7515 section 7.1) with JWT claims (RFC 7519), HS256 and
 * nothing else.
 *
 * The order is what makes it safe. The only thing taken from an unverified token is the name of the
 * app, and only to find the secret; the algorithm is ours, the header has merely to agree with it.
 * After the MAC over the text as it came has been compared, the claims are read, each by type. Why
 * this is not a library's work is in docs/decisions/tokens.md. */
#include "api/identity.h"

#include <openssl/crypto.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/hmac.h"
#include "base/json_write.h"
#include "core/room.h"
#include "http/json_read.h"

/* Of one part of a token, decoded. */
#define PART_BYTES (LIMIT_TOKEN / 4 * 3)

struct parts {
    struct str header, payload, signature;
    struct str signed_text; /* header.payload */
};

static const char *const ROLE_NAMES[] = {
    [ROLE_VIEWER] = "viewer",
    [ROLE_SPEAKER] = "speaker",
    [ROLE_HOST] = "host",
};

static int refuse(const char *why, const char **ret_why)
{
    *ret_why = why;
    return ERR_UNAUTHORIZED;
}

static bool split(struct str token, struct parts *ret)
{
    struct str rest;
    struct parts p;

    if (token.len > LIMIT_TOKEN) return false;
    p.header = str_split(token, '.', &rest);
    p.payload = str_split(rest, '.', &p.signature);
    p.signed_text = str_make(token.ptr, p.header.len + 1 + p.payload.len);
    *ret = p;
    /* A further dot would be in the signature, which is no base64url then. */
    return p.header.len > 0 && p.payload.len > 0 && p.signature.len > 0;
}

/* The JSON object of a part. After false there is nothing to free. */
static bool part_init(struct json_reader *r, struct str part)
{
    char text[PART_BYTES];
    int len = base64_decode(part, text, sizeof(text));

    return len > 0 && json_reader_init(r, str_make(text, (size_t)len)) == 0;
}

/* --- before the MAC -------------------------------------------------------------------------- */

static bool header_is_ours(struct str part)
{
    struct json_reader r;
    struct str alg = STR_NONE;
    struct str typ = STR("JWT");

    if (!part_init(&r, part)) return false;
    json_get_str(&r, "alg", 16, &alg);
    json_get_str(&r, "typ", 16, &typ);
    /* crit lists what a verifier must understand (RFC 7515 section 4.1.11); this one understands no
     * extension. */
    bool is_ours = json_reader_error(&r) == 0 && str_eq(alg, STR("HS256")) &&
                   str_eq(typ, STR("JWT")) && !json_reader_has(&r, "crit");
    json_reader_deinit(&r);
    return is_ours;
}

static const struct app *find_app(const struct apps *apps, struct json_reader *payload)
{
    struct str name = STR_NONE;

    json_get_str(payload, "app", LIMIT_APP_NAME, &name);
    const struct app *app = name.len > 0 ? apps_by_name(apps, name) : NULL;
    return app != NULL && app->secret[0] != '\0' ? app : NULL;
}

static bool signature_fits(const struct app *app, const struct parts *parts)
{
    unsigned char theirs[HMAC_BYTES];
    unsigned char ours[HMAC_BYTES];

    if (base64_decode(parts->signature, theirs, sizeof(theirs)) != HMAC_BYTES) return false;
    hmac_sha256(str_of(app->secret), parts->signed_text, ours);
    return CRYPTO_memcmp(theirs, ours, HMAC_BYTES) == 0;
}

/* --- behind the MAC -------------------------------------------------------------------------- */

static bool read_user(struct json_reader *claims, struct identity *id)
{
    struct str user = STR_NONE;
    struct str name = STR_NONE;

    json_get_str(claims, "sub", LIMIT_USER_ID, &user);
    json_get_str(claims, "name", LIMIT_USER_NAME, &name);
    return user_id_is_valid(user) && !str_has_control(name) &&
           str_copy(user, id->user, sizeof(id->user)) && str_copy(name, id->name, sizeof(id->name));
}

static bool read_room(struct json_reader *claims, struct identity *id)
{
    struct str room = STR_NONE;

    json_get_str(claims, "room", LIMIT_ROOM_ID, &room);
    return (str_eq(room, STR("*")) || room_id_is_valid(room)) &&
           str_copy(room, id->room, sizeof(id->room));
}

static bool read_role(struct json_reader *claims, struct identity *id)
{
    struct str name = STR_NONE;

    json_get_str(claims, "role", 16, &name);
    for (enum role role = ROLE_VIEWER; role <= ROLE_HOST; role++) {
        if (!str_eq(name, str_of(ROLE_NAMES[role]))) continue;
        id->role = role;
        return true;
    }
    return false;
}

/* exp and nbf: whole seconds. No leeway: whoever signs can allow for his clock. */
static int read_times(struct json_reader *claims, int64_t now_ms, struct identity *id,
                      const char **ret_why)
{
    int64_t exp_s = -1;
    int64_t nbf_s = 0;

    json_get_i64(claims, "exp", INT64_MAX / 1000, &exp_s);
    json_get_i64(claims, "nbf", INT64_MAX / 1000, &nbf_s);
    if (exp_s < 0 || json_reader_error(claims) != 0)
        return refuse("The token's exp is required, and exp and nbf are whole seconds.", ret_why);
    if (now_ms >= exp_s * 1000) {
        *ret_why = "The token has expired.";
        return ERR_TOKEN_EXPIRED;
    }
    if (now_ms < nbf_s * 1000) return refuse("The token is not valid yet.", ret_why);
    id->expires_ms = exp_s * 1000;
    return 0;
}

static int read_claims(struct json_reader *claims, int64_t now_ms, struct identity *id,
                       const char **ret_why)
{
    if (!read_user(claims, id))
        return refuse("The token's sub or name is not a valid user.", ret_why);
    if (!read_room(claims, id)) return refuse("The token's room is not a room id or *.", ret_why);
    if (!read_role(claims, id))
        return refuse("The token's role is not viewer, speaker or host.", ret_why);
    if (json_reader_error(claims) != 0)
        return refuse("A claim of the token has a wrong type or is too long.", ret_why);
    return read_times(claims, now_ms, id, ret_why);
}

/* --- the two --------------------------------------------------------------------------------- */

static int verify(const struct apps *apps, const struct parts *parts, struct json_reader *payload,
                  int64_t now_ms, struct identity *ret, const char **ret_why)
{
    struct identity id = {.app = find_app(apps, payload), .generation = apps->generation};

    if (id.app == NULL) return refuse("The token's app is not known here.", ret_why);
    if (!signature_fits(id.app, parts))
        return refuse("The token's signature does not fit.", ret_why);
    int err = read_claims(payload, now_ms, &id, ret_why);
    if (err == 0) *ret = id;
    return err;
}

int token_verify(const struct apps *apps, struct str token, int64_t now_ms, struct identity *ret,
                 const char **ret_why)
{
    struct parts parts;
    struct json_reader payload;

    if (!split(token, &parts)) return refuse("The token is not a signed JWT.", ret_why);
    if (!header_is_ours(parts.header))
        return refuse("The token's header does not say HS256, or says crit.", ret_why);
    if (!part_init(&payload, parts.payload))
        return refuse("The token's claims are not a JSON object.", ret_why);
    int err = verify(apps, &parts, &payload, now_ms, ret, ret_why);
    json_reader_deinit(&payload);
    return err;
}

static void add_base64(struct buf *b, const void *bytes, size_t len)
{
    buf_reserve(b, BASE64_LEN(len));
    base64_encode(bytes, len, b->ptr + b->len);
    b->len += BASE64_LEN(len);
}

static void write_claim(struct buf *b, const char *name, struct str value)
{
    buf_printf(b, "\"%s\":", name);
    json_write_string(b, value);
    buf_add_char(b, ',');
}

static void write_claims(struct buf *b, const struct token_claims *claims)
{
    buf_add_char(b, '{');
    write_claim(b, "app", claims->app);
    write_claim(b, "sub", claims->user);
    write_claim(b, "room", claims->room);
    write_claim(b, "role", claims->role);
    if (claims->name.len > 0) write_claim(b, "name", claims->name);
    buf_printf(b, "\"exp\":%lld}", (long long)claims->expires_s);
}

void token_sign(struct str secret, const struct token_claims *claims, struct buf *ret_token)
{
    static const char HEADER[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
    struct buf payload = {0};
    unsigned char mac[HMAC_BYTES];
    size_t start = ret_token->len;

    write_claims(&payload, claims);
    add_base64(ret_token, HEADER, sizeof(HEADER) - 1);
    buf_add_char(ret_token, '.');
    add_base64(ret_token, payload.ptr, payload.len);
    hmac_sha256(secret, str_make(ret_token->ptr + start, ret_token->len - start), mac);
    buf_add_char(ret_token, '.');
    add_base64(ret_token, mac, sizeof(mac));
    buf_deinit(&payload);
}
