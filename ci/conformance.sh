#!/usr/bin/env bash
# Compares flue-core with the executable specification over CASES (10000) random
# sequences of 200 operations, on growing and on static offices, two threads:
#
#   ci/conformance.sh [CASES]
#
# Sequences are drawn in shards of at most 10,000, each from a seed of its own,
# counted from FLUE_SEED (3870) and printed. JOBS=1 uses one thread.
set -euo pipefail
cd "$(dirname "$0")/.."
cases=${1:-10000}
seed=${FLUE_SEED:-3870}
shard=10000

done=0
started=$SECONDS
cargo test -p flue-core --features std,bytes --test conformance --no-run
while [ "$done" -lt "$cases" ]; do
    next=$((cases - done < shard ? cases - done : shard))
    FLUE_CASES=$next FLUE_SEED=$seed cargo test --quiet -p flue-core --features std,bytes --test conformance -- \
        --test-threads="${JOBS:-2}"
    done=$((done + next))
    echo "conformance: $done of $cases sequences equal on each office, last seed $seed, $((SECONDS - started)) s"
    seed=$((seed + 1))
done
