/* Framing of the link: whole, byte by byte, split at every position; too long, broken, and what few
 * bytes make much of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/limit.h"
#include "link/link_frame.h"

/* Three packets, one after the other. */
static void write_three(struct buf *out)
{
    Link__Watch watch = LINK__WATCH__INIT;
    Link__Pong pong = LINK__PONG__INIT;
    Link__Packet packet = LINK__PACKET__INIT;

    watch.room = link_bytes(STR("app/room"));
    watch.tell_newest = true;
    packet.body_case = LINK__PACKET__BODY_WATCH;
    packet.watch = &watch;
    assert_true(link_frame_add(out, &packet));
    packet = (Link__Packet)LINK__PACKET__INIT; /* an empty one: what a later version may send */
    assert_true(link_frame_add(out, &packet));
    packet.id = 7;
    packet.body_case = LINK__PACKET__BODY_PONG;
    packet.pong = &pong;
    assert_true(link_frame_add(out, &packet));
}

static void check(size_t index, const Link__Packet *packet)
{
    switch (index) {
    case 0:
        assert_int_equal(packet->body_case, LINK__PACKET__BODY_WATCH);
        assert_true(str_eq(link_str(packet->watch->room), STR("app/room")));
        assert_true(packet->watch->tell_newest);
        return;
    case 1: assert_int_equal(packet->body_case, LINK__PACKET__BODY__NOT_SET); return;
    case 2:
        assert_int_equal(packet->body_case, LINK__PACKET__BODY_PONG);
        assert_int_equal(packet->id, 7);
        return;
    default: fail();
    }
}

/* Takes what is there; returns how many there have been in all. */
static size_t take_all(struct link_reader *r, size_t seen)
{
    Link__Packet *packet;
    enum link_reading reading;

    while ((reading = link_reader_next(r, &packet)) == LINK_READ_PACKET) {
        check(seen++, packet);
        link_packet_free(packet);
    }
    assert_int_equal(reading, LINK_READ_MORE);
    return seen;
}

static void packets_come_out_however_the_bytes_come_in(void **state)
{
    struct buf bytes = {0};
    write_three(&bytes);
    for (size_t cut = 0; cut <= bytes.len; cut++) {
        struct link_reader r;
        link_reader_init(&r, LIMIT_LINK_FRAME);
        link_reader_feed(&r, str_make(bytes.ptr, cut));
        size_t seen = take_all(&r, 0);
        link_reader_feed(&r, str_make(bytes.ptr + cut, bytes.len - cut));
        assert_int_equal(take_all(&r, seen), 3);
        link_reader_deinit(&r);
    }
    buf_deinit(&bytes);
}

static void packets_come_out_byte_by_byte(void **state)
{
    struct buf bytes = {0};
    struct link_reader r;
    size_t seen = 0;

    write_three(&bytes);
    link_reader_init(&r, LIMIT_LINK_FRAME);
    for (size_t i = 0; i < bytes.len; i++) {
        link_reader_feed(&r, str_make(bytes.ptr + i, 1));
        seen = take_all(&r, seen);
    }
    assert_int_equal(seen, 3);
    link_reader_deinit(&r);
    buf_deinit(&bytes);
}

static enum link_reading read_one(struct str bytes, uint32_t limit)
{
    struct link_reader r;
    Link__Packet *packet = NULL;

    link_reader_init(&r, limit);
    link_reader_feed(&r, bytes);
    enum link_reading reading = link_reader_next(&r, &packet);
    if (reading == LINK_READ_PACKET) link_packet_free(packet);
    link_reader_deinit(&r);
    return reading;
}

static void a_length_beyond_the_limit_is_refused_before_its_bytes_come(void **state)
{
    assert_int_equal(read_one(STR("\0\0\0\x05"), 4), LINK_READ_BROKEN);
    assert_int_equal(read_one(STR("\0\0\0\x04"), 4), LINK_READ_MORE);
    assert_int_equal(read_one(STR("\xff\xff\xff\xff"), LIMIT_LINK_FRAME), LINK_READ_BROKEN);
    /* What speaks HTTP to the port. */
    assert_int_equal(read_one(STR("GET / HTTP/1.1\r\n"), LIMIT_LINK_FRAME), LINK_READ_BROKEN);
}

static void what_is_no_packet_is_broken(void **state)
{
    assert_int_equal(read_one(STR("\0\0\0\x02\xff\xff"), 100), LINK_READ_BROKEN);
    assert_int_equal(read_one(STR("\0\0\0\x02\x42\x20"), 100), LINK_READ_BROKEN);
}

static void a_packet_longer_than_the_limit_is_not_written(void **state)
{
    struct buf body = {0}, out = {0};
    Link__Failed failed = LINK__FAILED__INIT;
    Link__Packet packet = LINK__PACKET__INIT;

    buf_reserve(&body, LIMIT_LINK_FRAME);
    memset(body.ptr, 'x', LIMIT_LINK_FRAME);
    body.len = LIMIT_LINK_FRAME;
    failed.code = link_bytes(buf_str(&body));
    packet.body_case = LINK__PACKET__BODY_FAILED;
    packet.failed = &failed;
    assert_false(link_frame_add(&out, &packet));
    assert_int_equal(out.len, 0);
    buf_deinit(&body);
    buf_deinit(&out);
}

/* 8 MiB of empty messages in a range: two bytes each, some hundred in memory. */
static void few_bytes_cannot_take_much_memory(void **state)
{
    size_t count = 3 * 1024 * 1024;
    struct buf bytes = {0};
    uint32_t part_len = (uint32_t)(count * 2), len = part_len + 6;

    buf_add_char(&bytes, (char)(len >> 24));
    buf_add_char(&bytes, (char)(len >> 16));
    buf_add_char(&bytes, (char)(len >> 8));
    buf_add_char(&bytes, (char)len);
    buf_add(&bytes, "\xba\x01", 2); /* field 23, Range, as a submessage */
    for (int i = 0; i < 4; i++)
        buf_add_char(&bytes, (char)((part_len >> (7 * i) & 0x7f) | (i < 3 ? 0x80 : 0)));
    for (size_t i = 0; i < count; i++) buf_add(&bytes, "\x0a\x00", 2);
    assert_int_equal(read_one(buf_str(&bytes), LIMIT_LINK_FRAME), LINK_READ_BROKEN);
    buf_deinit(&bytes);
}

static void fields_of_a_later_version_are_ignored(void **state)
{
    /* A Ping (field 6, empty) and a field 1000, a text. */
    struct str bytes = STR("\0\0\0\x07\x32\x00\xc2\x3e\x02hi");
    struct link_reader r;
    Link__Packet *packet;

    bytes.len = 4 + 7;
    link_reader_init(&r, 100);
    link_reader_feed(&r, bytes);
    assert_int_equal(link_reader_next(&r, &packet), LINK_READ_PACKET);
    assert_int_equal(packet->body_case, LINK__PACKET__BODY_PING);
    link_packet_free(packet);
    link_reader_deinit(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_come_out_however_the_bytes_come_in),
        cmocka_unit_test(packets_come_out_byte_by_byte),
        cmocka_unit_test(a_length_beyond_the_limit_is_refused_before_its_bytes_come),
        cmocka_unit_test(what_is_no_packet_is_broken),
        cmocka_unit_test(a_packet_longer_than_the_limit_is_not_written),
        cmocka_unit_test(few_bytes_cannot_take_much_memory),
        cmocka_unit_test(fields_of_a_later_version_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
