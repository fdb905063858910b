#!/bin/sh
# Builds the standard library for targets from Debian's Rust sources, for machines that cannot `rustup target add`, and
# prints the folder to give to `rustc --sysroot`: `core` and `alloc` for bare machines, all of it for Linux.
#
#   ci/sysroot.sh TARGET...        needs: apt-get install rustc-web rust-web-src
#
# Built once for each compiler and target; kept under $SYSROOT, or target/sysroot/. Any cargo drives it, rustup's too.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
rustc=/usr/bin/rustc
version=$("$rustc" -vV | cksum | cut -d' ' -f1)
sysroot=${SYSROOT:-$root/target/sysroot}/$version
work=$sysroot/build.$$

bare=
hosted=
for target; do
    [ ! -e "$sysroot/lib/rustlib/$target/lib/complete" ] || continue
    case $target in
        *-linux-*) hosted="$hosted --target $target" ;;
        *) bare="$bare --target $target" ;;
    esac
done

build() { # crates, targets
    # Bitcode, so that images can be linked with `lto = true`.
    # shellcheck disable=SC2086 # one word for each target
    (cd "$work" && env -u RUSTC_WRAPPER RUSTC="$rustc" RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes \
        CARGO_TARGET_DIR="$work/target" cargo build --quiet --release -Zbuild-std="$1" $2) >&2
}

if [ -n "$bare$hosted" ]; then
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work/src"
    cat >"$work/Cargo.toml" <<'TOML'
[package]
name = "sysroot"
version = "0.0.0"
edition = "2021"
[workspace]
TOML
    : >"$work/src/lib.rs"
    [ -z "$hosted" ] || build std,panic_unwind,test "$hosted"
    printf '[profile.release]\npanic = "abort"\n' >>"$work/Cargo.toml"
    printf '#![no_std]\n' >"$work/src/lib.rs"
    [ -z "$bare" ] || build core,alloc "$bare"
    for target; do
        lib=$sysroot/lib/rustlib/$target/lib
        [ ! -e "$lib/complete" ] || continue
        mkdir -p "$lib"
        cp "$work/target/$target"/release/deps/*.rlib "$lib"
        rm -f "$lib"/libsysroot-*.rlib
        touch "$lib/complete"
    done
fi
echo "$sysroot"
