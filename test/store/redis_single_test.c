/* The Redis client with single servers: logins, TLS, replicas, and servers that refuse, hang, restart
 * or lose their functions. */
#include "store/redis_client.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/limit.h"
#include "store/certs.h"
#include "store/redis_conn.h"

static const char LIBRARY[] = "#!lua name=testlib\n"
                              "redis.register_function('put', function(keys, args)\n"
                              "  redis.call('SET', keys[1], args[1])\n"
                              "  return 'put ' .. args[1]\n"
                              "end)\n"
                              "redis.register_function('fail', function(keys, args)\n"
                              "  return redis.error_reply('MINE this is what I say')\n"
                              "end)\n";

static struct redis_fleet fleet;
static struct redis_client client;

static int stop(void **state)
{
    redis_client_stop(&client);
    redis_fleet_stop(&fleet);
    return 0;
}

static void expect_text(struct outcome outcome, int type, const char *text)
{
    assert_int_equal(outcome.err, 0);
    assert_string_equal(outcome.text, text);
    assert_int_equal(outcome.type, type);
}

static bool is_trouble(const char *part)
{
    const char *trouble = redis_cluster_trouble(client.cluster);
    return trouble != NULL && strstr(trouble, part) != NULL;
}

static void expect_trouble(const char *part)
{
    CLIENT_UNTIL(&client, is_trouble(part));
}

/* --- all is well ----------------------------------------------------------------------------- */

static void commands_are_answered(void **state)
{
    redis_fleet_start_single(&fleet, NULL);
    redis_client_start(&client, &fleet, "?" PATIENT, LIBRARY);
    assert_non_null(redis_cluster_trouble(client.cluster)); /* not connected yet */
    expect_text(CALL(&client, "SET", "k", "v"), REDIS_REPLY_STATUS, "OK");
    expect_text(CALL(&client, "GET", "k"), REDIS_REPLY_STRING, "v");
    expect_text(redis_client_call(&client, false, 0, WORDS("PING")), REDIS_REPLY_STATUS, "PONG");
    expect_text(redis_client_call(&client, false, 3, WORDS("FCALL", "put", "1", "k", "w")),
                REDIS_REPLY_STRING, "put w");
    assert_null(redis_cluster_trouble(client.cluster));
    assert_int_equal(COUNTED(&client, masters), 1);
    assert_int_equal(COUNTED(&client, replies_total), 4);
    assert_int_equal(COUNTED(&client, calls_under_way), 0);
    assert_int_equal(COUNTED(&client, bytes_under_way), 0);
}

static void errors_of_the_command_are_the_callers(void **state)
{
    redis_fleet_start_single(&fleet, NULL);
    redis_client_start(&client, &fleet, "?" PATIENT, LIBRARY);
    expect_text(redis_client_call(&client, false, 3, WORDS("FCALL", "fail", "1", "k")),
                REDIS_REPLY_ERROR, "MINE this is what I say");
    struct outcome outcome = CALL(&client, "INCRBY", "k", "x");
    assert_int_equal(outcome.type, REDIS_REPLY_ERROR);
    assert_int_equal(COUNTED(&client, errors_total), 2);
    /* A function that is in no library: the library is loaded, in vain. */
    expect_text(redis_client_call(&client, false, 3, WORDS("FCALL", "no", "1", "k")),
                REDIS_REPLY_ERROR, "ERR Function not found");
    assert_int_equal(COUNTED(&client, calls_under_way), 0);
}

/* Calls of one turn leave together, and are carried out in their order. */
static void commands_keep_their_order(void **state)
{
    enum { COUNT = 5000 };
    static struct outcome outcomes[COUNT];
    char word[16];
    redis_fleet_start_single(&fleet, NULL);
    redis_client_start(&client, &fleet, "?" PATIENT, NULL);
    for (int i = 0; i < COUNT; i++) {
        snprintf(word, sizeof(word), "%d", i);
        redis_client_begin(&client, &outcomes[i], false, 1, WORDS("RPUSH", "list", word));
    }
    CLIENT_UNTIL(&client, outcomes[COUNT - 1].done);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(outcomes[i].done, 1);
        assert_int_equal(outcomes[i].integer, i + 1);
    }
    redisReply *list = redis_fleet_ask(&fleet, 0, "LRANGE list 0 -1");
    assert_int_equal(list->elements, COUNT);
    for (int i = 0; i < COUNT; i++) {
        snprintf(word, sizeof(word), "%d", i);
        assert_string_equal(list->element[i]->str, word);
    }
    freeReplyObject(list);
}

