#!/usr/bin/env bash
# Says at the end of `make test` which tests did not run on this machine, and why: `ops/skipped.sh FILE`.
set -euo pipefail

file="${1:?usage: ops/skipped.sh FILE}"
count=0
[ ! -e "$file" ] || count="$(wc -l < "$file")"
echo "tests that this machine cannot run: $count"
[ "$count" = 0 ] || sed 's/^/  /' "$file"
