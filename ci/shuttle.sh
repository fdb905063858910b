#!/usr/bin/env bash
# Whole post offices under shuttle's scheduler, 8 to 32 threads each, whose
# histories must be linearizable; and twins of the code that must be rejected:
#
#   ci/shuttle.sh [HISTORIES]    (100000)
#
# Seeds count up from FLUE_SEED (1). JOBS=1 uses one thread.
set -euo pipefail
cd "$(dirname "$0")/.."
export FLUE_HISTORIES="${1:-100000}"
export RUSTFLAGS="${RUSTFLAGS:-} --cfg shuttle"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/shuttle"
cargo test --release -p loom-tests --test shuttle -- --test-threads="${JOBS:-2}" --nocapture
