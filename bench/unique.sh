#!/usr/bin/env bash
# Unique viewers, in the core alone: how near the counts are at sizes from 1 to 15 million users, in seeded runs, and
# what a join costs in time and memory. Writes bench/results/unique.md and docs/unique-error.svg; exit status 1 if a
# limit is not kept. Takes half a minute.
#
#   SEEDS (50), JOINS (15000000)    fewer, for a quick look: then write elsewhere
#   RESULTS (bench/results)         where to write
#   PLOT (docs/unique-error.svg)
#   STOA_BIN                        the binary whose bench/ folder has the program
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/lib/server.sh

seeds=${SEEDS:-50} joins=${JOINS:-15000000}
results=${RESULTS:-bench/results}
plot=${PLOT:-docs/unique-error.svg}
program=$(dirname "$STOA_BIN")/bench/unique
[ -x "$program" ] || { echo "unique: $program is not there: make bench builds it" >&2; exit 1; }

describe() {
    node -p 'JSON.stringify(Object.fromEntries(process.argv.slice(1).map((a) => [a.split("=")[0], a.slice(a.indexOf("=") + 1)])))' \
        "date=$(date -u +%F)" "machine=$(machine)" "seeds=$seeds" "stoa=$("$STOA_BIN" version)" \
        "command=${SEEDS:+SEEDS=$SEEDS }${JOINS:+JOINS=$JOINS }bench/unique.sh"
}

mkdir -p "$results"
"$program" --seeds "$seeds" --joins "$joins" >"$work/lines.jsonl"
status=0
node bench/lib/unique.mjs "$work/lines.jsonl" "$(describe)" "$results" "$plot" || status=$?
cat "$results/unique.md"
exit $status
