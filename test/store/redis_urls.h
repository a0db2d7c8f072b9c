/* A fleet of test/store/redis_fleet.h as a store's URL and fixture. */
#ifndef STOA_TEST_REDIS_URLS_H
#define STOA_TEST_REDIS_URLS_H

#include <stddef.h>

#include "store/redis_fleet.h"

/* redis://…, with the test's own clock for leases, and these options, such as "&" PATIENT. Returns
 * ret_url. */
const char *redis_url_of(const struct redis_fleet *fleet, const char *more, char *ret_url,
                         size_t cap);
/* Empties all masters of a struct redis_fleet. */
void redis_empty(void *fleet);

#endif
