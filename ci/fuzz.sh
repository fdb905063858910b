#!/usr/bin/env bash
# Fuzzes flue-core against the executable specification: each target for so many
# seconds, two at a time, from the inputs kept in fuzz/corpus:
#
#   ci/fuzz.sh [SECONDS] [TARGET]...    (60, all)
#
# In 60 seconds or less, from 2,000 of them at most.
# Under AddressSanitizer, but for `schedule`. New inputs are not kept, but with
#   KEEP=1 ci/fuzz.sh ...    which keeps what reaches something that the others do not.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift $(($# > 0 ? 1 : 0))
all=(table office mailbox links monitors forged limits schedule)
[ $# -eq 0 ] || all=("$@")

command -v c++ >/dev/null || { echo 'no C++ compiler, which libFuzzer needs: apt-get install g++' >&2; exit 1; }
cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz
target_dir=${CARGO_TARGET_DIR:-$PWD/fuzz/target}
triple=$(rustc -vV | sed -n 's/^host: //p')
# The sanitizer comes with every toolchain, but is not stable.
export RUSTC_BOOTSTRAP=1

# The threads of `schedule` have stacks that a sanitizer does not know.
directory() { if [ "$1" = schedule ]; then echo "$target_dir/fuzz-schedule"; else echo "$target_dir/fuzz"; fi; }
for target in "${all[@]}"; do
    export CARGO_TARGET_DIR
    CARGO_TARGET_DIR=$(directory "$target")
    if [ "$target" = schedule ]; then
        RUSTFLAGS="${RUSTFLAGS:-} --cfg shuttle" cargo fuzz build -s none --features shuttle schedule
    else
        cargo fuzz build -s address "$target"
    fi
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
pack() { tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$1" -cz . | base64 -w 100 >"$2"; }
one() { # target
    local log=$scratch/$1.log binary status=0 kept=fuzz/corpus/$1.tar.gz.base64
    binary=$(directory "$1")/$triple/release/$1
    mkdir -p "$scratch/$1.found" "$scratch/$1.corpus" "fuzz/artifacts/$1"
    [ ! -e "$kept" ] || base64 -d "$kept" | tar -C "$scratch/$1.corpus" -xz
    # In a minute a slow machine does not get through more; their names are hashes, so these are any.
    if [ "$seconds" -le 60 ] && [ -z "${KEEP:-}" ]; then
        (cd "$scratch/$1.corpus" && find . -type f | sort | tail -n +2001 | xargs -r rm --)
    fi
    "$binary" "$scratch/$1.found" "$scratch/$1.corpus" -max_total_time="$seconds" -max_len=1024 -timeout=30 \
        -artifact_prefix="fuzz/artifacts/$1/" -print_final_stats=1 >"$log" 2>&1 || status=$?
    if [ "$status" -ne 0 ]; then
        tail -n 100 "$log" >&2
        echo "fuzz $1: FAILED; what does it is in fuzz/artifacts/$1, FLUE_TRACE=1 shows it" >&2
        return 1
    fi
    printf 'fuzz %-8s %s runs, %s, from %s inputs\n' "$1" "$(sed -n 's/.*number_of_executed_units: //p' "$log")" \
        "$(grep -oE 'cov: [0-9]+' "$log" | tail -n 1)" "$(find "$scratch/$1.corpus" -type f | wc -l)"
    if [ -n "${KEEP:-}" ]; then
        mkdir "$scratch/$1.kept"
        "$binary" -merge=1 -max_len=1024 "$scratch/$1.kept" "$scratch/$1.corpus" "$scratch/$1.found" >"$log" 2>&1
        pack "$scratch/$1.kept" "$kept"
    fi
}
export -f one pack directory
export scratch seconds target_dir triple KEEP=${KEEP:-}
printf '%s\n' "${all[@]}" | xargs -n 1 -P "${JOBS:-2}" bash -eo pipefail -c 'one "$1"' one
