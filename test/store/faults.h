/* The faults under which the suite runs: often enough that every test meets some. */
#ifndef STOA_TEST_FAULTS_H
#define STOA_TEST_FAULTS_H

#include "store/faulty.h"

static const struct faulty_odds FAULTS = {
    .refuse = 0.1,
    .lose = 0.1,
    .lie = 0.1,
    .fail_read = 0.1,
    .delay = 0.3,
    .news_lose = 0.2,
    .news_double = 0.2,
    .news_delay = 0.3,
    .max_delay_ms = 3,
};

#endif
