#!/bin/sh
# Boots an image in QEMU; its exit code is the image's verdict. 4 harts that run in parallel, but for the image that
# counts instructions: there time must be instructions, which QEMU does for one hart at a time.
set -eu
case $1 in
    */steps) mode='-icount shift=0' ;;
    *) mode='-accel tcg,thread=multi -smp 4' ;;
esac
# shellcheck disable=SC2086 # several words
exec qemu-system-riscv64 -machine virt -m 128M -bios none -nographic -no-reboot $mode -kernel "$1"
