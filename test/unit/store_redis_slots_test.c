/* store/redis_slots.c and store/redis_answer.c: slots of keys, what CLUSTER SLOTS says, what errors
 * mean. Also of answers that no good server gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "store/redis_answer.h"

static const struct redis_host ASKED = {"asked", 7000};
static struct redis_range ranges[8];
static size_t range_count;

static void on_range(void *arg, const struct redis_range *range)
{
    ranges[range_count++] = *range;
}

/* A reply from RESP. */
static redisReply *reply_of(const char *resp)
{
    void *reply = NULL;
    redisReader *reader = redisReaderCreate();
    redisReaderFeed(reader, resp, strlen(resp));
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    assert_non_null(reply);
    redisReaderFree(reader);
    return reply;
}

static int read_ranges(const char *resp)
{
    redisReply *reply = reply_of(resp);
    range_count = 0;
    int err = redis_ranges_read(reply, &ASKED, on_range, NULL);
    freeReplyObject(reply);
    return err;
}

static enum redis_answer answer_of(const char *resp, struct redis_redirect *ret)
{
    redisReply *reply = reply_of(resp);
    *ret = (struct redis_redirect){0};
    enum redis_answer answer = redis_answer_of(reply, &ASKED, ret);
    freeReplyObject(reply);
    return answer;
}

static void slots_of_keys(void **state)
{
    assert_int_equal(redis_slot_of(STR("123456789")), 0x31c3); /* CRC-16/XMODEM's check value */
    assert_int_equal(redis_slot_of(STR("{r1}")), 2121);
    assert_int_equal(redis_slot_of(STR("{r0}")), 6248);
    assert_int_equal(redis_slot_of(STR("{r2}")), 14378);
    assert_int_equal(redis_slot_of(STR("")), 0);
}

static void a_hash_tag_decides(void **state)
{
    uint16_t tag = redis_slot_of(STR("dev/r"));
    assert_int_equal(redis_slot_of(STR("a:{dev/r}:b")), tag);
    assert_int_equal(redis_slot_of(STR("{dev/r}}")), tag);
    assert_int_equal(redis_slot_of(STR("{dev/r}{x}")), tag);
    /* no tag: the whole key */
    assert_int_not_equal(redis_slot_of(STR("{}dev/r")), tag);
    assert_int_not_equal(redis_slot_of(STR("{dev/r")), tag);
    assert_int_not_equal(redis_slot_of(STR("{}{dev/r}")), tag);
    assert_int_equal(redis_slot_of(STR("{{dev/r}")), redis_slot_of(STR("{dev/r")));
}

#define NODE(ip, port)   "*3\r\n" ip ":" port "\r\n$1\r\nx\r\n"
#define RANGE(f, l, ...) "*4\r\n:" f "\r\n:" l "\r\n" __VA_ARGS__

static void ranges_are_read(void **state)
{
    int err = read_ranges("*2\r\n" RANGE("0", "99", NODE("$9\r\n127.0.0.1\r\n", "7001"))
                              NODE("$9\r\n127.0.0.2\r\n", "7002")
                                  RANGE("100", "16383", NODE("$-1\r\n", "7003"))
                                      NODE("$1\r\n?\r\n", "7004"));
    assert_int_equal(err, 0);
    assert_int_equal(range_count, 2);
    assert_int_equal(ranges[0].first, 0);
    assert_int_equal(ranges[0].last, 99);
    assert_int_equal(ranges[0].node_count, 2);
    assert_string_equal(ranges[0].nodes[0].name, "127.0.0.1");
    assert_int_equal(ranges[0].nodes[1].port, 7002);
    assert_string_equal(ranges[1].nodes[0].name, "asked"); /* which is what nil and ? stand for */
    assert_string_equal(ranges[1].nodes[1].name, "asked");
    assert_int_equal(ranges[1].nodes[1].port, 7004);
    assert_int_equal(read_ranges("*0\r\n"), 0);
    assert_int_equal(range_count, 0);
}

