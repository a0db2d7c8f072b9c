/* api/token.c: what is signed is verified, and everything that is not quite such a token is
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "api/identity.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/error.h"

#define NOW_S  1732441234
#define NOW_MS (NOW_S * INT64_C(1000))
#define SECRET "0123456789abcdef0123456789abcdef"
#define HS256  "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
/* Claims up to the last member, which a test puts behind it. */
#define CLAIMS "{\"app\":\"a\",\"sub\":\"u\",\"room\":\"r\",\"role\":\"viewer\""
#define GOOD   CLAIMS ",\"exp\":1732441235}"

static struct apps *two_apps(void)
{
    struct apps *apps = apps_new(3, 42);

    str_copy(STR("a"), apps->app[0].name, sizeof(apps->app[0].name));
    str_copy(STR(SECRET), apps->app[0].secret, sizeof(apps->app[0].secret));
    str_copy(STR("b"), apps->app[1].name, sizeof(apps->app[1].name));
    str_copy(STR("another secret of 32 bytes or so"), apps->app[1].secret,
             sizeof(apps->app[1].secret));
    str_copy(STR("no-tokens"), apps->app[2].name, sizeof(apps->app[2].name));
    return apps;
}

static void add_part(struct buf *b, const void *bytes, size_t len)
{
    buf_reserve(b, BASE64_LEN(len));
    base64_encode(bytes, len, b->ptr + b->len);
    b->len += BASE64_LEN(len);
}

/* A token of whatever header and claims, by whatever digest and key. */
static struct buf forge_by(const EVP_MD *digest, struct str key, const char *header,
                           const char *claims)
{
    struct buf b = {0};
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    add_part(&b, header, str_of(header).len);
    buf_add_char(&b, '.');
    add_part(&b, claims, str_of(claims).len);
    HMAC(digest, key.ptr, (int)key.len, (unsigned char *)b.ptr, b.len, mac, &len);
    buf_add_char(&b, '.');
    add_part(&b, mac, len);
    return b;
}

static struct buf forge(const char *header, const char *claims)
{
    return forge_by(EVP_sha256(), STR(SECRET), header, claims);
}

/* Says what a verification at NOW_MS comes to; a refusal leaves the identity alone and says why. */
static int verify(struct str token, struct identity *id)
{
    struct apps *apps = two_apps();
    struct identity before = *id;
    const char *why = NULL;
    int err = token_verify(apps, token, NOW_MS, id, &why);

    if (err != 0) {
        assert_non_null(why);
        assert_memory_equal(&before, id, sizeof(before));
    } else {
        assert_ptr_equal(id->app, &apps->app[0]);
        id->app = NULL; /* goes with the apps */
    }
    apps_unref(apps);
    return err;
}

static int error_of_text(struct str token)
{
    struct identity id = {.role = ROLE_KEY};

    return verify(token, &id);
}

static int error_of(struct buf token)
{
    int err = error_of_text(buf_str(&token));

    buf_deinit(&token);
    return err;
}

static int error_of_header(const char *header)
{
    return error_of(forge(header, GOOD));
}

static int error_of_claims(const char *claims)
{
    return error_of(forge(HS256, claims));
}

/* --- the good ones --------------------------------------------------------------------------- */

static void what_is_signed_is_verified(void **state)
{
    (void)state;
    struct token_claims claims = {.app = STR("a"),
                                  .user = STR("alice \"é\""),
                                  .room = STR("*"),
                                  .role = STR("host"),
                                  .name = STR("Alice"),
                                  .expires_s = NOW_S + 3600};
    struct buf token = {0};
    struct identity id = {0};

    buf_add_lit(&token, "Bearer ");
    token_sign(STR(SECRET), &claims, &token);
    assert_int_equal(verify(str_make(token.ptr + 7, token.len - 7), &id), 0);
    assert_string_equal(id.user, "alice \"é\"");
    assert_string_equal(id.name, "Alice");
    assert_string_equal(id.room, "*");
    assert_int_equal(id.role, ROLE_HOST);
    assert_int_equal(id.expires_ms, (NOW_S + 3600) * INT64_C(1000));
    assert_int_equal(id.generation, 42);
    buf_deinit(&token);
}

