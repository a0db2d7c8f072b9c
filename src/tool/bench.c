/* stoa bench: load from many viewers and senders, and what it costs the server. The parent of
 * tool/bench.h. */
#include "tool/bench.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "core/room.h"
#include "tool/files.h"
#include "tool/options.h"
#include "tool/process_stat.h"
#include "tool/table.h"
#include "tool/tool.h"

#define VIEWERS_PER_PROCESS 20000 /* a source address has 28,000 ports */
#define VIEWERS_MAX         (BENCH_PROCESSES * VIEWERS_PER_PROCESS)
#define FILES_RESERVED      64
#define TICK_US             20000
#define JOIN_STALL_US       20000000 /* give up when nobody has joined for this long */

#define FIELD(member, flag_name) OPTION_FIELD(struct bench_options, member), .flag = flag_name
#define BETWEEN(low, high)       .kind = OPTION_U32, .min = low, .max = high

static const struct option options[] = {
    {FIELD(to, "to"), .kind = OPTION_TEXT, .value = "URL[,URL]",
     .fallback = "http://127.0.0.1:8080", .help = "the server, or several: load is spread"},
    {FIELD(room, "room"), .kind = OPTION_TEXT, .value = "ID", .fallback = "bench",
     .help = "the room; with --rooms: ID-0, ID-1, …"},
    {FIELD(key, "key"), .kind = OPTION_TEXT, .has_env = true, .value = "KEY", .fallback = "dev",
     .help = "the app's key"},
    {FIELD(viewers, "viewers"), BETWEEN(0, VIEWERS_MAX), .value = "N", .fallback = "0",
     .help = "how many watch, spread over the rooms"},
    {FIELD(rate, "rate"), .kind = OPTION_REAL, .max = 1000000, .value = "R", .fallback = "1",
     .help = "messages per second into each room, whatever the server does"},
    {FIELD(high_every, "high-every"), BETWEEN(0, 1000000), .value = "N", .fallback = "0",
     .help = "every Nth message into a room is high; 0: none"},
    {FIELD(senders, "senders"), BETWEEN(0, 10000), .value = "N", .fallback = "0",
     .help =
         "connections that send, each as fast as it is acknowledged; without viewers --rate is 0"},
    {FIELD(size_bytes, "size"), BETWEEN(32, LIMIT_MESSAGE_BODY), .value = "BYTES",
     .fallback = "200", .help = "of a message's body"},
    {FIELD(secs, "secs"), BETWEEN(1, 86400), .value = "S", .fallback = "10",
     .help = "how long to send"},
    {FIELD(rooms, "rooms"), BETWEEN(1, BENCH_ROOMS), .value = "K", .fallback = "1",
     .help = "how many rooms"},
    {FIELD(processes, "processes"), BETWEEN(0, BENCH_PROCESSES), .value = "P", .fallback = "0",
     .help = "of viewers; 0: as many as their open files take"},
    {FIELD(pid, "pid"), BETWEEN(0, INT32_MAX), .value = "PID", .fallback = "0",
     .help = "of the server, on this machine: measures its CPU time and memory"},
    {FIELD(settle_s, "settle-s"), BETWEEN(0, 3600), .value = "S", .fallback = "15",
     .help = "how long messages under way may take to arrive at the end"},
    {FIELD(rest_s, "rest-s"), BETWEEN(1, 3600), .value = "S", .fallback = "1",
     .help = "from the last join to the first message; memory is measured then, at rest"},
    {FIELD(transport, "transport"), .kind = OPTION_TEXT, .value = "poll", .fallback = "poll",
     .help = "how viewers receive"},
    {FIELD(protocol, "protocol"), .kind = OPTION_TEXT, .value = "stoa|nchan", .fallback = "stoa",
     .help = "what the server speaks (nchan: as bench/lib/peers.sh sets it up)"},
    {FIELD(arrival, "arrival"), .kind = OPTION_BOOL,
     .help = "also tell when answers were at their viewers' sockets, read or not"},
    {FIELD(json, "json"), .kind = OPTION_BOOL, .help = "print the result as JSON"},
};

static const struct command command = {
    .synopsis =
        "stoa bench --to URL[,URL] --viewers N [--rate R] [--size BYTES] [--secs S] [--pid PID]"
        "\n       stoa bench --to URL --senders N [--secs S]",
    .about = "Measures a server under load. Exit status 1: messages were lost, repeated or out of "
             "order.",
    .options = options,
    .count = sizeof(options) / sizeof(options[0]),
    .reads_env = true,
};

/* ---- the children ------------------------------------------------------------------ */

static pid_t spawn_viewers(const struct bench *bench, uint32_t process)
{
    pid_t pid = fork();
    if (pid != 0) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    bench_run_viewers(bench, process);
    _exit(0);
}

