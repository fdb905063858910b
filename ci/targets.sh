#!/bin/bash
# Builds flue-core, and code that uses all of its public types, for every target that the README names, without a heap and,
# where the target has compare-and-swap, with one. Runs it in QEMU where ci/bare-metal.sh has no image for the target.
#
#   ci/targets.sh [--install] [TARGET]...
#
#   --install     first installs what is missing (apt)
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target/firmware}
# shellcheck source=ci/bare-targets.sh
. "$root/ci/bare-targets.sh"
# Most seconds for a run; it takes a few.
patience=300

targets=(x86_64-unknown-none aarch64-unknown-none riscv64gc-unknown-none-elf riscv32imac-unknown-none-elf
    riscv32imc-unknown-none-elf thumbv7m-none-eabi thumbv7em-none-eabi thumbv6m-none-eabi wasm32-unknown-unknown)
install=
chosen=()
for argument; do
    case $argument in
        --install) install=yes ;;
        -*) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2 && exit 2 ;;
        *) chosen+=("$argument") ;;
    esac
done
[ ${#chosen[@]} -eq 0 ] || targets=("${chosen[@]}")

has_cas() { case $1 in riscv32imc-* | thumbv6m-*) return 1 ;; esac }

# Image that runs on the target here, its package of machines, and cargo's further arguments.
image_of() {
    case $1 in
        x86_64-unknown-none) echo kernel-x86_64 qemu-system-x86_64 qemu-system-x86 ;;
        aarch64-*) echo virt qemu-system-aarch64 qemu-system-arm ;;
        riscv32imac-*) echo virt qemu-system-riscv32 qemu-system-misc ;;
        riscv32imc-*) echo virt qemu-system-riscv32 qemu-system-misc --features no-cas ;;
        thumbv7em-*) echo cortex-m3 qemu-system-arm qemu-system-arm ;;
    esac
}

missing() {
    local image command package arguments
    read -r image command package arguments <<<"$(image_of "$1")"
    [ -z "$command" ] || has "$command" || echo "$package"
    missing_for "$1"
}

if [ -n "$install" ]; then
    # shellcheck disable=SC2046 # one word for each package
    apt_install $(for target in "${targets[@]}"; do missing "$target"; done | sort -u)
fi
lacking=()
for target in "${targets[@]}"; do
    packages=$(missing "$target")
    [ -z "$packages" ] || { echo "$target lacks $(echo $packages): apt-get install them, or give --install" >&2 && exit 1; }
    installed "$target" || lacking+=("$target")
done
[ ${#lacking[@]} -eq 0 ] || "$root/ci/sysroot.sh" "${lacking[@]}" >/dev/null

build() { # folder, target, cargo's further arguments
    (
        cd "$root/firmware/$1"
        prepare "$2"
        cargo build --quiet --release --target "${@:2}"
    )
}

# Without compare-and-swap a program must say how it is made, so there it is the images that are built.
build_static() {
    case $1 in
        thumbv6m-*) build cortex-m0 "$1" --locked ;;
        riscv32imc-*) build virt "$1" --locked --features no-cas ;;
        *) build common "$1" ;;
    esac
}

failures=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
printf '%-32s %-8s %-8s %s\n' target static heap runs
for target in "${targets[@]}"; do
    static=ok heap=- runs='ci/bare-metal.sh'
    build_static "$target" >"$log" 2>&1 || static=FAIL
    if has_cas "$target"; then
        heap=ok
        build common "$target" --features smp,heap >>"$log" 2>&1 || heap=FAIL
    fi
    read -r image _ _ arguments <<<"$(image_of "$target")"
    if [ -n "$image" ]; then
        runs="$image: ok"
        (
            cd "$root/firmware/$image"
            prepare "$target"
            # shellcheck disable=SC2086 # several words
            timeout "$patience" cargo run --quiet --locked --release --target "$target" --bin "$image" $arguments
        ) </dev/null >>"$log" 2>&1 || runs="$image: FAIL"
    fi
    printf '%-32s %-8s %-8s %s\n' "$target" "$static" "$heap" "$runs"
    case $static$heap$runs in
        *FAIL*) failures=$((failures + 1)) && tail -n 30 "$log" | sed 's/^/    /' ;;
    esac
done
[ "$failures" -eq 0 ] || { echo "$failures failed" >&2 && exit 1; }
echo "$SECONDS s in all"
