#!/usr/bin/env bash
# The stress scenarios under the thread sanitizer: no report, no suppression. The
# controls are data races that it must report, and a hand-over that it must not.
#   ci/tsan.sh [SCALE]     how much each scenario does (5)
# The sanitizer does not understand fences; those of flue-core order no data, only
# looks, and its dependencies have a way without.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly TARGET=x86_64-unknown-linux-gnu REPORTED=66
scale=${1:-5}
if [ ! -e "$(rustc --print target-libdir)"/librustc-*_rt.tsan.a ]; then
    echo 'tsan: the toolchain has no runtime of the sanitizer; one of rustup has, for x86-64 Linux' >&2
    exit 1
fi
# The sanitizer comes with every toolchain, but is not stable.
export RUSTC_BOOTSTRAP=1
target_dir=${CARGO_TARGET_DIR:-target}/tsan
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Nothing of the caller's: a suppression would hide what is looked for.
export TSAN_OPTIONS="halt_on_error=1 exitcode=$REPORTED"

# Runs a command that must end with this code.
ends_with() {
    local expected=$1 status=0
    shift
    "$@" > "$log" 2>&1 || status=$?
    [ "$status" -eq "$expected" ] && return
    cat "$log" >&2
    echo "tsan: $* ended with $status, not $expected" >&2
    exit 1
}

for kind in std static; do
    features=()
    [ $kind = static ] || features=(--features "$kind")
    RUSTFLAGS='-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer' \
        cargo build --quiet --release --target $TARGET --target-dir "$target_dir" \
        -p loom-tests --bin stress ${features[@]+"${features[@]}"}
    stress=$target_dir/$TARGET/release/stress

    races=0
    while read -r name what; do
        if [ "$what" = race ]; then
            ends_with $REPORTED timeout 120 "$stress" --control "$name"
            grep -q 'WARNING: ThreadSanitizer: data race' "$log" || { cat "$log" >&2; exit 1; }
            races=$((races + 1))
        else
            ends_with 0 timeout 120 "$stress" --control "$name"
        fi
    done < <("$stress" --controls)
    [ "$races" -ge 4 ] || { echo "tsan: only $races planted races" >&2; exit 1; }

    ends_with 0 timeout 7200 "$stress" --once "$scale"
    if grep -q ThreadSanitizer "$log"; then
        cat "$log" >&2
        exit 1
    fi
    cat "$log"
    echo "tsan, $kind: $races planted races reported, 0 others"
done
