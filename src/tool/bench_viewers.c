/* A process of viewers. */
#include "tool/bench.h"

#include "base/assert.h"

#define TICK_MS 50

uint32_t bench_share(const struct bench *bench, uint32_t process)
{
    uint32_t viewers = bench->options.viewers;
    return viewers / bench->processes + (process < viewers % bench->processes);
}

static uint32_t first_of(const struct bench *bench, uint32_t process)
{
    uint32_t first = 0;
    for (uint32_t i = 0; i < process; i++) first += bench_share(bench, i);
    return first;
}

/* Only the publisher's messages carry a stamp; those of --senders count, but have no latency here.
 */
static bool on_message(struct viewer *v, const struct poll_message *m)
{
    struct bench_viewers *mine = v->audience->config.arg;
    if (m->is_control) return false;
    if (m->stamp == 0) return true;
    histogram_add(&mine->latency[m->list], client_now_us() - (int64_t)m->stamp);
    if (v->conn.arrived_us != 0)
        histogram_add(&mine->arrival, v->conn.arrived_us - (int64_t)m->stamp);
    return true;
}

static void on_refused(struct viewer *v, int status, const char *code)
{
    struct bench_viewers *mine = v->audience->config.arg;
    if (mine->refused[0] == '\0')
        snprintf(mine->refused, sizeof(mine->refused), "%d %s", status, code);
}

static const struct audience_events events = {on_message, on_refused};

static uint64_t accounted_for(const struct viewer_tally *tally, int list)
{
    return tally->received[list] + (list == LIST_NORMAL ? tally->skipped : 0);
}

/* What each viewer accounts for against what was sent into its room. While messages are on their
 * way some are missing; what is still missing at the end is lost. */
static void reckon(const struct bench *bench, const struct audience *a, struct bench_viewers *mine,
                   int list)
{
    uint64_t missing = 0, surplus = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        uint64_t sent = counter_get(&bench->shared->sent[a->viewers[i].room][list]);
        uint64_t accounted = accounted_for(&a->viewers[i].tally, list);
        missing += accounted < sent ? sent - accounted : 0;
        surplus += accounted > sent ? accounted - sent : 0;
    }
    counter_set(&mine->missing[list], missing);
    counter_set(&mine->surplus[list], surplus);
}

void bench_run_viewers(const struct bench *bench, uint32_t process)
{
    struct bench_viewers *mine = &bench->shared->viewers[process];
    struct audience audience;
    struct client *client = client_new(process, 1);
    ASSERT(client != NULL);
    if (bench->options.arrival) client_stamp_arrivals(client);
    struct audience_config config = {
        .client = client,
        .urls = &bench->urls,
        .protocol = bench->protocol,
        .key = bench->options.key,
        .name_prefix = "bench",
        .first_number = first_of(bench, process),
        .timeout_s = 25,
        .events = &events,
        .arg = mine,
        .counts = &mine->counts,
        .rooms = bench->rooms,
        .room_count = bench->options.rooms,
    };
    audience_init(&audience, &config, bench_share(bench, process));
    audience_start(&audience);
    while (bench_phase(bench) != BENCH_DONE) {
        client_run(client, client_now_ms(client) + TICK_MS);
        if (bench_phase(bench) != BENCH_SETTLE) continue;
        for (int list = 0; list < LIST_KINDS; list++) reckon(bench, &audience, mine, list);
    }
    audience_deinit(&audience);
    client_free(client);
}
