/* tool/protocol.c: the requests of both protocols, byte for byte, and what their answers mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tool/protocol.h"

static const struct url url = {.authority = "127.0.0.1:8080"};

static struct protocol_peer peer_of(enum protocol protocol)
{
    return (struct protocol_peer){protocol, &url, "k", "r"};
}

static void expect(struct buf *request, const char *expected)
{
    assert_true(str_eq(buf_str(request), str_of(expected)));
    buf_clear(request);
}

static void names_are_parsed(void **state)
{
    enum protocol protocol = PROTOCOL_NCHAN;
    assert_true(protocol_parse(STR("stoa"), &protocol));
    assert_int_equal(protocol, PROTOCOL_STOA);
    assert_true(protocol_parse(STR("nchan"), &protocol));
    assert_int_equal(protocol, PROTOCOL_NCHAN);
    assert_false(protocol_parse(STR("Stoa"), &protocol));
    assert_false(protocol_parse(STR_NONE, &protocol));
}

static void polls_of_stoa(void **state)
{
    struct buf out = {0};
    struct protocol_peer peer = peer_of(PROTOCOL_STOA);
    struct protocol_poll poll = {.name_prefix = "v", .number = 12, .timeout_s = 25};
    protocol_write_poll(&out, &peer, &poll);
    expect(&out, "GET /v1/rooms/r/messages?user=v-12&limit=1 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
                 "Authorization: Bearer k\r\n\r\n");
    poll.cursor = "a+b";
    protocol_write_poll(&out, &peer, &poll);
    expect(&out, "GET /v1/rooms/r/messages?user=v-12&limit=200&timeout=25&since=a%2Bb HTTP/1.1\r\n"
                 "Host: 127.0.0.1:8080\r\nAuthorization: Bearer k\r\n\r\n");
    buf_deinit(&out);
}

static void polls_of_nchan(void **state)
{
    struct buf out = {0};
    struct protocol_peer peer = peer_of(PROTOCOL_NCHAN);
    struct protocol_poll poll = {.name_prefix = "v", .number = 12, .timeout_s = 25};
    protocol_write_poll(&out, &peer, &poll);
    expect(&out, "GET /sub/r HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n");
    poll.cursor = "If-Modified-Since: D\r\nIf-None-Match: 1\r\n";
    protocol_write_poll(&out, &peer, &poll);
    expect(&out, "GET /sub/r HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nIf-Modified-Since: D\r\n"
                 "If-None-Match: 1\r\n\r\n");
    buf_deinit(&out);
}

static void sends(void **state)
{
    struct buf out = {0};
    struct protocol_peer stoa = peer_of(PROTOCOL_STOA), nchan = peer_of(PROTOCOL_NCHAN);
    struct protocol_send send = {.body = STR("{}"), .list = LIST_NORMAL, .run = 31, .request = 2};
    protocol_write_send(&out, &stoa, &send);
    expect(&out, "POST /v1/rooms/r/messages HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
                 "Authorization: Bearer k\r\nIdempotency-Key: 1f-2\r\n"
                 "Content-Type: application/json\r\nContent-Length: 26\r\n\r\n"
                 "{\"from\":\"bench\",\"body\":{}}");
    send.list = LIST_HIGH;
    protocol_write_send(&out, &stoa, &send);
    expect(&out, "POST /v1/rooms/r/messages HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
                 "Authorization: Bearer k\r\nIdempotency-Key: 1f-2\r\n"
                 "Content-Type: application/json\r\nContent-Length: 44\r\n\r\n"
                 "{\"from\":\"bench\",\"priority\":\"high\",\"body\":{}}");
    protocol_write_send(&out, &nchan, &send);
    expect(&out, "POST /pub/r HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
                 "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
    buf_deinit(&out);
}

static void rooms(void **state)
{
    struct buf out = {0};
    struct protocol_peer stoa = peer_of(PROTOCOL_STOA), nchan = peer_of(PROTOCOL_NCHAN);
    struct protocol_room room = {.normal_per_s = 1, .high_per_s = 2, .max_body_bytes = 3};
    protocol_write_room(&out, &stoa, &room);
    expect(&out, "PUT /v1/rooms/r HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAuthorization: Bearer k\r\n"
                 "Content-Type: application/json\r\nContent-Length: 68\r\n\r\n"
                 "{\"title\":\"bench\",\"normal_per_s\":1,\"high_per_s\":2,\"max_body_bytes\":3}");
    protocol_write_room(&out, &nchan, &room);
    expect(&out, "POST /pub/r HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
                 "Content-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"first\":true}");
    buf_deinit(&out);
}

static void what_answers_mean(void **state)
{
    struct poll_scan with_id = {.id = 1}, without = {0};
    assert_true(protocol_is_stored(PROTOCOL_STOA, 201, &with_id));
    assert_true(protocol_is_stored(PROTOCOL_STOA, 200, &with_id));
    assert_false(protocol_is_stored(PROTOCOL_STOA, 201, &without));
    assert_false(protocol_is_stored(PROTOCOL_STOA, 202, &with_id));
    assert_true(protocol_is_stored(PROTOCOL_NCHAN, 201, &without));
    assert_true(protocol_is_stored(PROTOCOL_NCHAN, 202, &without));
    assert_false(protocol_is_stored(PROTOCOL_NCHAN, 200, &without));
    assert_true(protocol_is_nothing_new(PROTOCOL_NCHAN, 408));
    assert_false(protocol_is_nothing_new(PROTOCOL_NCHAN, 200));
    assert_false(protocol_is_nothing_new(PROTOCOL_STOA, 408));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_parsed),
        cmocka_unit_test(polls_of_stoa),
        cmocka_unit_test(polls_of_nchan),
        cmocka_unit_test(sends),
        cmocka_unit_test(rooms),
        cmocka_unit_test(what_answers_mean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
