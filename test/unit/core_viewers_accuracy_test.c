/* How near the counts of core/viewers.c are, over seeded runs: exact to the bound; beyond it less
 * than 4 % off in every run, and hardly more off in the mean than the theory says (0.81 %). These
 * are some of the runs of bench/unique.sh, which has more and larger ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <cmocka.h>

#include "core/viewers.h"
#include "unit/viewer_ids.h"

#define ERROR_MAX 0.04
#define RMS_MAX   0.0095

struct errors {
    double squares, worst;
    uint32_t runs;
};

static struct viewers_count count_run(size_t size, uint64_t seed)
{
    struct viewers v;
    struct viewer_id id;
    uint64_t run = viewer_run(size, seed);
    viewers_init(&v, (struct hash_key){1, 2});
    for (uint64_t n = 0; n < VIEWER_SIZES[size]; n++) {
        viewer_id_make(&id, run, n);
        viewers_add(&v, viewer_id_str(&id));
    }
    struct viewers_count count = viewers_count(&v);
    viewers_deinit(&v);
    return count;
}

static void add_runs(struct errors *errors, size_t size, uint64_t runs)
{
    for (uint64_t seed = 1; seed <= runs; seed++) {
        struct viewers_count count = count_run(size, seed);
        assert_false(count.exact);
        double error = fabs((double)count.unique / (double)VIEWER_SIZES[size] - 1.0);
        errors->squares += error * error;
        errors->runs++;
        if (error > errors->worst) errors->worst = error;
    }
}

static void counts_to_the_bound_are_exact(void **state)
{
    for (size_t size = 0; VIEWER_SIZES[size] <= VIEWERS_EXACT_MAX; size++) {
        for (uint64_t seed = 1; seed <= 50; seed++) {
            struct viewers_count count = count_run(size, seed);
            assert_true(count.exact);
            assert_int_equal(count.unique, VIEWER_SIZES[size]);
        }
    }
}

static void counts_beyond_the_bound_are_near(void **state)
{
    struct errors errors = {0};
    for (size_t size = 0; VIEWER_SIZES[size] <= 1000000; size++)
        if (VIEWER_SIZES[size] > VIEWERS_EXACT_MAX)
            add_runs(&errors, size, VIEWER_SIZES[size] < 1000000 ? 50 : 10);
    print_message("worst %.2f %%, RMS %.2f %%\n", errors.worst * 100,
                  sqrt(errors.squares / errors.runs) * 100);
    assert_true(errors.worst < ERROR_MAX);
    assert_true(sqrt(errors.squares / errors.runs) <= RMS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_to_the_bound_are_exact),
        cmocka_unit_test(counts_beyond_the_bound_are_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
