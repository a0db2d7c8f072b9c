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

export STOA_BIN=${STOA_BIN:-build/release/stoa} FLEET_BASE=${FLEET_BASE:-7500}
viewers=${VIEWERS:-3000}
speed=${SPEED:-8}
every_s=${EVERY_S:-12}
results=${RESULTS:-bench/results}
work=$(mktemp -d)
export FLEET_DIR=$work/fleet
replay=
# The machine's name as the other results have it, without that file's own traps.
machine() { echo "$(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), Linux $(uname -r)"; }

clean_up() {
    [ -z "$replay" ] || kill "$replay" 2>/dev/null || true
    scripts/fleet.sh clean >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap clean_up EXIT

# A made-up chat: five messages a second, every ninth of them high.
make_recording() {
    awk 'BEGIN {
        for (i = 0; i < 1500; i++)
            printf "{\"t_ms\":%d,\"user\":\"u%d\",\"type\":\"%s\",\"body\":\"message %d\",\"priority\":\"%s\"}\n", i * 200,
                i % 97, i % 9 ? "text" : "gift", i, i % 9 ? "normal" : "high"
    }'
}

# fault WHAT: marks, kills, starts again after five seconds.
fault() {
    echo "$1" >>"$work/marks"
    kill -USR1 "$replay"
    [ "$1" != nothing ] || return 0
    sleep 0.02
    scripts/fleet.sh kill "$1"
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

port() { scripts/fleet.sh status | awk -v name="$1" '$1 == name { print $3 }'; }

master_of_room() {
    local slot port_of_master
    slot=$(redis-cli -p "$FLEET_BASE" cluster keyslot '{dev/fleet}')
    port_of_master=$(redis-cli -p "$FLEET_BASE" cluster nodes | awk -v slot="$slot" '$3 ~ /master/ && $3 !~ /fail/ {
        split($9, range, "-"); if (slot >= range[1] && slot <= range[2]) { split($2, at, /[:@]/); print at[2] } }')
    echo "redis-$((port_of_master - FLEET_BASE + 1))"
}

recording=${1:-}
if [ -z "$recording" ]; then
    make_recording >"$work/recording.ndjson"
    recording=$work/recording.ndjson
fi
ulimit -n "$(ulimit -Hn)"
edges=$(scripts/fleet.sh up | paste -sd,)
curl -fsS -o /dev/null -X PUT "${edges%%,*}/v1/rooms/fleet" -H 'Authorization: Bearer dev' \
    -d '{"normal_per_s":1000,"high_per_s":1000}'
"$STOA_BIN" replay "$recording" --to "$edges" --room fleet --viewers "$viewers" --speed "$speed" --json --settle-s 60 \
    >"$work/replay.json" 2>"$work/progress.txt" &
replay=$!
until grep -qs 'sent [1-9]' "$work/progress.txt"; do
    kill -0 "$replay" || { cat "$work/progress.txt" >&2; exit 2; }
    sleep 0.2
done
fault nothing
for what in edge-2 cache master; do
    sleep "$every_s"
    case $what in
    cache) what=$(busiest_cache) ;;
    master) what=$(master_of_room) ;;
    esac
    fault "$what"
done
status=0
wait "$replay" || status=$?
replay=
mkdir -p "$results"
node bench/lib/fleet.mjs "$work/replay.json" "$work/marks" "$(date -u +%F). $(machine)" >"$results/fleet.md"
cat "$results/fleet.md"
exit "$status"
