#!/bin/sh
# Boots the image on 4 parallel CPUs. The machine turns itself off with status 0; a failure comes as (code << 1) | 1.
set -eu
exec qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -smp 4 -m 128M -display none -serial stdio -monitor none \
    -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=0x04 -kernel "$1"
