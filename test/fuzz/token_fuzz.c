/* Tokens: any bytes as a token are refused, since nobody guesses a MAC. The same bytes as header,
 * newline and claims, signed with the right secret, give an identity that is valid in every part,
 * or are refused. */
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "api/identity.h"
#include "base/assert.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/error.h"
#include "core/room.h"

#define NOW_MS 1732441234567

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void add_part(struct buf *b, struct str bytes)
{
    buf_reserve(b, BASE64_LEN(bytes.len) + 1); /* not 0, which may be nothing to point at */
    base64_encode(bytes.ptr, bytes.len, b->ptr + b->len);
    b->len += BASE64_LEN(bytes.len);
}

static struct buf sign(struct str header, struct str claims)
{
    struct buf b = {0};
    unsigned char mac[32];

    add_part(&b, header);
    buf_add_char(&b, '.');
    add_part(&b, claims);
    HMAC(EVP_sha256(), "dev", 3, (const unsigned char *)b.ptr, b.len, mac, NULL);
    buf_add_char(&b, '.');
    add_part(&b, str_make((const char *)mac, sizeof(mac)));
    return b;
}

static int verify(const struct apps *apps, struct str token, struct identity *id)
{
    const char *why = NULL;
    int err = token_verify(apps, token, NOW_MS, id, &why);

    ASSERT(err == 0 || err == ERR_UNAUTHORIZED || err == ERR_TOKEN_EXPIRED);
    ASSERT((err != 0) == (why != NULL));
    return err;
}

static void check_signed(const struct apps *apps, struct str text)
{
    struct identity id;
    struct str claims;
    struct str header = str_split(text, '\n', &claims);
    struct buf token = sign(header, claims);

    if (verify(apps, buf_str(&token), &id) == 0) {
        ASSERT(id.app == &apps->app[0] && id.role <= ROLE_HOST && id.expires_ms > NOW_MS);
        ASSERT(user_id_is_valid(str_of(id.user)));
        ASSERT(str_eq(str_of(id.room), STR("*")) || room_id_is_valid(str_of(id.room)));
        ASSERT(!str_has_control(str_of(id.name)));
    }
    buf_deinit(&token);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct apps *apps = apps_new_dev(1);
    struct str text = str_make((const char *)bytes, len);
    struct identity id;

    /* The corpus holds one token that is good until 2100, so that there is something to spoil. */
    if (verify(apps, text, &id) == 0) ASSERT(str_eq(str_of(id.user), STR("seed")));
    check_signed(apps, text);
    apps_unref(apps);
    return 0;
}
