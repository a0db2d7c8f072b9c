# Sourced by the scripts that measure on the local fleet (scripts/fleet.sh): a state folder of its own, removed at the
# end with the fleet. FLEET_BASE is set before.
export STOA_BIN=${STOA_BIN:-build/release/stoa} FLEET_BASE
work=$(mktemp -d)
export FLEET_DIR=$work/fleet
load= # a client in the background, ended with the script

clean_up() {
    [ -z "$load" ] || kill "$load" 2>/dev/null || true
    scripts/fleet.sh clean >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap clean_up EXIT
ulimit -n "$(ulimit -Hn)"

# The machine, for the record.
machine() { echo "$(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), Linux $(uname -r)"; }

# The HTTP address of edge N, and of a cache node by its name.
edge() { echo "http://127.0.0.1:$((FLEET_BASE + 29 + $1))"; }
port() { scripts/fleet.sh status | awk -v name="$1" '$1 == name { print $3 }'; }

# put PATH BODY: as the app's key, at the third edge.
put() { curl -fsS -o /dev/null -X PUT "$(edge 3)/v1/rooms/$1" -H 'Authorization: Bearer dev' -d "$2"; }

# Of the cluster's nodes as redis-cli tells them: redis-N for the port of the second column.
redis_name() { awk -v base="$FLEET_BASE" '{ split($2, at, /[:@]/); print "redis-" at[2] - base + 1 }'; }

# The line of `cluster nodes` of the master that has a room's slot.
master_line() {
    local slot
    slot=$(redis-cli -p "$FLEET_BASE" cluster keyslot "{dev/$1}")
    redis-cli -p "$FLEET_BASE" cluster nodes | awk -v slot="$slot" '$3 ~ /master/ && $3 !~ /fail/ {
        split($9, range, "-"); if (slot >= range[1] && slot <= range[2]) print }'
}
master_of() { master_line "$1" | redis_name; }
replica_of() {
    local id
    read -r id _ < <(master_line "$1")
    redis-cli -p "$FLEET_BASE" cluster nodes | awk -v id="$id" '$4 == id' | redis_name
}

# pin CORE NAME...: all threads of these parts of the fleet.
pin() {
    local core=$1 name
    shift
    for name in "$@"; do taskset -a -p -c "$core" "$(cut -d' ' -f1 "$FLEET_DIR/pid/$name")" >/dev/null; done
}
