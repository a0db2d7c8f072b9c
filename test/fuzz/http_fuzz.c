/* Requests out of any bytes, one after the other as on a connection: the outcome is the same
 * however they are split, and within the limits. */
#include "base/assert.h"
#include "base/limit.h"
#include "unit/http_outcome.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_limits(const struct outcome *whole, struct str bytes)
{
    struct http_reader *r = http_reader_new();
    size_t used = 0;

    if (http_reader_feed(r, bytes, &used) == HTTP_COMPLETE) {
        const struct http_request *q = http_reader_request(r);
        ASSERT(used == whole->used && used > 0);
        ASSERT(q->path.len > 0 && (q->path.ptr[0] == '/' || q->method == HTTP_OPTIONS));
        ASSERT(q->path.len + q->query.len + q->host.len < LIMIT_REQUEST_LINE + LIMIT_HEADER_BYTES);
        ASSERT(q->body.len <= LIMIT_BODY_BYTES);
        ASSERT(memchr(q->path.ptr, '\0', q->path.len) == NULL);
    }
    http_reader_free(r);
}

static void check_split(const struct outcome *whole, struct str bytes, size_t first, size_t pieces)
{
    struct outcome split = outcome_of(bytes, first, pieces);

    ASSERT(outcome_eq(whole, &split));
    outcome_deinit(&split);
}

/* Returns how many bytes the first request took, 0 if there is none. */
static size_t check_request(struct str bytes)
{
    struct outcome whole = outcome_of(bytes, bytes.len, bytes.len);
    size_t at = 1 + (unsigned char)bytes.ptr[bytes.len - 1] % bytes.len;
    size_t used = whole.result == HTTP_COMPLETE ? whole.used : 0;

    check_split(&whole, bytes, 1, 1);
    check_split(&whole, bytes, at, bytes.len);
    check_split(&whole, bytes, bytes.len / 2 + 1, 7);
    check_limits(&whole, bytes);
    outcome_deinit(&whole);
    return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str rest = str_make((const char *)bytes, len);

    while (rest.len > 0) {
        size_t used = check_request(rest);
        if (used == 0) break;
        rest = str_make(rest.ptr + used, rest.len - used);
    }
    return 0;
}
