# Sourced by the other scripts: a server of our own on a free port, and its end. Sets address, server (its
# pid) and work (a folder that is removed at the end).
STOA_BIN=${STOA_BIN:-build/release/stoa}
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; wait; rm -rf "$work"' EXIT

# start_server [option of serve …]; PIN=0 binds it to that core.
start_server() {
    ${PIN:+taskset -c "$PIN"} "$STOA_BIN" serve --dev --listen 127.0.0.1:0 --store "sqlite:$work/stoa.db" "$@" \
        >"$work/serve.txt" 2>"$work/serve.log" &
    server=$!
    wait_for_address
}

wait_for_address() {
    until [ -s "$work/serve.txt" ] && address=$(sed -n 's/^listening on //p' "$work/serve.txt") && [ -n "$address" ]; do
        kill -0 "$server" || { cat "$work/serve.log" >&2; exit 1; }
        sleep 0.05
    done
}

stop_server() {
    kill "$server" && wait "$server" || true
    server=
    rm -f "$work"/stoa.db* "$work/serve.txt"
}

# A metric, summed over its labels.
metric() {
    curl -fsS "http://$address/metrics" | awk -v name="$1" '$1 ~ "^" name "({|$)" { sum += $2 } END { print sum + 0 }'
}

# wait_for_metric NAME VALUE: until it is at least that, for 30 s at the most.
wait_for_metric() {
    for _ in $(seq 300); do
        [ "$(metric "$1")" -lt "$2" ] || return 0
        sleep 0.1
    done
    echo "$1 did not reach $2" >&2
    exit 1
}

# The machine, for the record.
machine() {
    echo "$(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), Linux $(uname -r)"
}
