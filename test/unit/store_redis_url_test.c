/* store/redis_url.c: what is in a URL, and that messages say what to do and no secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "base/error.h"
#include "store/redis_url.h"

static struct redis_url url;
static char why[512];

static void parse(const char *text)
{
    why[0] = '\0';
    memset(&url, 0xee, sizeof(url));
    if (redis_url_parse(str_of(text), &url, why, sizeof(why)) != 0) fail_msg("%s: %s", text, why);
}

static void refused(const char *text, const char *part)
{
    struct redis_url before;
    memset(&url, 0xee, sizeof(url));
    before = url;
    assert_int_equal(redis_url_parse(str_of(text), &url, why, sizeof(why)), ERR_BAD_REQUEST);
    assert_memory_equal(&url, &before, sizeof(url));
    if (strstr(why, part) == NULL) fail_msg("%s: \"%s\" does not say \"%s\"", text, why, part);
    if (strcasestr(why, "secret") != NULL) fail_msg("%s: \"%s\" tells it", text, why);
}

static void expect_host(size_t at, const char *name, uint16_t port)
{
    assert_true(at < url.host_count);
    assert_string_equal(url.hosts[at].name, name);
    assert_int_equal(url.hosts[at].port, port);
}

static void a_host_is_enough(void **state)
{
    parse("redis://localhost");
    assert_int_equal(url.host_count, 1);
    expect_host(0, "localhost", 6379);
    assert_string_equal(url.user, "");
    assert_string_equal(url.password, "");
    assert_string_equal(url.ca, "");
    assert_int_equal(url.db, 0);
    assert_false(url.has_replicas);
    assert_false(url.is_tls);
    assert_int_equal(redis_url_patience(&url, 2000), 2000);
}

static void all_of_it_is_read(void **state)
{
    parse("rediss://app:p%40ss%2Fw%25rd@10.0.0.1:7000,redis-2,[::1]:7002,[fe80::2]/3"
          "?replicas=2&ca=/etc/ca%20s.pem&cert=c.pem&key=k.pem");
    assert_true(url.is_tls);
    assert_int_equal(url.host_count, 4);
    expect_host(0, "10.0.0.1", 7000);
    expect_host(1, "redis-2", 6379);
    expect_host(2, "::1", 7002);
    expect_host(3, "fe80::2", 6379);
    assert_string_equal(url.user, "app");
    assert_string_equal(url.password, "p@ss/w%rd");
    assert_int_equal(url.db, 3);
    assert_true(url.has_replicas);
    assert_int_equal(url.replicas, 2);
    assert_string_equal(url.ca, "/etc/ca s.pem");
    assert_string_equal(url.cert, "c.pem");
    assert_string_equal(url.key, "k.pem");
}

static void a_password_needs_no_user(void **state)
{
    parse("redis://:a:b@c@host:1/");
    assert_string_equal(url.user, "");
    assert_string_equal(url.password, "a:b@c");
    expect_host(0, "host", 1);
    parse("redis://host/?replicas=0&patience=3");
    assert_int_equal(redis_url_patience(&url, 2000), 6000);
    assert_true(url.has_replicas);
    assert_int_equal(url.replicas, 0);
}

static void what_is_wrong_is_said_without_the_secret(void **state)
{
    refused("http://host", "redis://HOST:PORT");
    refused("redis://", "HOST:PORT");
    refused("redis://:secret@", "HOST:PORT");
    refused("redis://secret@host", "no password");
    refused("redis://user:@host", "no password");
    refused("redis://:secret%@host", "%25");
    refused("redis://:secret%0g@host", "%25");
    refused("redis://:secret%00@host", "%25");
    refused("redis://:sec/ret@host", "%2F");
    refused("redis://:1/secret@host", "%2F");
    refused("redis://:1?secret@host", "%3F");
    refused("redis://:secret@host:x", "\"host:x\" has no port");
    refused("redis://host:0", "no port");
    refused("redis://host:65536", "no port");
    refused("redis://host:", "no port");
    refused("redis://::1", "brackets");
    refused("redis://[::1", "brackets");
    refused("redis://[::1]x", "brackets");
    refused("redis://[]:1", "brackets");
    refused("redis://a,,b", "HOST:PORT");
    refused("redis://a,", "HOST:PORT");
    refused("redis://a/b", "number of a database");
    refused("redis://a/1000001", "number of a database");
    refused("redis://a?replicas=17", "0 to 16");
    refused("redis://a?patience=0", "1 to 100");
    refused("redis://a?patience=101", "1 to 100");
    refused("redis://a?replicas", "0 to 16");
    refused("redis://a?password=secret", "before the host");
    refused("redis://a?ca=x", "rediss://");
    refused("rediss://a?ca=", "PEM");
    refused("rediss://a?ca", "PEM");
    refused("rediss://a?key=x", "without cert");
    refused("redis://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "16 hosts");
}

static void what_does_not_fit_is_refused(void **state)
{
    char text[2048] = "redis://:";
    memset(text + 9, 's', 1024);
    memcpy(text + 9 + 1024, "@h", 3);
    refused(text, "too long");
    memcpy(text + 9 + 1023, "@h", 3);
    parse(text);
    assert_int_equal(strlen(url.password), 1023);
    memset(text, 'h', 300);
    memcpy(text, "redis://", 8);
    text[300] = '\0';
    refused(text, "is no host");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_is_enough),
        cmocka_unit_test(all_of_it_is_read),
        cmocka_unit_test(a_password_needs_no_user),
        cmocka_unit_test(what_is_wrong_is_said_without_the_secret),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
