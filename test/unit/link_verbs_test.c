/* Requests and answers as they go over a link: each verb there and back, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/error.h"
#include "core/hll.h"
#include "link/link_answer.h"

#define ROOM STR("app/room")

static Link__Packet *packet_of(const struct buf *bytes)
{
    struct link_reader r;
    Link__Packet *packet = NULL;

    link_reader_init(&r, LIMIT_LINK_FRAME);
    link_reader_feed(&r, buf_str(bytes));
    assert_int_equal(link_reader_next(&r, &packet), LINK_READ_PACKET);
    link_reader_deinit(&r);
    return packet;
}

/* What comes out at the other end; both are the test's to release. */
static int send_request(const struct link_request *in, struct link_request *ret_out,
                        Link__Packet **ret_packet)
{
    struct buf bytes = {0};

    assert_true(link_request_write(&bytes, 42, in));
    *ret_packet = packet_of(&bytes);
    assert_int_equal((*ret_packet)->id, 42);
    buf_deinit(&bytes);
    return link_request_read(*ret_packet, ret_out);
}

static void check_message(const struct message *a, const struct message *b)
{
    assert_int_equal(a->id, b->id);
    assert_int_equal(a->prev, b->prev);
    assert_int_equal(a->ordinal, b->ordinal);
    assert_int_equal(a->list, b->list);
    assert_true(str_eq(a->type, b->type));
    assert_true(str_eq(a->from, b->from));
    assert_true(str_eq(a->name, b->name));
    assert_true(str_eq(a->body, b->body));
}

static const struct message MESSAGE = {.id = UINT64_MAX - 1,
                                       .prev = 1,
                                       .ordinal = 99,
                                       .list = LIST_NORMAL,
                                       .type = {"text", 4},
                                       .from = {"alice", 5},
                                       .name = {"Alice \"A\"", 9},
                                       .body = {"{\"x\":1}", 7}};

static void an_append_goes_over_whole(void **state)
{
    struct link_request in = {.verb = LINK_APPEND, .room = ROOM}, out;
    Link__Packet *packet;

    in.append = (struct store_append){
        .room = ROOM, .message = MESSAGE, .key = STR("key"), .only_known = true, .per_s = 7};
    assert_int_equal(send_request(&in, &out, &packet), OK);
    assert_int_equal(out.verb, LINK_APPEND);
    assert_true(str_eq(out.room, ROOM));
    assert_true(str_eq(out.append.room, ROOM));
    assert_true(str_eq(out.append.key, STR("key")));
    assert_true(out.append.only_known);
    assert_int_equal(out.append.per_s, 7);
    check_message(&out.append.message, &MESSAGE);
    link_request_deinit(&out);
    link_packet_free(packet);
}

static void a_read_goes_over_whole(void **state)
{
    struct link_request in = {.verb = LINK_READ, .room = ROOM}, out;
    Link__Packet *packet;

    in.read = (struct store_read){.room = ROOM,
                                  .list = LIST_NORMAL,
                                  .direction = STORE_BEFORE,
                                  .from = UINT64_MAX,
                                  .limit = 200};
    assert_int_equal(send_request(&in, &out, &packet), OK);
    assert_int_equal(out.read.list, LIST_NORMAL);
    assert_int_equal(out.read.direction, STORE_BEFORE);
    assert_int_equal(out.read.from, UINT64_MAX);
    assert_int_equal(out.read.limit, 200);
    link_request_deinit(&out);
    link_packet_free(packet);
}

