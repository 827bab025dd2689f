#!/usr/bin/env bash
# Packages the crates that others embed or call as crates.io would get them, and checks that the packages, tests and all, build from
# nothing but what is in them: `ops/package.sh`. Needs no network once the workspace has been built.
#
# Our own crates are not on a registry yet. Cargo packages them together, and whoever builds them takes each other's
# packages: here, a workspace of what was unpacked.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo="${CARGO:-cargo}"

embedded=(zonecast-records zonecast-edge-reader zonecast-api)
# What those need, also for their tests.
needed=(zonecast-kv-proto zonecast-builder zonecast-ingest)

packages=()
for name in "${needed[@]}" "${embedded[@]}"; do packages+=(-p "$name"); done
"$cargo" package --quiet --offline --locked --allow-dirty --no-verify "${packages[@]}"

unpacked="$(mktemp -d)"
trap 'rm -rf "$unpacked"' EXIT
cp Cargo.lock "$unpacked"
{
    printf '[workspace]\nresolver = "3"\nmembers = ["*-*"]\n\n[patch.crates-io]\n'
    for name in "${needed[@]}" "${embedded[@]}"; do
        # All packaged files are from 2006; -m has Cargo see that they may have changed.
        tar -xzmf target/package/"$name"-[0-9]*.crate -C "$unpacked"
        folder="$(cd "$unpacked" && echo "$name"-[0-9]*)"
        printf '%s = { path = "%s" }\n' "$name" "$folder"
    done
} > "$unpacked/Cargo.toml"
export CARGO_TARGET_DIR="$PWD/target/package/check"
# Each alone first: what the tests of one bring must not be what another lacks.
for name in "${embedded[@]}"; do
    "$cargo" check --quiet --offline --manifest-path "$unpacked/Cargo.toml" -p "$name"
    "$cargo" check --quiet --offline --manifest-path "$unpacked/Cargo.toml" -p "$name" --tests
done
echo "packages that build from what is in them: ${embedded[*]}"
