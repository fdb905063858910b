#!/usr/bin/env bash
# The published crates are complete: each is packed and built from its package, and
# there, with nothing of this repository around it, its examples are right.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo package -p flue-core -p flue-std --allow-dirty

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
for crate in flue-core flue-std; do
    version=$(cargo pkgid -p "$crate" | sed 's/.*[#@]//')
    tar -C "$unpacked" -xf "$CARGO_TARGET_DIR/package/$crate-$version.crate"
    mv "$unpacked/$crate-$version" "$unpacked/$crate"
done
cargo test --doc --manifest-path "$unpacked/flue-core/Cargo.toml" --features std,bytes
# Its flue-core is the one just unpacked.
cargo test --doc --manifest-path "$unpacked/flue-std/Cargo.toml" --all-features \
    --config "patch.crates-io.flue-core.path='$unpacked/flue-core'"
