#!/usr/bin/env bash
# Thousands of connections that come and go at random, in every way there is (test/e2e/lib/churn.mjs says which): is the online
# count the truth, and the list? Ends with status 1 if not. Writes results/churn.md. Takes five minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/lib/server.sh

export CONNECTIONS=${CONNECTIONS:-5000} USERS=${USERS:-4000} SECONDS_IN_ALL=${SECONDS_IN_ALL:-180} SEED=${SEED:-20251124}
workers=${WORKERS:-3}
ulimit -n "$(ulimit -Hn)"

start_server --workers "$workers"
node bench/lib/churn.mjs "$address" "$server" >"$work/table.md"
stop_server
mkdir -p bench/results
{
    echo '# Who is here, under churn'
    echo
    echo "\`bench/churn.sh\`, $(date -u +%F). $(machine). Server with $workers workers, driver on the same machine."
    echo
    cat "$work/table.md"
} >bench/results/churn.md
cat bench/results/churn.md
