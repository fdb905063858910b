#!/usr/bin/env bash
# Model-checks flue-core: every model of loom-tests, and their must-fail twins,
# each in a process of its own, with the layouts of 64-bit words, of 32-bit words,
# and of words so small that they come to their end.
#
#   ci/loom.sh [BOUND] [NAME]...     preemption bound (2); only models whose name has NAME in it
#
# A model stops unfinished after FLUE_LOOM_SECONDS (40; with 32-bit words a quarter), and
# says so: NOT ALL. A twin that is not rejected in 200 s fails.
set -euo pipefail
cd "$(dirname "$0")/.."
export LOOM_MAX_PREEMPTIONS="${1:-2}" RUST_BACKTRACE=0
export FLUE_LOOM_SECONDS=${FLUE_LOOM_SECONDS:-40}
patience=$((FLUE_LOOM_SECONDS + 300))
shift $(($# > 0))
target=${CARGO_TARGET_DIR:-target}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Runs one test: binary, name. What it said goes to a file, and its last line out.
run_one() {
    local log
    log=$scratch/$(tr -c 'a-z0-9_\n' - <<<"$2-$RANDOM$RANDOM").log
    # One that fails may hang on its way out.
    if timeout "$patience" "$1" --exact "$2" --nocapture >"$log" 2>&1; then
        grep -hoE '(model|twin) [a-z_:]+: .*' "$log" | tail -n 1
    else
        printf 'FAILED %s %s\n' "$1" "$2"
        tail -n 30 "$log" | sed 's/^/    /'
    fi
}
export -f run_one
export scratch patience

# A set of models: what it is called, flags, names to take, cargo's arguments.
run() {
    local called=$1 flags=$2 pick=$3 started=$SECONDS binaries binary
    shift 3
    export CARGO_TARGET_DIR=$target/loom-$called
    binaries=$(RUSTFLAGS="$flags" cargo test --release --quiet -p loom-tests --no-run --message-format json "$@" |
        sed -n 's/.*"kind":\["test"\].*"executable":"\([^"]*\)".*/\1/p')
    [ -n "$binaries" ] || { echo "$called: nothing was built" >&2 && exit 1; }
    for binary in $binaries; do
        "$binary" --list --format terse >"$scratch/list"
        sed -n "s/: test$//p" "$scratch/list" | { grep -E -- "$pick" || true; } | sed "s|^|$binary |"
    done >"$scratch/tests"
    [ -s "$scratch/tests" ] || { echo "$called: no models" >&2 && exit 1; }
    [ ${#names[@]} -eq 0 ] || grep -F "$(printf '%s\n' "${names[@]}")" "$scratch/tests" >"$scratch/some" || true
    [ ${#names[@]} -eq 0 ] || mv "$scratch/some" "$scratch/tests"
    xargs -r -P "$(nproc)" -L 1 bash -c 'run_one "$0" "$1"' <"$scratch/tests" | tee "$scratch/said" | sed "s/^ */$called: /"
    awk -v called="$called" -v seconds=$((SECONDS - started)) -v tests="$(wc -l <"$scratch/tests")" '
        /^model / { models++; for (i = 1; i < NF; i++) if ($(i + 1) == "executions") executions += $i; if (/NOT ALL/) unfinished++ }
        /^twin / { twins++ }
        /^FAILED / { failed++ }
        END {
            printf "%s: %d models, %d executions, %d unfinished; %d twins rejected; %d s\n", called, models, executions, unfinished, twins, seconds
            if (failed || models + twins != tests) { printf "%s: %d failed\n", called, tests - models - twins }
        }' "$scratch/said" | tee -a "$scratch/summary"
    ! grep -q ' failed$' "$scratch/summary"
}

names=("$@")
: >"$scratch/summary"
run wide '--cfg loom' .
# The twins leave out steps that are the same in every layout.
FLUE_LOOM_SECONDS=$(((FLUE_LOOM_SECONDS + 3) / 4)) run narrow '--cfg loom --cfg flue_word="32"' '::holds$'
run tiny '--cfg loom --cfg flue_word="16"' . --test exhaustion
# The collector's steps are visible to loom only in a build of their own.
run collector '--cfg loom --cfg crossbeam_loom' . --test reclaim
cat "$scratch/summary"
