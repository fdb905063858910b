#!/usr/bin/env bash
# A user's own model: a protocol on top of flue-core's public interface, in a
# package of its own, explored with `--cfg loom` and the feature `loom`. The
# variant with a mistake must be rejected, and for that mistake.
set -euo pipefail
cd "$(dirname "$0")/../loom-tests/examples/downstream"
export LOOM_MAX_PREEMPTIONS="${1:-2}"
target=${CARGO_TARGET_DIR:-../../../target}
export CARGO_TARGET_DIR="$target/downstream"

CARGO_TARGET_DIR="$target/downstream-plain" cargo test --locked --quiet --test threads
export RUSTFLAGS="--cfg loom"
cargo test --locked --release --quiet --test model -- --nocapture
if said=$(cargo test --locked --release --quiet --test model -- --ignored --nocapture 2>&1); then
    echo 'downstream: the mistake was not found' >&2
    exit 1
fi
if ! grep -q 'the permit came back twice, or never' <<<"$said"; then
    printf '%s\ndownstream: rejected, but not for the mistake\n' "$said" >&2
    exit 1
fi
echo 'downstream: the protocol holds, the mistake is found'
