#!/usr/bin/env bash
# What does counting (unique viewers, history) cost those who read? CPU per delivery with it on and off, in alternating
# rounds of one run: 10,000 viewers of one room, 4 messages a second, without the pace. Server on core 0, clients on core
# 1. Writes bench/results/counting.md; exit status 1 if the median of the rounds' ratios is above 1.03.
#
#   ROUNDS (9), SECONDS_EACH (8), VIEWERS (10000), RESULTS (bench/results)
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/lib/server.sh

rounds=${ROUNDS:-9}
results=${RESULTS:-bench/results}
measure() { # on|off
    PIN=0 start_server --workers 1 --pace=off --counting="$1"
    taskset -c 1 "$STOA_BIN" bench --to "http://$address" --viewers "${VIEWERS:-10000}" --rate 4 --size 200 \
        --secs "${SECONDS_EACH:-8}" --pid "$server" --json >>"$work/$1.json" 2>>"$work/progress.txt"
    stop_server
}
for round in $(seq "$rounds"); do
    # Who comes first in a round takes turns.
    if [ $((round % 2)) -eq 0 ]; then measure on && measure off; else measure off && measure on; fi
done
mkdir -p "$results"
node - "$work" "$(date +%F). $(machine). $rounds rounds" >"$results/counting.md" <<'JS' && status=0 || status=$?
const [folder, when] = process.argv.slice(2);
const read = (name) => require("fs").readFileSync(`${folder}/${name}.json`, "utf8").trim().split("\n").map((line) => JSON.parse(line).server.cpu_us_per_delivery);
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const on = read("on"), off = read("off"), ratios = on.map((value, i) => value / off[i]);
const list = (values) => values.map((value) => value.toFixed(2)).join(", ");
console.log(`# What counting costs a delivery

${when}. Made by \`bench/counting.sh\`; server on core 0, clients on core 1.

| CPU per delivery, us | median | rounds |
| --- | --: | --- |
| counting on | ${median(on).toFixed(2)} | ${list(on)} |
| counting off | ${median(off).toFixed(2)} | ${list(off)} |
| ratio within a round | ${median(ratios).toFixed(3)} | ${list(ratios)} |`);
process.exit(median(ratios) <= 1.03 ? 0 : 1);
JS
cat "$results/counting.md"
exit "$status"
