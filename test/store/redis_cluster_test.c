/* The Redis client with a Cluster of three masters and three replicas: every slot, slots that move,
 * masters that die or freeze. One Cluster for all tests: each leaves it whole. */
#include "store/redis_client.h"

#include "base/alloc.h"
#include "base/error.h"
#include "store/redis_slots.h"

#define NODE_TIMEOUT_MS 1200

static const char LIBRARY[] = "#!lua name=testlib\n"
                              "redis.register_function('put', function(keys, args)\n"
                              "  redis.call('SET', keys[1], args[1])\n"
                              "  return 'put ' .. args[1]\n"
                              "end)\n";

static struct redis_fleet fleet;
static struct redis_client client;

static int start_fleet(void **state)
{
    redis_fleet_start_cluster(&fleet, NODE_TIMEOUT_MS);
    return 0;
}

static int stop_fleet(void **state)
{
    redis_fleet_stop(&fleet);
    return 0;
}

/* Knows one of the nodes alone, and that is a replica. */
static void start_client(const char *options)
{
    char url[64];
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u%s", fleet.servers[5].port, options);
    redis_client_open(&client, url, LIBRARY);
}

static int stop_client(void **state)
{
    redis_client_stop(&client);
    return 0;
}

static void expect_text(struct outcome outcome, int type, const char *text)
{
    assert_int_equal(outcome.err, 0);
    assert_string_equal(outcome.text, text);
    assert_int_equal(outcome.type, type);
}

/* A key whose slot is the master's, by the order in which the ranges were given, and that has the hash
 * tag of the name. */
static void key_at(size_t master, const char *name, char *ret, size_t cap)
{
    for (int i = 0;; i++) {
        snprintf(ret, cap, "{%s-%d}", name, i);
        if (redis_fleet_owner(&fleet, 0, redis_slot_of(str_of(ret))) == master) return;
    }
}

/* --- all is well ----------------------------------------------------------------------------- */

static void keys_of_all_slots_find_their_way(void **state)
{
    enum { COUNT = 4000 };
    static struct outcome writes[COUNT], reads[COUNT];
    char key[32], value[16];
    start_client("?" PATIENT);
    for (int i = 0; i < COUNT; i++) {
        snprintf(key, sizeof(key), "key-%d", i);
        snprintf(value, sizeof(value), "%d", i);
        redis_client_begin(&client, &writes[i], false, 1, WORDS("SET", key, value));
        redis_client_begin(&client, &reads[i], false, 1, WORDS("GET", key));
    }
    CLIENT_UNTIL(&client, redis_cluster_under_way(client.cluster) == 0);
    for (int i = 0; i < COUNT; i++) {
        snprintf(value, sizeof(value), "%d", i);
        expect_text(reads[i], REDIS_REPLY_STRING, value);
    }
    assert_int_equal(COUNTED(&client, moved_total), 0);
    assert_int_equal(COUNTED(&client, masters), FLEET_MASTERS);
    assert_int_equal(COUNTED(&client, library_loads_total), FLEET_MASTERS);
    assert_null(redis_cluster_trouble(client.cluster));
}

static void slots_are_those_of_the_server(void **state)
{
    static const char *const KEYS[] = {"", "a", "{}", "{a", "a{b}c", "{{a}}", "a{}{b}", "}{a}"};
    for (size_t i = 0; i < sizeof(KEYS) / sizeof(KEYS[0]); i++) {
        redisReply *reply = redis_fleet_ask(&fleet, 0, "CLUSTER KEYSLOT %s", KEYS[i]);
        assert_int_equal(redis_slot_of(str_of(KEYS[i])), reply->integer);
        freeReplyObject(reply);
    }
}

static void commands_without_a_key_go_to_any_master(void **state)
{
    start_client("?" PATIENT);
    for (int i = 0; i < 20; i++)
        expect_text(redis_client_call(&client, false, 0, WORDS("PING")), REDIS_REPLY_STATUS,
                    "PONG");
    assert_true(COUNTED(&client, connects_total) > 1);
}

