#!/usr/bin/env bash
# Builds librocksdb.a once into the user's cache folder and points .cargo/config.toml at it.
#
# Every clone, profile and CI run shares this one build. With clang and cmake it takes about 7 minutes of processor time:
# many source files are compiled as one (a unity build). Without them it takes about 30: the build script of the crate
# compiles file by file. Both compile the sources that the crate librocksdb-sys brings.
# The cache key is everything that changes the result: crate version, features, flags, compiler, architecture.
# Plain `cargo build` works without this script, and compiles file by file.
set -euo pipefail
cd "$(dirname "$0")/.."

# Source files that are compiled as one: fewer take longer altogether, more take more memory (2 GiB a job with 40).
batch=40

cache="${ZONECAST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/zonecast}"
arch="$(uname -m)"
cxxflags=""
# Without these RocksDB computes its checksums in software.
[ "$arch" = x86_64 ] && cxxflags="-msse4.2 -mpclmul"
dependency="$(grep '^rocksdb = ' Cargo.toml)"
locked="$(grep -A 2 '^name = "librocksdb-sys"' Cargo.lock)"
if command -v clang++ > /dev/null && command -v cmake > /dev/null && command -v ninja > /dev/null; then
    way="unity build of $batch"
    compiler="$(clang++ --version | head -n 1)"
else
    way="file by file"
    compiler="$("${CXX:-c++}" --version | head -n 1)"
fi
what="$(printf '%s\n' "$dependency" "$locked" "$cxxflags" "$way" "$compiler" "$arch")"
key="$(sha256sum <<< "$what" | cut -c 1-16)"
home="$cache/rocksdb-$key"

point_cargo_at_cache() {
    mkdir -p .cargo
    printf '# Written by ops/rocksdb.sh; not in version control.\n[env]\nROCKSDB_LIB_DIR = "%s"\nROCKSDB_STATIC = "1"\n' \
        "$home" > .cargo/config.toml.new
    cmp -s .cargo/config.toml.new .cargo/config.toml || cp .cargo/config.toml.new .cargo/config.toml
    rm -f .cargo/config.toml.new
}

# Where the sources of a crate are, as Cargo has unpacked them.
sources_of() {
    grep -o "\"manifest_path\":\"[^\"]*/$1-[0-9][^\"]*/Cargo.toml\"" <<< "$metadata" |
        head -n 1 | sed 's/^"manifest_path":"//; s/\/Cargo.toml"$//'
}

# Leaves librocksdb.a in $work/out.
compile_in_batches() {
    local metadata rocksdb lz4 zstd
    metadata="$(cargo metadata --locked --format-version 1)"
    rocksdb="$(sources_of librocksdb-sys)/rocksdb"
    lz4="$(sources_of lz4-sys)/liblz4/lib"
    zstd="$(sources_of zstd-sys)/zstd/lib"
    env -u CXXFLAGS -u CFLAGS -u LDFLAGS cmake -S "$rocksdb" -B "$work/build" -G Ninja \
        -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ \
        -DCMAKE_BUILD_TYPE=Release -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
        -DCMAKE_UNITY_BUILD=ON "-DCMAKE_UNITY_BUILD_BATCH_SIZE=$batch" \
        "-DCMAKE_CXX_FLAGS=$cxxflags -w -DLZ4 -DZSTD -I$lz4 -I$zstd" \
        -DPORTABLE=1 -DWITH_GFLAGS=OFF -DWITH_LIBURING=OFF -DWITH_TESTS=OFF -DWITH_ALL_TESTS=OFF -DWITH_TOOLS=OFF \
        -DWITH_CORE_TOOLS=OFF -DWITH_BENCHMARK_TOOLS=OFF -DWITH_TRACE_TOOLS=OFF -DROCKSDB_BUILD_SHARED=OFF \
        -DFAIL_ON_WARNINGS=OFF > "$work/log" 2>&1 &&
        cmake --build "$work/build" --target rocksdb 2>> "$work/log" | tee -a "$work/log" | sed -u 's/^/rocksdb: /' >&2 &&
        cp "$work/build/librocksdb.a" "$work/out/"
}

# The same with what the crate itself does.
compile_file_by_file() {
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
    local build=$! objects
    while kill -0 "$build" 2> /dev/null; do
        sleep 10
        objects="$(find "$work/target" -path '*librocksdb-sys*' -name '*.o' 2> /dev/null | wc -l)"
        echo "rocksdb: $objects of about 330 files compiled" >&2
    done
    wait "$build" && cp "$(find "$work/target" -name librocksdb.a | head -n 1)" "$work/out/"
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
    work="$(mktemp -d "$cache/build-XXXXXX")"
    trap 'rm -rf "$work"' EXIT
    mkdir "$work/out"
    if [ "$way" = "file by file" ]; then
        echo "rocksdb: compiling once into $home, about 15 minutes on two cores; with clang, cmake and ninja about 4" >&2
        compile=compile_file_by_file
    else
        echo "rocksdb: compiling once into $home, about 4 minutes on two cores" >&2
        compile=compile_in_batches
    fi
    if ! "$compile"; then
        tail -n 40 "$work/log" >&2
        exit 1
    fi
    echo "$what" > "$work/out/key.txt"
    rm -rf "$home"
    mv "$work/out" "$home"
fi
point_cargo_at_cache
echo "rocksdb: ready in $home"
