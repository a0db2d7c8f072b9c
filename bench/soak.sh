#!/usr/bin/env bash
# Fifteen minutes of mixed load, the first five to fill what rooms keep: 18,000 viewers of one room, who verify every
# message (stoa bench), and beside them people who come, go and vanish, who send, and who read slowly (lib/crowd.mjs). Is
# anything lost, and does memory stay flat? Server on core 0, clients on core 1. Writes bench/results/soak.md; exit
# status 1 if anything was lost, repeated or out of order, or memory grew.
#
#   SECS (900)          how long
#   VIEWERS (18000)
#   SEED (1)            of the crowd
#   RESULTS (bench/results)
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/lib/server.sh

secs=${SECS:-900}
viewers=${VIEWERS:-18000}
results=${RESULTS:-bench/results}

PIN=0 start_server --workers 1
taskset -c 1 "$STOA_BIN" bench --to "http://$address" --room soak --viewers "$viewers" --rate 4 --high-every 40 --secs "$secs" \
    --settle-s 60 --pid "$server" --json >"$work/bench.json" 2>"$work/progress.txt" &
bench=$!
taskset -c 1 node bench/lib/crowd.mjs "$address" "$server" "$secs" "${SEED:-1}" >"$work/crowd.json" || true
wait "$bench" || true
mkdir -p "$results"
node bench/lib/soak.mjs "$work/bench.json" "$work/crowd.json" "$(date +%F). $(machine)" >"$results/soak.md" && status=0 || status=$?
cat "$results/soak.md"
exit "$status"
