/* How long tests wait for what ought to come: for so long that it is not the machine's fault. Only a
 * test that fails waits to the end. */
#ifndef STOA_TEST_PATIENCE_H
#define STOA_TEST_PATIENCE_H

#define PATIENCE_MS 60000

/* In the URL of a Redis: its limits of time are no matter of this test. */
#define PATIENT "patience=10"

#endif
