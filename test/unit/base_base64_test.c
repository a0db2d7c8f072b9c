/* base/base64.c: RFC 4648's vectors without padding, all lengths, and one text per byte string. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/base64.h"
#include "base/rng.h"

#define LEN_MAX 200

static void base64_gives_the_vectors_of_the_rfc(void **state)
{
    static const char *const vectors[][2] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xfe", "-__-"},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct str bytes = str_of(vectors[i][0]), text = str_of(vectors[i][1]);
        char encoded[16], decoded[16];
        base64_encode(bytes.ptr, bytes.len, encoded);
        assert_true(str_eq(str_make(encoded, BASE64_LEN(bytes.len)), text));
        assert_int_equal(base64_decode(text, decoded, sizeof(decoded)), bytes.len);
        assert_memory_equal(decoded, bytes.ptr, bytes.len);
    }
}

static void base64_round_trips_every_length(void **state)
{
    struct rng rng;
    rng_init(&rng, 1);
    for (size_t len = 0; len <= LEN_MAX; len++) {
        unsigned char bytes[LEN_MAX + 1], decoded[LEN_MAX + 1];
        char text[BASE64_LEN(LEN_MAX) + 1];
        for (size_t i = 0; i < len; i++) bytes[i] = (unsigned char)rng_next(&rng);
        text[BASE64_LEN(len)] = '!';
        base64_encode(bytes, len, text);
        assert_int_equal(text[BASE64_LEN(len)], '!');

        struct str encoded = str_make(text, BASE64_LEN(len));
        decoded[len] = 0xa5;
        assert_int_equal(base64_decode(encoded, decoded, len), len);
        assert_int_equal(decoded[len], 0xa5);
        assert_memory_equal(decoded, bytes, len);
        if (len > 0) assert_int_equal(base64_decode(encoded, decoded, len - 1), -1);
    }
}

/* Of all texts of two and of three characters, those that decode are those that encoding gives. */
static void base64_has_one_text_per_byte_string(void **state)
{
    int valid = 0;
    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            char text[2] = {(char)a, (char)b}, again[2];
            unsigned char byte;
            if (base64_decode(str_make(text, 2), &byte, 1) != 1) continue;
            valid++;
            base64_encode(&byte, 1, again);
            assert_memory_equal(again, text, 2);
        }
    }
    assert_int_equal(valid, 256);
}

static void base64_refuses_what_is_malformed(void **state)
{
    static const char *const bad[] = {
        "A",          "AAAAA",                          /* no byte string has this length */
        "Zg==",       "Zm8=",  "=",         "====",     /* padding */
        "Zh",         "Zm9",   "Zm9vYh",                /* bits set behind the last byte */
        "Zm+v",       "Zm/v",                           /* the other alphabet */
        "Zm9 ",       " Zm9",  "Zm\n9",     "Zm9v\r\n", /* blanks */
        "Zm\xc3\xa4", "Z.m9",  "Zm9v.Zm9v",
    };
    char bytes[16];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(base64_decode(str_of(bad[i]), bytes, sizeof(bytes)), -1);
    }
    assert_int_equal(base64_decode(STR("Zm9\0"), bytes, sizeof(bytes)), -1);
    assert_int_equal(base64_decode(STR_NONE, NULL, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_gives_the_vectors_of_the_rfc),
        cmocka_unit_test(base64_round_trips_every_length),
        cmocka_unit_test(base64_has_one_text_per_byte_string),
        cmocka_unit_test(base64_refuses_what_is_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