static void ranges_that_make_no_sense_are_refused(void **state)
{
    static const char *const BAD[] = {
        "+OK\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n*2\r\n:0\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:16384\r\n" NODE("$1\r\na\r\n", "1"),
        "*1\r\n*3\r\n:-1\r\n:1\r\n" NODE("$1\r\na\r\n", "1"),
        "*1\r\n*3\r\n:2\r\n:1\r\n" NODE("$1\r\na\r\n", "1"),
        "*1\r\n*3\r\n:0\r\n:1\r\n" NODE("$1\r\na\r\n", "0"),
        "*1\r\n*3\r\n:0\r\n:1\r\n" NODE("$1\r\na\r\n", "65536"),
        "*1\r\n*3\r\n:0\r\n:1\r\n*1\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n:1\r\n",
        "*2\r\n*3\r\n:0\r\n:1\r\n" NODE("$1\r\na\r\n", "1") "*3\r\n:0\r\n:1\r\n:1\r\n",
    };
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        assert_int_equal(read_ranges(BAD[i]), ERR_STORE_UNAVAILABLE);
        assert_int_equal(range_count, 0);
    }
}

static void replicas_beyond_the_limit_are_passed_over(void **state)
{
    struct buf resp = {0};
    buf_printf(&resp, "*1\r\n*42\r\n:0\r\n:1\r\n");
    for (int i = 0; i < 40; i++) buf_printf(&resp, "*2\r\n$1\r\na\r\n:%d\r\n", i + 1);
    buf_add_char(&resp, '\0');
    assert_int_equal(read_ranges(resp.ptr), 0);
    assert_int_equal(ranges[0].node_count, 1 + REDIS_REPLICAS_MAX);
    buf_deinit(&resp);
}

static void redirects_are_read(void **state)
{
    struct redis_redirect to;
    assert_int_equal(answer_of("-MOVED 3999 10.0.0.1:6381\r\n", &to), REDIS_MOVED);
    assert_int_equal(to.slot, 3999);
    assert_string_equal(to.host.name, "10.0.0.1");
    assert_int_equal(to.host.port, 6381);
    assert_int_equal(answer_of("-ASK 16383 ::1:6381\r\n", &to), REDIS_ASK);
    assert_int_equal(to.slot, 16383);
    assert_string_equal(to.host.name, "::1");
    assert_int_equal(answer_of("-MOVED 1 :6381\r\n", &to), REDIS_MOVED);
    assert_string_equal(to.host.name, "asked");
}

static void redirects_to_nowhere_are_tried_again(void **state)
{
    static const char *const BAD[] = {"-MOVED 16384 a:1\r\n", "-MOVED 1 a\r\n", "-MOVED 1\r\n",
                                      "-MOVED x a:1\r\n",     "-ASK 1 a:0\r\n", "-ASK \r\n"};
    struct redis_redirect to;
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        assert_int_equal(answer_of(BAD[i], &to), REDIS_AGAIN);
}

static void errors_have_their_meaning(void **state)
{
    static const struct {
        const char *resp;
        enum redis_answer answer;
    } CASES[] = {
        {"+OK\r\n", REDIS_ANSWER},
        {"$9\r\nMOVED 1 a\r\n", REDIS_ANSWER},
        {"-ERR unknown command\r\n", REDIS_ANSWER},
        {"-MOVEDX\r\n", REDIS_ANSWER},
        {"-TRYAGAIN Multiple keys request during rehashing of slot\r\n", REDIS_AGAIN},
        {"-BUSY Redis is busy running a script.\r\n", REDIS_AGAIN},
        {"-CLUSTERDOWN The cluster is down\r\n", REDIS_AWAY},
        {"-LOADING Redis is loading the dataset in memory\r\n", REDIS_AWAY},
        {"-MASTERDOWN Link with MASTER is down\r\n", REDIS_AWAY},
        {"-READONLY You can't write against a read only replica.\r\n", REDIS_AWAY},
        {"-READONLY You can't write against a read only replica. script: f, on "
         "@user_function:3.\r\n",
         REDIS_ANSWER}, /* who knows what it did before */
        {"-ERR Function not found\r\n", REDIS_NO_FUNCTION},
    };
    struct redis_redirect to;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
        assert_int_equal(answer_of(CASES[i].resp, &to), CASES[i].answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_of_keys),
        cmocka_unit_test(a_hash_tag_decides),
        cmocka_unit_test(ranges_are_read),
        cmocka_unit_test(ranges_that_make_no_sense_are_refused),
        cmocka_unit_test(replicas_beyond_the_limit_are_passed_over),
        cmocka_unit_test(redirects_are_read),
        cmocka_unit_test(redirects_to_nowhere_are_tried_again),
        cmocka_unit_test(errors_have_their_meaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