static pid_t spawn_sends(const struct bench *bench)
{
    pid_t pid = fork();
    if (pid != 0) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    bench_run_sends(bench);
    _exit(0);
}

static void set_phase(const struct bench *bench, enum bench_phase phase)
{
    atomic_store_explicit(&bench->shared->phase, phase, memory_order_release);
}

struct children {
    pid_t pid[BENCH_PROCESSES + 1];
    size_t count;
};

static uint64_t children_cpu_us(const struct children *children)
{
    uint64_t total_us = 0, us;
    for (size_t i = 0; i < children->count; i++)
        if (process_cpu_us((uint32_t)children->pid[i], &us) == 0) total_us += us;
    return total_us;
}

/* A child that ends before its time has said why (an assertion); the run is worth nothing then. */
static bool child_has_died(void)
{
    return waitpid(-1, NULL, WNOHANG) > 0;
}

/* ---- sums over the processes ------------------------------------------------------- */

static uint64_t sum(const struct bench *bench, size_t offset)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < bench->processes; i++) {
        const char *viewers = (const char *)&bench->shared->viewers[i];
        total += counter_get((const struct counter *)(const void *)(viewers + offset));
    }
    return total;
}

#define SUM(bench, member) sum(bench, offsetof(struct bench_viewers, member))

static uint64_t received(const struct bench *bench)
{
    return SUM(bench, counts.received[LIST_HIGH]) + SUM(bench, counts.received[LIST_NORMAL]);
}

static const char *first_refusal(const struct bench *bench)
{
    for (uint32_t i = 0; i < bench->processes; i++)
        if (bench->shared->viewers[i].refused[0] != '\0') return bench->shared->viewers[i].refused;
    return NULL;
}

static uint64_t missing(const struct bench *bench)
{
    return SUM(bench, missing[LIST_HIGH]) + SUM(bench, missing[LIST_NORMAL]);
}

static void merge_latency(const struct bench *bench, int list, struct histogram *ret)
{
    for (uint32_t i = 0; i < bench->processes; i++)
        histogram_merge(ret, &bench->shared->viewers[i].latency[list]);
}

/* ---- phases ------------------------------------------------------------------------ */

static void sleep_until(int64_t until_us)
{
    int64_t left;
    while ((left = until_us - client_now_us()) > 0)
        usleep((useconds_t)(left < TICK_US ? left : TICK_US));
}

/* Until all viewers have joined. 0, or -1 and why. */
static int join(const struct bench *bench, double *ret_join_s, struct buf *why)
{
    int64_t start_us = client_now_us(), stall_us = start_us + JOIN_STALL_US, report_us = start_us;
    uint64_t joined = 0, before = 0;
    while ((joined = SUM(bench, counts.joined)) < bench->options.viewers) {
        int64_t now_us = client_now_us();
        if (joined > before) stall_us = now_us + JOIN_STALL_US;
        before = joined;
        const char *refused = first_refusal(bench);
        if (refused != NULL || now_us > stall_us || child_has_died()) {
            buf_printf(why, "%llu of %u viewers could join%s%s", (unsigned long long)joined,
                       bench->options.viewers, refused != NULL ? ": " : "",
                       refused != NULL ? refused : "");
            return -1;
        }
        if (now_us >= report_us) {
            progress_line("joining: %llu of %u", (unsigned long long)joined,
                          bench->options.viewers);
            report_us = now_us + 1000000;
        }
        usleep(TICK_US);
    }
    *ret_join_s = (double)(client_now_us() - start_us) / 1e6;
    return 0;
}

struct progress {
    uint64_t received, polls, acknowledged;
};

static struct progress progress_now(const struct bench *bench)
{
    return (struct progress){received(bench), SUM(bench, counts.polls),
                             counter_get(&bench->shared->sends.acknowledged)};
}

static void show_progress(const struct bench *bench, unsigned second, struct progress *last)
{
    struct progress now = progress_now(bench);
    struct histogram latency = {0};
    for (int list = 0; list < LIST_KINDS; list++) merge_latency(bench, list, &latency);
    progress_line("%4u s  sent/s %llu  deliveries/s %llu  polls/s %llu  p50 %.1f ms  p99 %.1f ms",
                  second, (unsigned long long)(now.acknowledged - last->acknowledged),
                  (unsigned long long)(now.received - last->received),
                  (unsigned long long)(now.polls - last->polls),
                  us_to_ms(histogram_quantile(&latency, 0.5)),
                  us_to_ms(histogram_quantile(&latency, 0.99)));
    *last = now;
}

