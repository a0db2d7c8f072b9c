#!/usr/bin/env bash
# Does a storm in a large room slow a small one? A fleet (scripts/fleet.sh) in which both rooms are served by the same
# cache node; 64 senders that send to the large room as soon as the last message was acknowledged, and 500 viewers of it;
# 20 viewers of the small room with 10 messages a second. In each round three times: without the storm, with it in the
# same sect, and with it in the VIP sect. The old sect, the edge of the small room and its viewers are on core 0; the VIP
# sect, the other edges and the storm on core 1; each room's Redis master with the core of its storm. Writes
# bench/results/isolation.md; exit status 1 if the small room's p99 with the large one in the VIP sect is more than 1.2
# times that without a storm.
#
#   ROUNDS (5)   SECONDS_EACH (8)   RESULTS (bench/results)
set -euo pipefail
cd "$(dirname "$0")/.."

export STOA_BIN=${STOA_BIN:-build/release/stoa} FLEET_BASE=${FLEET_BASE:-7600}
rounds=${ROUNDS:-5}
seconds=${SECONDS_EACH:-8}
results=${RESULTS:-bench/results}
work=$(mktemp -d)
export FLEET_DIR=$work/fleet
storm=

clean_up() {
    [ -z "$storm" ] || kill "$storm" 2>/dev/null || true
    scripts/fleet.sh clean >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap clean_up EXIT

edge() { echo "http://127.0.0.1:$((FLEET_BASE + 29 + $1))"; }

# Which redis-N is the master of a room's slot.
master_of() {
    local slot port
    slot=$(redis-cli -p "$FLEET_BASE" cluster keyslot "{dev/$1}")
    port=$(redis-cli -p "$FLEET_BASE" cluster nodes | awk -v slot="$slot" '$3 ~ /master/ {
        split($9, range, "-"); if (slot >= range[1] && slot <= range[2]) { split($2, at, /[:@]/); print at[2] } }')
    echo "redis-$((port - FLEET_BASE + 1))"
}

# pin CORE NAME...
pin() {
    local core=$1 name
    shift
    for name in "$@"; do
        taskset -a -p -c "$core" "$(cut -d' ' -f1 "$FLEET_DIR/pid/$name")" >/dev/null
    done
}

put() { # path body
    curl -fsS -o /dev/null -X PUT "$(edge 3)/v1/rooms/$1" -H 'Authorization: Bearer dev' -d "$2"
}

# The storm is in that sect from now on, and the edges know.
move_storm() {
    put "$large/sect" "{\"sect\":\"$1\"}"
    sleep 2
}

begin_storm() {
    taskset -c 1 "$STOA_BIN" bench --to "$(edge 1),$(edge 2)" --room "$large" --viewers 500 --senders 64 --rate 0 \
        --secs $((seconds + 4)) --json >"$work/storm.json" 2>/dev/null &
    storm=$!
    sleep 2
}

end_storm() {
    wait "$storm" || true
    storm=
}

# measure NAME: a line "NAME p50 p99", and the storm's sends a second.
measure() {
    taskset -c 0 "$STOA_BIN" bench --to "$(edge 3)" --room small --viewers 20 --rate 10 --secs "$seconds" --json \
        >"$work/small.json" 2>/dev/null
    [ -z "$storm" ] || end_storm
    node bench/lib/isolation.mjs line "$1" "$work" >>"$work/rounds.txt"
    tail -n 1 "$work/rounds.txt"
}

ulimit -n "$(ulimit -Hn)"
scripts/fleet.sh up >"$work/edges.txt"
small_master=$(master_of small)
for large in large large-a large-b large-c; do [ "$(master_of "$large")" = "$small_master" ] || break; done
scripts/fleet.sh term one-b # so that one-a serves both rooms
pin 0 one-a two-a two-b edge-3 redis-1 redis-2 redis-3 redis-4 redis-5 redis-6
pin 1 vip-a vip-b edge-1 edge-2 "$(master_of "$large")"
put "$large" '{"normal_per_s":100000}'
put small '{"normal_per_s":1000}'
put small/sect '{"sect":"one"}'
for _ in $(seq "$rounds"); do
    measure quiet
    move_storm one
    begin_storm
    measure together
    move_storm vip
    begin_storm
    measure apart
done
mkdir -p "$results"
status=0
node bench/lib/isolation.mjs report "$work" >"$results/isolation.md" || status=$?
cat "$results/isolation.md"
exit "$status"
