#include "store/sketch.h"

#include <string.h>

#include "base/alloc.h"

#define ITEM_BYTES ((size_t)4)
#define ITEMS_MAX  2048 /* of a list, core/hll.h says */
#define RANK_MAX   (64 - HLL_BITS + 1)

void sketch_pack(const struct hll *sketch, struct buf *ret)
{
    buf_clear(ret);
    if (sketch->dense != NULL) {
        buf_reserve(ret, HLL_DENSE_BYTES);
        hll_write(sketch, (uint8_t *)ret->ptr);
        ret->len = HLL_DENSE_BYTES;
        return;
    }
    for (uint32_t i = 0; i < sketch->sparse_count; i++)
        for (int shift = 0; shift < 32; shift += 8)
            buf_add_char(ret, (char)(sketch->sparse[i] >> shift & 0xff));
}

static uint32_t item_at(const char *bytes)
{
    uint32_t item = 0;

    for (int i = 3; i >= 0; i--) item = item << 8 | (unsigned char)bytes[i];
    return item;
}

/* The file is open to its owner: what is out of order or out of range is not taken in. */
static bool is_item(uint32_t item, uint32_t before)
{
    uint32_t rank = item & 0xff;

    return item >> 8 < HLL_REGISTERS && rank > 0 && rank <= RANK_MAX &&
           (before == 0 || item >> 8 > before >> 8);
}

bool sketch_unpack(struct str bytes, struct hll *ret_sketch)
{
    struct hll sketch = {0};
    uint32_t before = 0;

    if (bytes.len == HLL_DENSE_BYTES) return hll_read(ret_sketch, bytes);
    if (bytes.len % ITEM_BYTES != 0 || bytes.len > ITEMS_MAX * ITEM_BYTES) return false;
    if (bytes.len == 0) return true;
    sketch.sparse_count = sketch.sparse_cap = (uint32_t)(bytes.len / ITEM_BYTES);
    sketch.sparse = xmalloc(sketch.sparse_count * sizeof(*sketch.sparse));
    for (uint32_t i = 0; i < sketch.sparse_count; i++) {
        sketch.sparse[i] = item_at(bytes.ptr + i * ITEM_BYTES);
        if (!is_item(sketch.sparse[i], before)) {
            hll_deinit(&sketch);
            return false;
        }
        before = sketch.sparse[i];
    }
    *ret_sketch = sketch;
    return true;
}

/* --- as Redis has it ------------------------------------------------------------------------- */

/* Six bits each, lowest bit first (core/hll.h). */
static void set_register(uint8_t *dense, uint32_t index, uint32_t value)
{
    size_t at = HLL_HEADER_BYTES + index * 6 / 8;
    uint32_t shift = index * 6 & 7;

    dense[at] |= (uint8_t)(value << shift);
    if (shift > 2) dense[at + 1] |= (uint8_t)(value >> (8 - shift));
}

/* One code of Redis's sparse form (its hyperloglog.c): a run of registers with the same value. How many
 * bytes it takes. 0: there are not that many. */
static size_t read_run(struct str codes, uint32_t *ret_len, uint32_t *ret_value)
{
    uint8_t code = (uint8_t)codes.ptr[0];

    *ret_value = 0;
    switch (code >> 6) {
    case 0: *ret_len = (code & 0x3fu) + 1; return 1; /* 00llllll: zeros */
    case 1:                                          /* 01llllll llllllll: more zeros */
        if (codes.len < 2) return 0;
        *ret_len = ((code & 0x3fu) << 8 | (uint8_t)codes.ptr[1]) + 1;
        return 2;
    default: /* 1vvvvvll: a value */
        *ret_value = (code >> 2 & 0x1fu) + 1;
        *ret_len = (code & 3u) + 1;
        return 1;
    }
}

static bool unfold(struct str codes, uint8_t *dense)
{
    uint32_t index = 0, len, value;

    while (codes.len > 0) {
        size_t used = read_run(codes, &len, &value);
        if (used == 0 || len > HLL_REGISTERS - index) return false;
        for (uint32_t i = 0; value > 0 && i < len; i++) set_register(dense, index + i, value);
        index += len;
        codes = str_make(codes.ptr + used, codes.len - used);
    }
    return index == HLL_REGISTERS;
}

bool sketch_read_redis(struct str bytes, struct hll *ret_sketch)
{
    uint8_t dense[HLL_DENSE_BYTES + 1] = "HYLL"; /* encoding 0: dense */

    if (bytes.len < HLL_HEADER_BYTES || memcmp(bytes.ptr, "HYLL", 4) != 0) return false;
    if (bytes.ptr[4] == 0) return hll_read(ret_sketch, bytes);
    if (bytes.ptr[4] != 1) return false;
    dense[15] = 0x80; /* what Redis has counted is not in it */
    struct str codes = str_make(bytes.ptr + HLL_HEADER_BYTES, bytes.len - HLL_HEADER_BYTES);
    return unfold(codes, dense) &&
           hll_read(ret_sketch, str_make((const char *)dense, HLL_DENSE_BYTES));
}
