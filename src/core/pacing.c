#include "core/pacing.h"

#include <math.h>

#include "base/assert.h"

/* One "AUDIENCE:MS". */
static bool parse_point(struct str text, struct pace_point *ret)
{
    struct str ms_text;
    uint64_t ms;
    struct str audience = str_split(text, ':', &ms_text);
    if (!str_parse_u64(audience, &ret->audience) || !str_parse_u64(ms_text, &ms)) return false;
    if (ret->audience == 0 || ms > 60000) return false;
    ret->interval_ms = (uint32_t)ms;
    return true;
}

static bool rises(const struct pace_config *config, const struct pace_point *next)
{
    if (config->count == 0) return true;
    const struct pace_point *last = &config->points[config->count - 1];
    return next->audience > last->audience && next->interval_ms >= last->interval_ms;
}

bool pace_table_parse(struct str text, struct pace_config *ret_config)
{
    struct pace_config config = {.is_on = ret_config->is_on};
    for (struct str rest = str_trim(text), word; rest.len > 0; rest = str_trim(rest)) {
        struct pace_point point;
        word = str_split(rest, ' ', &rest);
        if (config.count == PACE_POINTS || !parse_point(word, &point) || !rises(&config, &point))
            return false;
        config.points[config.count++] = point;
    }
    if (config.count == 0) return false;
    *ret_config = config;
    return true;
}

struct pace_config pace_config_default(void)
{
    struct pace_config config = {.is_on = true};
    bool is_table = pace_table_parse(STR(PACE_TABLE_DEFAULT), &config);
    ASSERT(is_table);
    return config;
}

static uint32_t between(const struct pace_point *a, const struct pace_point *b, uint64_t audience)
{
    double part = log((double)audience / (double)a->audience) /
                  log((double)b->audience / (double)a->audience);
    return a->interval_ms + (uint32_t)lround(part * (b->interval_ms - a->interval_ms));
}

uint32_t pace_by_audience(const struct pace_config *config, uint64_t audience)
{
    if (!config->is_on || config->count == 0 || audience < config->points[0].audience) return 0;
    for (uint32_t i = 1; i < config->count; i++)
        if (audience < config->points[i].audience)
            return between(&config->points[i - 1], &config->points[i], audience);
    return config->points[config->count - 1].interval_ms;
}

#define PART_OF_THE_WAY 0.5
#define GROWTH          1.6 /* when all that is known is that it is too much */

static double change(uint32_t share)
{
    if (share >= PACE_FULL_PERMILLE) return GROWTH;
    return 1.0 + PART_OF_THE_WAY * ((double)share / PACE_TARGET - 1.0);
}

static uint32_t next_interval(uint32_t interval_ms, uint32_t share)
{
    double wanted = interval_ms * change(share);
    if (share > PACE_BUSY_PERMILLE)
        return wanted < PACE_LOAD_FIRST_MS ? PACE_LOAD_FIRST_MS
               : wanted > PACE_LOAD_MAX_MS ? PACE_LOAD_MAX_MS
                                           : (uint32_t)ceil(wanted);
    if (share >= PACE_CALM_PERMILLE) return interval_ms;
    if (wanted >= PACE_LOAD_FIRST_MS) return (uint32_t)wanted;
    if (share < PACE_REST_PERMILLE) return 0;
    return interval_ms < PACE_LOAD_FIRST_MS ? interval_ms : PACE_LOAD_FIRST_MS;
}

/* A round of all clients. In an overload they do not come back, and its end is to be seen soon. */
static int64_t step_ms(const struct pace_load *load)
{
    bool is_round = load->interval_ms > PACE_STEP_MS && !pace_load_is_over(load);
    return is_round ? load->interval_ms : PACE_STEP_MS;
}

bool pace_load_step(struct pace_load *load, uint64_t busy_us, int64_t now_ms)
{
    int64_t passed_ms = now_ms - load->last_ms;
    bool is_first = load->last_ms == 0 || passed_ms < 0; /* or the clock was set back */
    if (!is_first && passed_ms < step_ms(load)) return false;
    /* The difference of two clocks: it may step back by what they are apart. */
    uint64_t busy = busy_us > load->last_busy_us ? busy_us - load->last_busy_us : 0;
    load->last_ms = now_ms;
    load->last_busy_us = busy_us;
    if (is_first) return false;
    uint64_t share = busy / (uint64_t)passed_ms; /* us per ms: already in thousandths */
    load->share_permille = share > 1000 ? 1000 : (uint32_t)share;
    load->interval_ms = next_interval(load->interval_ms, load->share_permille);
    return true;
}

bool pace_load_is_over(const struct pace_load *load)
{
    return load->interval_ms >= PACE_LOAD_MAX_MS && load->share_permille > PACE_BUSY_PERMILLE;
}
