#!/usr/bin/env bash
# The stall tests: at every machine instruction of every operation a context is
# stopped for ever (freeze), or interrupted by a handler that does everything
# (interrupt). x86-64 Linux. Prints a table: for each operation its instructions,
# by test and kind of post office; a figure that is not there failed.
#   ci/stall.sh                every instruction, every other operation twice meanwhile
#   ci/stall.sh --quick        at most 400 instructions of each operation, evenly spread
#   ci/stall.sh --full         every instruction, every other operation 100 times meanwhile
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1:-} in
    '') ;;
    --quick) export FLUE_STALL_POINTS=400 ;;
    --full) export FLUE_STALL_ROUNDS=100 ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
if [ "$(uname -sm)" != 'Linux x86_64' ]; then
    echo 'stall: needs Linux on x86-64, for the trap flag' >&2
    exit 1
fi
target_dir=${CARGO_TARGET_DIR:-target}/stall
table=$target_dir/table.tsv
mkdir -p "$target_dir"
rm -f "$table"
export FLUE_STALL_TABLE=$table

status=0
for kind in static alloc std; do
    features=()
    [ $kind = static ] || features=(--features "$kind")
    cargo build --quiet --release --target-dir "$target_dir" -p loom-tests --bin stall ${features[@]+"${features[@]}"}
    for test in freeze interrupt; do
        # A thread's own participant of the collector is not for its interrupts.
        [ $kind$test != stdinterrupt ] || continue
        "$target_dir/release/stall" $test > "$target_dir/$test-$kind.log" 2>&1 || status=1
        grep -E '^control |FAILED' "$target_dir/$test-$kind.log" || true
        tail -n 1 "$target_dir/$test-$kind.log"
    done
done

awk -F '\t' '
    !($3 in at) { at[$3] = ++count; name[count] = $3 }
    { figure[$3, $1, $2] = ($6 == "ok") ? $5 : "FAILED" }
    END {
        printf "%-38s %7s %7s %7s %9s %9s\n", "visits of each operation", "freeze", "", "", "interrupt", ""
        printf "%-38s %7s %7s %7s %9s %9s\n", "", "std", "alloc", "static", "alloc", "static"
        for (n = 1; n <= count; n++)
            printf "%-38s %7s %7s %7s %9s %9s\n", name[n], figure[name[n], "freeze", "std"],
                figure[name[n], "freeze", "alloc"], figure[name[n], "freeze", "static"],
                figure[name[n], "interrupt", "alloc"], figure[name[n], "interrupt", "static"]
    }' "$table" | tee "$target_dir/table.txt"
[ $status -eq 0 ] || { echo "stall: failures, see $target_dir/*.log" >&2; exit 1; }
