/* GET /v1/rooms/{room}/viewers and /stats: who was here, and the room's history (key or host). */
#include "api/exchange.h"

#include "base/error.h"

#define TIME_MAX_MS     253402300799999 /* the end of the year 9999 */
#define DEFAULT_SPAN_MS UINT64_C(3600000)
#define STEP_MAX_S      316224000 /* ten years */

static int64_t round_up(int64_t at_ms, int64_t step_ms)
{
    return sample_step(at_ms + step_ms - 1, step_ms);
}

/* from and to of the query; what is not there stays. False: answered already. */
static bool get_window(struct exchange *x, uint64_t *from_ms, uint64_t *to_ms)
{
    if (!exchange_query_u64(x, "from", 0, TIME_MAX_MS, from_ms) ||
        !exchange_query_u64(x, "to", 1, TIME_MAX_MS, to_ms))
        return false;
    if (*from_ms < *to_ms) return true;
    refuse(x, ERR_BAD_REQUEST, "from is before to; both are Unix milliseconds.");
    return false;
}

static struct call *call_of(struct exchange *x, enum call_kind kind)
{
    char key[LIMIT_ROOM_KEY + 1];
    return call_new(kind, exchange_room_key(x, key));
}

/* --- viewers --------------------------------------------------------------------------------- */

/* Without either end it is the room's whole life, which is kept longer than its buckets are. */
void viewers_get(struct exchange *x)
{
    uint64_t from_ms = 0, to_ms = TIME_MAX_MS;
    if (!exchange_identify(x) || !exchange_require(x, ROLE_HOST)) return;
    if (!get_window(x, &from_ms, &to_ms)) return;
    bool is_life = from_ms == 0 && to_ms == TIME_MAX_MS;
    struct call *call = call_of(x, CALL_VIEWERS);
    call->from_ms = viewers_bucket((int64_t)from_ms);
    call->to_ms = is_life ? 0 : round_up((int64_t)to_ms, VIEWERS_BUCKET_MS);
    exchange_call(x, call);
}

void viewers_done(struct api *api, struct call *call)
{
    struct answer_form form = form_unpack(call->variant);
    const struct viewers_count *count = &call->viewers;
    if (call->err != OK) {
        answer_problem(api, call->origin, form, call->err, NULL, call->retry_after_ms);
        return;
    }
    struct buf body = {0};
    buf_printf(&body, "{\"unique\":%llu,\"exact\":%s,\"standard_error\":%.6g}",
               (unsigned long long)count->unique, count->exact ? "true" : "false",
               count->standard_error);
    answer_json(api, call->origin, form, 200, buf_str(&body));
    buf_deinit(&body);
}

/* --- history --------------------------------------------------------------------------------- */

/* Says which step would do. */
static void refuse_points(struct exchange *x, int64_t points, int64_t span_ms)
{
    char why[128];
    int64_t step_ms = round_up((span_ms + LIMIT_POINTS - 1) / LIMIT_POINTS, SAMPLE_MS);
    snprintf(why, sizeof why, "That would be %lld points, at most %d: raise step_s to %lld.",
             (long long)points, LIMIT_POINTS, (long long)step_ms / 1000);
    refuse(x, ERR_BAD_REQUEST, why);
}

static bool get_step(struct exchange *x, uint64_t *step_s)
{
    if (!exchange_query_u64(x, "step_s", 60, STEP_MAX_S, step_s)) return false;
    if (*step_s % 60 == 0) return true;
    refuse(x, ERR_BAD_REQUEST, "step_s is a multiple of 60.");
    return false;
}

/* Steps begin at multiples of step_s, so that the same ones are asked for again and again. */
void stats_get(struct exchange *x)
{
    uint64_t to_ms = (uint64_t)x->now_ms, step_s = 60;
    if (!exchange_identify(x) || !exchange_require(x, ROLE_HOST)) return;
    if (!exchange_query_u64(x, "to", 1, TIME_MAX_MS, &to_ms)) return;
    uint64_t from_ms = to_ms > DEFAULT_SPAN_MS ? to_ms - DEFAULT_SPAN_MS : 0;
    if (!get_window(x, &from_ms, &to_ms) || !get_step(x, &step_s)) return;
    int64_t step_ms = (int64_t)step_s * 1000;
    int64_t first_ms = sample_step((int64_t)from_ms, step_ms);
    int64_t last_ms = round_up((int64_t)to_ms, step_ms);
    int64_t points = (last_ms - first_ms) / step_ms;
    /* Both ends are rounded outwards; what they add is not the asker's. */
    if (points > LIMIT_POINTS + 1) {
        refuse_points(x, points, (int64_t)(to_ms - from_ms));
        return;
    }
    struct call *call = call_of(x, CALL_SAMPLES);
    call->from_ms = first_ms;
    call->to_ms = last_ms;
    call->step_ms = step_ms;
    call->asked_ms = x->now_ms;
    call->limit = LIMIT_POINTS + 1;
    exchange_call(x, call);
}

/* How much of a point's stretch is over: an average is over that. A sample that was thinned may be
 * longer than the step. */
static int64_t counted_ms(const struct sample *sample, int64_t step_ms, int64_t asked_ms)
{
    int64_t at_ms = sample_step(sample->at_ms, step_ms);
    int64_t over_ms = sample_step(asked_ms, SAMPLE_MS), end_ms = sample->at_ms + sample->span_ms;
    if (over_ms > at_ms + step_ms) over_ms = at_ms + step_ms;
    return (end_ms > over_ms ? end_ms : over_ms) - at_ms;
}

static void write_point(struct buf *body, const struct sample *sample, int64_t step_ms,
                        int64_t asked_ms)
{
    int64_t span_ms = sample->span_ms > step_ms ? sample->span_ms : step_ms;
    uint64_t messages = sample->messages[LIST_HIGH] + sample->messages[LIST_NORMAL];
    buf_printf(body, "{\"at\":%lld,\"span_s\":%lld", (long long)sample_step(sample->at_ms, step_ms),
               (long long)span_ms / 1000);
    buf_printf(body, ",\"online_avg\":%.2f,\"online_peak\":%llu,\"joins\":%llu",
               (double)sample->online_ms / (double)counted_ms(sample, step_ms, asked_ms),
               (unsigned long long)sample->online_peak, (unsigned long long)sample->joins);
    buf_printf(body, ",\"messages\":%llu,\"high\":%llu,\"unique\":%llu}",
               (unsigned long long)messages, (unsigned long long)sample->messages[LIST_HIGH],
               (unsigned long long)sample->unique);
}

void stats_done(struct api *api, struct call *call)
{
    struct answer_form form = form_unpack(call->variant);
    if (call->err != OK) {
        answer_problem(api, call->origin, form, call->err, NULL, call->retry_after_ms);
        return;
    }
    struct buf body = {0};
    buf_add_lit(&body, "{\"points\":[");
    for (uint32_t i = 0; i < call->sample_count; i++) {
        if (i > 0) buf_add_char(&body, ',');
        write_point(&body, &call->samples[i], call->step_ms, call->asked_ms);
    }
    buf_add_lit(&body, "]}");
    answer_json(api, call->origin, form, 200, buf_str(&body));
    buf_deinit(&body);
}