static void a_put_goes_over_whole(void **state)
{
    struct link_request in = {.verb = LINK_ROOM_PUT, .room = ROOM}, out;
    Link__Packet *packet;

    in.room_put = (struct store_room_put){.room = ROOM,
                                          .only_new = true,
                                          .known = {{3, 4}, {5, 6}},
                                          .settings = room_settings_default(),
                                          .state = ROOM_CLOSED,
                                          .control = {.list = LIST_HIGH, .type = STR("room.x")}};
    str_copy(STR("title"), in.room_put.settings.title, sizeof(in.room_put.settings.title));
    in.room_put.settings.max_online = 12;
    assert_int_equal(send_request(&in, &out, &packet), OK);
    assert_true(out.room_put.only_new);
    assert_int_equal(out.room_put.known[LIST_NORMAL].ordinal, 6);
    assert_int_equal(out.room_put.known[LIST_HIGH].id, 3);
    assert_string_equal(out.room_put.settings.title, "title");
    assert_int_equal(out.room_put.settings.max_online, 12);
    assert_int_equal(out.room_put.settings.normal_per_s, in.room_put.settings.normal_per_s);
    assert_int_equal(out.room_put.state, ROOM_CLOSED);
    assert_true(str_eq(out.room_put.control.type, STR("room.x")));
    link_request_deinit(&out);
    link_packet_free(packet);
}

static void users_go_over_in_order(void **state)
{
    const struct str users[] = {STR("a"), STR("b"), STR("c")};
    const struct store_present present[] = {{STR("a"), 1, 2, false}, {STR("b"), -3, 4, true}};
    struct link_request in = {.verb = LINK_VIEWERS_ADD, .room = ROOM}, out;
    Link__Packet *packet;

    in.viewers_add = (struct store_viewers_add){ROOM, 300000, users, 3};
    assert_int_equal(send_request(&in, &out, &packet), OK);
    assert_int_equal(out.viewers_add.count, 3);
    assert_true(str_eq(out.viewers_add.users[2], STR("c")));
    assert_int_equal(out.viewers_add.bucket_ms, 300000);
    link_request_deinit(&out);
    link_packet_free(packet);

    in = (struct link_request){.verb = LINK_PRESENCE_PUT, .room = ROOM};
    in.presence_put =
        (struct store_presence_put){.room = ROOM, .node = STR("n"), .users = present, .count = 2};
    assert_int_equal(send_request(&in, &out, &packet), OK);
    assert_int_equal(out.presence_put.count, 2);
    assert_int_equal(out.presence_put.users[1].since_ms, -3);
    assert_true(out.presence_put.users[1].is_gone);
    link_request_deinit(&out);
    link_packet_free(packet);
}

static void a_node_goes_over_with_its_hot_rooms(void **state)
{
    struct node_record node = {.name = "n1",
                               .sect = "s",
                               .link = "10.0.0.1:7000",
                               .version = "1.0",
                               .is_vip = true,
                               .busy_percent = 40,
                               .hot_count = 2,
                               .hot = {{"app/a", 5, 6}, {"app/b", 7, 8}}};
    struct link_request in = {.verb = LINK_NODE_BEAT}, out;
    Link__Packet *packet;

    in.node_beat = (struct store_node_beat){.node = &node, .ttl_ms = 3000};
    assert_int_equal(send_request(&in, &out, &packet), OK);
    assert_memory_equal(out.node_beat.node, &node, sizeof(node));
    assert_int_equal(out.node_beat.ttl_ms, 3000);
    link_request_deinit(&out);
    link_packet_free(packet);
}

