#!/bin/bash
# Builds and boots every image under firmware/, one line each: size in bytes, instructions per send and receive where
# they can be counted, seconds, verdict. A failure prints the end of the image's output; all of it is in
# target/bare-metal/. A missing tool is a failure that names its package.
#
#   ci/bare-metal.sh [--install] [--only NAME]...
#
#   --install     first installs what is missing (apt)
#   --only NAME   this image alone; may be repeated
#
# Targets installed with `rustup target add` are used as they are. Where one is missing, `core` and `alloc` are built
# from Debian's sources (ci/sysroot.sh).
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
logs=$root/target/bare-metal
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target/firmware}
host=x86_64-unknown-linux-gnu
riscv=riscv64gc-unknown-none-elf
wasm=wasm32-unknown-unknown
# Most bytes of text for two processes on a Cortex-M3.
text_budget=16384
# Most seconds for a run; none takes more than a few on an idle machine.
patience=300

images=(core-only kernel-x86_64 kernel-riscv64 cortex-m3 cortex-m0 embassy wasm32)
install=
only=()
while [ $# -gt 0 ]; do
    case $1 in
        --install) install=yes ;;
        --only) only+=("${2:?--only needs a name}") && shift ;;
        *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2 && exit 2 ;;
    esac
    shift
done
[ ${#only[@]} -eq 0 ] || images=("${only[@]}")

target_of() {
    case $1 in
        core-only | kernel-x86_64) echo "$host" ;;
        kernel-riscv64) echo "$riscv" ;;
        cortex-m3 | embassy) echo thumbv7m-none-eabi ;;
        cortex-m0) echo thumbv6m-none-eabi ;;
        wasm32) echo "$wasm" ;;
        *) echo "no image $1; there are: core-only kernel-x86_64 kernel-riscv64 cortex-m3 cortex-m0 embassy wasm32" >&2 && return 1 ;;
    esac
}

machine_of() { # command and package
    case $1 in
        kernel-x86_64) echo qemu-system-x86_64 qemu-system-x86 ;;
        kernel-riscv64) echo qemu-system-riscv64 qemu-system-misc ;;
        cortex-m* | embassy) echo qemu-system-arm qemu-system-arm ;;
        wasm32) echo node nodejs ;;
    esac
}

has() { command -v "$1" >/dev/null 2>&1; }
installed() { [ -d "$(rustc --print sysroot)/lib/rustlib/$1/lib" ]; }

# The linker for a target whose core we built: rustup's, else Debian's.
linker_of() {
    local lld
    lld=$(find "$(rustc --print sysroot)/lib/rustlib" -name rust-lld -path '*/bin/*' 2>/dev/null | head -n 1)
    if [ -z "$lld" ]; then
        [ "$1" = "$wasm" ] && lld=$(command -v wasm-ld) || lld=$(command -v ld.lld)
    fi
    echo "$lld"
}

# The packages that an image lacks, one a line.
missing() {
    local target command package
    target=$(target_of "$1")
    has cargo || echo cargo-web
    has readelf && has nm || echo binutils
    has cc || echo gcc
    read -r command package <<<"$(machine_of "$1")"
    [ -z "$command" ] || has "$command" || echo "$package"
    installed "$target" && return
    [ -x /usr/bin/rustc ] || echo rustc-web
    [ -e "$(/usr/bin/rustc --print sysroot 2>/dev/null || true)/lib/rustlib/src/rust/library/core" ] || echo rust-web-src
    [ -n "$(linker_of "$target")" ] || echo lld
}

# Makes plain `cargo build --target $1` work, for the caller's (sub)shell.
prepare() {
    installed "$1" && return
    local name
    name=$(tr a-z- A-Z_ <<<"$1")
    unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
    export RUSTC=/usr/bin/rustc
    export "CARGO_TARGET_${name}_LINKER=$(linker_of "$1")"
    local sysroot
    sysroot=$("$root/ci/sysroot.sh" "$1")
    export "CARGO_TARGET_${name}_RUSTFLAGS=--sysroot=$sysroot"
}

