#!/usr/bin/env bash
# Changes flue-core and flue-std in every small way that cargo-mutants knows, one
# at a time, in a copy, and requires that tests notice 95 of 100, and that whatever
# they do not notice has a reason:
#
#   ci/mutants.sh [SHARD] [OUTPUT]    SHARD: 1/1, or say 3/20 for the third of 20 parts
#
# First by the unit tests and the comparison with the specification, which notice most;
# then, for what those missed, by all tests of each build (std, heap, static), and by
# the models: what only a race needs they alone can notice.
# A survivor's reason stands in ci/mutants.reasons: file, change, reason, divided by tabs.
# What is for model builds alone is left out. A twentieth takes about half an hour on two
# cores; the lists are in OUTPUT (target/mutants).
set -euo pipefail
cd "$(dirname "$0")/.."
shard=${1:-1/1}
output=${2:-${CARGO_TARGET_DIR:-target}/mutants}
cargo mutants --version >/dev/null 2>&1 || cargo install --locked cargo-mutants
unset CARGO_TARGET_DIR # One for each copy.
# Short tests, quickly built: they are to fail, not to search.
export CARGO_PROFILE_TEST_OPT_LEVEL=1 CARGO_PROFILE_TEST_DEBUG=0 CARGO_PROFILE_TEST_CODEGEN_UNITS=16
export RUST_BACKTRACE=0

part=(--shard "$((${shard%/*} - 1))/${shard#*/}" --sharding round-robin)
leave_out=(--exclude '**/internals.rs' --exclude '**/twin.rs' --exclude '**/sync.rs' --exclude '**/sync/*.rs'
    --exclude-re 'impl defmt::Format') # A feature that no test has.
try() { # name, package, seconds a mutant's tests may take, more options...
    local name=$1 package=$2 seconds=$3 status=0
    shift 3
    rm -rf "${output:?}/$name" && mkdir -p "$output/$name"
    cargo mutants --no-times --colors never -p "$package" --output "$output/$name" --timeout "$seconds" \
        "${leave_out[@]}" "$@" || status=$?
    [ "$status" -eq 0 ] || [ "$status" -eq 2 ] || [ "$status" -eq 3 ] || exit "$status" # 2: missed, 3: timed out.
    last=$output/$name/mutants.out/missed.txt
}
again() { # As `try`, with what the last one missed.
    mapfile -t these < <(sed 's/[^A-Za-z0-9_ <>]/\\&/g; s/</\\x3C/g; s/>/\\x3E/g; s/.*/--re=^&$/' "$last")
    [ ${#these[@]} -eq 0 ] || try "$1" "$2" "$3" "${these[@]}" "${@:4}"
}
# As arguments of Cargo: what is tested after `--` alone would be built with all other tests.
FLUE_CASES=400 try first flue-core 20 -j2 "${part[@]}" --features std,bytes --cargo-arg=--lib --cargo-arg=--test=conformance
again std flue-core 150 -j2 --features std,bytes --cargo-arg=--tests
again alloc flue-core 90 -j2 --cargo-arg=--tests
again static flue-core 90 -j2 --no-default-features --cargo-arg=--tests
# A binary of models has a thread for each core. What hangs is noticed too.
RUSTFLAGS='--cfg loom' FLUE_LOOM_SECONDS=3 again models flue-core 600 --test-package loom-tests --cargo-arg=--release -- holds
missed_by_core=$last
try flue-std flue-std 120 -j2 "${part[@]}" --cargo-arg=--tests

# What each stage says. Some are tried again though they were noticed: no pattern leaves out
# those that delete a field.
all() { cat "$output"/*/mutants.out/"$1.txt" | sort -u; }
all caught >"$output/noticed.txt"
all timeout >>"$output/noticed.txt"
sort -u -o "$output/noticed.txt"{,}
cat "$missed_by_core" "$last" | sort -u | comm -23 - "$output/noticed.txt" >"$output/missed.txt"
noticed=$(wc -l <"$output/noticed.txt") missed=$(wc -l <"$output/missed.txt")
unexplained=0
while read -r survivor; do
    file=${survivor%%:*} change=${survivor#*: }
    reason=$(awk -F '\t' -v file="$file" -v change="$change" '$1 == file && $2 == change { print $3; exit }' ci/mutants.reasons)
    [ -n "$reason" ] || unexplained=$((unexplained + 1))
    echo "survives: $survivor: ${reason:-NO REASON in ci/mutants.reasons}"
done <"$output/missed.txt"
echo "part $shard: $noticed of $((noticed + missed)) mutants noticed, $((missed - unexplained)) survive with a reason," \
    "$unexplained without; $(all unviable | wc -l) do not compile"
[ "$unexplained" -eq 0 ] || { echo 'survivors without a reason' >&2 && exit 1; }
[ $((noticed * 100)) -ge $(((noticed + missed) * 95)) ] || { echo 'fewer than 95 of 100' >&2 && exit 1; }
