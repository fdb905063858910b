#!/usr/bin/env bash
# Changes flue-core and flue-std in every small way that cargo-mutants knows, one
# at a time, in a copy, and requires that tests notice 95 of 100:
#
#   ci/mutants.sh [SHARD] [OUTPUT]    SHARD: 1/1, or say 3/20 for the third of 20 parts
#
# First by the unit tests and the comparison with the specification, which notice most;
# then, for what those missed, by all tests. What is for model builds alone is left out.
# All takes about a day; the lists are in OUTPUT (target/mutants), by package.
set -euo pipefail
cd "$(dirname "$0")/.."
shard=${1:-1/1}
output=${2:-${CARGO_TARGET_DIR:-target}/mutants}
cargo mutants --version >/dev/null 2>&1 || cargo install --locked cargo-mutants
unset CARGO_TARGET_DIR # One for each copy.
# Short tests, quickly built: they are to fail, not to search.
export CARGO_PROFILE_TEST_OPT_LEVEL=1 CARGO_PROFILE_TEST_DEBUG=0 CARGO_PROFILE_TEST_CODEGEN_UNITS=16
export FLUE_CASES=48 RUST_BACKTRACE=0

part=(--shard "$((${shard%/*} - 1))/${shard#*/}" --sharding round-robin)
leave_out=(--exclude '**/internals.rs' --exclude '**/twin.rs' --exclude '**/sync.rs' --exclude '**/sync/*.rs')
try() { # package, more options..., -- what to test
    local package=$1 status=0
    shift
    mkdir -p "$output/$package"
    cargo mutants --no-times --colors never -j1 -p "$package" --output "$output/$package" --timeout 120 "${leave_out[@]}" "$@" || status=$?
    [ "$status" -eq 0 ] || [ "$status" -eq 2 ] || [ "$status" -eq 3 ] || exit "$status" # 2: missed, 3: timed out.
}
try flue-core "${part[@]}" --features std,bytes -- --lib --test conformance
try flue-core "${part[@]}" --iterate --features std,bytes -- --tests
try flue-std "${part[@]}" -- --tests

count() { cat "$output"/*/mutants.out/"$1" "$output"/*/mutants.out.old/"$1" 2>/dev/null | sort -u | wc -l; }
noticed=$(($(count caught.txt) + $(count timeout.txt)))
missed=$(cat "$output"/*/mutants.out/missed.txt | sort -u | wc -l)
cat "$output"/*/mutants.out/missed.txt
echo "part $shard: $noticed of $((noticed + missed)) mutants noticed, $(count unviable.txt) do not compile"
[ $((noticed * 100)) -ge $(((noticed + missed) * 95)) ] || { echo 'fewer than 95 of 100' >&2 && exit 1; }
