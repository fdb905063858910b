#!/usr/bin/env bash
# Every combination of features builds, of both crates, without a warning. `loom` and
# `shuttle` do nothing but together with the cfg of that name, so here they must change
# nothing, and come and go together; with their cfg they are built by ci/loom.sh and
# ci/shuttle.sh. Clippy looks at the most and at the least of flue-core, and what only
# the feature `bytes` has is tested with it.
set -euo pipefail
cd "$(dirname "$0")/.."

check() { # package, features
    RUSTFLAGS="${RUSTFLAGS:-} -D warnings" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/features" \
        cargo check --quiet -p "$1" --no-default-features --features "$2" ||
        { echo "$1 does not build with features: $2" >&2; exit 1; }
}

features=(alloc std portable-atomic bytes defmt loom,shuttle)
count=0
for ((set = 0; set < 1 << ${#features[@]}; set++)); do
    chosen=()
    for ((at = 0; at < ${#features[@]}; at++)); do
        ((set >> at & 1)) && chosen+=("${features[at]}")
    done
    check flue-core "$(IFS=,; echo "${chosen[*]-}")"
    count=$((count + 1))
done
for list in '' bytes; do
    check flue-std "$list"
done
echo "$count combinations of flue-core and 2 of flue-std build"

for list in '' std,bytes; do
    cargo clippy --quiet -p flue-core --all-targets --no-default-features --features "$list" -- -D warnings
done
cargo clippy --quiet -p flue-std --all-targets --features bytes -- -D warnings

cargo test --quiet -p flue-core --features std,bytes --test sending
cargo test --quiet -p flue-std --features bytes --test backpressure