static void other_peoples_tokens_are_verified(void **state)
{
    (void)state;
    assert_int_equal(error_of_header(HS256), 0);
    assert_int_equal(error_of_header("{\"alg\":\"HS256\"}"), 0);
    assert_int_equal(error_of_header(" { \"kid\" : \"1\" , \"alg\" : \"HS256\" } "), 0);
    assert_int_equal(error_of_claims(CLAIMS ",\"exp\":1732441235,\"iat\":1.5,\"x\":[{}]}"), 0);
    assert_int_equal(error_of_claims(CLAIMS ",\"exp\":9223372036854775,\"nbf\":1732441234}"), 0);
}

/* RFC 7515, appendix A.1: what forges the tokens of these tests makes the bytes that it should. */
static void forger_makes_the_token_of_the_rfc(void **state)
{
    (void)state;
    static const char TOKEN[] = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
                                "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcG"
                                "xlLmNvbS9pc19yb290Ijp0cnVlfQ."
                                "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    static const char KEY[] =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    char key[64];
    struct buf ours;

    assert_int_equal(base64_decode(STR(KEY), key, sizeof(key)), 64);
    ours = forge_by(EVP_sha256(), str_make(key, 64), "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}",
                    "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n "
                    "\"http://example.com/is_root\":true}");
    assert_true(str_eq(buf_str(&ours), STR(TOKEN)));
    buf_deinit(&ours);
}

/* --- the algorithm --------------------------------------------------------------------------- */

static void only_hs256_is_taken(void **state)
{
    (void)state;
    static const char *const HEADERS[] = {
        "{}",
        "{\"typ\":\"JWT\"}",
        "{\"alg\":\"none\"}",
        "{\"alg\":\"None\"}",
        "{\"alg\":\"hs256\"}",
        "{\"alg\":\"HS256 \"}",
        "{\"alg\":\"\"}",
        "{\"alg\":null}",
        "{\"alg\":256}",
        "{\"alg\":[\"HS256\"]}",
        "{\"alg\":\"HS384\"}",
        "{\"alg\":\"HS512\"}",
        "{\"alg\":\"RS256\"}",
        "{\"alg\":\"ES256\"}",
        "{\"Alg\":\"HS256\"}",
        "{\"alg\":\"HS256\",\"alg\":\"HS256\"}",
        "{\"alg\":\"none\",\"alg\":\"HS256\"}",
        "{\"alg\":\"HS256\",\"alg\":\"none\"}",
        "{\"alg\":\"none\",\"\\u0061lg\":\"HS256\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWE\"}",
        "{\"alg\":\"HS256\",\"typ\":1}",
        "{\"alg\":\"HS256\",\"crit\":[]}",
        "{\"alg\":\"HS256\",\"crit\":null}",
        "{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}",
        "{\"alg\":\"HS256\",\"crit\":[\"x\"],\"x\":1}",
        "[\"HS256\"]",
        "{\"alg\":\"HS256\"",
        "{\"alg\":\"HS256\"}x",
        "\xff",
    };

    for (size_t i = 0; i < sizeof(HEADERS) / sizeof(HEADERS[0]); i++)
        assert_int_equal(error_of_header(HEADERS[i]), ERR_UNAUTHORIZED);
}

static void stronger_digests_by_the_right_key_are_refused(void **state)
{
    (void)state;
    assert_int_equal(error_of(forge_by(EVP_sha384(), STR(SECRET), "{\"alg\":\"HS384\"}", GOOD)),
                     ERR_UNAUTHORIZED);
    assert_int_equal(error_of(forge_by(EVP_sha512(), STR(SECRET), "{\"alg\":\"HS512\"}", GOOD)),
                     ERR_UNAUTHORIZED);
    assert_int_equal(error_of(forge_by(EVP_sha512(), STR(SECRET), HS256, GOOD)), ERR_UNAUTHORIZED);
    assert_int_equal(error_of(forge_by(EVP_sha1(), STR(SECRET), HS256, GOOD)), ERR_UNAUTHORIZED);
}

