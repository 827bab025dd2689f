#!/usr/bin/env bash
# Installs the Debian packages that are missing: `ops/apt.sh build`, `test` or `bench`.
#
# As root, or through sudo when that needs no password or a terminal can ask for it; otherwise it prints the line to
# run and exits 2. Servers are installed as partners of tests and measures only: they are kept from starting on their own.
set -euo pipefail

build=(build-essential libclang-dev pkg-config clang cmake ninja-build)
test=("${build[@]}" nsd knot bind9 bind9-utils knot-dnsutils bind9-dnsutils python3-dnspython pdns-server pdns-backend-bind pdns-backend-remote util-linux mount e2fsprogs adduser lintian iproute2 procps systemd prometheus)
bench=("${build[@]}" nsd knot bind9 pdns-server pdns-backend-lmdb dnsperf etcd-server redis-server util-linux)

case "${1:-}" in
    build) wanted=("${build[@]}") ;;
    test) wanted=("${test[@]}") ;;
    bench) wanted=("${bench[@]}") ;;
    *)
        echo "usage: ops/apt.sh build|test|bench" >&2
        exit 2
        ;;
esac

if ! command -v cargo > /dev/null; then
    echo "cargo is missing: install Rust 1.95 or later from https://rustup.rs" >&2
    exit 2
fi

missing=()
for package in "${wanted[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" = 0 ]; then
    sudo=()
elif command -v sudo > /dev/null && { [ -t 0 ] || sudo -n true 2> /dev/null; }; then
    sudo=(sudo)
else
    echo "missing packages; run this as root, then try again:" >&2
    echo "  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 2
fi

echo "installing ${missing[*]}" >&2
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" > /dev/null
    "${sudo[@]}" chmod 755 "$policy"
    trap '"${sudo[@]}" rm -f "$policy"' EXIT
fi
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