static void functions_are_loaded_on_every_master(void **state)
{
    char key[32];
    start_client("?" PATIENT);
    for (size_t master = 0; master < FLEET_MASTERS; master++) {
        key_at(master, "f", key, sizeof(key));
        redis_fleet_tell(&fleet, master, "FUNCTION FLUSH");
        expect_text(redis_client_call(&client, true, 3, WORDS("FCALL", "put", "1", key, "v")),
                    REDIS_REPLY_STRING, "put v");
    }
    for (size_t master = 0; master < FLEET_MASTERS; master++) {
        key_at(master, "f", key, sizeof(key));
        redis_fleet_tell(&fleet, master, "FUNCTION FLUSH");
        expect_text(redis_client_call(&client, true, 3, WORDS("FCALL", "put", "1", key, "v")),
                    REDIS_REPLY_STRING, "put v");
    }
    assert_true(COUNTED(&client, waits_total) > 0);
}

/* --- slots that move ------------------------------------------------------------------------- */

static void move_slot(unsigned slot, size_t from, size_t to)
{
    redis_fleet_migrate_begin(&fleet, slot, from, to);
    redis_fleet_migrate_end(&fleet, slot, from, to);
}

static void a_slot_that_has_moved_is_found(void **state)
{
    char key[32];
    key_at(0, "moved", key, sizeof(key));
    unsigned slot = redis_slot_of(str_of(key));
    start_client("?" PATIENT);
    CALL(&client, "DEL", key);
    move_slot(slot, 0, 1);
    uint64_t refreshes = COUNTED(&client, refreshes_total);
    expect_text(CALL(&client, "SET", key, "v"), REDIS_REPLY_STATUS, "OK");
    assert_int_equal(COUNTED(&client, moved_total), 1);
    expect_text(CALL(&client, "GET", key), REDIS_REPLY_STRING, "v");
    assert_int_equal(COUNTED(&client, moved_total), 1);
    CLIENT_UNTIL(&client, COUNTED(&client, refreshes_total) > refreshes);
    CALL(&client, "DEL", key);
    move_slot(slot, 1, 0);
    assert_int_equal(CALL(&client, "EXISTS", key).integer, 0);
    assert_int_equal(COUNTED(&client, moved_total), 2);
}

static void a_slot_on_its_way_is_asked_for(void **state)
{
    char key[32], here[40], there[40];
    struct outcome both;
    key_at(1, "ask", key, sizeof(key));
    unsigned slot = redis_slot_of(str_of(key));
    snprintf(here, sizeof(here), "%s-here", key);
    snprintf(there, sizeof(there), "%s-there", key);
    start_client("?" PATIENT);
    CALL(&client, "SET", here, "h");
    CALL(&client, "SET", there, "t");
    redis_fleet_migrate_begin(&fleet, slot, 1, 2);
    redis_fleet_migrate_key(&fleet, there, 1, 2);
    expect_text(CALL(&client, "GET", here), REDIS_REPLY_STRING, "h");
    assert_int_equal(COUNTED(&client, asked_total), 0);
    expect_text(CALL(&client, "GET", there), REDIS_REPLY_STRING, "t");
    assert_int_equal(COUNTED(&client, asked_total), 1);
    /* One that is new, by a function that the other master may not have yet. */
    expect_text(redis_client_call(&client, true, 3, WORDS("FCALL", "put", "1", key, "n")),
                REDIS_REPLY_STRING, "put n");
    assert_int_equal(COUNTED(&client, asked_total), 2);
    assert_int_equal(COUNTED(&client, moved_total), 0);
    /* Both: not before they are together again. */
    redis_client_begin(&client, &both, false, 1, WORDS("MGET", here, there));
    CLIENT_UNTIL(&client, COUNTED(&client, retries_total) >= 3);
    assert_int_equal(both.done, 0);
    redis_fleet_migrate_key(&fleet, here, 1, 2);
    CLIENT_UNTIL(&client, both.done);
    assert_int_equal(both.err, 0);
    assert_int_equal(both.elements, 2);
    redis_fleet_migrate_end(&fleet, slot, 1, 2);
    expect_text(CALL(&client, "GET", here), REDIS_REPLY_STRING, "h");
    assert_int_equal(CALL(&client, "DEL", here, there, key).integer, 3);
    move_slot(slot, 2, 1);
}

/* Never finished: the command has an end all the same. */
static void a_migration_that_stands_still_is_not_waited_for(void **state)
{
    char key[32], here[40], there[40];
    key_at(1, "still", key, sizeof(key));
    unsigned slot = redis_slot_of(str_of(key));
    snprintf(here, sizeof(here), "%s-here", key);
    snprintf(there, sizeof(there), "%s-there", key);
    start_client("");
    INSIST(&client, "SET", here, "h");
    redis_fleet_migrate_begin(&fleet, slot, 1, 2);
    uint64_t before = COUNTED(&client, expired_total);
    assert_int_equal(CALL(&client, "MGET", here, there).err, ERR_STORE_UNAVAILABLE);
    assert_int_equal(COUNTED(&client, expired_total), before + 1);
    redis_fleet_tell(&fleet, 1, "CLUSTER SETSLOT %d STABLE", (int)slot);
    redis_fleet_tell(&fleet, 2, "CLUSTER SETSLOT %d STABLE", (int)slot);
    assert_int_equal(INSIST(&client, "MGET", here, there).elements, 2);
}

