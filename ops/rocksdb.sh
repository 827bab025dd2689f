#!/usr/bin/env bash
# Builds librocksdb.a once into the user's cache folder and points .cargo/config.toml at it.
#
# RocksDB's C++ takes about 15 minutes on two cores; every clone, profile and CI run shares this one build.
# The cache key is everything that changes the result: crate version, features, flags, compiler, architecture.
# Plain `cargo build` works without this script: librocksdb-sys then compiles RocksDB itself.
set -euo pipefail
cd "$(dirname "$0")/.."

cache="${ZONECAST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/zonecast}"
arch="$(uname -m)"
cxxflags=""
# Without these RocksDB computes its checksums in software.
[ "$arch" = x86_64 ] && cxxflags="-msse4.2 -mpclmul"
dependency="$(grep '^rocksdb = ' Cargo.toml)"
locked="$(grep -A 2 '^name = "librocksdb-sys"' Cargo.lock)"
compiler="$("${CXX:-c++}" --version | head -n 1)"
key="$(printf '%s\n' "$dependency" "$locked" "$cxxflags" "$compiler" "$arch" | sha256sum | cut -c 1-16)"
home="$cache/rocksdb-$key"

point_cargo_at_cache() {
    mkdir -p .cargo
    printf '# Written by ops/rocksdb.sh; not in version control.\n[env]\nROCKSDB_LIB_DIR = "%s"\nROCKSDB_STATIC = "1"\n' \
        "$home" > .cargo/config.toml.new
    cmp -s .cargo/config.toml.new .cargo/config.toml || cp .cargo/config.toml.new .cargo/config.toml
    rm -f .cargo/config.toml.new
}

if [ -f "$home/librocksdb.a" ]; then
    point_cargo_at_cache
    echo "rocksdb: cached in $home"
    exit 0
fi

mkdir -p "$cache"
exec 9> "$cache/rocksdb-$key.lock"
flock 9
if [ ! -f "$home/librocksdb.a" ]; then
    echo "rocksdb: compiling once into $home, about 15 minutes on two cores" >&2
    work="$(mktemp -d "$cache/build-XXXXXX")"
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work/src"
    touch "$work/src/lib.rs"
    cp Cargo.lock "$work/Cargo.lock"
    printf '[package]\nname = "rocksdb-cache"\nversion = "0.0.0"\nedition = "2024"\n\n[dependencies]\n%s\n\n[workspace]\n' \
        "$dependency" > "$work/Cargo.toml"
    (
        cd "$work"
        unset RUSTFLAGS ROCKSDB_LIB_DIR ROCKSDB_STATIC
        CXXFLAGS="$cxxflags" cargo build --release -p librocksdb-sys --target-dir "$work/target" > "$work/log" 2>&1
    ) &
    build=$!
    while kill -0 "$build" 2> /dev/null; do
        sleep 10
        objects="$(find "$work/target" -path '*librocksdb-sys*' -name '*.o' 2> /dev/null | wc -l)"
        echo "rocksdb: $objects of about 330 files compiled" >&2
    done
    if ! wait "$build"; then
        tail -n 40 "$work/log" >&2
        exit 1
    fi
    mkdir "$work/out"
    cp "$(find "$work/target" -name librocksdb.a | head -n 1)" "$work/out/"
    printf '%s\n' "$dependency" "$locked" "$cxxflags" "$compiler" "$arch" > "$work/out/key.txt"
    rm -rf "$home"
    mv "$work/out" "$home"
fi
point_cargo_at_cache
echo "rocksdb: ready in $home"
