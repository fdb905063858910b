#!/usr/bin/env bash
# Every combination of features builds, of both crates, without a warning.
set -euo pipefail
cd "$(dirname "$0")/.."
export RUSTFLAGS="${RUSTFLAGS:-} -D warnings"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/features"

features=(alloc std portable-atomic bytes defmt loom)
count=0
for ((set = 0; set < 1 << ${#features[@]}; set++)); do
    chosen=()
    for ((at = 0; at < ${#features[@]}; at++)); do
        ((set >> at & 1)) && chosen+=("${features[at]}")
    done
    list=$(IFS=,; echo "${chosen[*]-}")
    cargo check --quiet -p flue-core --no-default-features --features "$list" ||
        { echo "flue-core does not build with features: $list" >&2; exit 1; }
    count=$((count + 1))
done
cargo check --quiet -p flue-std
cargo check --quiet -p flue-std --no-default-features
echo "$count combinations of flue-core and those of flue-std build"
