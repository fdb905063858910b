#!/usr/bin/env bash
# Atomics and shared cells enter flue-core through sync.rs alone, flue-std has
# no unsafe code, and flue-core without features depends on core alone.
set -euo pipefail
cd "$(dirname "$0")/.."

# Comments may speak of them.
if grep -rnE '(core|std)::(sync::atomic|cell::(UnsafeCell|SyncUnsafeCell)|cell::\{[^}]*UnsafeCell|\{[^}]*(atomic|UnsafeCell))|portable_atomic::' \
    flue-core/src --include='*.rs' | grep -vE '^flue-core/src/sync\.rs:|^[^:]+:[0-9]+: *//'; then
    echo 'atomics or shared cells outside flue-core/src/sync.rs (above)' >&2
    exit 1
fi
grep -q '^#!\[forbid(unsafe_code)\]' flue-std/src/lib.rs

# All of them without std and without alloc.
expected='bitflags byteorder flue-core hash32 heapless stable_deref_trait'
tree=$(cargo tree -p flue-core --no-default-features -e normal --prefix none)
printf '%s\n' "$tree"
names=$(printf '%s\n' "$tree" | cut -d' ' -f1 | sort -u | paste -sd' ')
if [ "$names" != "$expected" ]; then
    echo "flue-core without features depends on: $names; expected: $expected" >&2
    exit 1
fi
