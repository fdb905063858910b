#!/usr/bin/env bash
# One process that floods, forges, churns and kills beside 63 honest ones: limits
# hold exactly, memory stays below what the limits and the documented sizes give,
# and honest throughput above half of that beside a process that computes:
#
#   ci/hostile.sh [SECONDS]    (20)
#
# FLUE_SEED (1) is the seed.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release -p loom-tests --features std --bin hostile
exec "${CARGO_TARGET_DIR:-target}/release/hostile" "${1:-20}" docs/embedding.md