/* A command larger than what a socket takes at once, and an answer that comes in pieces. */
static void large_commands_and_answers(void **state)
{
    enum { SIZE = 5 * 1024 * 1024 };
    char *value = xmalloc(SIZE + 1);
    memset(value, 'v', SIZE);
    value[SIZE] = '\0';
    redis_fleet_start_single(&fleet, NULL);
    redis_client_start(&client, &fleet, "?" PATIENT, NULL);
    struct outcome outcomes[4], get;
    for (int i = 0; i < 4; i++)
        redis_client_begin(&client, &outcomes[i], false, 1, WORDS("APPEND", "k", value));
    redis_client_begin(&client, &get, false, 1, WORDS("STRLEN", "k"));
    CLIENT_UNTIL(&client, get.done);
    assert_int_equal(get.integer, 4L * SIZE);
    free(value);
    get = CALL(&client, "GET", "k");
    assert_int_equal(get.type, REDIS_REPLY_STRING);
    assert_true(COUNTED(&client, bytes_in_total) > 4L * SIZE);
}

/* --- logins ---------------------------------------------------------------------------------- */

static const char *const WITH_PASSWORD[] = {"--requirepass", "pass word", NULL};

static void open_at_first(const char *login, const char *options)
{
    char url[512];
    snprintf(url, sizeof(url), "redis://%s127.0.0.1:%u%s", login, fleet.servers[0].port, options);
    redis_client_open(&client, url, LIBRARY);
}

static void a_password_is_given(void **state)
{
    redis_fleet_start_single(&fleet, WITH_PASSWORD);
    open_at_first(":pass%20word@", "?" PATIENT);
    expect_text(CALL(&client, "SET", "k", "v"), REDIS_REPLY_STATUS, "OK");
}

static void a_wrong_password_is_told_but_not_shown(void **state)
{
    redis_fleet_start_single(&fleet, WITH_PASSWORD);
    open_at_first(":wrongsecret@", "");
    assert_int_equal(CALL(&client, "SET", "k", "v").err, ERR_STORE_UNAVAILABLE);
    expect_trouble("WRONGPASS");
    expect_trouble("password in the store's URL");
    assert_null(strstr(redis_cluster_trouble(client.cluster), "secret"));
}

static void no_password_where_one_is_wanted(void **state)
{
    redis_fleet_start_single(&fleet, WITH_PASSWORD);
    open_at_first("", "");
    assert_int_equal(CALL(&client, "SET", "k", "v").err, ERR_STORE_UNAVAILABLE);
    expect_trouble("NOAUTH");
}

/* As little as docs/operations.md says that it takes. */
static void a_user_of_few_rights_is_enough(void **state)
{
    static const char *const OPTIONS[] = {"--user",
                                          "default",
                                          "off",
                                          "--user",
                                          "stoa",
                                          "on",
                                          ">secret",
                                          "~{*",
                                          "&{*",
                                          "+@read",
                                          "+@write",
                                          "+@scripting",
                                          "+function|load",
                                          "+ping",
                                          "+role",
                                          "+wait",
                                          "+ssubscribe",
                                          "+sunsubscribe",
                                          "+spublish",
                                          "+cluster|slots",
                                          "+asking",
                                          NULL};
    redis_fleet_start_single(&fleet, OPTIONS);
    open_at_first("stoa:secret@", "?" PATIENT);
    expect_text(redis_client_call(&client, false, 3, WORDS("FCALL", "put", "1", "{a}k", "w")),
                REDIS_REPLY_STRING, "put w");
    struct outcome outcome = CALL(&client, "SET", "k", "v"); /* not one of its keys */
    assert_int_equal(outcome.type, REDIS_REPLY_ERROR);
    redis_cluster_subscribe(client.cluster, STR("{a}news"));
    redis_client_publish(&client, "{a}news", "hello", 1);
    CLIENT_UNTIL(&client, client.messages == 1);
    assert_null(redis_cluster_trouble(client.cluster));
}

