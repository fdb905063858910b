#!/usr/bin/env bash
# The end of what words can count: slots with no life left, and names that are all in use. At the real widths by
# starting near the end (flue_aged), and in words so narrow that they end soon.
#   ci/exhaustion.sh
# The flags are for this workspace's crates alone, so what they need is built once.
set -euo pipefail
cd "$(dirname "$0")/.."
target="$PWD/target"
[ -z "${CARGO_TARGET_DIR:-}" ] || target=$(realpath -m "$CARGO_TARGET_DIR")
export CARGO_TARGET_DIR="$target/exhaustion"
export CARGO_PROFILE_TEST_OPT_LEVEL=1 CARGO_PROFILE_TEST_DEBUG=0
mkdir -p "$CARGO_TARGET_DIR"
run() { # name, what to pass to rustc
    local wrapper="$CARGO_TARGET_DIR/rustc-$1.sh" name=$1
    shift
    { echo '#!/bin/sh' && printf 'exec "$@"' && printf " '%s'" "$@" && echo; } >"$wrapper.new"
    cmp -s "$wrapper.new" "$wrapper" 2>/dev/null || { cp "$wrapper.new" "$wrapper" && chmod +x "$wrapper"; }
    echo "== $name: $*"
    RUSTC_WORKSPACE_WRAPPER=$wrapper timeout 1800 cargo test --quiet -p flue-core --features std --test exhaustion |
        tee "$CARGO_TARGET_DIR/said"
    grep -q '^test result: ok. [1-9]' "$CARGO_TARGET_DIR/said" || { echo "exhaustion: $name has no tests" >&2 && exit 1; }
}
run aged --cfg flue_aged
run word32 --cfg 'flue_word="32"'
run word16 --cfg 'flue_word="16"'
run aged32 --cfg flue_aged --cfg 'flue_word="32"'
echo 'every end was reached'
