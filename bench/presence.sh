#!/usr/bin/env bash
# A room of 15 million in the hub's table of who is here (bench/presence.c says how). Writes results/presence.md.
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/lib/server.sh

out=${OUT:-build}
users=${USERS:-15000000}
make --no-print-directory BUILD=release "OUT=$out" "$out/release/bench/presence" >/dev/null

mkdir -p bench/results
{
    echo '# Who is here: a room of millions in the hub'
    echo
    echo "\`bench/presence.sh\`, $(date -u +%F). $(machine)."
    echo
    echo 'One thread, no sockets. The fastest of three runs, for each call.'
    for count in $((users / 15)) "$users"; do
        echo
        "$out/release/bench/presence" --users "$count"
    done
} | tee "$work/presence.md"
cp "$work/presence.md" bench/results/presence.md
