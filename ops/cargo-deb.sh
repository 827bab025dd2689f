#!/usr/bin/env bash
# Installs cargo-deb once into the user's cache folder and prints the path of the program.
#
# A pinned version with its own lock file, away from ~/.cargo/bin: what is there already is neither used nor changed.
# It takes about three minutes on two cores.
set -euo pipefail

version=3.8.0
cache="${ZONECAST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/zonecast}"
home="$cache/cargo-deb-$version"

mkdir -p "$cache"
exec 9> "$home.lock"
flock 9
if [ ! -x "$home/bin/cargo-deb" ]; then
    echo "cargo-deb: installing $version once into $home, about three minutes on two cores" >&2
    work="$(mktemp -d "$cache/build-XXXXXX")"
    trap 'rm -rf "$work"' EXIT
    cd "$work" # away from the workspace: its cargo configuration is not for this
    unset RUSTFLAGS CARGO_TARGET_DIR
    # The program is linked with its own liblzma, so that the machine's may be upgraded or missing.
    if ! cargo install --locked --version "=$version" --features static-lzma --root "$work/out" \
        --target-dir "$work/target" cargo-deb > "$work/log" 2>&1; then
        tail -n 40 "$work/log" >&2
        exit 1
    fi
    rm -rf "$home"
    mv "$work/out" "$home"
fi
echo "$home/bin/cargo-deb"