static void measure(const struct bench *bench, const struct children *children,
                    struct bench_result *ret)
{
    struct progress before = progress_now(bench), last = before;
    uint64_t cpu_before_us = 0, cpu_after_us = 0;
    uint32_t pid = bench->options.pid;
    ret->has_server = ret->has_server && process_cpu_us(pid, &cpu_before_us) == 0;
    uint64_t generator_before_us = children_cpu_us(children);
    int64_t start_us = client_now_us();
    set_phase(bench, BENCH_MEASURE);
    for (unsigned second = 1; second <= bench->options.secs; second++) {
        sleep_until(start_us + second * INT64_C(1000000));
        show_progress(bench, second, &last);
    }
    ret->window_s = (double)(client_now_us() - start_us) / 1e6;
    ret->has_server = ret->has_server && process_cpu_us(pid, &cpu_after_us) == 0;
    ret->server_cpu_us = cpu_after_us - cpu_before_us;
    ret->generator_cpu_us = children_cpu_us(children) - generator_before_us;
    ret->deliveries = last.received - before.received;
    ret->polls = last.polls - before.polls;
}

/* Until nothing is missing at any viewer, or the limit. The first reckoning of the viewers takes a
 * moment. */
static void settle(const struct bench *bench)
{
    int64_t limit_us = client_now_us() + bench->options.settle_s * INT64_C(1000000);
    set_phase(bench, BENCH_SETTLE);
    do {
        usleep(200000);
        bool idle = counter_get(&bench->shared->sends.idle) == 1;
        if (idle && missing(bench) == 0) break;
    } while (client_now_us() < limit_us);
    usleep(200000);
}

static void collect(const struct bench *bench, struct bench_result *ret)
{
    for (uint32_t i = 0; i < bench->options.rooms; i++)
        for (int list = 0; list < LIST_KINDS; list++)
            ret->sent += counter_get(&bench->shared->sent[i][list]);
    ret->received = received(bench);
    ret->skipped = SUM(bench, counts.skipped);
    ret->lost[LIST_HIGH] = SUM(bench, missing[LIST_HIGH]);
    ret->lost[LIST_NORMAL] = SUM(bench, missing[LIST_NORMAL]);
    ret->surplus = SUM(bench, surplus[LIST_HIGH]) + SUM(bench, surplus[LIST_NORMAL]);
    ret->repeated = SUM(bench, counts.repeated);
    ret->out_of_order = SUM(bench, counts.out_of_order);
    ret->gaps = SUM(bench, counts.gaps);
    ret->lost_connections = SUM(bench, counts.lost_connections);
    ret->timeouts = SUM(bench, counts.timeouts);
    ret->put_off = SUM(bench, counts.put_off);
    ret->errors = SUM(bench, counts.errors);
    ret->given_up = SUM(bench, counts.given_up);
    ret->sends = &bench->shared->sends;
    for (int list = 0; list < LIST_KINDS; list++) {
        merge_latency(bench, list, &ret->latency[list]);
        histogram_merge(&ret->latency_all, &ret->latency[list]);
    }
    for (uint32_t i = 0; i < bench->processes; i++)
        histogram_merge(&ret->arrival, &bench->shared->viewers[i].arrival);
}

/* ---- the run ----------------------------------------------------------------------- */

static int run_phases(const struct bench *bench, const struct children *children,
                      struct bench_result *ret, struct buf *why)
{
    uint32_t pid = bench->options.pid;
    if (join(bench, &ret->join_s, why) != 0) return -1;
    sleep(bench->options.rest_s);
    ret->has_server = ret->has_server && process_pss_bytes(pid, &ret->pss_parked_bytes) == 0;
    measure(bench, children, ret);
    settle(bench);
    progress_end();
    if (child_has_died()) {
        buf_printf(why, "a process of the bench has died: the numbers would be worth nothing");
        return -1;
    }
    collect(bench, ret);
    return 0;
}

static int run(const struct bench *bench, struct bench_result *ret, struct buf *why)
{
    struct children children = {0};
    int err = -1;
    uint32_t pid = bench->options.pid;
    ret->has_server = pid > 0 && process_pss_bytes(pid, &ret->pss_before_bytes) == 0;
    if (pid > 0 && !ret->has_server) {
        buf_printf(why, "--pid %u: there is no such process, or it is not ours to look at", pid);
        return -1;
    }
    fflush(NULL);
    for (uint32_t i = 0; i < bench->processes; i++)
        children.pid[children.count++] = spawn_viewers(bench, i);
    children.pid[children.count++] = spawn_sends(bench);
    bool all = true;
    for (size_t i = 0; i < children.count; i++) all = all && children.pid[i] > 0;
    if (all)
        err = run_phases(bench, &children, ret, why);
    else
        buf_printf(why, "fork: %s", strerror(errno));
    set_phase(bench, BENCH_DONE);
    for (size_t i = 0; i < children.count; i++)
        if (children.pid[i] > 0) waitpid(children.pid[i], NULL, 0);
    return err;
}

