#!/usr/bin/env bash
# Faults at random of a Redis Cluster's masters, SIGKILL, and SIGSTOP until the replica is promoted, then SIGCONT, while
# `high` messages are sent through two nodes: is any acknowledged one missing in the store afterwards? Exit status 1 if so.
# Writes results/faults.md. A fault takes five to ten seconds.
#
#   FAULTS (200)   SEED (1)   RESULTS (bench/results)
set -euo pipefail
cd "$(dirname "$0")/.."

export FAULTS=${FAULTS:-200} SEED=${SEED:-1}
STOA_BIN=$(realpath "${STOA_BIN:-build/release/stoa}") && export STOA_BIN
results=${RESULTS:-bench/results}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

status=0
node bench/lib/faults.mjs "$work/faults.md" >&2 || status=$?
[ -s "$work/faults.md" ] || exit 2
cat "$work/faults.md"
mkdir -p "$results"
cp "$work/faults.md" "$results/faults.md"
exit "$status"
