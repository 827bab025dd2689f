#!/usr/bin/env bash
# Makes the Debian package of a zonecast that is built already, and prints its path.
#
#     ops/deb.sh target/release/zonecast                    as released
#     ops/deb.sh target/debug/zonecast 0.1.0+2 --fast       another version, quickly packed: for tests
#
# What the program can say of itself (its version, completion scripts) is asked of it, so the package fits its binary.
# cargo-deb takes everything from a folder of its own with the layout that it expects, so any profile will do.
set -euo pipefail
cd "$(dirname "$0")/.."

binary="${1:?usage: ops/deb.sh BINARY [VERSION] [options of cargo-deb]}"
program_version="$("$binary" --version | cut -d ' ' -f 2)"
version="${2:-$program_version-1}"
shift $(($# < 2 ? $# : 2))

export CARGO_TARGET_DIR="$PWD/target/deb"
release="$CARGO_TARGET_DIR/release"
mkdir -p "$release/package"
ln -f "$binary" "$release/zonecast" 2> /dev/null || cp -f "$binary" "$release/zonecast"
for shell in bash zsh fish; do
    "$binary" completions "$shell" > "$release/package/zonecast.$shell"
done
gzip -9nc CHANGELOG.md > "$release/package/changelog.gz"
# The date of the newest entry of CHANGELOG.md is not known to it, so the file's own is taken: same input, same package.
date="$(date -R -u -d "@${SOURCE_DATE_EPOCH:-$(stat -c %Y CHANGELOG.md)}")"
gzip -9nc > "$release/package/changelog.Debian.gz" << END
zonecast ($version) unstable; urgency=medium

  * Packaged from the source; changelog.gz says what is new.

 -- The zonecast authors <zonecast@users.noreply.github.com>  $date
END

cargo_deb="$(ops/cargo-deb.sh)"
"$cargo_deb" deb --strip --quiet --locked --offline --no-build --package zonecast --deb-version "$version" "$@"
