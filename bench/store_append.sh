#!/usr/bin/env bash
# The SQLite store against a bare loop of the same statements (bench/store_append.c says how).
#
#   bench/store_append.sh [DIRECTORY]    on whose disk; build/ by default
set -euo pipefail
cd "$(dirname "$0")/.."

out=${OUT:-build}
directory=${1:-$out}
make --no-print-directory BUILD=release "OUT=$out" "$out/release/bench/store_append" >/dev/null

for keys in '' --keys; do
    for senders in 1 64 512; do
        echo "-- $senders senders ${keys:+with idempotency keys}"
        rows=$((senders == 1 ? 5000 : 60000))
        "$out/release/bench/store_append" "$directory" --senders "$senders" --rows "$rows" $keys
    done
done
