#!/usr/bin/env bash
# No operation of the static core reaches a panic: each of firmware/no-panic is
# linked by itself with a panic handler that calls what nobody defines, and with
# all that it does not reach left out. A control that panics must not link.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly TARGET=x86_64-unknown-linux-gnu
for tool in cargo cc nm; do
    command -v "$tool" > /dev/null || { echo "no-panic: $tool is missing (apt-get install gcc binutils)" >&2; exit 1; }
done

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
target_dir=${CARGO_TARGET_DIR:-$PWD/target/firmware}
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
(cd firmware/no-panic && CARGO_TARGET_DIR=$target_dir cargo build --quiet --locked --release --target "$TARGET")
archive=$target_dir/$TARGET/release/libno_panic.a

# What rustc expects of a libc is there, whatever it is.
libc=()
for name in memcpy memmove memset memcmp bcmp; do libc+=("-Wl,--defsym,$name=0"); done

# Links one operation, from its function down.
links() {
    cc -nostdlib -static -no-pie -Wl,--gc-sections "-Wl,-e,$1" "-Wl,-u,$1" "${libc[@]}" "${@:2}" \
        -o "$folder/$1" "$archive" 2> "$folder/$1.log"
}

# Our own functions: what the package itself defines.
operations=$(nm --defined-only "$archive" 2> /dev/null |
    awk '/^no_panic.*:$/ { ours = 1; next } /:$/ { ours = 0 } ours && $2 == "T" && $3 !~ /^(_|rust_)/ { print $3 }' | sort -u)
count=0
failures=0
for operation in $operations; do
    case $operation in control_*) continue ;; esac
    count=$((count + 1))
    if links "$operation"; then
        printf '%-20s no panic in %6d bytes\n' "$operation" "$(size "$folder/$operation" | awk 'NR == 2 { print $1 }')"
        continue
    fi
    failures=$((failures + 1))
    printf '%-20s REACHES A PANIC' "$operation"
    # Where from: linked once more, with a handler.
    if grep -q a_panic_is_reachable "$folder/$operation.log" && links "$operation" -Wl,--defsym,a_panic_is_reachable=0; then
        objdump -dC "$folder/$operation" | awk '
            /^[0-9a-f]+ <.*>:$/ { within = $0; sub(/^[0-9a-f]+ /, "", within) }
            /(call|jmp).*(panicking|unwrap_failed|expect_failed|_fail)/ && within !~ /panicking/ { print within }' |
            sort -u | sed 's/^/\n    /' | tr -d '\n'
    else
        head -n 3 "$folder/$operation.log"
    fi
    echo
done

if links control_panics; then
    echo 'no-panic: the control links, although it panics: nothing is shown' >&2
    exit 1
fi
grep -q a_panic_is_reachable "$folder/control_panics.log" || { cat "$folder/control_panics.log" >&2; exit 1; }
if [ "$count" -lt 40 ]; then
    echo "no-panic: only $count operations found" >&2
    exit 1
fi
echo "$count operations, $failures reach a panic; the control does"
[ "$failures" -eq 0 ]
