#!/usr/bin/env bash
# Past capacity and back: one worker, with viewers and senders in a room, is flooded with requests that nothing can put off,
# for longer than it takes until longer holds are of no use. What is refused, what is still taken, does memory stay within
# bounds, and how soon is all as before? Server on core 0, clients on core 1. Writes bench/results/overload.md; exit status
# 1 if it was not as docs/operations.md says.
#
#   FLOOD_SECS (60)     how long
#   RESULTS (bench/results)
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/lib/server.sh

results=${RESULTS:-bench/results}
PIN=0 start_server --workers 1 --pace-table 1000000:1000
mkdir -p "$results"
taskset -c 1 node bench/lib/overload.mjs "$address" "$server" "${FLOOD_SECS:-60}" "$(date +%F). $(machine)" >"$work/overload.md" && status=0 || status=$?
cp "$work/overload.md" "$results/overload.md"
cat "$results/overload.md"
exit "$status"
