#!/usr/bin/env bash
# Runs C test programs, some at a time since many of them wait for other processes, each under a time
# limit, and shows how each one ended.
#
#   run-tests.sh PROGRAM...      TEST_TIMEOUT=1800 seconds for each, TEST_JOBS=3 at a time
#
# The last line is "N passed, N failed", which counts programs. Fails if one failed.
set -uo pipefail

export TEST_TIMEOUT=${TEST_TIMEOUT:-1800}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-second_deadlock_stack=1}
work=$(mktemp -d)
export work
trap 'rm -rf "$work"' EXIT

how_it_ended() { # program, status
    if [ "$2" -eq 124 ] || [ "$2" -eq 137 ]; then
        echo "$1: took more than $TEST_TIMEOUT s"
    elif [ "$2" -ne 0 ]; then
        echo "$1: exit status $2"
    fi
}

run_one() { # program
    local log status=0
    log=$(mktemp -p "$work" log.XXXXXX)
    timeout --kill-after=5 "$TEST_TIMEOUT" "$1" >"$log" 2>&1 || status=$?
    if [ $status -eq 0 ]; then touch "$log.passed"; else touch "$log.failed"; fi
    {
        flock 9 # one block of lines at a time
        echo "== $1"
        tail -n "$([ $status -eq 0 ] && echo 2 || echo 60)" "$log"
        how_it_ended "$1" $status
    } 9>"$work/lock"
}
export -f run_one how_it_ended

printf '%s\0' "$@" | xargs -0 -r -P "${TEST_JOBS:-3}" -n 1 bash -c 'run_one "$1"' run_one
count() { find "$work" -name "log.*.$1" | wc -l; }
echo "$(count passed) passed, $(count failed) failed"
[ "$(count failed)" -eq 0 ] && [ "$(count passed)" -eq $# ]
