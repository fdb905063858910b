# For the scripts that build for bare-metal targets, which source this: a target is ready if `rustup target add` has
# installed it, or if `core` and `alloc` can be built for it (ci/sysroot.sh).
# shellcheck shell=bash

has() { command -v "$1" >/dev/null 2>&1; }
installed() { [ -d "$(rustc --print sysroot 2>/dev/null)/lib/rustlib/$1/lib" ]; }

# The linker for a target whose core we built: rustup's, else Debian's.
linker_of() {
    local lld
    lld=$(find "$(rustc --print sysroot 2>/dev/null)/lib/rustlib" -name rust-lld -path '*/bin/*' 2>/dev/null | head -n 1)
    if [ -z "$lld" ]; then
        case $1 in
            wasm32-*) lld=$(command -v wasm-ld) ;;
            *) lld=$(command -v ld.lld) ;;
        esac
    fi || true
    echo "$lld"
}

# The packages that building for a target lacks, one a line.
missing_for() {
    has cargo || echo cargo-web
    has cc || echo gcc libc6-dev
    ! installed "$1" || return 0
    [ -x /usr/bin/rustc ] || echo rustc-web
    [ -e "$(/usr/bin/rustc --print sysroot 2>/dev/null || true)/lib/rustlib/src/rust/library/core" ] || echo rust-web-src
    [ -n "$(linker_of "$1")" ] || echo lld
}

# Makes plain `cargo build --target $1` work, for the caller's (sub)shell.
prepare() {
    ! installed "$1" || return 0
    local name sysroot
    name=$(tr a-z- A-Z_ <<<"$1")
    unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
    export RUSTC=/usr/bin/rustc
    export "CARGO_TARGET_${name}_LINKER=$(linker_of "$1")"
    sysroot=$("$(dirname "${BASH_SOURCE[0]}")/sysroot.sh" "$1")
    export "CARGO_TARGET_${name}_RUSTFLAGS=--sysroot=$sysroot"
}

apt_install() {
    [ $# -gt 0 ] || return 0
    local as_root=
    [ "$(id -u)" -eq 0 ] || as_root=sudo
    $as_root apt-get update -q
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -q -y --no-install-recommends "$@"
}
