#!/usr/bin/env bash
# Model-checks flue-core: every model of loom-tests, and their must-fail twins,
# each in a process of its own. The first argument is the preemption bound (2).
# A model stops unfinished after FLUE_LOOM_SECONDS (20), and says so.
set -euo pipefail
cd "$(dirname "$0")/.."
export LOOM_MAX_PREEMPTIONS="${1:-2}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom"

run() {
    local flags=$1
    shift
    if cargo nextest --version >/dev/null 2>&1; then
        RUSTFLAGS="$flags" cargo nextest run --cargo-profile release -p loom-tests \
            --no-fail-fast --success-output final --status-level fail "$@"
    else
        RUSTFLAGS="$flags" cargo test --release -p loom-tests "$@" -- --test-threads=1 --nocapture
    fi
}

run "--cfg loom"
# The collector's steps are visible to loom only in a build of their own.
run "--cfg loom --cfg crossbeam_loom" --test reclaim
