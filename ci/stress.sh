#!/usr/bin/env bash
# Scenarios over the public API at full speed, on each kind of post office:
# queues of capacity 1 to 8, closing and reopening before stale senders, sleeping
# and waking, kills, links, tables, memory. Order, loss, doubling, tearing and the
# capacity itself are asserted; the seeds are printed.
#   ci/stress.sh [SECONDS] [SEED]     for so long in all (60), from that seed on (1)
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
seed=${2:-1}
readonly KINDS=(std alloc static)
for kind in "${KINDS[@]}"; do
    features=()
    [ "$kind" = static ] || features=(--features "$kind")
    cargo build --quiet --release --target-dir "${CARGO_TARGET_DIR:-target}/stress" \
        -p loom-tests --bin stress ${features[@]+"${features[@]}"}
    "${CARGO_TARGET_DIR:-target}/stress/release/stress" $((seconds / ${#KINDS[@]})) "$seed"
done
