#!/usr/bin/env bash
# A fleet on this machine, on loopback: three Redis masters with a replica each, two ordinary sects of two cache nodes,
# a VIP sect of two, three edges.
#
#   fleet.sh up [--apps]       starts all, waits until each answers, and tells where. An up after a down goes on with the
#                              same data. --apps: one app with a key and a secret instead of --dev
#   fleet.sh down              ends all; data and logs stay
#   fleet.sh clean             down, and removes the state folder
#   fleet.sh status            a table
#   fleet.sh kill NAME         SIGKILL, as a crash does it     fleet.sh term NAME     SIGTERM: a drained stop
#   fleet.sh stop NAME         SIGSTOP: alive, but stuck       fleet.sh cont NAME     SIGCONT
#   fleet.sh start NAME        starts it again
#
# Names: redis-1 … redis-6, one-a one-b two-a two-b vip-a vip-b, edge-1 edge-2 edge-3.
#
#   FLEET_DIR (build/fleet)    the state folder: pids, logs, the data of Redis, the secrets
#   FLEET_BASE (7100)          the first of forty ports; ten above FLEET_BASE + 10000 are used too
#   STOA_BIN (build/release/stoa)
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)

STOA_BIN=${STOA_BIN:-$here/build/release/stoa}
dir=${FLEET_DIR:-$here/build/fleet}
base=${FLEET_BASE:-7100}
wait_s=60

redises=(redis-1 redis-2 redis-3 redis-4 redis-5 redis-6)
caches=(one-a one-b two-a two-b vip-a vip-b)
edges=(edge-1 edge-2 edge-3)
all=("${redises[@]}" "${caches[@]}" "${edges[@]}")

die() {
    echo "fleet: $*" >&2
    exit 1
}

# --- names and places --------------------------------------------------------------------------------

# index NAME OF...: where NAME is in the list.
index() {
    local name=$1 i=0 other
    shift
    for other in "$@"; do
        [ "$other" != "$name" ] || { echo $i; return; }
        i=$((i + 1))
    done
    die "there is no $name; there are: ${all[*]}"
}

# The port at which NAME answers: Redis, or HTTP of a node.
port_of() {
    case $1 in
    redis-*) echo $((base + $(index "$1" "${redises[@]}"))) ;;
    edge-*) echo $((base + 30 + $(index "$1" "${edges[@]}"))) ;;
    *) echo $((base + 10 + $(index "$1" "${caches[@]}"))) ;;
    esac
}

link_port_of() {
    echo $((base + 20 + $(index "$1" "${caches[@]}")))
}

# addresses FUNCTION NAME...: 127.0.0.1:PORT,…
addresses() {
    local of=$1 name list=
    shift
    for name in "$@"; do list+=${list:+,}127.0.0.1:$("$of" "$name"); done
    echo "$list"
}

# --- processes ---------------------------------------------------------------------------------------

# When the process began, in ticks since the machine did: with its number that names it for good.
began() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    set -- ${stat##*) }
    echo "${20}"
}

# The state letter of /proc, such as S, or T when it is stopped.
state_of() {
    sed -E 's/.*\) (.).*/\1/' "/proc/$1/stat" 2>/dev/null || true
}

# The process of NAME if it lives.
pid_of() {
    local pid="" at=""
    [ ! -f "$dir/pid/$1" ] || read -r pid at <"$dir/pid/$1"
    [ -z "$pid" ] || [ "$(began "$pid")" != "$at" ] || [ "$(state_of "$pid")" = Z ] || echo "$pid"
}

# launch NAME COMMAND...: in a session of its own, so that ^C here is not meant for it.
launch() {
    local name=$1 pid
    shift
    setsid "$@" >>"$dir/log/$name" 2>&1 </dev/null &
    pid=$!
    echo "$pid $(began "$pid")" >"$dir/pid/$name"
}

start_redis() {
    mkdir -p "$dir/redis/$1"
    launch "$1" redis-server --port "$(port_of "$1")" --bind 127.0.0.1 --dir "$dir/redis/$1" --save '' \
        --appendonly yes --appendfsync everysec --maxmemory-policy noeviction --repl-diskless-sync-delay 0 \
        --cluster-enabled yes --cluster-config-file nodes.conf --cluster-node-timeout 2000 \
        --cluster-require-full-coverage no --cluster-allow-replica-migration no
}