static void a_database_is_selected(void **state)
{
    redis_fleet_start_single(&fleet, NULL);
    redis_client_start(&client, &fleet, "/3?" PATIENT, LIBRARY);
    CALL(&client, "SET", "k", "v");
    redisReply *reply = redis_fleet_ask(&fleet, 0, "INFO keyspace");
    assert_non_null(strstr(reply->str, "db3:keys=1"));
    freeReplyObject(reply);
}

static void a_database_that_is_not_there_is_told(void **state)
{
    redis_fleet_start_single(&fleet, NULL);
    redis_client_start(&client, &fleet, "/99", LIBRARY);
    assert_int_equal(CALL(&client, "SET", "k", "v").err, ERR_STORE_UNAVAILABLE);
    expect_trouble("database in the store's URL");
}

/* --- TLS ------------------------------------------------------------------------------------- */

static struct certs certs;

static int stop_tls(void **state)
{
    stop(state);
    certs_remove(&certs);
    return 0;
}

static void start_tls(bool asks_clients)
{
    static const char *options[16];
    certs_make(&certs);
    const char *list[] = {"--tls-cert-file",
                          certs.server,
                          "--tls-key-file",
                          certs.server_key,
                          "--tls-ca-cert-file",
                          certs.ca,
                          "--tls-auth-clients",
                          asks_clients ? "yes" : "no",
                          NULL};
    memcpy(options, list, sizeof(list));
    redis_fleet_start_tls(&fleet, options);
}

static void open_tls(const char *ca, const char *cert, const char *key)
{
    char url[512];
    size_t len = (size_t)snprintf(url, sizeof(url), "rediss://127.0.0.1:%u?ca=%s",
                                  fleet.servers[0].port, ca);
    if (cert != NULL) snprintf(url + len, sizeof(url) - len, "&cert=%s&key=%s&" PATIENT, cert, key);
    redis_client_open(&client, url, LIBRARY);
}

static void tls_works(void **state)
{
    start_tls(true);
    open_tls(certs.ca, certs.client, certs.client_key);
    expect_text(CALL(&client, "SET", "k", "v"), REDIS_REPLY_STATUS, "OK");
    redis_cluster_subscribe(client.cluster, STR("news"));
    redis_client_publish(&client, "news", "hello", 1);
    CLIENT_UNTIL(&client, client.messages == 1);
}

static void a_server_of_an_unknown_ca_gets_no_command(void **state)
{
    start_tls(false);
    open_tls(certs.stranger, NULL, NULL);
    assert_int_equal(CALL(&client, "SET", "k", "v").err, ERR_STORE_UNAVAILABLE);
    expect_trouble("the CA that signed it");
}

static void a_server_may_ask_for_a_certificate(void **state)
{
    start_tls(true);
    open_tls(certs.ca, NULL, NULL);
    assert_int_equal(CALL(&client, "SET", "k", "v").err, ERR_STORE_UNAVAILABLE);
    expect_trouble("certificate");
}

static void files_that_are_not_there_are_told_at_once(void **state)
{
    char why[512] = "";
    struct redis_url url;
    assert_int_equal(redis_url_parse(STR("rediss://h?ca=/no/such.pem"), &url, why, sizeof(why)), 0);
    struct redis_cluster_setup setup = {.url = &url};
    assert_null(redis_cluster_new(&setup, why, sizeof(why)));
    assert_non_null(strstr(why, "/no/such.pem"));
}

/* --- replicas -------------------------------------------------------------------------------- */

static void with_replica(const char *more)
{
    redis_fleet_start_single(&fleet, NULL);
    size_t replica = redis_fleet_add_replica(&fleet);
    /* The replica first: it has to be passed over. */
    char url[128];
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u,127.0.0.1:%u%s", fleet.servers[replica].port,
             fleet.servers[0].port, more);
    redis_client_open(&client, url, LIBRARY);
}

static void the_master_is_found(void **state)
{
    with_replica("?" PATIENT);
    expect_text(CALL_REPLICATED(&client, "SET", "k", "v"), REDIS_REPLY_STATUS, "OK");
    assert_int_equal(COUNTED(&client, waits_total), 0); /* none was asked for */
}

