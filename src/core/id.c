#include "core/id.h"

#include <inttypes.h>

#include "base/assert.h"
#include "base/error.h"

#define ID_SEQ_MASK ((1u << ID_SEQ_BITS) - 1)
#define ID_MS_MAX   (UINT64_MAX >> ID_SEQ_BITS)

/* When n is used up within one millisecond, last + 1 carries into the milliseconds: the id then
 * runs ahead of the clock, which is harmless, because only its order is ever relied on. */
uint64_t id_next(uint64_t last, int64_t now_ms)
{
    ASSERT(last < UINT64_MAX);
    uint64_t now = now_ms > 0 ? (uint64_t)now_ms << ID_SEQ_BITS : 0;
    return now > last ? now : last + 1;
}

int64_t id_ms(uint64_t id)
{
    return (int64_t)(id >> ID_SEQ_BITS);
}

size_t id_format(uint64_t id, char ret_text[ID_TEXT_MAX])
{
    int len = snprintf(ret_text, ID_TEXT_MAX, "%" PRIu64 "-%" PRIu64, id >> ID_SEQ_BITS,
                       id & ID_SEQ_MASK);
    ASSERT(len > 0 && len < ID_TEXT_MAX);
    return (size_t)len;
}

/* Decimal without leading zeros, so that an id has one text. */
static bool parse_part(struct str text, uint64_t max, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (text.len > 1 && text.ptr[0] == '0') return false;
    if (!str_parse_u64(text, &value) || value > max) return false;
    *ret_value = value;
    return true;
}

int id_parse(struct str text, uint64_t *ret_id)
{
    uint64_t ms = 0, seq = 0;
    struct str rest;
    struct str head = str_split(text, '-', &rest);

    if (!parse_part(head, ID_MS_MAX, &ms)) return ERR_BAD_REQUEST;
    if (!parse_part(rest, ID_SEQ_MASK, &seq)) return ERR_BAD_REQUEST;
    *ret_id = ms << ID_SEQ_BITS | seq;
    return 0;
}