/* What the verbs take for granted is looked at before they are called. */
static void what_is_out_of_bounds_is_refused(void **state)
{
    char long_text[LIMIT_ROOM_KEY + 2];
    memset(long_text, 'x', sizeof(long_text));
    const struct str too_long = str_make(long_text, sizeof(long_text));
    struct link_request bad[] = {
        {.verb = LINK_ROOM_GET, .room = STR_NONE},
        {.verb = LINK_ROOM_GET, .room = too_long},
        {.verb = LINK_APPEND, .append = {.room = ROOM, .key = too_long}},
        {.verb = LINK_APPEND, .append = {.room = ROOM, .message = {.type = too_long}}},
        {.verb = LINK_APPEND, .append = {.room = ROOM, .only_known = true}},
        {.verb = LINK_READ, .read = {.room = ROOM, .limit = UINT32_MAX}},
        {.verb = LINK_VIEWERS_ADD, .viewers_add = {.room = ROOM}},
        {.verb = LINK_PRESENCE_PUT, .presence_put = {.room = ROOM, .node = STR("n")}},
        {.verb = LINK_PRESENCE_PAGE, .presence_query = {.room = ROOM, .limit = 0}},
        {.verb = LINK_SAMPLE_RANGE, .sample_range = {.room = ROOM, .limit = 1}},
        {.verb = LINK_LEASE, .lease = {.name = STR("x")}},
        {.verb = LINK_ROOM_LIST, .room_list = {.app = STR_NONE, .limit = 1}},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct link_request out;
        Link__Packet *packet;
        if (send_request(&bad[i], &out, &packet) != ERR_BAD_REQUEST) fail_msg("number %zu", i);
        link_packet_free(packet);
    }
}

static void a_request_of_a_later_version_is_not_implemented(void **state)
{
    Link__Packet packet = LINK__PACKET__INIT;
    struct link_request out;

    packet.id = 5;
    assert_int_equal(link_request_read(&packet, &out), ERR_NOT_IMPLEMENTED);
}

/* --- answers --------------------------------------------------------------------------------- */

static Link__Packet *send_answer(const struct link_answer *in, struct link_answer *ret_out)
{
    struct buf bytes = {0};

    link_answer_write(&bytes, 43, in);
    Link__Packet *packet = packet_of(&bytes);
    assert_int_equal(packet->id, 43);
    buf_deinit(&bytes);
    link_answer_read(packet, in->verb, ret_out);
    return packet;
}

static void a_range_goes_over_whole(void **state)
{
    struct message messages[] = {MESSAGE, MESSAGE};
    struct link_answer in = {.verb = LINK_READ}, out;

    messages[0].id = 10;
    messages[1].prev = 10;
    in.range = (struct store_range){messages, 2, true, 9, UINT64_MAX, 100};
    Link__Packet *packet = send_answer(&in, &out);
    assert_int_equal(out.err, OK);
    assert_int_equal(out.range.count, 2);
    for (int i = 0; i < 2; i++) check_message(&out.range.messages[i], &messages[i]);
    assert_true(out.range.more);
    assert_int_equal(out.range.trimmed, 9);
    assert_int_equal(out.range.tail, UINT64_MAX);
    assert_int_equal(out.range.tail_ordinal, 100);
    link_answer_deinit(&out);
    link_packet_free(packet);
}

/* The hub would take a message that is not behind the one before it for a fault of its own. */
static void a_range_out_of_order_is_an_error(void **state)
{
    struct message messages[] = {MESSAGE, MESSAGE};
    struct link_answer in = {.verb = LINK_READ, .range = {.messages = messages, .count = 2}}, out;

    Link__Packet *packet = send_answer(&in, &out);
    assert_int_equal(out.err, ERR_INTERNAL);
    link_answer_deinit(&out);
    link_packet_free(packet);
    messages[0].prev = messages[0].id;
    in.range.count = 1;
    packet = send_answer(&in, &out);
    assert_int_equal(out.err, ERR_INTERNAL);
    link_answer_deinit(&out);
    link_packet_free(packet);
}

static void errors_go_by_their_codes(void **state)
{
    for (int index = 0; index < ERROR_COUNT; index++) {
        struct link_answer in = {.verb = LINK_ROOM_GET, .err = -1 - index}, out;
        Link__Packet *packet = send_answer(&in, &out);
        assert_int_equal(out.err, -1 - index);
        link_packet_free(packet);
    }
    struct link_answer in = {.verb = LINK_APPEND, .err = ERR_ROOM_RATE}, out;
    in.appended.retry_after_ms = 334;
    Link__Packet *packet = send_answer(&in, &out);
    assert_int_equal(out.err, ERR_ROOM_RATE);
    assert_int_equal(out.appended.retry_after_ms, 334);
    link_packet_free(packet);
    assert_int_equal(link_error_of(link_bytes(STR("of_a_later_version"))), ERR_INTERNAL);
}