/* An app whose secret is, by mistake, the public key of an RSA pair: RS256 tokens are still none of
 * ours, although HS256 by that text is what it was told to take. */
static void rs256_is_refused_where_the_secret_is_a_public_key(void **state)
{
    (void)state;
    EVP_PKEY *pair = EVP_RSA_gen(1024);
    BIO *pem = BIO_new(BIO_s_mem());
    char *text;
    PEM_write_bio_PUBKEY(pem, pair);
    struct str public = {.len = (size_t)BIO_get_mem_data(pem, &text)};
    public.ptr = text;
    struct apps *apps = two_apps();
    static const char *const HEADERS[] = {"{\"alg\":\"RS256\"}", HS256};
    static const int WANT[] = {ERR_UNAUTHORIZED, 0};

    public.len = public.len < LIMIT_SECRET ? public.len : LIMIT_SECRET;
    for (size_t i = 0; i < 2; i++) {
        struct identity id;
        const char *why;
        struct buf token = forge_by(EVP_sha256(), public, HEADERS[i], GOOD);
        assert_int_equal(token_verify(apps, buf_str(&token), NOW_MS, &id, &why), ERR_UNAUTHORIZED);
        assert_true(str_copy(public, apps->app[0].secret, LIMIT_SECRET + 1));
        assert_int_equal(token_verify(apps, buf_str(&token), NOW_MS, &id, &why), WANT[i]);
        str_copy(STR(SECRET), apps->app[0].secret, LIMIT_SECRET + 1);
        buf_deinit(&token);
    }
    apps_unref(apps);
    BIO_free(pem);
    EVP_PKEY_free(pair);
}

/* --- the signature --------------------------------------------------------------------------- */

static void wrong_secrets_are_refused(void **state)
{
    (void)state;
    assert_int_equal(error_of(forge_by(EVP_sha256(), STR("wrong"), HS256, GOOD)), ERR_UNAUTHORIZED);
    assert_int_equal(error_of(forge_by(EVP_sha256(), STR(""), HS256, GOOD)), ERR_UNAUTHORIZED);
    /* b's secret for a, a's for b, and an app that has none */
    assert_int_equal(
        error_of(forge_by(EVP_sha256(), STR("another secret of 32 bytes or so"), HS256, GOOD)),
        ERR_UNAUTHORIZED);
    assert_int_equal(error_of_claims("{\"app\":\"b\",\"sub\":\"u\",\"room\":\"r\","
                                     "\"role\":\"viewer\",\"exp\":1732441235}"),
                     ERR_UNAUTHORIZED);
    assert_int_equal(error_of(forge_by(EVP_sha256(), STR(""), HS256,
                                       "{\"app\":\"no-tokens\",\"sub\":\"u\",\"room\":\"r\","
                                       "\"role\":\"viewer\",\"exp\":1732441235}")),
                     ERR_UNAUTHORIZED);
}

static void every_changed_character_is_refused(void **state)
{
    (void)state;
    struct buf token = forge(HS256, GOOD);

    for (size_t i = 0; i < token.len; i++) {
        char old = token.ptr[i];
        token.ptr[i] = old == 'A' ? 'B' : 'A';
        assert_int_equal(error_of_text(buf_str(&token)), ERR_UNAUTHORIZED);
        token.ptr[i] = old;
    }
    assert_int_equal(error_of(token), 0);
}

static void every_shortened_token_is_refused(void **state)
{
    (void)state;
    struct buf token = forge(HS256, GOOD);

    for (size_t len = 0; len < token.len; len++)
        assert_int_equal(error_of_text(str_make(token.ptr, len)), ERR_UNAUTHORIZED);
    buf_deinit(&token);
}

/* The two spare bits in the last character of a MAC: three more texts would stand for the same
 * bytes. */
