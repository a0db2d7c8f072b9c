/* What a bench found, for people and as JSON. */
#include "tool/bench.h"

#include "tool/table.h"

#define ULL(n) (unsigned long long)(n)

static double per(double amount, double of)
{
    return of > 0 ? amount / of : 0;
}

static double cpu_us_per_delivery(const struct bench_result *r)
{
    return per((double)r->server_cpu_us, (double)r->deliveries);
}

static double cpu_us_per_send(const struct bench_result *r)
{
    return per((double)r->server_cpu_us, (double)r->sent);
}

static double bytes_per_viewer(const struct bench *bench, const struct bench_result *r)
{
    double grown = (double)r->pss_parked_bytes - (double)r->pss_before_bytes;
    return per(grown, bench->options.viewers);
}

static uint64_t lost(const struct bench_result *r)
{
    return r->lost[LIST_HIGH] + r->lost[LIST_NORMAL];
}

/* How many cores our processes kept busy. */
static double generator_busy(const struct bench_result *r)
{
    return per((double)r->generator_cpu_us, r->window_s * 1e6);
}

/* ---- for people -------------------------------------------------------------------- */

static void print_latency(const char *name, const struct histogram *h)
{
    if (h->count == 0) return;
    printf("%-22s p50 %.1f  p90 %.1f  p99 %.1f  p99.9 %.1f  max %.1f ms\n", name,
           us_to_ms(histogram_quantile(h, 0.5)), us_to_ms(histogram_quantile(h, 0.9)),
           us_to_ms(histogram_quantile(h, 0.99)), us_to_ms(histogram_quantile(h, 0.999)),
           us_to_ms(h->max));
}

static void print_sends(const struct bench_result *r)
{
    const struct bench_sends *s = r->sends;
    printf("%-22s %llu, %.0f/s", "sent", ULL(r->sent), per((double)r->sent, r->window_s));
    printf("  (late %llu, put off %llu, errors %llu, connections lost %llu)\n",
           ULL(counter_get(&s->late)), ULL(counter_get(&s->put_off)), ULL(counter_get(&s->errors)),
           ULL(counter_get(&s->lost_connections)));
    if (s->refused[0] != '\0') printf("%-22s %s\n", "last refusal", s->refused);
    print_latency("acknowledged after", &s->latency);
}

static void print_viewers(const struct bench *bench, const struct bench_result *r)
{
    if (bench->options.viewers == 0) return;
    printf("%-22s %.1f s\n", "join time", r->join_s);
    printf("%-22s %llu, %.0f/s\n", "deliveries", ULL(r->deliveries),
           per((double)r->deliveries, r->window_s));
    printf("%-22s %llu, %.0f/s\n", "polls", ULL(r->polls), per((double)r->polls, r->window_s));
    print_latency("delivered after", &r->latency_all);
    print_latency("  at the socket after", &r->arrival);
    if (bench->options.high_every > 0) {
        print_latency("  high ones", &r->latency[LIST_HIGH]);
        print_latency("  normal ones", &r->latency[LIST_NORMAL]);
    }
    printf("%-22s received %llu  skipped %llu  lost %llu  repeated %llu  out of order %llu\n",
           "accounted for", ULL(r->received), ULL(r->skipped), ULL(lost(r)), ULL(r->repeated),
           ULL(r->out_of_order));
    if (r->lost[LIST_HIGH] > 0) printf("%-22s %llu\n", "  high ones lost", ULL(r->lost[LIST_HIGH]));
    printf("%-22s gaps %llu  surplus %llu  connections lost %llu  put off %llu  errors %llu  "
           "timeouts %llu\n",
           "", ULL(r->gaps), ULL(r->surplus), ULL(r->lost_connections), ULL(r->put_off),
           ULL(r->errors), ULL(r->timeouts));
}

static void print_generator(const struct bench *bench, const struct bench_result *r)
{
    printf("%-22s %.1f %% of a core, in %u processes\n", "load generator's CPU",
           generator_busy(r) * 100, bench->processes + 1);
}

static void print_server(const struct bench *bench, const struct bench_result *r)
{
    if (!r->has_server) return;
    printf("%-22s %.1f %% of a core", "server CPU", (double)r->server_cpu_us / r->window_s / 1e4);
    if (r->deliveries > 0) printf(", %.2f us per delivery", cpu_us_per_delivery(r));
    if (bench->options.senders > 0) printf(", %.1f us per send", cpu_us_per_send(r));
    printf("\n");
    if (bench->options.viewers > 0)
        printf("%-22s %.0f bytes per parked viewer (PSS %.1f -> %.1f MiB)\n", "server memory",
               bytes_per_viewer(bench, r), (double)r->pss_before_bytes / 1048576,
               (double)r->pss_parked_bytes / 1048576);
}

