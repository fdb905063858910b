#!/usr/bin/env bash
# Runs all tests of the workspace's default members under AddressSanitizer, which
# must report nothing; and a planted fault (ci/asan), which must be reported. That
# nothing leaks is counted by tests: some of these forget things on purpose.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(rustc -vV | sed -n 's/^host: //p')
if [ ! -e "$(rustc --print target-libdir)"/librustc-*_rt.asan.a ]; then
    echo 'asan: the toolchain has no runtime of the sanitizer; one of rustup has, for x86-64 Linux' >&2
    exit 1
fi
# The sanitizer comes with every toolchain, but is not stable.
export RUSTC_BOOTSTRAP=1
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/asan"
export ASAN_OPTIONS="detect_leaks=0:detect_stack_use_after_return=1:strict_string_checks=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
mkdir -p "$CARGO_TARGET_DIR"

control() { # file, what must be said
    local said=$CARGO_TARGET_DIR/$1.log
    rustc --edition 2024 -Zsanitizer=address --target "$target" -o "$CARGO_TARGET_DIR/$1" "ci/asan/$1.rs"
    if "$CARGO_TARGET_DIR/$1" >"$said" 2>&1 || ! grep -q "$2" "$said"; then
        cat "$said" >&2
        echo "the planted fault ci/asan/$1.rs was not reported" >&2
        exit 1
    fi
    echo "control $1: reported"
}
control use_after_free 'ERROR: AddressSanitizer: heap-use-after-free'

# Under a sanitizer the collector works at another rhythm, of its own accord: what
# counts its steps, and what it retires, looks at the ordinary build; so do the millions
# of cycles after which memory must be flat.
export CARGO_BUILD_TARGET=$target
RUSTFLAGS="${RUSTFLAGS:-} -Zsanitizer=address" cargo test --tests --no-fail-fast -- \
    --skip steps_are_as_documented --skip ends_retire_nothing --skip _is_flat
echo 'no report under AddressSanitizer'
