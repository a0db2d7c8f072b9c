/* JSON in, on jansson: one object per body, with errors that say which member is wrong.
 *
 * Refuses duplicate members, trailing bytes, bad UTF-8, \u0000, numbers that do not fit 64 bits,
 * and nesting beyond LIMIT_JSON_DEPTH. Unknown members are ignored. A getter on a member that is
 * absent leaves *ret as it was; of a wrong type or out of range it notes the first such error in
 * the reader, which json_reader_error() tells at the end.
 *
 * Any thread, each with its own reader; but json_reader_seed() comes before the threads. */
#ifndef STOA_HTTP_JSON_READ_H
#define STOA_HTTP_JSON_READ_H

#include "base/buf.h"

struct json_t;

struct json_reader {
    struct json_t *root; /* owned */
    int err;
    char why[160]; /* for the problem's detail */
};

/* Seeds the hash of object members for the process (jansson would do it at the first object, racing
 * with itself). 0 takes a random seed. */
void json_reader_seed(size_t seed);
/* 0, ERR_BAD_JSON, ERR_BAD_UTF8; after an error why is set, and there is nothing to free. An empty
 * body is an empty object. */
int json_reader_init(struct json_reader *r, struct str body);
void json_reader_deinit(struct json_reader *r);
bool json_reader_has(const struct json_reader *r, const char *member);
void json_get_str(struct json_reader *r, const char *member, size_t max_bytes,
                  struct str *ret); /* borrowed from r */
void json_get_u32(struct json_reader *r, const char *member, uint32_t max, uint32_t *ret);
/* A whole number from 0 to max, written as one: 1.0 and 1e3 are refused. */
void json_get_i64(struct json_reader *r, const char *member, int64_t max, int64_t *ret);
/* Appends the member's value, any value, as compact JSON; false if it is absent. Numbers keep their
 * value, not their spelling: 1e2 becomes 100.0. */
bool json_get_any(struct json_reader *r, const char *member, struct buf *ret);
/* A string, or null, which gives the empty string. */
void json_get_str_or_null(struct json_reader *r, const char *member, size_t max_bytes,
                          struct str *ret);
int json_reader_error(const struct json_reader *r); /* 0 or ERR_BAD_REQUEST */

#endif
