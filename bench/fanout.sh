#!/usr/bin/env bash
# The fan-out beside peers, in one run: a bare epoll loop (floor.c), nchan, and Stoa without and with the pace, all with
# the same client (stoa bench). Rounds alternate between the servers, each on core 0 and fresh for every workload; the
# client is on core 1. Prints medians and ratios, and writes bench/results/fanout.md and two plots.
#
#   ROUNDS (5), SECONDS_EACH (8)    how often, how long
#   QUICK=1                         one round of 3 s
#   HIGH_EVERY (100)                of the messages of `busy`
#   WORKLOADS, SYSTEMS              only these, by name
#   RESULTS (bench/results)         where to write
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/lib/server.sh
. bench/lib/peers.sh

rounds=${ROUNDS:-${QUICK:+1}}
rounds=${rounds:-5}
seconds=${SECONDS_EACH:-${QUICK:+3}}
seconds=${seconds:-8}
high_every=${HIGH_EVERY:-${QUICK:+25}}
high_every=${high_every:-100}
results=${RESULTS:-bench/results}
PIN=0

# As long as it takes until a high message has come to `busy`, at least.
busy_seconds=$((high_every / 20 + 3))
[ "$busy_seconds" -gt "$seconds" ] || busy_seconds=$seconds

# Arguments of stoa bench. The time between two messages of `one`, and before the first, is longer than the pace
# holds an answer; before the first of `rooms` those who joined have been counted, which is no part of a delivery.
declare -A workload=(
    [1k]="--viewers 1000 --rate 2"
    [10k]="--viewers 10000 --rate 2"
    [busy]="--viewers 10000 --rate 20 --high-every $high_every --settle-s 120 --secs $busy_seconds"
    [rooms]="--viewers 15000 --rooms 1000 --rate 1 --rest-s 6"
    [one]="--viewers 10000 --rate 0.4 --rest-s 3 --arrival"
    [single]="--viewers 1 --rate 20"
    [parked]="--viewers 18000 --rate 0"
)
workloads=${WORKLOADS:-1k 10k busy rooms one single parked}
systems=${SYSTEMS:-floor nchan stoa-off stoa-on stoa-memory}

has_pace() {
    [[ $("$STOA_BIN" serve --help) == *" --pace"* ]] # not by grep -q, which may end before the other end of its pipe
}

# Whether this system is there, and has a part in this workload.
takes_part() { # SYSTEM WORKLOAD
    case $1 in
    floor) ;;
    nchan) has_nchan ;;
    stoa-off) ;;
    stoa-on) has_pace ;;
    stoa-memory) [ "$2" = single ] || [ "$2" = rooms ] ;; # what of a delivery is the commit
    esac
}

start() { # SYSTEM
    local pace_off=
    ! has_pace || pace_off=--pace=off
    case $1 in
    floor) start_floor ;;
    nchan) start_nchan ;;
    stoa-off) start_server --workers 1 $pace_off && measured=$server ;;
    stoa-on) start_server --workers 1 --pace=on && measured=$server ;;
    stoa-memory) start_server --workers 1 $pace_off --store memory: && measured=$server ;;
    esac
}

# With one viewer both cores sleep between two messages, and a virtual core is woken half a millisecond late or more: by
# the answer, and the client's by the disk, whose interrupts it may have. That is the machine's and no server's. So the
# client's core stays awake, by a loop that gives way to everything.
keep_awake() {
    chrt --idle 0 timeout $((seconds + 60)) taskset -c 1 sh -c 'while :; do :; done' &
    awake=$!
}

# stoa bench has status 1 when something was lost, which is a result; without one the run is worth nothing.
measure() { # SYSTEM WORKLOAD ROUND
    local protocol=stoa awake=
    [ "$2" != single ] || keep_awake
    [ "$1" != nchan ] || protocol=nchan
    taskset -c 1 "$STOA_BIN" bench --to "http://$address" --protocol "$protocol" --pid "$measured" --size 200 \
        --secs "$seconds" ${workload[$2]} --json >"$work/result.json" 2>"$work/progress.txt" || true
    [ -z "$awake" ] || kill "$awake"
    if [ ! -s "$work/result.json" ]; then
        cat "$work/progress.txt" "$work/serve.log" >&2
        exit 1
    fi
    echo "{\"system\":\"$1\",\"workload\":\"$2\",\"round\":$3,\"result\":$(cat "$work/result.json")}" >>"$work/rounds.jsonl"
}

describe() {
    node -p 'JSON.stringify(Object.fromEntries(process.argv.slice(1).map((a) => [a.split("=")[0], a.slice(a.indexOf("=") + 1)])))' \
        "date=$(date -u +%F)" "machine=$(machine)" "rounds=$rounds" "seconds=$seconds" "high_every=$high_every" \
        "stoa=$("$STOA_BIN" version)" "nginx=$(nginx -v 2>&1 | sed 's/.*: //')" \
        "nchan=$(dpkg-query -W -f '${Version}' libnginx-mod-nchan 2>&1)"
}

[ -x "$FLOOR_BIN" ] || { echo "fanout: $FLOOR_BIN is not there: make bench builds it" >&2; exit 1; }
has_nchan || echo "fanout: without nchan (scripts/setup.sh bench installs it)" >&2
has_pace || echo "fanout: this stoa has no pace" >&2
for round in $(seq "$rounds"); do
    for name in $workloads; do
        for system in $systems; do
            takes_part "$system" "$name" || continue
            echo "round $round of $rounds: $name, $system" >&2
            start "$system"
            measure "$system" "$name" "$round"
            stop_server
        done
    done
done
mkdir -p "$results"
node bench/lib/fanout.mjs "$work/rounds.jsonl" "$(describe)" "$results"
cat "$results/fanout.md"
