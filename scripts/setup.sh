#!/usr/bin/env bash
# Installs what is missing on Debian 12. Does nothing, and asks apt nothing, when all is there.
#
#   setup.sh build    what it takes to compile the server and to bundle the console
#   setup.sh test     that, and what the tests need
#   setup.sh bench    what it takes to compile, and what the benchmarks compare with and run
#   setup.sh ci       what the tests need, and the formatter and the fuzzers' compiler
#   setup.sh npm      only the npm packages of the console
set -euo pipefail
cd "$(dirname "$0")/.."

build_packages=(gcc libc6-dev make pkg-config libuv1-dev node-llhttp libjansson-dev libsqlite3-dev
    libssl-dev libinih-dev libhiredis-dev libprotobuf-c-dev protobuf-c-compiler)
test_packages=("${build_packages[@]}" libcmocka-dev chromium redis-server curl iproute2 util-linux findutils)
bench_packages=("${build_packages[@]}" redis-server curl nginx-light libnginx-mod-nchan strace util-linux)
ci_packages=("${test_packages[@]}" clang-14 clang-format-14 libclang-rt-14-dev)

die() {
    echo "setup: $*" >&2
    exit 1
}

# Prints those of the given packages that are not installed.
missing() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            echo "$package"
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo --preserve-env=DEBIAN_FRONTEND "$@"
    else
        die "needs root or sudo to install: ${wanted[*]}"
    fi
}

# A package that brings a service starts it when it is installed, unless this policy says no (see
# invoke-rc.d(8)). The tests and benchmarks start their own.
start_no_services() {
    local policy=/usr/sbin/policy-rc.d
    [ ! -e $policy ] || return 0
    trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod 755 $policy
}

install_packages() {
    command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
        die "this is not Debian; install by hand what Debian calls: $*"
    mapfile -t wanted < <(missing "$@")
    [ ${#wanted[@]} -gt 0 ] || return 0
    echo "setup: installing ${wanted[*]}"
    export DEBIAN_FRONTEND=noninteractive
    start_no_services
    as_root apt-get -q update
    as_root apt-get -q install -y --no-install-recommends "${wanted[@]}"
}

# The npm packages of a folder, exactly as locked; npm leaves its mark when it has finished.
install_npm() {
    local mark=$1/node_modules/.package-lock.json
    [ -f "$mark" ] && [ ! "$1/package-lock.json" -nt "$mark" ] && return 0
    command -v npm >/dev/null || die "npm is missing; scripts/setup.sh build installs it"
    (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund)
    touch "$mark"
}

install() {
    # A node that came from elsewhere is as good as Debian's, and must not be replaced by it.
    local node_packages=()
    command -v node >/dev/null || node_packages+=(nodejs)
    command -v npm >/dev/null || node_packages+=(npm)
    install_packages "$@" "${node_packages[@]}"
    install_npm web
}

case "${1:-}" in
npm) install_npm web ;;
build) install "${build_packages[@]}" ;;
bench) install "${bench_packages[@]}" ;;
test | ci)
    packages="$1_packages[@]"
    install "${!packages}"
    install_npm test
    ;;
*) die "usage: setup.sh build|test|bench|ci|npm" ;;
esac
