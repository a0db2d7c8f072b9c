/* stoa replay: plays a recorded chat into a room, and checks at every viewer that what the protocol
 * promises came true: each high message once, each normal one once or counted as skipped, in order,
 * unchanged.
 *
 *   join     all viewers join before anything is sent, so all of it is theirs to account for
 *   play     the recording, in its own time divided by --speed
 *   settle   until every viewer holds the last message of both lists, or a limit is over
 *   report   the table, or JSON; exit status 1 if a promise was broken
 *
 * It may run while servers are killed and started: senders and viewers come back by themselves, at
 * the next of the addresses. SIGUSR1 marks the moment of a fault (tool/marks.h). */
#include "tool/replay.h"

#include <errno.h>
#include <limits.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "core/room.h"
#include "tool/files.h"
#include "tool/marks.h"
#include "tool/options.h"
#include "tool/table.h"
#include "tool/tool.h"

#define JOIN_LIMIT_MS  30000
#define POLL_TIMEOUT_S 25
#define SOURCES        4
#define FILES_RESERVED 32
#define STEP_MS        10 /* a mark is that late at most */

struct replay_options {
    char to[2048];
    char room[LIMIT_ROOM_ID + 1];
    char key[LIMIT_IDEMPOTENCY_KEY * 4 + 1];
    double speed;
    uint32_t viewers, settle_s;
    bool json;
};

#define FIELD(member, flag_name) OPTION_FIELD(struct replay_options, member), .flag = flag_name

static const struct option options[] = {
    {FIELD(to, "to"), .kind = OPTION_TEXT, .value = "URL[,URL]",
     .fallback = "http://127.0.0.1:8080", .help = "the server, or several: viewers are spread"},
    {FIELD(room, "room"), .kind = OPTION_TEXT, .value = "ID",
     .help = "the room to play into (required)"},
    {FIELD(key, "key"), .kind = OPTION_TEXT, .has_env = true, .value = "KEY", .fallback = "dev",
     .help = "the app's key"},
    {FIELD(speed, "speed"), .kind = OPTION_REAL, .min = 0.001, .max = 10000, .value = "X",
     .fallback = "1", .help = "recorded seconds per second"},
    {FIELD(viewers, "viewers"), .kind = OPTION_U32, .max = 1000000, .value = "N", .fallback = "1",
     .help = "how many watch, and check"},
    {FIELD(settle_s, "settle_s"), .kind = OPTION_U32, .max = 3600, .value = "S", .fallback = "30",
     .help = "how long viewers may take to catch up at the end"},
    {FIELD(json, "json"), .kind = OPTION_BOOL, .help = "print the result as JSON"},
};

static const struct command command = {
    .synopsis = "stoa replay FILE.ndjson --to URL --room ID [--speed X] [--viewers N] [--key KEY]",
    .about =
        "Plays a recorded chat into a room and checks it at every viewer. Exit status 0: all of "
        "it\n"
        "arrived as promised. 1: it did not. FILE has one message a line:\n"
        "  "
        "{\"t_ms\":874,\"user\":\"u7\",\"type\":\"text\",\"body\":\"hi\",\"priority\":\"normal\"}",
    .options = options,
    .count = sizeof(options) / sizeof(options[0]),
    .reads_env = true,
    .positional = 1,
};

struct replay {
    struct replay_options options;
    struct recording recording;
    struct urls urls;
    struct client *client;
    struct sent sent;
    struct sender sender;
    struct audience audience;
    struct audience_counts counts;
    struct histogram latency[LIST_KINDS];
    struct marks marks;
    const char *rooms[1];
    char refused[80]; /* why the first viewer was refused for good */
};

/* ---- viewers ----------------------------------------------------------------------- */

static bool on_message(struct viewer *v, const struct poll_message *m)
{
    struct replay *replay = v->audience->config.arg;
    int64_t sent_us;
    if (sent_look(&replay->sent, m, &sent_us) != SENT_OURS) return false;
    int64_t now_us = client_now_us();
    histogram_add(&replay->latency[m->list], now_us - sent_us);
    marks_saw(&replay->marks, v->number, sent_us, now_us);
    return true;
}

static void on_refused(struct viewer *v, int status, const char *code)
{
    struct replay *replay = v->audience->config.arg;
    if (replay->refused[0] == '\0')
        snprintf(replay->refused, sizeof(replay->refused), "%d %s", status, code);
}

static const struct audience_events audience_events = {on_message, on_refused};

/* Also when an id was passed over: the sums then tell what is missing. */
static bool viewer_has_all(const struct replay *r, const struct viewer *v)
{
    for (int i = 0; i < LIST_KINDS; i++)
        if (v->tally.last_id[i] < sent_last_id(&r->sent, (enum list_kind)i)) return false;
    return true;
}

static uint32_t viewers_with_all(const struct replay *r)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->audience.count; i++)
        count += viewer_has_all(r, &r->audience.viewers[i]);
    return count;
}

/* ---- the run ----------------------------------------------------------------------- */

static void show_progress(const struct replay *r)
{
    const struct audience_counts *c = &r->counts;
    size_t high = r->sent.list[LIST_HIGH].count;
    uint64_t received = counter_get(&c->received[LIST_HIGH]);
    received += counter_get(&c->received[LIST_NORMAL]);
    progress_line("%6.1f s  sent %zu (high %zu)  received %llu  skipped %llu  caught up %u/%u  "
                  "behind %lld ms  reconnects %llu",
                  (double)(client_now_us() - r->sender.start_us) / 1e6,
                  high + r->sent.list[LIST_NORMAL].count, high, (unsigned long long)received,
                  (unsigned long long)counter_get(&c->skipped), viewers_with_all(r),
                  r->audience.count, (long long)(r->sender.behind_us / 1000),
                  (unsigned long long)counter_get(&c->lost_connections));
}