# start_node NAME OPTION...: what cache nodes and edges have in common.
start_node() {
    local name=$1 access=(--dev)
    shift
    [ ! -f "$dir/apps.ini" ] || access=(--config "$dir/apps.ini")
    STOA_LINK_SECRET=$(cat "$dir/secret") launch "$name" "$STOA_BIN" serve "${access[@]}" --workers 1 \
        --listen "127.0.0.1:$(port_of "$name")" "$@"
}

start_cache() {
    local sect=${1%-*} vip=()
    [ "$sect" != vip ] || vip=(--vip)
    start_node "$1" --store "redis://$(addresses port_of "${redises[@]}")" --sect "$sect" "${vip[@]}" \
        --link "127.0.0.1:$(link_port_of "$1")" --advertise "127.0.0.1:$(link_port_of "$1")"
}

start_edge() {
    start_node "$1" --store "link://$(addresses link_port_of "${caches[@]}")"
}

start_one() {
    index "$1" "${all[@]}" >/dev/null
    [ -z "$(pid_of "$1")" ] || die "$1 is running"
    case $1 in
    redis-*) start_redis "$1" ;;
    edge-*) start_edge "$1" ;;
    *) start_cache "$1" ;;
    esac
}

# send SIGNAL NAME
send() {
    local pid
    index "$2" "${all[@]}" >/dev/null
    pid=$(pid_of "$2")
    [ -n "$pid" ] || die "$2 is not running"
    kill "-$1" "$pid"
}

