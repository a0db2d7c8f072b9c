/* Libraries of functions: each version of the program has its own, beside those of others. */
#include "store/redis_client.h"

#include "base/error.h"
#include "store/redis_library.h"

static struct redis_fleet fleet;

/* A node of some version, as far as its functions go. */
struct version {
    struct redis_library library;
    struct redis_client client;
};

static struct version one, two;

static void version_start(struct version *v, const char *answer)
{
    char functions[256];

    snprintf(functions, sizeof(functions),
             "redis.register_function(LIBRARY .. '_who', function(keys, args)\n"
             "  redis.call('SET', keys[1], '%s')\n"
             "  return '%s'\n"
             "end)\n",
             answer, answer);
    redis_library_init(&v->library, str_of(functions));
    buf_add_char(&v->library.source, '\0');
    redis_client_start(&v->client, &fleet, "", v->library.source.ptr);
}

static void version_stop(struct version *v)
{
    redis_client_stop(&v->client);
    redis_library_deinit(&v->library);
}

static int stop(void **state)
{
    version_stop(&one);
    version_stop(&two);
    redis_fleet_stop(&fleet);
    return 0;
}

static void expect_answer(struct version *v, bool is_replicated, const char *answer)
{
    char function[REDIS_FUNCTION_MAX];

    snprintf(function, sizeof(function), "%s_who", v->library.name);
    struct outcome outcome =
        redis_client_call(&v->client, is_replicated, 3, WORDS("FCALL", function, "1", "k"));
    assert_int_equal(outcome.err, 0);
    assert_string_equal(outcome.text, answer);
}

static void two_versions_call_their_own_functions(void **state)
{
    redis_fleet_start_single(&fleet, NULL);
    version_start(&one, "one");
    version_start(&two, "two");
    for (int i = 0; i < 20; i++) {
        expect_answer(&one, false, "one");
        expect_answer(&two, false, "two");
    }
    assert_int_equal(COUNTED(&one.client, library_loads_total), 1);
    assert_int_equal(COUNTED(&two.client, library_loads_total), 1);
}

/* Whatever is deleted, an operator breaks nothing. */
static void one_that_is_deleted_comes_back_alone(void **state)
{
    redis_fleet_start_single(&fleet, NULL);
    version_start(&one, "one");
    version_start(&two, "two");
    expect_answer(&one, false, "one");
    expect_answer(&two, false, "two");
    redis_fleet_tell(&fleet, 0, "FUNCTION DELETE %s", one.library.name);
    expect_answer(&two, false, "two");
    expect_answer(&one, false, "one");
    assert_int_equal(COUNTED(&one.client, library_loads_total), 2);
    assert_int_equal(COUNTED(&two.client, library_loads_total), 1);
    redis_fleet_tell(&fleet, 0, "FUNCTION FLUSH");
    expect_answer(&two, false, "two");
    expect_answer(&one, false, "one");
    assert_int_equal(COUNTED(&two.client, library_loads_total), 2);
}

static void nodes_of_one_version_share_it(void **state)
{
    redis_fleet_start_single(&fleet, NULL);
    version_start(&one, "same");
    expect_answer(&one, false, "same");
    version_start(&two, "same");
    expect_answer(&two, false, "same");
    assert_string_equal(one.library.name, two.library.name);
    assert_int_equal(COUNTED(&one.client, library_loads_total), 1);
    assert_int_equal(COUNTED(&two.client, library_loads_total), 0);
}

static bool has_library(size_t at, const struct version *v)
{
    redisReply *list = redis_fleet_ask(&fleet, at, "FUNCTION LIST LIBRARYNAME %s", v->library.name);
    bool found = list->elements == 1;
    freeReplyObject(list);
    return found;
}

/* Replication takes its time. */
static void wait_for_library(size_t at, struct version *v)
{
    for (int ms = 0; !has_library(at, v) && ms < PATIENCE_MS; ms += 20)
        redis_client_run_for(&v->client, 20);
}

static void a_replica_that_is_promoted_has_both(void **state)
{
    redis_fleet_start_single(&fleet, NULL);
    size_t replica = redis_fleet_add_replica(&fleet);
    version_start(&one, "one");
    version_start(&two, "two");
    expect_answer(&one, true, "one");
    expect_answer(&two, true, "two");
    wait_for_library(replica, &one);
    wait_for_library(replica, &two);
    redis_fleet_tell(&fleet, replica, "REPLICAOF NO ONE");
    redisReply *who = redis_fleet_ask(&fleet, replica, "FCALL %s_who 1 k", one.library.name);
    assert_string_equal(who->str, "one");
    freeReplyObject(who);
    who = redis_fleet_ask(&fleet, replica, "FCALL %s_who 1 k", two.library.name);
    assert_string_equal(who->str, "two");
    freeReplyObject(who);
}

/* The program's own: all that it registers is under its name, so nothing can collide. */
static void all_functions_have_the_name_of_the_library(void **state)
{
    redis_fleet_start_single(&fleet, NULL);
    redis_library_init(&one.library, redis_library_functions());
    struct str source = buf_str(&one.library.source);
    redis_fleet_tell(&fleet, 0, "FUNCTION LOAD %b", source.ptr, source.len);
    redisReply *list = redis_fleet_ask(&fleet, 0, "FUNCTION LIST LIBRARYNAME %s", one.library.name);
    assert_int_equal(list->elements, 1);
    const redisReply *functions = list->element[0]->element[5];
    assert_true(functions->elements > 10);
    for (size_t i = 0; i < functions->elements; i++) {
        const char *name = functions->element[i]->element[1]->str;
        assert_true(strlen(name) < REDIS_FUNCTION_MAX);
        assert_true(str_starts(str_of(name), str_of(one.library.name)));
        assert_int_equal(name[REDIS_LIBRARY_NAME_LEN], '_');
    }
    freeReplyObject(list);
}

#define TEST(f) cmocka_unit_test_teardown(f, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_versions_call_their_own_functions),
        TEST(one_that_is_deleted_comes_back_alone),
        TEST(nodes_of_one_version_share_it),
        TEST(a_replica_that_is_promoted_has_both),
        TEST(all_functions_have_the_name_of_the_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
