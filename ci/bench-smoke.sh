#!/usr/bin/env bash
# The benchmarks run to the end and every contender of every row is in the table. No time is asserted.
set -euo pipefail
cd "$(dirname "$0")/.."

peers() { cargo bench --quiet --package benches --bench peers -- "$@"; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

peers --list | LC_ALL=C sort > "$scratch/wanted"
started=$SECONDS
peers --quick --json > "$scratch/peers.json"
took=$((SECONDS - started))

sed -n 's/.*"workload": "\([^"]*\)".*"who": "\([^"]*\)", "median": -\{0,1\}[0-9].*/\1\t\2/p' "$scratch/peers.json" |
    LC_ALL=C sort -u > "$scratch/seen"
if ! missing=$(LC_ALL=C comm -23 "$scratch/wanted" "$scratch/seen") || [[ -n $missing ]]; then
    printf 'bench-smoke: without a figure:\n%s\n' "$missing" >&2
    exit 1
fi
echo "bench-smoke: $(wc -l < "$scratch/seen") figures in $took s"