/* One WAIT for all that leave together. */
static void replicated_commands_share_a_wait(void **state)
{
    enum { COUNT = 500 };
    static struct outcome outcomes[COUNT];
    with_replica("?replicas=1&" PATIENT);
    expect_text(CALL_REPLICATED(&client, "SET", "k", "v"), REDIS_REPLY_STATUS, "OK");
    uint64_t before = COUNTED(&client, waits_total);
    for (int i = 0; i < COUNT; i++)
        redis_client_begin(&client, &outcomes[i], true, 1, WORDS("INCR", "n"));
    CLIENT_UNTIL(&client, outcomes[COUNT - 1].done);
    for (int i = 0; i < COUNT; i++) assert_int_equal(outcomes[i].integer, i + 1);
    assert_int_equal(COUNTED(&client, waits_total), before + 1);
    redisReply *reply = redis_fleet_ask(&fleet, 1, "GET n");
    assert_string_equal(reply->str, "500");
    freeReplyObject(reply);
}

/* The replica says nothing: what is to be replicated fails, and holds up nothing else. */
static void too_few_replicas_are_told(void **state)
{
    struct outcome replicated, refused;
    uint64_t rounds = 0;
    bool is_held_up = true;
    with_replica("?replicas=1&patience=2");
    INSIST_REPLICATED(&client, "SET", "k", "v");
    INSIST(&client, "SET", "plain", "v");
    redis_fleet_pause(&fleet, 1);
    /* Where this test gets no turn for so long, both are answered when it looks. */
    for (; is_held_up && rounds < 10; rounds++) {
        redis_client_begin(&client, &replicated, true, 1, WORDS("SET", "k", "w"));
        redis_client_begin(&client, &refused, true, 1, WORDS("INCR", "k"));
        assert_int_equal(CALL(&client, "SET", "plain", "w").err, 0);
        is_held_up = replicated.done;
        CLIENT_UNTIL(&client, replicated.done && refused.done);
        assert_int_equal(replicated.err, ERR_STORE_UNAVAILABLE);
        assert_int_equal(refused.type, REDIS_REPLY_ERROR); /* nothing that could be replicated */
    }
    assert_false(is_held_up);
    assert_int_equal(COUNTED(&client, unreplicated_total), rounds);
    /* Who only looks at what was written waits for it, too. */
    assert_int_equal(CALL_REPLICATED(&client, "GET", "k").err, ERR_STORE_UNAVAILABLE);
    redis_fleet_resume(&fleet, 1);
    expect_text(INSIST_REPLICATED(&client, "GET", "k"), REDIS_REPLY_STRING, "w");
    assert_int_equal(COUNTED(&client, timeouts_total), 0);
}

/* Many of them, in many turns: each waits for the WAIT before it, and none is too late for it. */
static void a_dead_replica_is_no_dead_connection(void **state)
{
    enum { COUNT = 30 };
    static struct outcome outcomes[COUNT];
    with_replica("?replicas=1&patience=2");
    INSIST_REPLICATED(&client, "SET", "k", "v");
    redis_fleet_pause(&fleet, 1);
    for (int i = 0; i < COUNT; i++) {
        redis_client_begin(&client, &outcomes[i], true, 1, WORDS("INCR", "n"));
        redis_client_run_for(&client, 5);
    }
    CLIENT_UNTIL(&client, outcomes[COUNT - 1].done);
    for (int i = 0; i < COUNT; i++) assert_int_equal(outcomes[i].err, ERR_STORE_UNAVAILABLE);
    assert_int_equal(COUNTED(&client, timeouts_total), 0);
}

static void a_master_that_changes_is_followed(void **state)
{
    with_replica("?" PATIENT);
    CALL(&client, "SET", "k", "v");
    redis_fleet_tell(&fleet, 1, "REPLICAOF NO ONE");
    redis_fleet_tell(&fleet, 0, "REPLICAOF 127.0.0.1 %d", fleet.servers[1].port);
    expect_text(CALL(&client, "SET", "k", "w"), REDIS_REPLY_STATUS, "OK");
    redisReply *reply = redis_fleet_ask(&fleet, 1, "GET k");
    assert_string_equal(reply->str, "w");
    freeReplyObject(reply);
}

