#!/usr/bin/env bash
# Appends through the store and one Redis master, beside redis-benchmark calling the same function with
# as many messages a call, pipelined. Redis has core 0, whoever asks it has core 1; rounds alternate.
# Exit status 1 when the store gives less than LEAST of what redis-benchmark gets.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${OUT:-build} rounds=${ROUNDS:-5} rows=${ROWS:-200000} rooms=${ROOMS:-50} least=${LEAST:-0.6}
make --no-print-directory BUILD=release "OUT=$out" "$out/release/bench/redis_append" >/dev/null

folder=$(mktemp -d)
port=$(node -e 'const s=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})')
taskset -c 0 redis-server --port "$port" --bind 127.0.0.1 --dir "$folder" --save '' \
    --appendonly yes --appendfsync everysec >"$folder/log" &
redis=$!
trap 'kill "$redis"; wait "$redis" 2>/dev/null || true; rm -rf "$folder"' EXIT
until redis-cli -p "$port" ping >/dev/null 2>&1; do
    kill -0 "$redis" || { cat "$folder/log"; exit 1; }
    read -rt 0.05 <> <(:) || true
done

median() { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

for senders in 64 512; do
    ours=() theirs=() ratios=()
    for ((round = 0; round < rounds; round++)); do
        redis-cli -p "$port" flushall >/dev/null
        taskset -c 1 "$out/release/bench/redis_append" "redis://127.0.0.1:$port" --senders "$senders" \
            --rows "$rows" --rooms "$rooms" >"$folder/result"
        read -r rate group < <(head -1 "$folder/result")
        mapfile -t words < <(tail -n +2 "$folder/result")
        whole=$(awk -v g="$group" 'BEGIN { print int(g + 0.5) }')
        calls=$(taskset -c 1 redis-benchmark -p "$port" -n $((rows / whole)) -r "$rooms" -c 10 -P 10 \
            --csv "${words[@]}" | tail -1 | awk -F'","' '{ print $2 }')
        bench=$(awk -v c="$calls" -v g="$whole" 'BEGIN { printf "%.0f", c * g }')
        ratio=$(awk -v a="$rate" -v b="$bench" 'BEGIN { printf "%.2f", a / b }')
        echo "$senders senders: store $rate messages/s, $group a call; redis-benchmark $bench; ratio $ratio"
        ours+=("$rate") theirs+=("$bench") ratios+=("$ratio")
    done
    ratio=$(printf '%s\n' "${ratios[@]}" | median)
    echo "$senders senders, medians: store $(printf '%s\n' "${ours[@]}" | median)," \
        "redis-benchmark $(printf '%s\n' "${theirs[@]}" | median), ratio $ratio"
    awk -v r="$ratio" -v l="$least" 'BEGIN { exit !(r >= l) }' || { echo "below $least"; exit 1; }
done
