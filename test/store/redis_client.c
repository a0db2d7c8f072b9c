#include "store/redis_client.h"

#include <signal.h>

#include "base/error.h"

#define WORDS_MAX 64

/* --- the loop -------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
    (void)timer; /* it only ends the sleep */
}

static void on_limit(uv_timer_t *limit)
{
    ((struct redis_client *)limit->data)->is_late = true;
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct redis_client *client = prepare->data;
    int64_t now_ms = redis_client_now(client);
    size_t before = redis_cluster_under_way(client->cluster);
    int64_t next_ms = redis_cluster_tick(client->cluster, now_ms);
    /* Callbacks have fired: whoever waits for them has to have a look. */
    if (redis_cluster_under_way(client->cluster) < before) next_ms = now_ms;
    uv_timer_stop(&client->timer);
    if (next_ms == INT64_MAX) return;
    uv_timer_start(&client->timer, on_timer, (uint64_t)(next_ms > now_ms ? next_ms - now_ms : 0),
                   0);
}

int64_t redis_client_now(struct redis_client *client)
{
    return (int64_t)uv_now(&client->loop);
}

void redis_client_limit(struct redis_client *client, unsigned ms)
{
    client->is_late = false;
    uv_update_time(&client->loop);
    uv_timer_start(&client->limit, on_limit, ms, 0);
}

void redis_client_run_for(struct redis_client *client, unsigned ms)
{
    redis_client_limit(client, ms);
    while (!client->is_late) uv_run(&client->loop, UV_RUN_ONCE);
}

static void make_loop(struct redis_client *client)
{
    assert_int_equal(uv_loop_init(&client->loop), 0);
    uv_prepare_init(&client->loop, &client->prepare);
    uv_timer_init(&client->loop, &client->timer);
    uv_timer_init(&client->loop, &client->limit);
    client->prepare.data = client->limit.data = client;
    uv_prepare_start(&client->prepare, on_prepare);
}

/* --- the cluster ----------------------------------------------------------------------------- */

static void copy_text(struct str text, char *ret, size_t cap)
{
    size_t len = text.len < cap ? text.len : cap - 1;
    if (len > 0) memcpy(ret, text.ptr, len);
    ret[len] = '\0';
}

static void on_message(void *arg, struct str channel, struct str payload)
{
    struct redis_client *client = arg;
    size_t at = client->messages++;
    if (at >= sizeof(client->heard) / sizeof(client->heard[0])) return;
    copy_text(channel, client->heard[at].channel, sizeof(client->heard[at].channel));
    copy_text(payload, client->heard[at].payload, sizeof(client->heard[at].payload));
}

static void on_resubscribed(void *arg, struct str channel)
{
    struct redis_client *client = arg;
    assert_true(channel.len > 0);
    client->resubscribed++;
}

void redis_client_open(struct redis_client *client, const char *url, const char *library)
{
    char why[512] = "";
    *client = (struct redis_client){0};
    signal(SIGPIPE, SIG_IGN);
    make_loop(client);
    int err = redis_url_parse(str_of(url), &client->url, why, sizeof(why));
    assert_string_equal(why, "");
    assert_int_equal(err, 0);
    struct redis_cluster_setup setup = {.loop = &client->loop,
                                        .url = &client->url,
                                        .seed = 1,
                                        .library = str_of(library),
                                        .on_message = on_message,
                                        .on_resubscribed = on_resubscribed,
                                        .arg = client};
    client->cluster = redis_cluster_new(&setup, why, sizeof(why));
    assert_string_equal(why, "");
    assert_non_null(client->cluster);
}

void redis_client_start(struct redis_client *client, struct redis_fleet *f, const char *more,
                        const char *library)
{
    char url[512];
    size_t len = (size_t)snprintf(url, sizeof(url), "redis://");
    for (size_t i = 0; i < f->count; i++)
        len += (size_t)snprintf(url + len, sizeof(url) - len, "%s127.0.0.1:%u", i > 0 ? "," : "",
                                f->servers[i].port);
    snprintf(url + len, sizeof(url) - len, "%s", more);
    redis_client_open(client, url, library);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

void redis_client_stop(struct redis_client *client)
{
    if (client->cluster == NULL) return;
    redis_cluster_free(client->cluster);
    uv_walk(&client->loop, close_handle, NULL);
    uv_run(&client->loop, UV_RUN_DEFAULT);
    int err = uv_loop_close(&client->loop);
    client->cluster = NULL;
    assert_int_equal(err, 0);
}

/* --- calls ----------------------------------------------------------------------------------- */

static void on_reply(void *arg, int err, const redisReply *reply)
{
    struct outcome *o = arg;
    o->done++;
    o->err = err;
    assert_true((err == 0) == (reply != NULL));
    if (reply == NULL) return;
    o->type = reply->type;
    o->integer = reply->integer;
    o->elements = reply->elements;
    if (reply->str != NULL) copy_text(str_make(reply->str, reply->len), o->text, sizeof(o->text));
}

void redis_client_begin(struct redis_client *client, struct outcome *ret, bool is_replicated,
                        size_t key, const char *const *words)
{
    struct str list[WORDS_MAX];
    size_t count = 0;
    for (; words[count] != NULL; count++) list[count] = str_of(words[count]);
    struct redis_command command = {.key = key > 0 ? list[key] : STR_NONE,
                                    .words = list,
                                    .count = count,
                                    .is_replicated = is_replicated};
    *ret = (struct outcome){0};
    int err = redis_cluster_call(client->cluster, &command, on_reply, ret);
    assert_int_equal(err, 0);
    assert_int_equal(ret->done, 0);
}

struct outcome redis_client_call(struct redis_client *client, bool is_replicated, size_t key,
                                 const char *const *words)
{
    struct outcome outcome;
    redis_client_begin(client, &outcome, is_replicated, key, words);
    CLIENT_UNTIL(client, outcome.done);
    assert_int_equal(outcome.done, 1);
    return outcome;
}

struct outcome redis_client_insist(struct redis_client *client, bool is_replicated, size_t key,
                                   const char *const *words)
{
    struct outcome outcome;
    int64_t begin_ms = redis_client_now(client);
    while ((outcome = redis_client_call(client, is_replicated, key, words)).err != 0)
        if (redis_client_now(client) - begin_ms > PATIENCE_MS)
            fail_msg("no answer to %s: %s", words[0], redis_cluster_trouble(client->cluster));
    return outcome;
}

/* No event tells that it is so: it is asked again. */
void redis_client_publish(struct redis_client *client, const char *channel, const char *payload,
                          long long receivers)
{
    int64_t begin_ms = redis_client_now(client);
    while (CALL(client, "SPUBLISH", channel, payload).integer != receivers) {
        if (redis_client_now(client) - begin_ms > PATIENCE_MS)
            fail_msg("%s is not heard by %lld", channel, receivers);
        redis_client_run_for(client, 2);
    }
}