static void other_spellings_of_the_signature_are_refused(void **state)
{
    (void)state;
    static const char ALPHABET[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    struct buf token = forge(HS256, GOOD);
    size_t value = (size_t)(strchr(ALPHABET, token.ptr[token.len - 1]) - ALPHABET);

    assert_int_equal(value % 4, 0);
    for (size_t spare = 1; spare < 4; spare++) {
        token.ptr[token.len - 1] = ALPHABET[value + spare];
        assert_int_equal(error_of_text(buf_str(&token)), ERR_UNAUTHORIZED);
    }
    buf_deinit(&token);
}

static void what_is_put_around_a_token_is_refused(void **state)
{
    (void)state;
    static const char *const BEHIND[] = {".",    "=",     "\n",         " ",   "A",
                                         "AAAA", ".AAAA", ".AAAA.AAAA", "\xff"};

    for (size_t i = 0; i < sizeof(BEHIND) / sizeof(BEHIND[0]); i++) {
        struct buf behind = forge(HS256, GOOD);
        struct buf before = {0};
        buf_add_str(&before, str_of(BEHIND[i]));
        buf_add_str(&before, buf_str(&behind));
        buf_add_str(&behind, str_of(BEHIND[i]));
        assert_int_equal(error_of(behind), ERR_UNAUTHORIZED);
        assert_int_equal(error_of(before), ERR_UNAUTHORIZED);
    }
}

static void other_shapes_are_refused(void **state)
{
    (void)state;
    static const char *const TOKENS[] = {
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "e30.e30.",
        "e30..e30",
        ".e30.e30",
        "e30.e30.e30",
        "eyJhbGciOiJIUzI1NiJ9..AAAA",
        "eyJhbGciOiJub25lIn0.e30.",
        /* a JWE in compact form has five parts */
        "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..MTIzNDU2Nzg5MDEy.AAAA.BBBB",
        /* a JWS in JSON form */
        "{\"protected\":\"eyJhbGciOiJIUzI1NiJ9\",\"payload\":\"e30\",\"signature\":\"\"}",
    };

    assert_int_equal(error_of_text(STR_NONE), ERR_UNAUTHORIZED);
    for (size_t i = 0; i < sizeof(TOKENS) / sizeof(TOKENS[0]); i++)
        assert_int_equal(error_of_text(str_of(TOKENS[i])), ERR_UNAUTHORIZED);
}

static void tokens_have_a_length_limit(void **state)
{
    (void)state;
    struct buf claims = {0};
    bool was_refused = false;

    /* One byte of claims more at a time: taken up to the limit, and never beyond it. */
    buf_add_lit(&claims, CLAIMS ",\"exp\":1732441235,\"x\":\"");
    for (size_t i = 0; i < 2900; i++) buf_add_char(&claims, 'x');
    while (claims.len < 3100) {
        struct buf whole = {0};
        buf_add_char(&claims, 'x');
        buf_printf(&whole, "%.*s\"}", STR_ARG(buf_str(&claims)));
        buf_add_char(&whole, '\0');
        struct buf token = forge(HS256, whole.ptr);
        bool is_too_long = token.len > LIMIT_TOKEN;
        was_refused |= is_too_long;
        assert_int_equal(error_of(token), is_too_long ? ERR_UNAUTHORIZED : 0);
        buf_deinit(&whole);
    }
    assert_true(was_refused);
    buf_deinit(&claims);
}

/* --- the claims ------------------------------------------------------------------------------ */

static void exp_is_required_and_a_whole_number(void **state)
{
    (void)state;
    static const char *const CLAIM[] = {
        CLAIMS "}",
        CLAIMS ",\"exp\":null}",
        CLAIMS ",\"exp\":\"1732441235\"}",
        CLAIMS ",\"exp\":1732441235.5}",
        CLAIMS ",\"exp\":1.8e9}",
        CLAIMS ",\"exp\":-1}",
        CLAIMS ",\"exp\":true}",
        CLAIMS ",\"exp\":[1732441235]}",
        CLAIMS ",\"exp\":9223372036854776}", /* overflows as milliseconds */
        CLAIMS ",\"exp\":9223372036854775807}",
        CLAIMS ",\"exp\":9223372036854775808}",
        CLAIMS ",\"exp\":1,\"exp\":1732441235}",
    };

    for (size_t i = 0; i < sizeof(CLAIM) / sizeof(CLAIM[0]); i++)
        assert_int_equal(error_of_claims(CLAIM[i]), ERR_UNAUTHORIZED);
}

static void token_ends_at_exp_to_the_millisecond(void **state)
{
    (void)state;
    struct apps *apps = two_apps();
    struct buf token = forge(HS256, GOOD);
    struct identity id;
    const char *why;

    assert_int_equal(token_verify(apps, buf_str(&token), NOW_MS + 999, &id, &why), 0);
    assert_int_equal(token_verify(apps, buf_str(&token), NOW_MS + 1000, &id, &why),
                     ERR_TOKEN_EXPIRED);
    assert_int_equal(error_of_claims(CLAIMS ",\"exp\":1732441234}"), ERR_TOKEN_EXPIRED);
    assert_int_equal(error_of_claims(CLAIMS ",\"exp\":0}"), ERR_TOKEN_EXPIRED);
    buf_deinit(&token);
    apps_unref(apps);
}

static void nobody_learns_from_a_forged_token_that_it_expired(void **state)
{
    (void)state;
    assert_int_equal(error_of(forge_by(EVP_sha256(), STR("wrong"), HS256, CLAIMS ",\"exp\":1}")),
                     ERR_UNAUTHORIZED);
}

static void nbf_is_looked_at(void **state)
{
    (void)state;
    assert_int_equal(error_of_claims(CLAIMS ",\"exp\":1732449999,\"nbf\":1732441234}"), 0);
    assert_int_equal(error_of_claims(CLAIMS ",\"exp\":1732449999,\"nbf\":1732441235}"),
                     ERR_UNAUTHORIZED);
    assert_int_equal(error_of_claims(CLAIMS ",\"exp\":1732449999,\"nbf\":\"0\"}"),
                     ERR_UNAUTHORIZED);
    assert_int_equal(error_of_claims(CLAIMS ",\"exp\":1732449999,\"nbf\":1.5}"), ERR_UNAUTHORIZED);
    assert_int_equal(error_of_claims(CLAIMS ",\"exp\":1732449999,\"nbf\":null}"), ERR_UNAUTHORIZED);
}

static int error_of_claim(const char *app, const char *sub, const char *room, const char *role,
                          const char *name)
{
    struct buf claims = {0};

    buf_printf(&claims,
               "{\"app\":%s,\"sub\":%s,\"room\":%s,\"role\":%s,\"name\":%s,\"exp\":1732441235}",
               app, sub, room, role, name);
    buf_add_char(&claims, '\0');
    int err = error_of_claims(claims.ptr);
    buf_deinit(&claims);
    return err;
}

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void claims_have_their_types_and_bounds(void **state)
{
    (void)state;
    static const char *const APP = "\"a\"", *const SUB = "\"u\"", *const ROOM = "\"r\"";
    static const char *const ROLE = "\"viewer\"", *const NAME = "\"n\"";
    static const char *const NONE_OF_THEM[] = {"null", "1",           "[]",          "{}",
                                               "true", "\"\\u0007\"", "\"" X64 "x\""};

    assert_int_equal(error_of_claim(APP, SUB, ROOM, ROLE, NAME), 0);
    assert_int_equal(error_of_claim(APP, "\"" X64 "\"", "\"" X64 "\"", ROLE, "\"" X64 "\""), 0);
    assert_int_equal(error_of_claim(APP, SUB, "\"*\"", ROLE, "\"\""), 0);
    for (size_t i = 0; i < sizeof(NONE_OF_THEM) / sizeof(NONE_OF_THEM[0]); i++) {
        const char *bad = NONE_OF_THEM[i];
        assert_int_equal(error_of_claim(bad, SUB, ROOM, ROLE, NAME), ERR_UNAUTHORIZED);
        assert_int_equal(error_of_claim(APP, bad, ROOM, ROLE, NAME), ERR_UNAUTHORIZED);
        assert_int_equal(error_of_claim(APP, SUB, bad, ROLE, NAME), ERR_UNAUTHORIZED);
        assert_int_equal(error_of_claim(APP, SUB, ROOM, bad, NAME), ERR_UNAUTHORIZED);
        assert_int_equal(error_of_claim(APP, SUB, ROOM, ROLE, bad), ERR_UNAUTHORIZED);
    }
    assert_int_equal(error_of_claim("\"\"", SUB, ROOM, ROLE, NAME), ERR_UNAUTHORIZED);
    assert_int_equal(error_of_claim("\"c\"", SUB, ROOM, ROLE, NAME), ERR_UNAUTHORIZED);
    assert_int_equal(error_of_claim(APP, "\"\"", ROOM, ROLE, NAME), ERR_UNAUTHORIZED);
    assert_int_equal(error_of_claim(APP, SUB, "\"\"", ROLE, NAME), ERR_UNAUTHORIZED);
    assert_int_equal(error_of_claim(APP, SUB, "\"r/s\"", ROLE, NAME), ERR_UNAUTHORIZED);
    assert_int_equal(error_of_claim(APP, SUB, "\"**\"", ROLE, NAME), ERR_UNAUTHORIZED);
}

static void roles_are_the_three_of_the_protocol(void **state)
{
    (void)state;
    static const char *const OTHERS[] = {"\"\"",    "\"key\"",   "\"Host\"",
                                         "\"hos\"", "\"hosts\"", "\"admin\""};

    assert_int_equal(error_of_claim("\"a\"", "\"u\"", "\"r\"", "\"speaker\"", "\"\""), 0);
    for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++)
        assert_int_equal(error_of_claim("\"a\"", "\"u\"", "\"r\"", OTHERS[i], "\"\""),
                         ERR_UNAUTHORIZED);
    assert_int_equal(
        error_of_claims("{\"app\":\"a\",\"sub\":\"u\",\"room\":\"r\",\"exp\":1732441235}"),
        ERR_UNAUTHORIZED);
}