static void an_answer_to_something_else_is_an_error(void **state)
{
    struct link_answer in = {.verb = LINK_STORE_PING}, out;
    struct buf bytes = {0};

    link_answer_write(&bytes, 1, &in);
    Link__Packet *packet = packet_of(&bytes);
    link_answer_read(packet, LINK_READ, &out);
    assert_int_equal(out.err, ERR_INTERNAL);
    link_answer_deinit(&out);
    link_packet_free(packet);
    buf_deinit(&bytes);
}

static void an_answer_too_long_to_send_is_refused(void **state)
{
    size_t count = 200;
    struct message *messages = test_calloc(count, sizeof(*messages));
    char *body = test_malloc(LIMIT_MESSAGE_BODY);
    struct link_answer in = {.verb = LINK_READ}, out;

    memset(body, '1', LIMIT_MESSAGE_BODY);
    for (size_t i = 0; i < count; i++)
        messages[i] = (struct message){.id = i + 1, .prev = i, .body = {body, LIMIT_MESSAGE_BODY}};
    in.range = (struct store_range){.messages = messages, .count = count};
    Link__Packet *packet = send_answer(&in, &out);
    assert_int_equal(out.err, ERR_OVERLOADED);
    link_packet_free(packet);
    test_free(messages);
    test_free(body);
}

static void pages_and_routes_go_over_whole(void **state)
{
    const struct store_room_item items[] = {
        {STR("app/a"), {.settings = {.title = "A"}, .version = 2, .unique = 3}},
        {STR("app/b"), {.state = ROOM_CLOSED, .created_ms = 5}}};
    const struct node_record nodes[] = {{.name = "n", .link = "h:1", .sect = "s"}};
    const struct route routes[] = {{.room = "app/a", .sect = "s", .since_ms = 4}};
    struct link_answer in = {.verb = LINK_ROOM_LIST, .page = {items, 2, true}}, out;

    Link__Packet *packet = send_answer(&in, &out);
    assert_int_equal(out.page.count, 2);
    assert_true(out.page.more);
    assert_true(str_eq(out.page.items[1].room, STR("app/b")));
    assert_string_equal(out.page.items[0].record.settings.title, "A");
    assert_int_equal(out.page.items[0].record.unique, 3);
    assert_int_equal(out.page.items[1].record.state, ROOM_CLOSED);
    link_answer_deinit(&out);
    link_packet_free(packet);

    in = (struct link_answer){.verb = LINK_ROUTES_GET, .routes = {77, nodes, 1, routes, 1}};
    packet = send_answer(&in, &out);
    assert_int_equal(out.routes.version, 77);
    assert_string_equal(out.routes.nodes[0].link, "h:1");
    assert_string_equal(out.routes.routes[0].sect, "s");
    link_answer_deinit(&out);
    link_packet_free(packet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_append_goes_over_whole),
        cmocka_unit_test(a_read_goes_over_whole),
        cmocka_unit_test(a_put_goes_over_whole),
        cmocka_unit_test(users_go_over_in_order),
        cmocka_unit_test(a_node_goes_over_with_its_hot_rooms),
        cmocka_unit_test(what_is_out_of_bounds_is_refused),
        cmocka_unit_test(a_request_of_a_later_version_is_not_implemented),
        cmocka_unit_test(a_range_goes_over_whole),
        cmocka_unit_test(a_range_out_of_order_is_an_error),
        cmocka_unit_test(errors_go_by_their_codes),
        cmocka_unit_test(an_answer_to_something_else_is_an_error),
        cmocka_unit_test(an_answer_too_long_to_send_is_refused),
        cmocka_unit_test(pages_and_routes_go_over_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