/* 0, or -1: not all have joined. */
static int join(struct replay *r)
{
    int64_t limit_ms = client_now_ms(r->client) + JOIN_LIMIT_MS;
    audience_start(&r->audience);
    while (counter_get(&r->counts.joined) < r->audience.count && r->refused[0] == '\0' &&
           client_now_ms(r->client) < limit_ms)
        client_run(r->client, client_now_ms(r->client) + 20);
    if (counter_get(&r->counts.joined) == r->audience.count) return 0;
    fprintf(stderr, "stoa replay: %llu of %u viewers could join: %s\n",
            (unsigned long long)counter_get(&r->counts.joined), r->audience.count,
            r->refused[0] != '\0' ? r->refused : "is the server there?");
    return -1;
}

/* Until nothing is left to send and every viewer has all, or the limit for the latter is over. */
static void play(struct replay *r)
{
    int64_t settled_by_ms = INT64_MAX, report_ms = 0;
    sender_start(&r->sender);
    for (;;) {
        int64_t now_ms = client_now_ms(r->client);
        bool done = sender_is_done(&r->sender);
        if (done && settled_by_ms == INT64_MAX)
            settled_by_ms = now_ms + r->options.settle_s * INT64_C(1000);
        if (now_ms >= report_ms) {
            show_progress(r);
            report_ms = now_ms + 1000;
        }
        if (done && (now_ms >= settled_by_ms || viewers_with_all(r) == r->audience.count)) break;
        client_run(r->client, now_ms + STEP_MS);
        marks_take_up(&r->marks, client_now_us());
    }
    show_progress(r);
    progress_end();
}

static int report(const struct replay *r)
{
    struct replay_result result;
    struct buf out = {0};
    replay_result_make(&r->audience, &r->sender, r->latency, &result);
    result.marks = &r->marks;
    if (r->options.json) {
        replay_result_write_json(&result, &out);
        printf("%.*s\n", STR_ARG(buf_str(&out)));
    } else {
        replay_result_print(&result, stdout);
    }
    if (r->sender.refused > 0)
        fprintf(stderr, "stoa replay: first refusal: %s\n", r->sender.refused_why);
    buf_deinit(&out);
    return replay_result_is_good(&result) ? 0 : 1;
}

/* ---- set up ------------------------------------------------------------------------ */

static int open_recording(struct replay *r, const char *path, struct buf *why)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        buf_printf(why, "%s: cannot be opened: %s", path, strerror(errno));
        return -1;
    }
    int err = recording_read(file, path, &r->recording, why);
    fclose(file);
    return err;
}

static int check_options(const struct replay_options *o, struct buf *why)
{
    uint64_t files = files_raise_limit();
    if (!room_id_is_valid(str_of(o->room))) {
        buf_printf(why, "--room is missing, or not 1-64 of A-Z a-z 0-9 _ . : -");
        return -1;
    }
    if (o->viewers + (uint64_t)FILES_RESERVED <= files) return 0;
    buf_printf(why, "%u viewers need as many open files, but the limit is %llu (ulimit -n)",
               o->viewers, (unsigned long long)files);
    return -1;
}

static int prepare(struct replay *r, const char *path, struct buf *why)
{
    if (check_options(&r->options, why) != 0) return -1;
    if (urls_parse(str_of(r->options.to), &r->urls, why) != 0) return -1;
    if (open_recording(r, path, why) != 0) return -1;
    r->client = client_new(0, SOURCES);
    if (r->client != NULL) return 0;
    buf_printf(why, "epoll: %s", strerror(errno));
    return -1;
}

static void init_parts(struct replay *r)
{
    r->rooms[0] = r->options.room;
    struct audience_config audience = {
        .client = r->client,
        .urls = &r->urls,
        .key = r->options.key,
        .name_prefix = "viewer",
        .timeout_s = POLL_TIMEOUT_S,
        .want_content = true,
        .events = &audience_events,
        .arg = r,
        .counts = &r->counts,
        .rooms = r->rooms,
        .room_count = 1,
    };
    struct sender_config sender = {
        .client = r->client,
        .urls = &r->urls,
        .recording = &r->recording,
        .sent = &r->sent,
        .key = r->options.key,
        .room = r->options.room,
        .speed = r->options.speed,
    };
    ssize_t got = getrandom(&sender.run_id, sizeof(sender.run_id), 0);
    (void)got; /* at worst 0: then only a replay within five minutes of another would notice */
    audience_init(&r->audience, &audience, r->options.viewers);
    marks_init(&r->marks, r->options.viewers);
    sender_init(&r->sender, &sender);
}

static int run(struct replay *r)
{
    int status = 1;
    init_parts(r);
    if (join(r) == 0) {
        play(r);
        status = report(r);
    }
    sender_deinit(&r->sender);
    audience_deinit(&r->audience);
    sent_deinit(&r->sent);
    marks_deinit(&r->marks);
    return status;
}

int tool_replay(int argc, char **argv)
{
    struct replay *r = xcalloc(1, sizeof(*r));
    struct buf why = {0};
    const char *path;
    int status = options_start(&command, argc, argv, &r->options, sizeof(r->options), &path);
    if (status < 0 && prepare(r, path, &why) == 0) {
        status = run(r);
    } else if (status < 0) {
        fprintf(stderr, "stoa replay: %.*s\n", STR_ARG(buf_str(&why)));
        status = 2;
    }
    recording_deinit(&r->recording);
    client_free(r->client);
    buf_deinit(&why);
    free(r);
    return status;
}
