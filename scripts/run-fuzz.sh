#!/usr/bin/env bash
# Runs each fuzzer for FUZZ_SECONDS (10).
#
#   run-fuzz.sh PROGRAM...      PROGRAM is .../NAME_fuzz
#
# It starts from the inputs in test/fuzz/corpus/NAME/ and, if there is one, the words in
# test/fuzz/NAME.dict. What it finds stays beside the program, in NAME_fuzz.found/; what breaks the
# code is NAME_fuzz.crash-*: copy that into the corpus together with the mend.
set -uo pipefail

seconds=${FUZZ_SECONDS:-10}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0
failed=0

for program in "$@"; do
    name=$(basename "$program" _fuzz)
    found=$program.found
    mkdir -p "$found"
    args=(-max_total_time="$seconds" -timeout=5 -artifact_prefix="$program.")
    [ -f "test/fuzz/$name.dict" ] && args+=(-dict="test/fuzz/$name.dict")
    args+=("$found")
    [ -d "test/fuzz/corpus/$name" ] && args+=("test/fuzz/corpus/$name")

    echo "== $program"
    if timeout --kill-after=5 $((seconds + 60)) "$program" "${args[@]}" >"$log" 2>&1; then
        passed=$((passed + 1))
        tail -n 1 "$log"
    else
        failed=$((failed + 1))
        tail -n 60 "$log"
    fi
done

echo "$passed fuzzers passed, $failed failed"
[ $failed -eq 0 ]