/* Commands all the while, each with the number that it must find. */
static void nothing_is_lost_or_done_twice_while_a_slot_moves(void **state)
{
    char key[32];
    long long expected = 0;
    struct outcome outcome;
    key_at(0, "busy", key, sizeof(key));
    unsigned slot = redis_slot_of(str_of(key));
    start_client("?" PATIENT);
    CALL(&client, "DEL", key);
    for (int round = 0; round < 4; round++) {
        size_t from = round % 2 == 0 ? 0 : 2, to = 2 - from;
        for (int i = 0; i < 5; i++)
            assert_int_equal(CALL(&client, "INCR", key).integer, ++expected);
        redis_fleet_migrate_begin(&fleet, slot, from, to);
        for (int i = 0; i < 5; i++)
            assert_int_equal(CALL(&client, "INCR", key).integer, ++expected);
        redis_fleet_migrate_key(&fleet, key, from, to);
        for (int i = 0; i < 5; i++)
            assert_int_equal(CALL(&client, "INCR", key).integer, ++expected);
        redis_client_begin(&client, &outcome, true, 1, WORDS("INCR", key));
        redis_fleet_migrate_end(&fleet, slot, from, to);
        CLIENT_UNTIL(&client, outcome.done);
        assert_int_equal(outcome.integer, ++expected);
    }
    CALL(&client, "DEL", key);
}

/* --- channels -------------------------------------------------------------------------------- */

static size_t heard_at(const char *channel)
{
    size_t count = 0;
    for (size_t i = 0; i < client.messages && i < 256; i++)
        count += strcmp(client.heard[i].channel, channel) == 0;
    return count;
}

static void channels_of_all_masters_are_heard(void **state)
{
    enum { COUNT = 60 };
    char channel[32];
    start_client("?" PATIENT);
    for (int i = 0; i < COUNT; i++) {
        snprintf(channel, sizeof(channel), "channel-%d", i);
        redis_cluster_subscribe(client.cluster, str_of(channel));
    }
    for (int i = 0; i < COUNT; i++) {
        snprintf(channel, sizeof(channel), "channel-%d", i);
        redis_client_publish(&client, channel, "hello", 1);
    }
    CLIENT_UNTIL(&client, client.messages == COUNT);
    for (int i = 0; i < COUNT; i++) {
        snprintf(channel, sizeof(channel), "channel-%d", i);
        assert_int_equal(heard_at(channel), 1);
    }
    assert_int_equal(client.resubscribed, 0);
}

static void a_channel_moves_with_its_slot(void **state)
{
    char channel[32], other[40];
    key_at(0, "channel", channel, sizeof(channel));
    unsigned slot = redis_slot_of(str_of(channel));
    snprintf(other, sizeof(other), "%s-other", channel);
    start_client("?" PATIENT);
    redis_cluster_subscribe(client.cluster, str_of(channel));
    redis_cluster_subscribe(client.cluster, str_of(other));
    redis_client_publish(&client, other, "one", 1);
    CLIENT_UNTIL(&client, client.messages == 1);
    move_slot(slot, 0, 1); /* unsubscribes, unasked */
    CLIENT_UNTIL(&client, client.resubscribed == 2);
    assert_int_equal(CALL(&client, "SPUBLISH", channel, "two").integer, 1);
    CLIENT_UNTIL(&client, client.messages == 2);
    redis_cluster_unsubscribe(client.cluster, str_of(other));
    redis_client_publish(&client, other, "three", 0);
    move_slot(slot, 1, 0);
    CLIENT_UNTIL(&client, client.resubscribed == 3);
    assert_int_equal(CALL(&client, "SPUBLISH", channel, "four").integer, 1);
    CLIENT_UNTIL(&client, client.messages == 3);
    assert_null(redis_cluster_trouble(client.cluster));
}

