#!/usr/bin/env bash
# Durable sends: 64 connections that each send (with an Idempotency-Key, as clients do) as soon as the last message was
# acknowledged, through HTTP, the hub and SQLite, beside SQLite's own best on the same disk: a bare loop of the same inserts, committed in groups of the
# size that the server came to. Alternating rounds in one run. The server (three threads have a part in a send), its clients
# and the bare loop share the machine's cores as they come; PINNED=1 puts the server and the bare loop on core 0, and the
# clients on core 1. Prints each round, and the medians.
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/lib/server.sh

rounds=${ROUNDS:-5}
seconds=${SECONDS_EACH:-5}
floor=$(dirname "$STOA_BIN")/bench/store_append

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

on_server=${PINNED:+taskset -c 0} on_client=${PINNED:+taskset -c 1}
PIN=${PINNED:+0} start_server --workers 1 --retention-normal-count 0
curl -fsS -X PUT -H 'Authorization: Bearer dev' "http://$address/v1/rooms/bench" -d '{"normal_per_s":100000}' >"$work/put.txt"
echo "$(machine)"
for round in $(seq "$rounds"); do
    rows=$(metric stoa_store_appends_total) commits=$(metric stoa_store_commits_total)
    $on_client "$STOA_BIN" bench --to "http://$address" --room bench --senders 64 --secs "$seconds" --json \
        >"$work/sends.json" 2>"$work/progress.txt"
    sends=$(node -p 'JSON.parse(require("fs").readFileSync(process.argv[1], "utf8")).sent_per_s' "$work/sends.json")
    group=$((($(metric stoa_store_appends_total) - rows) / ($(metric stoa_store_commits_total) - commits)))
    bare=$($on_server "$floor" "$work" --floor "$group" --keys --rooms 1 --rows 200000)
    echo "$sends $bare" >>"$work/rounds.txt"
    echo "round $round: $sends sends/s, groups of $group; bare loop $bare rows/s"
done
server_median=$(cut -d' ' -f1 "$work/rounds.txt" | median)
bare_median=$(cut -d' ' -f2 "$work/rounds.txt" | median)
echo "medians: $server_median sends/s, $bare_median rows/s bare: $(awk "BEGIN { printf \"%.2f\", $server_median / $bare_median }") of it"
