#!/usr/bin/env bash
# The main job on real input, this repository, while workers are being crashed: it
# must end, with everything counted. That the total is the one of `wc -w` over the
# files counted is tested by `cargo test -p flue-std --test wordcount`.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --example wordcount
cargo run --release --example wordcount
cargo run --release --example wordcount -- --crash 6 flue-core
