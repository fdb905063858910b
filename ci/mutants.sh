#!/usr/bin/env bash
# Changes flue-core and flue-std in every small way that cargo-mutants knows, one
# at a time, and requires that tests notice 95 of 100, and that whatever they do not
# notice has a reason:
#
#   ci/mutants.sh [PART] [PATTERN]...     PART: 1/1, or say 3/20 for the third of 20 parts
#
# PATTERN: a part of a mutant's name, such as a file. Nearly all are built in at once, and a
# run chooses one (ci/mutants), so that a mutant costs only the tests that reach it: first the
# unit tests and the comparison with the specification, which notice most; then all tests of
# each build (std, heap, static); then the models: what only a race needs they alone can notice.
# A survivor's reason stands in ci/mutants.reasons: file, change (or ~ and a piece of the line), reason, divided by tabs.
# What is for model builds alone is left out. The whole takes some hours on two cores: what was
# noticed in files that have not changed is kept in target/mutants, so that a run can be
# stopped and taken up again. The outcomes are in target/mutants/results.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- 1/1
output=${CARGO_TARGET_DIR:-$PWD/target}/mutants
unset CARGO_TARGET_DIR
cargo mutants --version >/dev/null 2>&1 || cargo install --locked cargo-mutants
mkdir -p "$output"
CARGO_TARGET_DIR=$output/tool cargo run --quiet --release --manifest-path ci/mutants/Cargo.toml -- "$PWD" "$output" "$@"

count() { awk -F '\t' -v outcome="$1" '$1 == outcome' "$output/results" | wc -l; }
noticed=$(count noticed) missed=$(count missed) unexplained=0
while IFS=$'\t' read -r _ _ survivor; do
    IFS=: read -r file line _ <<<"$survivor"
    reason=$(awk -F '\t' -v file="$file" -v change="${survivor#*: }" -v code="$(sed -n "${line}p" "$file")" \
        '$1 == file && ($2 == change || sub("^~", "", $2) && index(code, $2)) { print $3; exit }' ci/mutants.reasons)
    [ -n "$reason" ] || unexplained=$((unexplained + 1))
    echo "survives: $survivor: ${reason:-NO REASON in ci/mutants.reasons}"
done < <(awk -F '\t' '$1 == "missed"' "$output/results")
echo "part $1: $noticed of $((noticed + missed)) mutants noticed, $((missed - unexplained)) survive with a reason," \
    "$unexplained without; $(count refused) do not compile, $(count absent) are in no build here"
[ "$unexplained" -eq 0 ] || { echo 'survivors without a reason' >&2 && exit 1; }
[ $((noticed * 100)) -ge $(((noticed + missed) * 95)) ] || { echo 'fewer than 95 of 100' >&2 && exit 1; }