# text, data, bss: sections that are in memory and not written; written; written and not in the file.
sizes() {
    if [ "$2" = "$wasm" ]; then
        echo "$(wc -c <"$1") - -"
    else
        readelf -SW "$1" | tr -d '[]' | sum_sections
    fi
}
sum_sections() {
    local text=0 data=0 bss=0 number name kind address offset size entry flags rest
    while read -r number name kind address offset size entry flags rest; do
        case $number in *[!0-9]* | '') continue ;; esac
        case $flags in
            *A*) ;;
            *) continue ;;
        esac
        case $kind:$flags in
            NOBITS:*) bss=$((bss + 16#$size)) ;;
            *:*W*) data=$((data + 16#$size)) ;;
            *) text=$((text + 16#$size)) ;;
        esac
    done
    echo "$text $data $bss"
}

failures=0
report() { printf '%-22s %8s %6s %8s %5s %8s %5s  %s\n' "$@"; }
fail() { # name, why
    report "$1" - - - - - - "FAIL: $2"
    failures=$((failures + 1))
}

# Builds and runs one program of an image: label, image, binary, profile, cargo's further arguments.
boot() {
    local label=$1 image=$2 binary=$3 profile=$4 target log started status=0 verdict=ok folder text data bss send receive
    shift 4
    target=$(target_of "$image")
    log=$logs/${label// /-}.log
    folder=$profile
    (
        cd "$root/firmware/$image"
        prepare "$target"
        cargo build --quiet --locked --target "$target" --profile "$profile" --bin "$binary" "$@"
    ) >"$log" 2>&1 || { fail "$label" "does not build" && tail -n 30 "$log" && return; }
    started=$SECONDS
    (
        cd "$root/firmware/$image"
        prepare "$target"
        timeout "$patience" cargo run --quiet --locked --target "$target" --profile "$profile" --bin "$binary" "$@"
    ) </dev/null >>"$log" 2>&1 || status=$?
    local file=$CARGO_TARGET_DIR/$target/$folder/$binary
    [ "$target" = "$wasm" ] && file=$file.wasm
    read -r text data bss <<<"$(sizes "$file" "$target")"
    read -r send receive <<<"$(sed -n 's/^instructions: send \([0-9]*\) receive \([0-9]*\).*/\1 \2/p' "$log" | tail -n 1)"
    [ "$status" -eq 0 ] || verdict="FAIL: exit code $status"
    if [ "$image" = core-only ] && [ -n "$(nm -u "$file")" ]; then verdict="FAIL: undefined symbols"; fi
    if [ "$binary" = two-process ] && [ "$text" -gt "$text_budget" ]; then verdict="FAIL: text over $text_budget"; fi
    report "$label" "$text" "$data" "$bss" "${send:--}" "${receive:--}" "$((SECONDS - started))" "$verdict"
    [ "$verdict" = ok ] && return
    failures=$((failures + 1))
    tail -n 30 "$log" | sed 's/^/    /'
}

run() {
    case $1 in
        kernel-x86_64)
            boot "$1" "$1" "$1" release
            boot "$1 static" "$1" "$1" release --no-default-features
            ;;
        kernel-riscv64)
            boot "$1" "$1" "$1" release
            boot "$1 static" "$1" "$1" release --no-default-features
            boot "$1 steps" "$1" steps release --no-default-features
            ;;
        cortex-m3)
            boot "$1" "$1" "$1" release
            boot "$1 two-process" "$1" two-process small
            ;;
        *) boot "$1" "$1" "$1" release ;;
    esac
}

for image in "${images[@]}"; do target_of "$image" >/dev/null; done
mkdir -p "$logs"
if [ -n "$install" ]; then
    packages=$(for image in "${images[@]}"; do missing "$image"; done | sort -u)
    if [ -n "$packages" ]; then
        as_root=
        [ "$(id -u)" -eq 0 ] || as_root=sudo
        $as_root apt-get update -q
        # shellcheck disable=SC2086 # one word for each package
        DEBIAN_FRONTEND=noninteractive $as_root apt-get install -q -y --no-install-recommends $packages
    fi
fi

# All sysroots at once: they share the building of nothing but the waiting for it.
lacking=()
for image in "${images[@]}"; do
    target=$(target_of "$image")
    if [ -z "$(missing "$image")" ] && ! installed "$target"; then lacking+=("$target"); fi
done
[ ${#lacking[@]} -eq 0 ] || "$root/ci/sysroot.sh" "${lacking[@]}" >/dev/null

report image text data bss send receive secs verdict
for image in "${images[@]}"; do
    packages=$(missing "$image")
    if [ -n "$packages" ]; then
        fail "$image" "lacks $(echo $packages): apt-get install them, or give --install"
    else
        run "$image"
    fi
done
[ "$failures" -eq 0 ] || { echo "$failures failed" >&2 && exit 1; }
