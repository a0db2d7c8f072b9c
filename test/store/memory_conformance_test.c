/* The memory store keeps the contract, as it is and under faults. */
#include "store/conformance.h"
#include "store/faults.h"

#define SEEDS 5 /* quick enough to have more than one */

int main(void)
{
    const struct store_fixture plain = {.name = "memory", .scheme = "memory:"};
    int failed = conformance_run(&plain);

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        const struct store_fixture faulty = {
            .name = "memory, faulty", .scheme = "memory:", .odds = &FAULTS, .seed = seed};
        failed += conformance_run(&faulty);
    }
    return failed;
}
