/* Bodies out of any bytes: what is taken comes out as JSON that is taken again, and comes out the
 * same. */
#include "base/assert.h"
#include "base/limit.h"
#include "http/json_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void try_getters(struct json_reader *r)
{
    struct str text = STR_NONE;
    uint32_t number = 0;
    int64_t large = 0;

    json_get_str(r, "type", LIMIT_TYPE, &text);
    ASSERT(text.len <= LIMIT_TYPE && str_is_utf8(text));
    json_get_str_or_null(r, "sect", LIMIT_SECT, &text);
    json_get_u32(r, "slow_mode_s", 3600, &number);
    ASSERT(number <= 3600);
    json_get_i64(r, "exp", INT64_MAX, &large);
    ASSERT(large >= 0);
}

/* Appends {"body":…}, of another body's member of that name. False if it has none. */
static bool rewrite(struct str body, struct buf *ret)
{
    struct json_reader r;

    if (json_reader_init(&r, body) != 0) return false;
    try_getters(&r);
    buf_add_lit(ret, "{\"body\":");
    bool has_body = json_get_any(&r, "body", ret);
    buf_add_char(ret, '}');
    json_reader_deinit(&r);
    return has_body;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct buf once = {0}, twice = {0};

    if (rewrite(str_make((const char *)bytes, len), &once)) {
        ASSERT(rewrite(buf_str(&once), &twice));
        ASSERT(str_eq(buf_str(&once), buf_str(&twice)));
    }
    buf_deinit(&once);
    buf_deinit(&twice);
    return 0;
}