/* --- servers that do not do as they should --------------------------------------------------- */

static void nobody_is_there(void **state)
{
    redis_fleet_start_single(&fleet, NULL);
    redis_fleet_kill(&fleet, 0);
    redis_client_start(&client, &fleet, "", LIBRARY);
    int64_t begin_ms = redis_client_now(&client);
    assert_int_equal(CALL(&client, "SET", "k", "v").err, ERR_STORE_UNAVAILABLE);
    assert_true(redis_client_now(&client) - begin_ms >= REDIS_CALL_MS);
    expect_trouble("refused");
    assert_int_equal(COUNTED(&client, expired_total), 1);
    /* And then it is. */
    redis_fleet_restart(&fleet, 0, false);
    INSIST(&client, "SET", "k", "v");
}

static void a_server_that_hangs_is_given_up(void **state)
{
    struct outcome sent;
    redis_fleet_start_single(&fleet, NULL);
    redis_client_start(&client, &fleet, "", LIBRARY);
    INSIST(&client, "SET", "k", "v");
    redis_fleet_pause(&fleet, 0);
    int64_t begin_ms = redis_client_now(&client);
    redis_client_begin(&client, &sent, false, 1, WORDS("INCR", "n"));
    CLIENT_UNTIL(&client, sent.done);
    assert_true(redis_client_now(&client) - begin_ms >= REDIS_ANSWER_MS);
    assert_int_equal(sent.err, ERR_STORE_UNAVAILABLE);
    assert_int_equal(COUNTED(&client, timeouts_total), 1);
    assert_int_equal(COUNTED(&client, lost_total), 1);
    expect_trouble("no answer within 2000 ms");
    redis_fleet_resume(&fleet, 0);
    INSIST(&client, "SET", "k", "w");
    assert_null(redis_cluster_trouble(client.cluster));
}

/* Sent, or not: those that were are unknown, the others are carried out by the next server. */
static void a_restart_loses_what_was_sent_alone(void **state)
{
    struct outcome sent, waiting;
    redis_fleet_start_single(&fleet, NULL);
    redis_client_start(&client, &fleet, "?" PATIENT, LIBRARY);
    CALL(&client, "SET", "k", "v");
    redis_fleet_pause(&fleet, 0);
    redis_client_begin(&client, &sent, false, 1, WORDS("INCR", "n"));
    redis_client_run_for(&client, 50);
    redis_fleet_kill(&fleet, 0);
    CLIENT_UNTIL(&client, sent.done);
    assert_int_equal(sent.err, ERR_STORE_UNAVAILABLE);
    redis_client_begin(&client, &waiting, false, 1, WORDS("GET", "k"));
    redis_fleet_restart(&fleet, 0, false);
    CLIENT_UNTIL(&client, waiting.done);
    expect_text(waiting, REDIS_REPLY_STRING, "v");
}

static void functions_that_are_gone_are_loaded_again(void **state)
{
    enum { COUNT = 100 };
    static struct outcome outcomes[COUNT];
    redis_fleet_start_single(&fleet, NULL);
    redis_client_start(&client, &fleet, "?" PATIENT, LIBRARY);
    const char *const *put = WORDS("FCALL", "put", "1", "k", "w");
    expect_text(redis_client_call(&client, false, 3, put), REDIS_REPLY_STRING, "put w");
    uint64_t before = COUNTED(&client, library_loads_total);
    redis_fleet_tell(&fleet, 0, "FUNCTION FLUSH");
    for (int i = 0; i < COUNT; i++)
        redis_client_begin(&client, &outcomes[i], false, 3, WORDS("FCALL", "put", "1", "k", "w"));
    CLIENT_UNTIL(&client, outcomes[COUNT - 1].done);
    for (int i = 0; i < COUNT; i++) expect_text(outcomes[i], REDIS_REPLY_STRING, "put w");
    assert_int_equal(COUNTED(&client, library_loads_total), before + 1);
    /* A new server altogether. */
    redis_fleet_tell(&fleet, 0, "FLUSHALL");
    redis_fleet_restart(&fleet, 0, true);
    CLIENT_UNTIL(&client, COUNTED(&client, disconnects_total) > 0); /* not before it knows */
    expect_text(redis_client_call(&client, false, 3, put), REDIS_REPLY_STRING, "put w");
}

