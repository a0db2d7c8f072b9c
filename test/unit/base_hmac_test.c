/* base/hmac.c against vectors of RFC 4231. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/hmac.h"

static void hmac_gives_the_vectors_of_the_rfc(void **state)
{
    static const unsigned char SHORT_KEY[HMAC_BYTES] = {
        0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24,
        0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27,
        0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};
    static const unsigned char LONG_KEY[HMAC_BYTES] = {
        0x60, 0xe4, 0x31, 0x59, 0x1e, 0xe0, 0xb6, 0x7f, 0x0d, 0x8a, 0x26,
        0xaa, 0xcb, 0xf5, 0xb7, 0x7f, 0x8e, 0x0b, 0xc6, 0x21, 0x37, 0x28,
        0xc5, 0x14, 0x05, 0x46, 0x04, 0x0f, 0x0e, 0xe3, 0x7f, 0x54};
    unsigned char mac[HMAC_BYTES];
    char key[131];

    hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?"), mac);
    assert_memory_equal(mac, SHORT_KEY, HMAC_BYTES);
    memset(key, 0xaa, sizeof key);
    hmac_sha256(str_make(key, sizeof key),
                STR("Test Using Larger Than Block-Size Key - Hash Key First"), mac);
    assert_memory_equal(mac, LONG_KEY, HMAC_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hmac_gives_the_vectors_of_the_rfc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
