#!/usr/bin/env bash
# Two threads at full speed on one post office, in rounds after each of which the
# totals must be those of the specification and memory flat within 1 %:
#
#   ci/soak.sh [MINUTES] [SENDS]    (1, no end)
#
# It ends when the minutes are over, or before, when so many messages were sent.
# 1000000000 sends come with 10^8 slots reused, 10^7 links made and unmade and 10^6
# groups killed. Seeds count up from FLUE_SEED (1).
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release -p loom-tests --features std --bin soak
exec "${CARGO_TARGET_DIR:-target}/release/soak" "$@"
