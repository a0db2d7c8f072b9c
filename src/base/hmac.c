#include "base/hmac.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/assert.h"

void hmac_sha256(struct str secret, struct str text, unsigned char ret_mac[HMAC_BYTES])
{
    const unsigned char *bytes = (const unsigned char *)text.ptr;
    unsigned len = 0;

    ASSERT(secret.len <= INT_MAX);
    bool done = HMAC(EVP_sha256(), secret.ptr, (int)secret.len, bytes, text.len, ret_mac, &len);
    ASSERT(done && len == HMAC_BYTES);
}
