#include "api/page.h"

#include <string.h>

#include "base/assert.h"
#include "base/base64.h"
#include "base/error.h"

#define VERSION    1
#define HEAD_BYTES (1 + sizeof(uint64_t))
#define MAX_BYTES  (HEAD_BYTES + PAGE_NAME_MAX)

static void seal(struct hash_key key, struct str scope, struct str name,
                 unsigned char ret_head[HEAD_BYTES])
{
    struct buf sealed = {0};
    buf_add_lit(&sealed, "page\n"); /* the key serves other hashes, too */
    buf_add_str(&sealed, scope);
    buf_add_char(&sealed, '\n'); /* is in no scope and no name */
    buf_add_str(&sealed, name);
    uint64_t hash = hash_bytes(key, buf_str(&sealed));
    ret_head[0] = VERSION;
    memcpy(ret_head + 1, &hash, sizeof hash);
    buf_deinit(&sealed);
}

void page_write(struct hash_key key, struct str scope, struct str name, struct buf *ret_token)
{
    unsigned char bytes[MAX_BYTES];
    char text[BASE64_LEN(MAX_BYTES)];
    ASSERT(name.len <= PAGE_NAME_MAX);
    seal(key, scope, name, bytes);
    memcpy(bytes + HEAD_BYTES, name.ptr, name.len);
    base64_encode(bytes, HEAD_BYTES + name.len, text);
    buf_add(ret_token, text, BASE64_LEN(HEAD_BYTES + name.len));
}

int page_read(struct hash_key key, struct str scope, struct str token, struct buf *ret_name)
{
    unsigned char bytes[MAX_BYTES], head[HEAD_BYTES];
    int len = base64_decode(token, bytes, sizeof bytes);
    if (len <= (int)HEAD_BYTES) return ERR_BAD_REQUEST;
    struct str name = str_make((const char *)bytes + HEAD_BYTES, (size_t)len - HEAD_BYTES);
    seal(key, scope, name, head);
    bool is_ours = str_eq_secret(str_make((const char *)bytes, HEAD_BYTES),
                                 str_make((const char *)head, HEAD_BYTES));
    if (!is_ours) return ERR_BAD_REQUEST;
    buf_add_str(ret_name, name);
    return OK;
}