# end NAME...: asks all of them to stop, waits, and kills what is still there.
end() {
    local name pid pids=()
    for name in "$@"; do
        pid=$(pid_of "$name")
        [ -n "$pid" ] || continue
        kill -CONT "$pid" && kill -TERM "$pid" || true
        pids+=("$pid")
    done
    [ ${#pids[@]} -eq 0 ] || wait_gone "${pids[@]}"
    for name in "$@"; do
        pid=$(pid_of "$name")
        [ -z "$pid" ] || kill -KILL "$pid" || true
        rm -f "$dir/pid/$name"
    done
}

wait_gone() {
    local pid tries=0
    for pid in "$@"; do
        while kill -0 "$pid" 2>/dev/null && [ $tries -lt 150 ]; do
            sleep 0.1
            tries=$((tries + 1))
        done
    done
}

# --- readiness ---------------------------------------------------------------------------------------

redis() {
    local name=$1
    shift
    redis-cli -h 127.0.0.1 -p "$(port_of "$name")" "$@" 2>/dev/null
}

redis_answers() {
    [ "$(redis "$1" ping)" = PONG ]
}

node_answers() {
    curl -fs -m 2 -o /dev/null "http://127.0.0.1:$(port_of "$1")/readyz"
}

# cluster_state:ok comes before all know the replicas; appends wait for those.
cluster_is_whole() {
    local name
    for name in "${redises[@]}"; do
        [ "$(redis "$name" cluster nodes | grep -cE '(master|slave) .*connected')" = 6 ] || return 1
        [ "$(redis "$name" cluster slots | grep -cE '^[0-9a-f]{40}$')" = 6 ] || return 1
        ! redis "$name" info replication | grep -q 'master_link_status:down' || return 1
    done
}

# until WHAT COMMAND...: false after wait_s seconds; at once when the process of WHAT is gone.
until_true() {
    local name=$1 until=$((SECONDS + wait_s))
    shift
    until "$@"; do
        [ "$name" = "the cluster" ] || [ -n "$(pid_of "$name")" ] || give_up "$name ended"
        [ $SECONDS -lt $until ] || give_up "$name does not answer after $wait_s s"
        sleep 0.1
    done
}

give_up() {
    local name=${1%% *}
    echo "fleet: $1; the end of its log:" >&2
    tail -n 5 "$dir/log/$name" >&2 2>/dev/null || true
    end "${edges[@]}" "${caches[@]}" "${redises[@]}"
    exit 1
}

is_taken() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

check_ports() {
    local name ports=()
    for name in "${all[@]}"; do ports+=("$(port_of "$name")"); done
    for name in "${caches[@]}"; do ports+=("$(link_port_of "$name")"); done
    for name in "${redises[@]}"; do ports+=($(($(port_of "$name") + 10000))); done
    for name in "${ports[@]}"; do
        ! is_taken "$name" || die "port $name is taken by something else: try FLEET_BASE=$((base + 100)) $0 up"
    done
}

check_programs() {
    local program
    for program in redis-server redis-cli curl setsid; do
        command -v $program >/dev/null || die "$program is missing: scripts/setup.sh test installs it"
    done
    [ -x "$STOA_BIN" ] || die "$STOA_BIN is not there: make"
}

# --- the subcommands ---------------------------------------------------------------------------------

random_hex() {
    od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'
}

write_secrets() {
    umask 077
    [ -f "$dir/secret" ] || random_hex 32 >"$dir/secret"
    [ "${1:-}" = --apps ] || { rm -f "$dir/apps.ini"; return 0; }
    [ -f "$dir/apps.ini" ] || cat >"$dir/apps.ini" <<INI
[app "live"]
key = $(random_hex 16)
secret = $(random_hex 32)
auto_create = true
INI
}

make_cluster() {
    local name
    for name in "${redises[@]}"; do until_true "$name" redis_answers "$name"; done
    [ -n "$(redis redis-1 cluster slots)" ] ||
        # shellcheck disable=SC2046  # a list of addresses
        redis-cli --cluster create $(addresses port_of "${redises[@]}" | tr , ' ') --cluster-replicas 1 --cluster-yes \
            >"$dir/log/cluster" 2>&1 || give_up 'cluster could not be made'
    until_true 'the cluster' cluster_is_whole
}

up() {
    local name
    check_programs
    for name in "${all[@]}"; do [ -z "$(pid_of "$name")" ] || die "$name is running: $0 status, $0 down"; done
    check_ports
    mkdir -p "$dir/pid" "$dir/log"
    write_secrets "$@"
    for name in "${redises[@]}"; do start_redis "$name"; done
    make_cluster
    for name in "${caches[@]}"; do start_cache "$name"; done
    for name in "${caches[@]}"; do until_true "$name" node_answers "$name"; done
    for name in "${edges[@]}"; do start_edge "$name"; done
    for name in "${edges[@]}"; do until_true "$name" node_answers "$name"; done
    tell_where
}

tell_where() {
    local name
    for name in "${edges[@]}"; do echo "http://127.0.0.1:$(port_of "$name")"; done
    [ -f "$dir/apps.ini" ] || return 0
    echo "key: $(sed -n 's/^key = //p' "$dir/apps.ini")"
    echo "tokens: stoa token --config $dir/apps.ini --app live --user NAME"
}

down() {
    end "${edges[@]}"
    end "${caches[@]}"
    end "${redises[@]}"
}

# What a node or a Redis says of itself.
describe() {
    case $1 in
    redis-*) redis "$1" role | head -1 ;;
    *) curl -fs -m 2 "http://127.0.0.1:$(port_of "$1")/metrics" | awk '
        $1 == "stoa_rooms_active" { rooms = $2 }
        $1 ~ /^stoa_connections({|$)/ { connections += $2 }
        END { if (rooms != "") print rooms " rooms, " connections " connections" }' ;;
    esac
}

status() {
    local name pid state
    printf '%-9s %8s %6s  %-8s %s\n' name pid port state ''
    for name in "${all[@]}"; do
        pid=$(pid_of "$name")
        state=up
        [ -n "$pid" ] || state=down
        [ -z "$pid" ] || [ "$(state_of "$pid")" != T ] || state=stopped
        printf '%-9s %8s %6s  %-8s %s\n' "$name" "${pid:--}" "$(port_of "$name")" $state \
            "$([ $state != up ] || describe "$name" || true)"
    done
}

case ${1:-} in
up) up "${2:-}" ;;
down) down ;;
clean)
    down
    rm -rf "$dir"
    ;;
status) status ;;
start) start_one "${2:?which}" ;;
kill) send KILL "${2:?which}" ;;
term) send TERM "${2:?which}" ;;
stop) send STOP "${2:?which}" ;;
cont) send CONT "${2:?which}" ;;
*) die "usage: fleet.sh up [--apps] | down | clean | status | start|kill|term|stop|cont NAME" ;;
esac
