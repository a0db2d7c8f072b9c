#!/usr/bin/env bash
# The coefficients of docs/scaling.md that no other script measures: what Redis has to do for rooms of 10, 1,000 and
# 10,000 viewers, what a user's heartbeat costs it, what a message costs the room's cache node for each edge, and what a
# connection takes in the kernel. Four minutes. Writes bench/results/scaling.md.
#
#   SECONDS_EACH (40)   RESULTS (bench/results)
set -euo pipefail
cd "$(dirname "$0")/.."

export SECONDS_EACH=${SECONDS_EACH:-40}
STOA_BIN=$(realpath "${STOA_BIN:-build/release/stoa}") && export STOA_BIN
results=${RESULTS:-bench/results}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

ulimit -n "$(ulimit -Hn)"
status=0
node bench/lib/scaling.mjs "$work/scaling.md" >&2 || status=$?
[ "$status" -eq 0 ] || exit "$status"
cat "$work/scaling.md"
mkdir -p "$results"
cp "$work/scaling.md" "$results/scaling.md"