static void subscriptions_come_back(void **state)
{
    redis_fleet_start_single(&fleet, NULL);
    redis_client_start(&client, &fleet, "?" PATIENT, LIBRARY);
    redis_cluster_subscribe(client.cluster, STR("a"));
    redis_cluster_subscribe(client.cluster, STR("a"));
    redis_cluster_subscribe(client.cluster, STR("b"));
    redis_client_publish(&client, "a", "one", 1);
    CLIENT_UNTIL(&client, client.messages == 1);
    assert_string_equal(client.heard[0].channel, "a");
    assert_string_equal(client.heard[0].payload, "one");
    assert_int_equal(client.resubscribed, 0);
    redis_fleet_restart(&fleet, 0, false);
    CLIENT_UNTIL(&client, client.resubscribed == 2);
    assert_int_equal(CALL(&client, "SPUBLISH", "b", "two").integer, 1);
    CLIENT_UNTIL(&client, client.messages == 2);
    redis_cluster_unsubscribe(client.cluster, STR("a"));
    redis_cluster_unsubscribe(client.cluster, STR("a"));
    redis_client_publish(&client, "a", "three", 0);
    assert_int_equal(client.messages, 2);
    assert_int_equal(COUNTED(&client, subscriptions), 1);
}

/* Nothing is sent to it, so only asking tells. */
static void a_subscription_to_a_server_that_hangs_is_noticed(void **state)
{
    redis_fleet_start_single(&fleet, NULL);
    redis_client_start(&client, &fleet, "", LIBRARY);
    redis_cluster_subscribe(client.cluster, STR("a"));
    redis_client_publish(&client, "a", "one", 1);
    CLIENT_UNTIL(&client, client.messages == 1);
    redis_fleet_pause(&fleet, 0);
    CLIENT_UNTIL(&client, COUNTED(&client, timeouts_total) > 0);
    redis_fleet_resume(&fleet, 0);
    CLIENT_UNTIL(&client, client.resubscribed == 1);
}

/* --- limits ---------------------------------------------------------------------------------- */

static void on_dropped(void *arg, int err, const redisReply *reply)
{
    assert_int_equal(err, ERR_STORE_UNAVAILABLE);
    ++*(size_t *)arg;
}

static void more_commands_than_the_limit_are_refused(void **state)
{
    size_t dropped = 0;
    redis_fleet_start_single(&fleet, NULL);
    redis_fleet_kill(&fleet, 0);
    redis_client_start(&client, &fleet, "", NULL);
    const struct redis_command ping = {.words = &STR("PING"), .count = 1};
    for (size_t i = 0; i < LIMIT_REDIS_CALLS; i++)
        assert_int_equal(redis_cluster_call(client.cluster, &ping, on_dropped, &dropped), 0);
    assert_int_equal(redis_cluster_call(client.cluster, &ping, on_dropped, &dropped),
                     ERR_OVERLOADED);
    assert_int_equal(COUNTED(&client, calls_refused_total), 1);
    assert_int_equal(COUNTED(&client, calls_under_way), LIMIT_REDIS_CALLS);
    assert_int_equal(dropped, 0);
    CLIENT_UNTIL(&client, dropped == LIMIT_REDIS_CALLS);
    assert_int_equal(redis_cluster_under_way(client.cluster), 0);
}

static void more_bytes_than_the_limit_are_refused(void **state)
{
    size_t dropped = 0;
    redis_fleet_start_single(&fleet, NULL);
    redis_fleet_kill(&fleet, 0);
    redis_client_start(&client, &fleet, "", NULL);
    struct buf value = {0};
    buf_reserve(&value, LIMIT_REDIS_CALL_BYTES);
    memset(value.ptr, 'v', LIMIT_REDIS_CALL_BYTES);
    struct str words[] = {STR("SET"), STR("k"), str_make(value.ptr, LIMIT_REDIS_CALL_BYTES)};
    struct redis_command set = {.key = words[1], .words = words, .count = 3};
    assert_int_equal(redis_cluster_call(client.cluster, &set, on_dropped, &dropped),
                     ERR_OVERLOADED);
    words[2].len /= 2;
    assert_int_equal(redis_cluster_call(client.cluster, &set, on_dropped, &dropped), 0);
    assert_int_equal(redis_cluster_call(client.cluster, &set, on_dropped, &dropped),
                     ERR_OVERLOADED);
    buf_deinit(&value);
}

