#!/usr/bin/env bash
# The crates build with the oldest compiler that Cargo.toml promises, `rust-version`.
# Where that is the compiler in use, the ordinary steps are the test of it; elsewhere
# the workspace is checked with that toolchain, which must be there.
set -euo pipefail
cd "$(dirname "$0")/.."
promised=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
[ -n "$promised" ] || { echo 'msrv: Cargo.toml names no rust-version' >&2; exit 1; }
in_use=$(rustc --version | cut -d' ' -f2)
case $in_use in
    "$promised" | "$promised".*)
        echo "rustc $in_use is in use, and $promised is promised: every other step tests it"
        exit ;;
esac
toolchain=
for name in "$promised" "$promised.0"; do
    if [ -z "$toolchain" ] && cargo "+$name" --version >/dev/null 2>&1; then toolchain=$name; fi
done
if [ -z "$toolchain" ]; then
    echo "msrv: $promised is promised, $in_use is in use, and no toolchain $promised is installed:" \
        "rustup toolchain install $promised --profile minimal" >&2
    exit 1
fi
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/msrv"
cargo "+$toolchain" check --workspace --exclude benches --all-targets
for features in '' std,bytes; do
    cargo "+$toolchain" check -p flue-core --no-default-features --features "$features"
done
echo "rustc $toolchain builds everything"
