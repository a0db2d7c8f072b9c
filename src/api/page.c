#include "api/page.h"

#include <string.h>

#include "base/assert.h"
#include "base/base64.h"
#include "base/error.h"
#include "base/hmac.h"

#define VERSION    2
#define SEAL_BYTES 16 /* of the MAC, which may be cut to half (RFC 2104 section 5) */
#define HEAD_BYTES (1 + SEAL_BYTES)
#define MAX_BYTES  (HEAD_BYTES + PAGE_NAME_MAX)

static void seal(struct str secret, struct str scope, struct str name,
                 unsigned char ret_head[HEAD_BYTES])
{
    struct buf sealed = {0};
    unsigned char mac[HMAC_BYTES];

    buf_add_lit(&sealed, "stoa page\n"); /* the secret signs tokens, too: no JWS has a newline */
    buf_add_str(&sealed, scope);
    buf_add_char(&sealed, '\n'); /* is in no scope and no name */
    buf_add_str(&sealed, name);
    hmac_sha256(secret, buf_str(&sealed), mac);
    ret_head[0] = VERSION;
    memcpy(ret_head + 1, mac, SEAL_BYTES);
    buf_deinit(&sealed);
}

void page_write(struct str secret, struct str scope, struct str name, struct buf *ret_token)
{
    unsigned char bytes[MAX_BYTES];
    char text[BASE64_LEN(MAX_BYTES)];
    ASSERT(name.len <= PAGE_NAME_MAX);
    seal(secret, scope, name, bytes);
    memcpy(bytes + HEAD_BYTES, name.ptr, name.len);
    base64_encode(bytes, HEAD_BYTES + name.len, text);
    buf_add(ret_token, text, BASE64_LEN(HEAD_BYTES + name.len));
}

int page_read(struct str secret, struct str scope, struct str token, struct buf *ret_name)
{
    unsigned char bytes[MAX_BYTES], head[HEAD_BYTES];
    int len = base64_decode(token, bytes, sizeof bytes);
    if (len <= HEAD_BYTES) return ERR_BAD_REQUEST;
    struct str name = str_make((const char *)bytes + HEAD_BYTES, (size_t)len - HEAD_BYTES);
    seal(secret, scope, name, head);
    bool is_ours = str_eq_secret(str_make((const char *)bytes, HEAD_BYTES),
                                 str_make((const char *)head, HEAD_BYTES));
    if (!is_ours) return ERR_BAD_REQUEST;
    buf_add_str(ret_name, name);
    return OK;
}
