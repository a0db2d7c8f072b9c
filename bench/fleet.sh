#!/usr/bin/env bash
# A recorded chat with 3,000 viewers, spread over the three edges of a fleet (scripts/fleet.sh), while in turn an edge, a
# cache node and a Redis master are killed and started again: is a `high` message lost at any viewer, repeated or out of
# order, and how long after each kill was every viewer given something again? Exit status 1 if one was. Writes
# results/fleet.md.
#
#   fleet.sh [FILE.ndjson]   a recording (docs/operations.md, stoa replay); without one, 1,500 messages are made up
#
#   VIEWERS (3000)   SPEED (8)   recorded seconds per second   EVERY_S (12)   between two faults   RESULTS (bench/results)
set -euo pipefail
cd "$(dirname "$0")/.."

FLEET_BASE=${FLEET_BASE:-7500}
. bench/lib/fleet.sh
viewers=${VIEWERS:-3000}
speed=${SPEED:-8}
every_s=${EVERY_S:-12}
results=${RESULTS:-bench/results}

# A made-up chat: five messages a second, every ninth of them high.
make_recording() {
    awk 'BEGIN {
        for (i = 0; i < 1500; i++)
            printf "{\"t_ms\":%d,\"user\":\"u%d\",\"type\":\"%s\",\"body\":\"message %d\",\"priority\":\"%s\"}\n", i * 200,
                i % 97, i % 9 ? "text" : "gift", i, i % 9 ? "normal" : "high"
    }'
}

# fault WHAT: kills, marks at once, starts again after five seconds.
fault() {
    local pid=
    echo "$1" >>"$work/marks"
    [ "$1" = nothing ] || read -r pid _ <"$FLEET_DIR/pid/$1"
    [ -z "$pid" ] || kill -KILL "$pid"
    kill -USR1 "$load"
    [ -n "$pid" ] || return 0
    sleep 5
    scripts/fleet.sh start "$1"
}

# The parts that serve the room: the cache node that told edges most, and the master of its slot.
busiest_cache() {
    local name most=-1 best="" count
    for name in one-a one-b two-a two-b; do
        count=$(curl -fsS "http://127.0.0.1:$(port "$name")/metrics" | awk '$1 == "stoa_peer_news_total" { print $2 }')
        if [ "${count:-0}" -gt "$most" ]; then most=${count:-0} best=$name; fi
    done
    echo "$best"
}

recording=${1:-}
if [ -z "$recording" ]; then
    make_recording >"$work/recording.ndjson"
    recording=$work/recording.ndjson
fi
edges=$(scripts/fleet.sh up | paste -sd,)
curl -fsS -o /dev/null -X PUT "${edges%%,*}/v1/rooms/fleet" -H 'Authorization: Bearer dev' \
    -d '{"normal_per_s":1000,"high_per_s":1000}'
"$STOA_BIN" replay "$recording" --to "$edges" --room fleet --viewers "$viewers" --speed "$speed" --json --settle-s 60 \
    >"$work/replay.json" 2>"$work/progress.txt" &
load=$!
until grep -qs 'sent [1-9]' "$work/progress.txt"; do
    kill -0 "$load" || { cat "$work/progress.txt" >&2; exit 2; }
    sleep 0.2
done
fault nothing
for what in edge-2 cache master; do
    sleep "$every_s"
    case $what in
    cache) what=$(busiest_cache) ;;
    master) what=$(master_of fleet) ;;
    esac
    fault "$what"
done
status=0
wait "$load" || status=$?
load=
mkdir -p "$results"
node bench/lib/fleet.mjs "$work/replay.json" "$work/marks" "$(date -u +%F). $(machine)" >"$results/fleet.md"
cat "$results/fleet.md"
exit "$status"
