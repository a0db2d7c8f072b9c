#!/usr/bin/env bash
# No lock on the read path: counts the futex calls of the worker threads while 5,000 viewers receive 5
# messages a second for 10 s. Needs strace. Prints a line per thread; exit status 1 if a worker made one.
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/lib/server.sh

viewers=${VIEWERS:-5000}
start_server --workers 2 --pace=off
trace=$work/futex.txt

"$STOA_BIN" bench --to "http://$address" --room bench --viewers "$viewers" --rate 5 --size 200 --secs 20 \
    >"$work/bench.txt" 2>&1 &
bench=$!
wait_for_metric 'stoa_polls_parked' "$viewers"
timeout 10 strace -f -qq -e trace=futex -p "$server" -o "$trace" || true
wait "$bench"

status=0
for task in /proc/"$server"/task/*; do
    id=${task##*/}
    calls=$(grep -c "^$id " "$trace" || true)
    printf '%-14s %6d futex calls in 10 s\n' "$(cat "$task/comm")" "$calls"
    case $(cat "$task/comm") in stoa-worker-*) [ "$calls" -eq 0 ] || status=1 ;; esac
done
tail -12 "$work/bench.txt"
exit $status