static void claims_are_one_object(void **state)
{
    (void)state;
    static const char *const CLAIM[] = {
        "[]",
        "1",
        "\"a\"",
        "{",
        GOOD "x",
        GOOD GOOD,
        CLAIMS ",\"app\":\"a\",\"exp\":1732441235}",
        CLAIMS ",\"\\u0061pp\":\"a\",\"exp\":1732441235}",
        "\xff\xfe",
    };

    for (size_t i = 0; i < sizeof(CLAIM) / sizeof(CLAIM[0]); i++)
        assert_int_equal(error_of_claims(CLAIM[i]), ERR_UNAUTHORIZED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_signed_is_verified),
        cmocka_unit_test(other_peoples_tokens_are_verified),
        cmocka_unit_test(forger_makes_the_token_of_the_rfc),
        cmocka_unit_test(only_hs256_is_taken),
        cmocka_unit_test(stronger_digests_by_the_right_key_are_refused),
        cmocka_unit_test(rs256_is_refused_where_the_secret_is_a_public_key),
        cmocka_unit_test(wrong_secrets_are_refused),
        cmocka_unit_test(every_changed_character_is_refused),
        cmocka_unit_test(every_shortened_token_is_refused),
        cmocka_unit_test(other_spellings_of_the_signature_are_refused),
        cmocka_unit_test(what_is_put_around_a_token_is_refused),
        cmocka_unit_test(other_shapes_are_refused),
        cmocka_unit_test(tokens_have_a_length_limit),
        cmocka_unit_test(exp_is_required_and_a_whole_number),
        cmocka_unit_test(token_ends_at_exp_to_the_millisecond),
        cmocka_unit_test(nobody_learns_from_a_forged_token_that_it_expired),
        cmocka_unit_test(nbf_is_looked_at),
        cmocka_unit_test(claims_have_their_types_and_bounds),
        cmocka_unit_test(roles_are_the_three_of_the_protocol),
        cmocka_unit_test(claims_are_one_object),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