/* ---- set up ------------------------------------------------------------------------ */

static int choose_processes(struct bench *bench, struct buf *why)
{
    const struct bench_options *o = &bench->options;
    uint64_t files = files_raise_limit(), most = VIEWERS_PER_PROCESS;
    if (files < most + FILES_RESERVED) most = files > FILES_RESERVED ? files - FILES_RESERVED : 1;
    uint64_t needed = (o->viewers + most - 1) / most;
    bench->processes = o->processes > 0 ? o->processes : (uint32_t)needed;
    if (o->viewers == 0) bench->processes = 0;
    if (bench->processes >= needed && needed <= BENCH_PROCESSES) return 0;
    buf_printf(why,
               "%u viewers take %llu processes of %llu open files each (ulimit -n): at most %d",
               o->viewers, (unsigned long long)needed, (unsigned long long)files, BENCH_PROCESSES);
    return -1;
}

static int check_options(struct bench_options *o, enum protocol *ret_protocol, struct buf *why)
{
    bool known = strcmp(o->transport, "sse") == 0 || strcmp(o->transport, "ws") == 0;
    if (strcmp(o->transport, "poll") != 0) {
        buf_printf(why,
                   known ? "--transport %s is not there yet: use poll"
                         : "--transport %s: must be poll",
                   o->transport);
        return -1;
    }
    if (!protocol_parse(str_of(o->protocol), ret_protocol)) {
        buf_printf(why, "--protocol %s: must be stoa or nchan", o->protocol);
        return -1;
    }
    if (!room_id_is_valid(str_of(o->room)) || strlen(o->room) > LIMIT_ROOM_ID - 6) {
        buf_printf(why, "--room must be 1-%d of A-Z a-z 0-9 _ . : -", LIMIT_ROOM_ID - 6);
        return -1;
    }
    if (o->senders > 0 && o->viewers == 0) o->rate = 0;
    if (o->viewers > 0 || o->senders > 0 || o->rate > 0) return 0;
    buf_printf(why, "there is nothing to do: give --viewers or --senders");
    return -1;
}

static int prepare(struct bench *bench, struct buf *why)
{
    if (check_options(&bench->options, &bench->protocol, why) != 0) return -1;
    if (choose_processes(bench, why) != 0) return -1;
    if (urls_parse(str_of(bench->options.to), &bench->urls, why) != 0) return -1;

    uint32_t rooms = bench->options.rooms;
    bench->room_text = xcalloc(rooms, sizeof(*bench->room_text));
    bench->rooms = xcalloc(rooms, sizeof(*bench->rooms));
    for (uint32_t i = 0; i < rooms; i++) {
        char *name = bench->room_text[i];
        if (rooms == 1)
            str_copy(str_of(bench->options.room), name, sizeof(*bench->room_text));
        else
            snprintf(name, sizeof(*bench->room_text), "%.*s-%u", LIMIT_ROOM_ID - 6,
                     bench->options.room, i % BENCH_ROOMS);
        bench->rooms[i] = bench->room_text[i];
    }
    bench->shared = mmap(NULL, sizeof(*bench->shared), PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (bench->shared != MAP_FAILED) return 0;
    bench->shared = NULL;
    buf_printf(why, "mmap: %s", strerror(errno));
    return -1;
}

static void deinit(struct bench *bench)
{
    if (bench->shared != NULL) munmap(bench->shared, sizeof(*bench->shared));
    free(bench->room_text);
    free(bench->rooms);
}

static int run_and_report(const struct bench *bench, struct buf *why)
{
    struct bench_result *result = xcalloc(1, sizeof(*result));
    int status = 1;
    if (bench_prepare_rooms(bench, why) == 0 && run(bench, result, why) == 0) {
        if (bench->options.json)
            bench_print_json(bench, result);
        else
            bench_print(bench, result);
        status = result->lost[LIST_HIGH] + result->lost[LIST_NORMAL] + result->repeated +
                     result->out_of_order >
                 0;
    }
    free(result);
    return status;
}

int tool_bench(int argc, char **argv)
{
    struct bench bench = {0};
    struct buf why = {0};
    int status = options_start(&command, argc, argv, &bench.options, sizeof(bench.options), NULL);
    if (status >= 0) return status;
    status = prepare(&bench, &why) == 0 ? run_and_report(&bench, &why) : 2;
    if (why.len > 0) fprintf(stderr, "stoa bench: %.*s\n", STR_ARG(buf_str(&why)));
    deinit(&bench);
    buf_deinit(&why);
    return status;
}
