#!/usr/bin/env bash
# Atomics and shared cells enter flue-core through sync.rs alone, flue-std has
# no unsafe code, and flue-core without features depends on core alone.
set -euo pipefail
cd "$(dirname "$0")/.."

if grep -rnE '(core|std)::sync::atomic' flue-core/src --include='*.rs' | grep -vE '^flue-core/src/(sync|twin)\.rs:' | grep -vE '^[^:]+:[0-9]+: *//' | grep -v '#\[cfg(test)\]' | grep -vE 'use std::sync::atomic.*// tests only'; then
    echo 'atomics outside flue-core/src/sync.rs (above)' >&2
    exit 1
fi
grep -q 'forbid(unsafe_code)' flue-std/src/lib.rs

tree=$(cargo tree -p flue-core --no-default-features -e normal --prefix none)
printf '%s\n' "$tree"
if printf '%s\n' "$tree" | grep -qE '^(crossbeam|libc|std|spin|loom)'; then
    echo 'flue-core without features depends on more than it may (above)' >&2
    exit 1
fi
