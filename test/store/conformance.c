#include "store/conformance.h"

#include "base/assert.h"

int conformance_run(const struct store_fixture *fixture)
{
    struct CMUnitTest tests[CONFORMANCE_MAX];
    struct store_fixture copy = *fixture; /* cmocka takes no const */
    size_t count = 0;

    count += conformance_appends(tests + count);
    count += conformance_refusals(tests + count);
    count += conformance_keys(tests + count);
    count += conformance_reads(tests + count);
    count += conformance_rooms(tests + count);
    count += conformance_retention(tests + count);
    count += conformance_viewers(tests + count);
    count += conformance_samples(tests + count);
    count += conformance_presence(tests + count);
    count += conformance_routes(tests + count);
    if (!fixture->watches) count += conformance_watching(tests + count);
    ASSERT(count <= CONFORMANCE_MAX);
    for (size_t i = 0; i < count; i++) {
        tests[i].setup_func = harness_setup;
        tests[i].teardown_func = harness_teardown;
        tests[i].initial_state = &copy;
    }
    return _cmocka_run_group_tests(fixture->name, tests, count, NULL, NULL);
}
