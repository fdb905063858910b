#!/usr/bin/env bash
# The tests of flue-core in their long forms: 10,000,000 cycles of everything that comes and
# goes, 10,000,000 reuses of a slot, 4,000,000 races of a creation with a kill, 10 s where
# the short form has one. What `cargo test` does is a tenth of it or so.
#   ci/long.sh [TEST]...        all of them: some four minutes
set -euo pipefail
cd "$(dirname "$0")/.."
export FLUE_LONG=1
[ $# -gt 0 ] || set -- dying links memory objects permissions receiving sending
for test; do
    cargo test --quiet -p flue-core --features std,bytes --test "$test"
done
echo "long forms of $*: all well, $SECONDS s"