void bench_print(const struct bench *bench, const struct bench_result *r)
{
    const struct bench_options *o = &bench->options;
    printf("%u viewers in %u rooms, %g messages/s each, %u senders, %u bytes, %.1f s, %s\n\n",
           o->viewers, o->rooms, o->rate, o->senders, o->size_bytes, r->window_s, o->transport);
    print_viewers(bench, r);
    print_sends(r);
    print_server(bench, r);
    print_generator(bench, r);
}

/* ---- as JSON ----------------------------------------------------------------------- */

static void write_setting(const struct bench *bench, struct buf *out)
{
    const struct bench_options *o = &bench->options;
    buf_printf(out,
               "{\"protocol\":\"%s\",\"high_every\":%u,\"transport\":\"%s\",\"viewers\":%u,"
               "\"rooms\":%u,\"rate\":%g,\"senders\":%u,"
               "\"size\":%u,\"processes\":%u,",
               o->protocol, o->high_every, o->transport, o->viewers, o->rooms, o->rate, o->senders,
               o->size_bytes, bench->processes);
}

static void write_viewers(const struct bench_result *r, struct buf *out)
{
    buf_printf(out,
               "\"window_s\":%.3f,\"join_s\":%.3f,\"deliveries\":%llu,\"deliveries_per_s\":%.1f,"
               "\"polls\":%llu,\"polls_per_s\":%.1f,\"latency_ms\":",
               r->window_s, r->join_s, ULL(r->deliveries), per((double)r->deliveries, r->window_s),
               ULL(r->polls), per((double)r->polls, r->window_s));
    latency_write_json(out, &r->latency_all);
    buf_add_lit(out, ",\"arrival_ms\":");
    latency_write_json(out, &r->arrival);
    buf_add_lit(out, ",\"latency_high_ms\":");
    latency_write_json(out, &r->latency[LIST_HIGH]);
    buf_add_lit(out, ",\"latency_normal_ms\":");
    latency_write_json(out, &r->latency[LIST_NORMAL]);
    buf_printf(out,
               ",\"received\":%llu,\"skipped\":%llu,\"lost\":%llu,\"lost_high\":%llu,\"surplus\":%"
               "llu,\"repeated\":%llu,"
               "\"out_of_order\":%llu,\"gaps\":%llu,\"lost_connections\":%llu,\"timeouts\":%llu,"
               "\"put_off\":%llu,\"errors\":%llu,\"given_up\":%llu,",
               ULL(r->received), ULL(r->skipped), ULL(lost(r)), ULL(r->lost[LIST_HIGH]),
               ULL(r->surplus), ULL(r->repeated), ULL(r->out_of_order), ULL(r->gaps),
               ULL(r->lost_connections), ULL(r->timeouts), ULL(r->put_off), ULL(r->errors),
               ULL(r->given_up));
}

static void write_sends(const struct bench_result *r, struct buf *out)
{
    const struct bench_sends *s = r->sends;
    buf_printf(out, "\"sent\":%llu,\"sent_per_s\":%.1f,\"ack_ms\":", ULL(r->sent),
               per((double)r->sent, r->window_s));
    latency_write_json(out, &s->latency);
    buf_printf(out,
               ",\"late\":%llu,\"sends_put_off\":%llu,\"send_errors\":%llu,"
               "\"send_connections_lost\":%llu",
               ULL(counter_get(&s->late)), ULL(counter_get(&s->put_off)),
               ULL(counter_get(&s->errors)), ULL(counter_get(&s->lost_connections)));
}

static void write_server(const struct bench *bench, const struct bench_result *r, struct buf *out)
{
    if (!r->has_server) return;
    buf_printf(out,
               ",\"server\":{\"cpu_us\":%llu,\"cpu_us_per_delivery\":%.3f,\"cpu_us_per_send\":%.3f,"
               "\"pss_before_bytes\":%llu,\"pss_parked_bytes\":%llu,\"bytes_per_viewer\":%.1f}",
               ULL(r->server_cpu_us), cpu_us_per_delivery(r), cpu_us_per_send(r),
               ULL(r->pss_before_bytes), ULL(r->pss_parked_bytes), bytes_per_viewer(bench, r));
}

void bench_print_json(const struct bench *bench, const struct bench_result *r)
{
    struct buf out = {0};
    write_setting(bench, &out);
    write_viewers(r, &out);
    write_sends(r, &out);
    buf_printf(&out, ",\"generator_busy\":%.3f", generator_busy(r));
    write_server(bench, r, &out);
    buf_add_char(&out, '}');
    printf("%.*s\n", STR_ARG(buf_str(&out)));
    buf_deinit(&out);
}