/* Of many parts, which hiredis lets go of as they come: one large string would be moved again and
 * again. */
static void a_reply_larger_than_the_limit_ends_the_connection(void **state)
{
    enum { PARTS = 40 };
    const char *words[PARTS + 2] = {"MGET"};
    char offset[24];
    /* By more than what is read at once, so that it is noticed before the reply is whole. */
    const unsigned long part_bytes = 2ul * 1024 * 1024;
    ASSERT(PARTS * part_bytes > LIMIT_REDIS_REPLY_BYTES + 1024 * 1024);
    redis_fleet_start_single(&fleet, NULL);
    redis_client_start(&client, &fleet, "?" PATIENT, NULL);
    snprintf(offset, sizeof(offset), "%lu", part_bytes - 1);
    assert_int_equal(CALL(&client, "SETRANGE", "k", offset, "x").err, 0);
    for (int i = 1; i <= PARTS; i++) words[i] = "k";
    assert_int_equal(redis_client_call(&client, false, 1, words).err, ERR_STORE_UNAVAILABLE);
    assert_int_equal(COUNTED(&client, replies_refused_total), 1);
    assert_int_equal(CALL(&client, "STRLEN", "k").integer, (long long)part_bytes);
}

/* --- peers that this test plays -------------------------------------------------------------- */

static int listener = -1;

static int stop_peers(void **state)
{
    stop(state);
    close(listener);
    return 0;
}

/* The client connects to it in a turn of its loop; that wakes it, too. */
static int accept_client(void)
{
    int peer;
    CLIENT_UNTIL(&client, (peer = accept(listener, NULL, NULL)) >= 0);
    return peer;
}

/* Lets the client connect to this test, which is the other end. */
static int open_peer(const char *options)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    char url[64];
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u%s", ntohs(at.sin_port), options);
    redis_client_open(&client, url, NULL);
    return accept_client();
}

static void say(int peer, struct str text)
{
    assert_int_equal(write(peer, text.ptr, text.len), text.len);
}

/* Until it has said that. Its loop sleeps when it has. */
static void hear(int peer, const char *word)
{
    char heard[1024] = "";
    size_t len = 0;
    int64_t begin_ms = redis_client_now(&client);
    while (strstr(heard, word) == NULL) {
        if (redis_client_now(&client) - begin_ms > PATIENCE_MS) fail_msg("no %s", word);
        redis_client_run_for(&client, 1);
        ssize_t more = recv(peer, heard + len, sizeof(heard) - 1 - len, MSG_DONTWAIT);
        if (more > 0) len += (size_t)more;
    }
}

/* A single master that has heard GET, and is to answer it. */
static int open_master(struct outcome *get)
{
    int asker = open_peer("");
    hear(asker, "SLOTS");
    say(asker, STR("-ERR This instance has cluster support disabled\r\n"));
    hear(asker, "ROLE");
    say(asker, STR("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"));
    CLIENT_UNTIL(&client, COUNTED(&client, refreshes_total) == 1);
    redis_client_begin(&client, get, false, 1, WORDS("GET", "k"));
    int peer = accept_client();
    hear(peer, "GET");
    close(asker);
    return peer;
}

/* It is there, but this loop was busy, or not let run, for longer than the time for an answer. */
static void an_answer_that_waits_for_us_is_read(void **state)
{
    struct outcome get;
    int peer = open_master(&get);
    say(peer, STR("$1\r\nv\r\n"));
    poll(NULL, 0, REDIS_ANSWER_MS + 100);
    CLIENT_UNTIL(&client, get.done);
    expect_text(get, REDIS_REPLY_STRING, "v");
    assert_int_equal(COUNTED(&client, timeouts_total), 0);
    close(peer);
}

