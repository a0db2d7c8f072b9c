/* The contract of core/store.h as tests, the same for every driver, plain and under faults.
 *
 * To test a driver: a struct store_fixture, and a main() that calls conformance_run(). */
#ifndef STOA_TEST_CONFORMANCE_H
#define STOA_TEST_CONFORMANCE_H

#include "store/harness.h"

/* The number of tests that failed. */
int conformance_run(const struct store_fixture *fixture);

/* The parts of the suite, each in a file of its own. Returns how many tests it added to ret_tests.
 */
#define CONFORMANCE_MAX 128
size_t conformance_appends(struct CMUnitTest *ret_tests);
size_t conformance_refusals(struct CMUnitTest *ret_tests);
size_t conformance_keys(struct CMUnitTest *ret_tests);
size_t conformance_reads(struct CMUnitTest *ret_tests);
size_t conformance_rooms(struct CMUnitTest *ret_tests);
size_t conformance_retention(struct CMUnitTest *ret_tests);
size_t conformance_viewers(struct CMUnitTest *ret_tests);
size_t conformance_samples(struct CMUnitTest *ret_tests);
size_t conformance_presence(struct CMUnitTest *ret_tests);
size_t conformance_routes(struct CMUnitTest *ret_tests);
size_t conformance_watching(struct CMUnitTest *ret_tests);

/* For the end of each of them. */
#define CONFORMANCE_ADD(ret_tests, tests)                                                          \
    (memcpy((ret_tests), (tests), sizeof(tests)), sizeof(tests) / sizeof((tests)[0]))

#endif