/* Subscribed and not, again and again, while the slot goes to and fro: in the end it is as wanted. */
static void subscriptions_that_change_meanwhile_come_right(void **state)
{
    char channel[32], other[40];
    key_at(0, "fickle", channel, sizeof(channel));
    unsigned slot = redis_slot_of(str_of(channel));
    snprintf(other, sizeof(other), "%s-other", channel);
    start_client("?" PATIENT);
    for (int round = 0; round < 6; round++) {
        size_t from = round % 2 == 0 ? 0 : 1, to = 1 - from;
        redis_cluster_subscribe(client.cluster, str_of(channel));
        redis_cluster_subscribe(client.cluster, str_of(other));
        redis_client_run_for(&client, 5);
        redis_fleet_migrate_begin(&fleet, slot, from, to);
        redis_cluster_unsubscribe(client.cluster, str_of(other));
        redis_fleet_migrate_end(&fleet, slot, from, to);
        redis_cluster_subscribe(client.cluster, str_of(other));
        redis_cluster_unsubscribe(client.cluster, str_of(channel));
        redis_client_run_for(&client, 5);
    }
    redis_client_publish(&client, other, "one", 1);
    redis_client_publish(&client, channel, "one", 0);
    CLIENT_UNTIL(&client, heard_at(other) == 1);
    assert_int_equal(heard_at(channel), 0);
}

/* --- masters that die or freeze -------------------------------------------------------------- */

/* Who has the slot, as the replicas of the others see it, which are never touched. */
static size_t owner_of(const char *key, size_t dead)
{
    size_t by = dead % FLEET_MASTERS == 0 ? 1 : 0;
    return redis_fleet_owner(&fleet, by, redis_slot_of(str_of(key)));
}

/* A stream of replicated appends to a list, and which of them were acknowledged. */
struct appends {
    char key[32];
    size_t begun, done, acknowledged;
    char numbers[20000]; /* 1: acknowledged */
};

static struct appends appends;

static void append(void);

static void on_appended(void *arg, int err, const redisReply *reply)
{
    size_t number = (size_t)(uintptr_t)arg;
    appends.done++;
    if (err != 0 || reply->type != REDIS_REPLY_INTEGER) return;
    appends.acknowledged++;
    appends.numbers[number] = 1;
}

static void append(void)
{
    char number[16];
    if (appends.begun == sizeof(appends.numbers)) return;
    snprintf(number, sizeof(number), "%zu", appends.begun);
    struct str words[] = {STR("RPUSH"), str_of(appends.key), str_of(number)};
    struct redis_command command = {
        .key = words[1], .words = words, .count = 3, .is_replicated = true};
    int err =
        redis_cluster_call(client.cluster, &command, on_appended, (void *)(uintptr_t)appends.begun);
    if (err == 0) appends.begun++;
}

/* A few in each turn of the loop. */
static void append_some(void)
{
    for (int i = 0; i < 10 && appends.begun - appends.done < 200; i++) append();
    uv_run(&client.loop, UV_RUN_NOWAIT);
    redis_client_run_for(&client, 1);
}

static void begin_appends(size_t master)
{
    appends = (struct appends){0};
    key_at(master, "list", appends.key, sizeof(appends.key));
    CALL(&client, "DEL", appends.key);
    while (appends.acknowledged < 300) append_some();
}

/* Each that was acknowledged is there; returns how many are that were not. */
static void check_appends(size_t owner)
{
    size_t missing = 0;
    CLIENT_UNTIL(&client, appends.done == appends.begun);
    char *found = xcalloc(1, sizeof(appends.numbers));
    redisReply *list = redis_fleet_ask(&fleet, owner, "LRANGE %s 0 -1", appends.key);
    for (size_t i = 0; i < list->elements; i++) {
        uint64_t number = 0;
        assert_true(str_parse_u64(str_of(list->element[i]->str), &number));
        assert_true(number < appends.begun && !found[number]); /* none twice */
        found[number] = 1;
    }
    for (size_t i = 0; i < appends.begun; i++) missing += appends.numbers[i] && !found[i];
    freeReplyObject(list);
    free(found);
    assert_int_equal(missing, 0);
}

/* Goes on with it until another has the slot. */
static void append_until_owned(size_t dead, size_t owner)
{
    int64_t begin_ms = redis_client_now(&client);
    while (owner_of(appends.key, dead) != owner) {
        assert_true(redis_client_now(&client) - begin_ms < PATIENCE_MS);
        append_some();
    }
}