/* It is not silent for as long as it takes to give up one that is. */
static void an_answer_that_trickles_has_an_end(void **state)
{
    struct outcome get;
    int64_t begin_ms = (int64_t)(uv_hrtime() / 1000000);
    int peer = open_master(&get);
    say(peer, STR("$1000000\r\n"));
    for (int64_t wait_ms = 0; !get.done && wait_ms < PATIENCE_MS; wait_ms += 100) {
        say(peer, STR("v"));
        redis_client_run_for(&client, 100);
    }
    assert_int_equal(get.done, 1);
    assert_int_equal(get.err, ERR_STORE_UNAVAILABLE);
    assert_true((int64_t)(uv_hrtime() / 1000000) - begin_ms >= REDIS_WHOLE_MS);
    assert_int_equal(COUNTED(&client, timeouts_total), 1);
    expect_trouble("no whole answer");
    close(peer);
}

/* Whoever answers there, it is not RESP. */
static void what_is_no_redis_is_told(void **state)
{
    int peer = open_peer("?" PATIENT);
    say(peer, STR("HTTP/1.1 400 Bad Request\r\n\r\n"));
    CLIENT_UNTIL(&client, COUNTED(&client, refresh_failures_total) > 0);
    expect_trouble("is it a Redis");
    close(peer);
}

static void the_last_words_of_a_full_server_are_told(void **state)
{
    int peer = open_peer("?" PATIENT);
    say(peer, STR("-ERR max number of clients reached\r\n"));
    CLIENT_UNTIL(&client, COUNTED(&client, refresh_failures_total) > 0);
    expect_trouble("max number of clients");
    close(peer);
}

/* A Cluster of more masters than there may be, one slot for each. */
static void more_masters_than_the_limit_are_passed_over(void **state)
{
    enum { COUNT = LIMIT_REDIS_NODES + 100 };
    struct buf map = {0};
    int peer = open_peer("?" PATIENT);
    buf_printf(&map, "*%d\r\n", COUNT);
    for (int i = 0; i < COUNT; i++)
        buf_printf(&map, "*3\r\n:%d\r\n:%d\r\n*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n", i, i, i + 1);
    say(peer, buf_str(&map));
    CLIENT_UNTIL(&client, COUNTED(&client, refreshes_total) == 1);
    assert_int_equal(COUNTED(&client, masters), LIMIT_REDIS_NODES);
    assert_int_equal(COUNTED(&client, nodes_refused_total), 100);
    buf_deinit(&map);
    close(peer);
}

#define TEST(name)       cmocka_unit_test_teardown(name, stop)
#define TEST_TLS(name)   cmocka_unit_test_teardown(name, stop_tls)
#define TEST_PEERS(name) cmocka_unit_test_teardown(name, stop_peers)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(commands_are_answered),
        TEST(errors_of_the_command_are_the_callers),
        TEST(commands_keep_their_order),
        TEST(large_commands_and_answers),
        TEST(a_password_is_given),
        TEST(a_wrong_password_is_told_but_not_shown),
        TEST(no_password_where_one_is_wanted),
        TEST(a_user_of_few_rights_is_enough),
        TEST(a_database_is_selected),
        TEST(a_database_that_is_not_there_is_told),
        TEST_TLS(tls_works),
        TEST_TLS(a_server_of_an_unknown_ca_gets_no_command),
        TEST_TLS(a_server_may_ask_for_a_certificate),
        TEST(files_that_are_not_there_are_told_at_once),
        TEST(the_master_is_found),
        TEST(replicated_commands_share_a_wait),
        TEST(too_few_replicas_are_told),
        TEST(a_dead_replica_is_no_dead_connection),
        TEST(a_master_that_changes_is_followed),
        TEST(nobody_is_there),
        TEST(a_server_that_hangs_is_given_up),
        TEST(a_restart_loses_what_was_sent_alone),
        TEST(functions_that_are_gone_are_loaded_again),
        TEST(subscriptions_come_back),
        TEST(a_subscription_to_a_server_that_hangs_is_noticed),
        TEST(more_commands_than_the_limit_are_refused),
        TEST(more_bytes_than_the_limit_are_refused),
        TEST(a_reply_larger_than_the_limit_ends_the_connection),
        TEST_PEERS(an_answer_that_waits_for_us_is_read),
        TEST_PEERS(an_answer_that_trickles_has_an_end),
        TEST_PEERS(what_is_no_redis_is_told),
        TEST_PEERS(the_last_words_of_a_full_server_are_told),
        TEST_PEERS(more_masters_than_the_limit_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
