/* The SQLite store keeps the contract, as it is and under faults. */
#include "store/conformance.h"
#include "store/faults.h"

int main(void)
{
    const struct store_fixture plain = {.name = "sqlite", .scheme = "sqlite:", .is_durable = true};
    const struct store_fixture faulty = {
        .name = "sqlite, faulty", .scheme = "sqlite:", .is_durable = true, .odds = &FAULTS};

    return conformance_run(&plain) + conformance_run(&faulty);
}
