#!/usr/bin/env bash
# What does the VIP sect give, and what does the way to it cost? On the local fleet, in which both rooms are served by the
# same cache node at first. Writes bench/results/isolation.md.
#
# A storm next door: 64 senders that send to the large room as soon as the last message was acknowledged, and 500 viewers
# of it; 20 viewers of the small room with 50 messages a second. In each round three times: without the storm, with it in
# the same sect, and with it in the VIP sect. The old sect, the edge of the small room and its viewers are on core 0; the
# VIP sect, the other edges and the storm on core 1, and so is Redis where it stores the large room.
#
# The move: 100 viewers of the large room, 100 messages a second, in each round without moves, and with a move to the VIP
# sect or back every second.
#
# Exit status 1 if a message of the moving room was lost, repeated or out of order, or if the small room's p99 with the
# storm in the VIP sect is more than 1.2 times that without a storm.
#
#   ROUNDS (5)   SECONDS_EACH (8)   RESULTS (bench/results)
set -euo pipefail
cd "$(dirname "$0")/.."

FLEET_BASE=${FLEET_BASE:-7600}
. bench/lib/fleet.sh
rounds=${ROUNDS:-5}
seconds=${SECONDS_EACH:-8}
results=${RESULTS:-bench/results}

# The large room is in that sect from now on, and the edges know.
move_to() {
    put "$large/sect" "{\"sect\":\"$1\"}"
    sleep 2
}

begin_storm() {
    taskset -c 1 "$STOA_BIN" bench --to "$(edge 1),$(edge 2)" --room "$large" --viewers 500 --senders 64 --rate 0 \
        --secs $((seconds + 4)) --json >"$work/storm.json" 2>/dev/null &
    load=$!
    sleep 2
}

end_load() {
    wait "$load" || true
    load=
}

# measure NAME: the small room, beside the storm if there is one.
measure() {
    taskset -c 0 "$STOA_BIN" bench --to "$(edge 3)" --room small --viewers 20 --rate 50 --secs "$seconds" --json \
        >"$work/small.json" 2>/dev/null
    [ -z "$load" ] || end_load
    note "$1" small
}

# note NAME RESULT: one more line of rounds.jsonl.
note() {
    echo "{\"name\":\"$1\",\"result\":$(cat "$work/$2.json"),\"storm\":$(cat "$work/storm.json" 2>/dev/null || echo null)}" \
        >>"$work/rounds.jsonl"
    rm -f "$work/storm.json"
    node bench/lib/isolation.mjs last "$work/rounds.jsonl"
}

# measure_moves NAME SECT...: the large room, which goes to one of these sects each second.
measure_moves() {
    local name=$1 i
    shift
    "$STOA_BIN" bench --to "$(edge 1),$(edge 2)" --room "$large" --viewers 100 --rate 100 --high-every 10 \
        --secs "$seconds" --json >"$work/moving.json" 2>"$work/moving.txt" &
    load=$!
    until grep -qs 'sent/s [1-9]' "$work/moving.txt"; do
        kill -0 "$load" || { cat "$work/moving.txt" >&2; exit 2; }
        sleep 0.1
    done
    for ((i = 0; i < (seconds - 1) * ($# > 0); i++)); do
        local sects=("$@")
        put "$large/sect" "{\"sect\":\"${sects[i % $#]}\"}"
        sleep 1
    done
    end_load
    note "$name" moving
}

scripts/fleet.sh up >"$work/edges.txt"
small_master=$(master_of small)
for large in large large-a large-b large-c; do [ "$(master_of "$large")" = "$small_master" ] || break; done
scripts/fleet.sh term one-b # so that one-a serves both rooms
pin 0 one-a two-a two-b edge-3 redis-1 redis-2 redis-3 redis-4 redis-5 redis-6
pin 1 vip-a vip-b edge-1 edge-2 "$(master_of "$large")" "$(replica_of "$large")"
put "$large" '{"normal_per_s":100000,"high_per_s":1000}'
put small '{"normal_per_s":1000}'
put small/sect '{"sect":"one"}'
for _ in $(seq "$rounds"); do
    measure quiet
    move_to one
    begin_storm
    measure together
    move_to vip
    begin_storm
    measure apart
done
for _ in $(seq "$rounds"); do
    move_to one
    measure_moves settled
    measure_moves moving vip one
done
mkdir -p "$results"
status=0
node bench/lib/isolation.mjs report "$work/rounds.jsonl" "$(date -u +%F). $(machine)" >"$results/isolation.md" || status=$?
cat "$results/isolation.md"
exit "$status"
