#!/usr/bin/env bash
# The published crates are complete: each is packed and built from its package.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo package -p flue-core -p flue-std --allow-dirty
