#!/usr/bin/env bash
# One message to 10,000 parked viewers: latency to the median and the last, CPU per delivery, memory per viewer. Without
# the pace, which would hold them. Server on core 0, clients on core 1; medians of ROUNDS runs of `stoa bench`, each on
# a server of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/lib/server.sh

viewers=${VIEWERS:-10000}
rounds=${ROUNDS:-5}
echo "$(machine); $viewers viewers, 1 message a second of 200 bytes, 10 s, $rounds rounds"
for round in $(seq "$rounds"); do
    PIN=0 start_server --workers 1 --pace=off
    taskset -c 1 "$STOA_BIN" bench --to "http://$address" --room bench --viewers "$viewers" --rate 1 --size 200 \
        --secs 10 --pid "$server" --json >>"$work/rounds.json" 2>>"$work/progress.txt"
    stop_server
done
node - "$work/rounds.json" <<'JS'
const runs = require("fs").readFileSync(process.argv[2], "utf8").trim().split("\n").map((line) => JSON.parse(line));
const median = (of) => runs.map(of).sort((a, b) => a - b)[runs.length >> 1];
const row = (name, of, digits) => console.log(name.padEnd(34), median(of).toFixed(digits));
row("delivered after, p50 ms", (r) => r.latency_ms.p50, 1);
row("delivered after, p99 ms", (r) => r.latency_ms.p99, 1);
row("delivered after, last viewer, ms", (r) => r.latency_ms.max, 1);
row("server CPU, us per delivery", (r) => r.server.cpu_us_per_delivery, 2);
row("server memory, bytes per viewer", (r) => r.server.bytes_per_viewer, 0);
row("lost + repeated + out of order", (r) => r.lost + r.repeated + r.out_of_order, 0);
JS
