#include "tool/replay.h"

#include "tool/table.h"

#define ULL(n) (unsigned long long)(n)

static const char *const list_names[LIST_KINDS] = {[LIST_HIGH] = "high", [LIST_NORMAL] = "normal"};

/* Nobody but us may have written for received and skipped to add up to what was sent. */
static void add_viewer(struct replay_list_sums *sums, const struct viewer_tally *tally,
                       enum list_kind list, bool alone)
{
    uint64_t skipped = list == LIST_NORMAL ? tally->skipped : 0;
    uint64_t accounted = tally->received[list] + skipped;
    sums->received += tally->received[list];
    sums->skipped += skipped;
    sums->repeated += tally->repeated[list];
    sums->out_of_order += tally->out_of_order[list];
    if (accounted < sums->sent) sums->lost += sums->sent - accounted;
    if (accounted > sums->sent && alone) sums->surplus += accounted - sums->sent;
}

void replay_result_make(const struct audience *audience, const struct sender *sender,
                        const struct histogram *latency, struct replay_result *ret)
{
    const struct audience_counts *counts = audience->config.counts;
    const struct sent *sent = sender->config.sent;
    *ret = (struct replay_result){
        .latency = latency,
        .start_us = sender->start_us,
        .viewers = audience->count,
        .speed = sender->config.speed,
        .seconds = (double)(client_now_us() - sender->start_us) / 1e6,
        .gaps = counter_get(&counts->gaps),
        .lost_connections = counter_get(&counts->lost_connections),
        .put_off = counter_get(&counts->put_off),
        .timeouts = counter_get(&counts->timeouts),
        .errors = counter_get(&counts->errors),
        .given_up = counter_get(&counts->given_up),
        .wrong_content = sent->wrong_content,
        .stored_twice = sent->stored_twice,
        .foreign = sent->foreign,
        .retries = sender->retries,
        .refused = sender->refused,
    };
    for (int list = 0; list < LIST_KINDS; list++) {
        ret->list[list].sent = sent->list[list].count;
        for (uint32_t i = 0; i < audience->count; i++)
            add_viewer(&ret->list[list], &audience->viewers[i].tally, (enum list_kind)list,
                       sent->foreign == 0);
    }
}

bool replay_result_is_good(const struct replay_result *r)
{
    for (int i = 0; i < LIST_KINDS; i++) {
        const struct replay_list_sums *l = &r->list[i];
        if (l->lost + l->repeated + l->out_of_order + l->surplus > 0) return false;
    }
    return r->wrong_content + r->stored_twice + r->refused + r->given_up == 0;
}

static void print_list(const struct replay_result *r, int list, FILE *out)
{
    const struct replay_list_sums *l = &r->list[list];
    const struct histogram *h = &r->latency[list];
    fprintf(out, "%-8s%9llu%12llu%12llu%8llu%10llu%14llu%10.1f%10.1f%10.1f\n", list_names[list],
            ULL(l->sent), ULL(l->received), ULL(l->skipped), ULL(l->lost), ULL(l->repeated),
            ULL(l->out_of_order), us_to_ms(histogram_quantile(h, 0.5)),
            us_to_ms(histogram_quantile(h, 0.99)), us_to_ms(h->max));
}

static void print_note(FILE *out, uint64_t count, const char *text)
{
    if (count > 0) fprintf(out, "%12llu  %s\n", ULL(count), text);
}

/* How long until something that was sent after the mark was at the first viewer, half of them, all. */
static void print_marks(const struct replay_result *r, FILE *out)
{
    for (size_t i = 0; r->marks != NULL && i < r->marks->count; i++) {
        const struct mark *mark = &r->marks->mark[i];
        const struct histogram *h = &mark->reached;
        fprintf(out,
                "mark at %.1f s: next message at the first viewer after %.0f ms, at half %.0f, "
                "at the last %.0f; %llu viewers\n",
                (double)(mark->at_us - r->start_us) / 1e6, us_to_ms((uint64_t)mark->first_us),
                us_to_ms(histogram_quantile(h, 0.5)), us_to_ms(h->max), ULL(h->count));
    }
}

void replay_result_print(const struct replay_result *r, FILE *out)
{
    fprintf(out, "%u viewers, %.1f s at speed %g\n\n", r->viewers, r->seconds, r->speed);
    fprintf(out, "%-8s%9s%12s%12s%8s%10s%14s%10s%10s%10s\n", "list", "sent", "received", "skipped",
            "lost", "repeated", "out of order", "p50 ms", "p99 ms", "max ms");
    for (int i = 0; i < LIST_KINDS; i++) print_list(r, i, out);
    fprintf(out, "\n");
    print_marks(r, out);
    print_note(out, r->list[LIST_NORMAL].surplus + r->list[LIST_HIGH].surplus,
               "accounted for beyond what was sent");
    print_note(out, r->wrong_content, "received with another content than was sent");
    print_note(out, r->stored_twice, "messages stored twice");
    print_note(out, r->refused, "messages refused for good");
    print_note(out, r->given_up, "viewers refused for good");
    print_note(out, r->gaps, "answers that told of a gap");
    print_note(out, r->foreign, "received that others sent into the room");
    print_note(out, r->retries, "sends repeated with their key");
    print_note(out, r->lost_connections, "connections of viewers lost, and made anew");
    print_note(out, r->put_off, "polls put off by 429 or 503");
    print_note(out, r->timeouts, "polls not answered in time");
    print_note(out, r->errors, "polls answered with an error");
    fprintf(out, "%s\n",
            replay_result_is_good(r) ? "ok: every viewer accounts for every message" : "FAILED");
}

static void write_list(const struct replay_result *r, int list, struct buf *out)
{
    const struct replay_list_sums *l = &r->list[list];
    buf_printf(out,
               "\"%s\":{\"sent\":%llu,\"received\":%llu,\"skipped\":%llu,\"lost\":%llu,"
               "\"repeated\":%llu,\"out_of_order\":%llu,\"surplus\":%llu,\"latency_ms\":",
               list_names[list], ULL(l->sent), ULL(l->received), ULL(l->skipped), ULL(l->lost),
               ULL(l->repeated), ULL(l->out_of_order), ULL(l->surplus));
    latency_write_json(out, &r->latency[list]);
    buf_add_char(out, '}');
}

void replay_result_write_json(const struct replay_result *r, struct buf *out)
{
    buf_printf(out, "{\"ok\":%s,\"viewers\":%u,\"speed\":%g,\"seconds\":%.3f,\"lists\":{",
               replay_result_is_good(r) ? "true" : "false", r->viewers, r->speed, r->seconds);
    write_list(r, LIST_HIGH, out);
    buf_add_char(out, ',');
    write_list(r, LIST_NORMAL, out);
    buf_printf(out,
               "},\"wrong_content\":%llu,\"stored_twice\":%llu,\"foreign\":%llu,\"gaps\":%llu,"
               "\"refused\":%llu,\"given_up\":%llu,\"retries\":%llu,\"lost_connections\":%llu,"
               "\"put_off\":%llu,\"timeouts\":%llu,\"errors\":%llu,\"marks\":",
               ULL(r->wrong_content), ULL(r->stored_twice), ULL(r->foreign), ULL(r->gaps),
               ULL(r->refused), ULL(r->given_up), ULL(r->retries), ULL(r->lost_connections),
               ULL(r->put_off), ULL(r->timeouts), ULL(r->errors));
    if (r->marks != NULL)
        marks_write_json(r->marks, r->start_us, out);
    else
        buf_add_lit(out, "[]");
    buf_add_char(out, '}');
}
