#!/usr/bin/env bash
# Builds zonecast as it was at an earlier commit into target/previous/zonecast. A test runs it beside the present one.
# Once there is a release, its tag takes the place of the commit.
set -euo pipefail
cd "$(dirname "$0")/.."
commit=fca557f7cbcd8b4093fe817152ce9cf24ec2b3db
# What was changed in formats since then, before there was a release to keep them for.
patch=ops/previous.patch
into=target/previous
built="$commit $(sha256sum <"$patch")"
[ "$(cat "$into/commit" 2>/dev/null)" = "$built" ] && [ -x "$into/zonecast" ] && exit 0

rm -rf "$into"
mkdir -p "$into/source" "$into/target/debug"
if ! git cat-file -e "$commit^{commit}" 2>/dev/null; then
    echo "commit $commit is not in this clone: get its whole history with \`git fetch --unshallow\`" | tee "$into/missing"
    exit 0
fi
echo "building zonecast of commit $commit, for the test of two releases beside each other"
git archive "$commit" | tar -x -C "$into/source"
patch --quiet -p1 -d "$into/source" <"$patch"
# A folder of its own, because cargo would take what it has built there for the present sources. Crates of others are
# the same: links instead of another build.
for folder in build deps .fingerprint; do
    [ -d "target/debug/$folder" ] && cp -al "target/debug/$folder" "$into/target/debug/"
done
find "$into/target" -name '*zonecast*' -prune -exec rm -rf {} +
${CARGO:-cargo} build --locked --workspace --bin zonecast --manifest-path "$into/source/Cargo.toml" --target-dir "$into/target"
mv "$into/target/debug/zonecast" "$into/zonecast"
rm -rf "$into/target" "$into/source"
echo "$built" >"$into/commit"
