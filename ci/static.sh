#!/usr/bin/env bash
# flue-core without features and without alloc: its tests, on static storage.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo test -p flue-core --no-default-features --lib --tests
