#!/usr/bin/env bash
# Proves the two commands of the README on a Debian 12 that has nothing but git and make: makes one in a
# folder (debootstrap), clones this checkout's HEAD into it, and runs `make test` and `make run` there.
#
#   scripts/fresh.sh [FOLDER]     as root; FOLDER (default /var/tmp/stoa-fresh) is made, used and removed
set -euo pipefail
cd "$(dirname "$0")/.."

root=${1:-/var/tmp/stoa-fresh}
port=8080
server=

clean_up() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    for mount in dev proc run/netns; do umount --recursive "$root/$mount" 2>/dev/null || true; done
    rm -rf --one-file-system "$root"
}

make_debian() {
    debootstrap --variant=minbase --include=git,make,ca-certificates bookworm "$root" >/dev/null
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev" && mount --make-rslave "$root/dev"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts" # as every installer does
    # A network that is reached through a proxy of its own: its certificates and settings, if there are any.
    cp -r /etc/ssl/certs/. "$root/etc/ssl/certs/"
    find /etc/apt/apt.conf.d -name '*registry*' -exec cp {} "$root/etc/apt/apt.conf.d/" \;
}

# Replaces this shell, so that a background one has the command's own id.
inside() {
    exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb \
        NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt chroot "$root" bash -c "$1"
}

# The page, within five minutes of install and build.
wait_for_page() {
    local tries
    for tries in $(seq 1500); do
        curl -fsS "http://127.0.0.1:$port/" 2>/dev/null | grep -q '<title>' && return 0
        kill -0 "$server" 2>/dev/null || return 1
        sleep 0.2
    done
    return 1
}

[ "$(id -u)" -eq 0 ] || { echo "fresh: run it as root" >&2; exit 2; }
[ ! -e "$root" ] || { echo "fresh: $root is there already; remove it first" >&2; exit 2; }
trap clean_up EXIT
make_debian
git clone -q . "$root/root/run" && cp -r "$root/root/run" "$root/root/test"

echo "=== make run"
inside 'cd /root/run && exec make run' >"$root/run.log" 2>&1 &
server=$!
wait_for_page || { tail -20 "$root/run.log"; exit 1; }
echo "the page is served on http://127.0.0.1:$port/"
kill "$server" && wait "$server" || true # make ends its server with it
server=

echo "=== make test"
(inside 'cd /root/test && make test')
echo "=== fresh: both commands work"
