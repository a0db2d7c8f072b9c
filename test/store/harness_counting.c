#include "store/harness_counting.h"

#include "base/alloc.h"

/* --- viewers --------------------------------------------------------------------------------- */

struct viewers_answer {
    int err;
    struct viewers_count count;
    bool is_done;
};

static void on_viewers(void *arg, int err, const struct viewers_count *count)
{
    struct viewers_answer *answer = arg;

    assert_false(answer->is_done);
    assert_int_equal(count != NULL, err == 0);
    answer->err = err;
    if (count != NULL) answer->count = *count;
    answer->is_done = true;
}

/* After the start of a call: its answer. */
static int viewers_answer(struct harness *h, int err, struct viewers_answer *answer)
{
    if (err != 0) return err;
    assert_false(answer->is_done);
    harness_wait(h, &answer->is_done);
    return answer->err;
}

int harness_viewers_add(struct harness *h, const struct store_viewers_add *add,
                        struct viewers_count *ret_count)
{
    struct viewers_answer answer;
    int err;

    do {
        answer = (struct viewers_answer){0};
        err = store_viewers_add(h->store, add, on_viewers, &answer);
        err = viewers_answer(h, err, &answer);
    } while (harness_has_to_repeat(h, err));
    if (ret_count != NULL) *ret_count = answer.count;
    return err;
}

int harness_viewers_merge(struct harness *h, const struct store_viewers_merge *merge,
                          struct viewers_count *ret_count)
{
    struct viewers_answer answer;
    int err;

    do {
        answer = (struct viewers_answer){0};
        err = store_viewers_merge(h->store, merge, on_viewers, &answer);
        err = viewers_answer(h, err, &answer);
    } while (harness_has_to_repeat(h, err));
    if (ret_count != NULL) *ret_count = answer.count;
    return err;
}

int harness_viewers_count(struct harness *h, const struct store_viewers_count *count,
                          struct viewers_count *ret_count)
{
    struct viewers_answer answer;
    int err;

    do {
        answer = (struct viewers_answer){0};
        err = store_viewers_count(h->store, count, on_viewers, &answer);
        err = viewers_answer(h, err, &answer);
    } while (harness_has_to_repeat(h, err));
    if (ret_count != NULL) *ret_count = answer.count;
    return err;
}

struct viewers_count harness_came(struct harness *h, const char *room, int64_t bucket_ms, int from,
                                  int to)
{
    static char names[STORE_VIEWERS_MAX][16];
    static struct str users[STORE_VIEWERS_MAX];
    struct viewers_count count = {0};

    for (int at = from; at < to; at += STORE_VIEWERS_MAX) {
        struct store_viewers_add add = {
            .room = str_of(room), .bucket_ms = bucket_ms, .users = users};
        for (; add.count < STORE_VIEWERS_MAX && at + (int)add.count < to; add.count++) {
            snprintf(names[add.count], sizeof(names[0]), "u%d", at + (int)add.count);
            users[add.count] = str_of(names[add.count]);
        }
        assert_int_equal(harness_viewers_add(h, &add, &count), 0);
    }
    return count;
}

struct viewers_count harness_count(struct harness *h, const char *room, int64_t from_ms,
                                   int64_t to_ms)
{
    const struct store_viewers_count window = {str_of(room), from_ms, to_ms};
    struct viewers_count count;

    assert_int_equal(harness_viewers_count(h, &window, &count), 0);
    return count;
}

/* --- samples --------------------------------------------------------------------------------- */

struct put_answer {
    int err;
    bool is_done;
};

static void on_put(void *arg, int err)
{
    struct put_answer *answer = arg;

    assert_false(answer->is_done);
    answer->err = err;
    answer->is_done = true;
}

int harness_sample_put(struct harness *h, const char *room, const struct sample *sample)
{
    return harness_sample_put_by(h, room, "node", sample);
}

int harness_sample_put_by(struct harness *h, const char *room, const char *node,
                          const struct sample *sample)
{
    const struct store_sample_put put = {str_of(room), str_of(node), *sample};
    struct put_answer answer;
    int err;

    do {
        answer = (struct put_answer){0};
        err = store_sample_put(h->store, &put, on_put, &answer);
        if (err != 0) continue;
        assert_false(answer.is_done);
        harness_wait(h, &answer.is_done);
        err = answer.err;
    } while (harness_has_to_repeat(h, err));
    return err;
}

struct range_answer {
    struct harness_samples samples;
    bool is_done;
};

static void on_samples(void *arg, int err, const struct sample *samples, size_t count, bool more)
{
    struct range_answer *answer = arg;

    assert_false(answer->is_done);
    assert_true(count <= sizeof(answer->samples.samples) / sizeof(answer->samples.samples[0]));
    answer->samples.err = err;
    answer->samples.count = count;
    answer->samples.more = more;
    for (size_t i = 0; i < count; i++) answer->samples.samples[i] = samples[i];
    answer->is_done = true;
}

struct harness_samples harness_sample_range(struct harness *h,
                                            const struct store_sample_range *range)
{
    struct range_answer answer;
    int err;

    do {
        answer = (struct range_answer){0};
        err = store_sample_range(h->store, range, on_samples, &answer);
        if (err != 0) continue;
        assert_false(answer.is_done);
        harness_wait(h, &answer.is_done);
        err = answer.samples.err;
    } while (harness_has_to_repeat(h, err));
    return answer.samples;
}
