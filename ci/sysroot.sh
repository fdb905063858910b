#!/bin/sh
# Builds `core` and `alloc` for bare-metal targets from Debian's Rust sources, for machines that cannot
# `rustup target add`, and prints the folder to give to `rustc --sysroot`.
#
#   ci/sysroot.sh TARGET...        needs: apt-get install rustc-web rust-web-src
#
# Built once for each compiler and target; kept under target/sysroot/. Any cargo drives it, rustup's too.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
rustc=/usr/bin/rustc
version=$("$rustc" -vV | cksum | cut -d' ' -f1)
sysroot=$root/target/sysroot/$version
work=$sysroot/build

missing=
for target; do
    [ -e "$sysroot/lib/rustlib/$target/lib/complete" ] || missing="$missing --target $target"
done
if [ -n "$missing" ]; then
    mkdir -p "$work/src"
    cat >"$work/Cargo.toml" <<'TOML'
[package]
name = "sysroot"
version = "0.0.0"
edition = "2021"
[workspace]
[profile.release]
panic = "abort"
TOML
    printf '#![no_std]\nextern crate alloc;\n' >"$work/src/lib.rs"
    # Bitcode, so that images can be linked with `lto = true`.
    # shellcheck disable=SC2086 # one word for each target
    (cd "$work" && env -u RUSTC_WRAPPER RUSTC="$rustc" RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes \
        CARGO_TARGET_DIR="$work/target" cargo build --quiet --release -Zbuild-std=core,alloc $missing) >&2
    for target; do
        lib=$sysroot/lib/rustlib/$target/lib
        [ -e "$lib/complete" ] && continue
        mkdir -p "$lib"
        for name in core alloc compiler_builtins; do
            cp "$work/target/$target/release/deps/lib$name"-*.rlib "$lib"
        done
        touch "$lib/complete"
    done
    rm -rf "$work"
fi
echo "$sysroot"
