#!/usr/bin/env bash
# What does each step of the way add to a message's latency? 20 viewers, 20 messages a second, every other one `high`, in
# alternating rounds: one node that stores in memory, in SQLite, and on the local fleet (scripts/fleet.sh) a cache node
# over a Redis Cluster, and two edges in front of the cache nodes: from node to node. Nothing is pinned. Writes
# bench/results/hops.md.
#
#   ROUNDS (5)   SECONDS_EACH (5)   RESULTS (bench/results)
set -euo pipefail
cd "$(dirname "$0")/.."

FLEET_BASE=${FLEET_BASE:-7700}
. bench/lib/fleet.sh
rounds=${ROUNDS:-5}
seconds=${SECONDS_EACH:-5}
results=${RESULTS:-bench/results}

# serve STORE: a node of its own on the port after those of the fleet.
serve() {
    "$STOA_BIN" serve --dev --listen "127.0.0.1:$((FLEET_BASE + 40))" --store "$1" >/dev/null 2>"$work/serve.log" &
    load=$!
    until curl -fs -o /dev/null "http://127.0.0.1:$((FLEET_BASE + 40))/readyz"; do
        kill -0 "$load" || { cat "$work/serve.log" >&2; exit 2; }
        sleep 0.05
    done
}

# measure NAME URL[,URL]
measure() {
    "$STOA_BIN" bench --to "$2" --room "hops-$1" --viewers 20 --rate 20 --high-every 2 --secs "$seconds" --json \
        >"$work/result.json" 2>/dev/null
    echo "{\"name\":\"$1\",\"result\":$(cat "$work/result.json")}" >>"$work/rounds.jsonl"
}

# measure_alone NAME STORE
measure_alone() {
    serve "$2"
    measure "$1" "http://127.0.0.1:$((FLEET_BASE + 40))"
    kill "$load"
    wait "$load" || true
    load=
}

scripts/fleet.sh up >"$work/edges.txt"
for _ in $(seq "$rounds"); do
    measure_alone memory memory:
    measure_alone sqlite "sqlite:$work/stoa.db"
    measure redis "http://127.0.0.1:$(port one-a)"
    measure edges "$(edge 1),$(edge 2)"
done
mkdir -p "$results"
node bench/lib/hops.mjs "$work/rounds.jsonl" "$(date -u +%F). $(machine)" >"$results/hops.md"
cat "$results/hops.md"