/* Those without a replica go on with the promoted one; those with WAIT when that has one again. */
static void expect_appends_go_on(void)
{
    size_t before = appends.acknowledged;
    int64_t begin_ms = redis_client_now(&client);
    while (appends.acknowledged == before) {
        assert_true(redis_client_now(&client) - begin_ms < PATIENCE_MS);
        append_some();
    }
}

static int64_t set_until_done(const char *key)
{
    int64_t begin_ms = redis_client_now(&client);
    INSIST(&client, "SET", key, "v");
    return redis_client_now(&client) - begin_ms;
}

static void a_master_that_dies_is_followed_by_its_replica(void **state)
{
    char channel[40];
    start_client("");
    begin_appends(0);
    snprintf(channel, sizeof(channel), "%s-channel", appends.key);
    redis_cluster_subscribe(client.cluster, str_of(channel));
    redis_client_publish(&client, channel, "one", 1);
    for (int i = 0; i < 5; i++) append(); /* on their way when it dies */
    redis_fleet_kill(&fleet, 0);
    print_message("commands went on %lld ms after the kill\n", (long long)set_until_done(channel));
    unsigned slot = redis_slot_of(str_of(appends.key));
    redis_fleet_wait_owner(&fleet, 1, slot, redis_fleet_replica_of(0));
    CLIENT_UNTIL(&client, client.resubscribed >= 1);
    redis_client_publish(&client, channel, "two", 1);
    CLIENT_UNTIL(&client, strcmp(client.heard[client.messages - 1].payload, "two") == 0);
    expect_text(redis_client_insist(&client, false, 3, WORDS("FCALL", "put", "1", channel, "v")),
                REDIS_REPLY_STRING, "put v");
    CLIENT_UNTIL(&client, redis_cluster_trouble(client.cluster) == NULL);
    /* It has no replica before the other comes back as one. */
    assert_int_equal(CALL_REPLICATED(&client, "SET", channel, "v").err, ERR_STORE_UNAVAILABLE);
    redis_fleet_restart(&fleet, 0, false);
    expect_appends_go_on();
    check_appends(redis_fleet_replica_of(0));
    redis_fleet_wait_whole(&fleet);
}

/* The case in which acknowledged writes were seen to vanish without WAIT: the master takes, and
 * answers, what sits in its sockets, before it learns that it is none any more. */
static void a_master_that_freezes_loses_nothing_that_was_acknowledged(void **state)
{
    start_client("");
    begin_appends(1);
    for (int i = 0; i < 5; i++) append(); /* on their way when it freezes */
    redis_fleet_pause(&fleet, 1);
    append_until_owned(1, redis_fleet_replica_of(1));
    redis_fleet_resume(&fleet, 1);
    expect_appends_go_on();
    check_appends(redis_fleet_replica_of(1));
    redis_fleet_wait_whole(&fleet);
    check_appends(redis_fleet_replica_of(1));
}

/* The connection of the map hangs at one that freezes: another node is asked. */
static void the_map_comes_from_a_node_that_answers(void **state)
{
    char url[64], key[32];
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u,127.0.0.1:%u", fleet.servers[2].port,
             fleet.servers[5].port);
    redis_client_open(&client, url, LIBRARY);
    key_at(2, "map", key, sizeof(key));
    INSIST(&client, "SET", key, "v");
    redis_fleet_pause(&fleet, 2);
    print_message("commands went on %lld ms after the freeze\n", (long long)set_until_done(key));
    redis_fleet_resume(&fleet, 2);
    redis_fleet_wait_whole(&fleet);
}

#define TEST(name) cmocka_unit_test_teardown(name, stop_client)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_of_all_slots_find_their_way),
        TEST(slots_are_those_of_the_server),
        TEST(commands_without_a_key_go_to_any_master),
        TEST(functions_are_loaded_on_every_master),
        TEST(a_slot_that_has_moved_is_found),
        TEST(a_slot_on_its_way_is_asked_for),
        TEST(a_migration_that_stands_still_is_not_waited_for),
        TEST(nothing_is_lost_or_done_twice_while_a_slot_moves),
        TEST(channels_of_all_masters_are_heard),
        TEST(a_channel_moves_with_its_slot),
        TEST(subscriptions_that_change_meanwhile_come_right),
        TEST(a_master_that_dies_is_followed_by_its_replica),
        TEST(a_master_that_freezes_loses_nothing_that_was_acknowledged),
        TEST(the_map_comes_from_a_node_that_answers),
    };
    return cmocka_run_group_tests(tests, start_fleet, stop_fleet);
}
