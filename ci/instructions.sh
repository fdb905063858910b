#!/usr/bin/env bash
# Instructions of Flue's hot operations under callgrind, against benches/instructions.baseline.
#   ci/instructions.sh             compare; more than TOLERANCE per cent over the baseline fails; more than
#                                  WIDE where an index is searched whose order is each office's secret
#   ci/instructions.sh --update    write the baseline anew
#   ci/instructions.sh --install   first install valgrind where it is missing (apt), then compare
set -euo pipefail
cd "$(dirname "$0")/.."

readonly BASELINE=benches/instructions.baseline TOLERANCE=2 WIDE=15 FEW=1000 MANY=2000

case ${1:-} in
    --install)
        if ! command -v valgrind > /dev/null; then
            as_root=$([[ $(id -u) == 0 ]] || echo sudo)
            $as_root apt-get update -q
            DEBIAN_FRONTEND=noninteractive $as_root apt-get install -q -y --no-install-recommends valgrind
        fi
        ;;
    --update | '') ;;
    *) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
if ! command -v valgrind > /dev/null; then
    echo "instructions: valgrind is missing: apt-get install valgrind, or $0 --install" >&2
    exit 1
fi

program=$(cargo build --quiet --package benches --bin instructions --profile bench --message-format json |
    sed -n 's/.*"name":"instructions".*"executable":"\([^"]*\)".*/\1/p')

# All instructions of a run of operation $1, $2 times.
collected() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

scratch=$(mktemp)
trap 'rm -f "$scratch"' EXIT
{
    echo "# instructions  operation"
    "$program" | while read -r name; do
        few=$(collected "$name" $FEW)
        many=$(collected "$name" $MANY)
        printf '%s\t%s\n' $(((many - few) / (MANY - FEW))) "$name"
    done
} > "$scratch"

if [[ ${1:-} == --update ]]; then
    cp "$scratch" "$BASELINE"
    cat "$BASELINE"
    exit
fi

awk -F '\t' -v usual=$TOLERANCE -v wide=$WIDE '
    /^#/ { next }
    FNR == NR { baseline[$2] = $1; next }
    !($2 in baseline) { printf "instructions: %s has no baseline (--update)\n", $2; failed = 1; next }
    {
        was = baseline[$2]; delete baseline[$2]
        change = (was == 0) ? 0 : ($1 - was) * 100 / was
        tolerance = ($2 ~ /new$|demote|export/) ? wide : usual
        verdict = "ok"
        if (change > tolerance) { verdict = "MORE"; failed = 1 }
        if (change < -tolerance) verdict = "fewer: --update"
        printf "%8d -> %8d  %+6.1f %%  %-36s %s\n", was, $1, change, $2, verdict
    }
    END {
        for (name in baseline) { printf "instructions: %s is gone (--update)\n", name; failed = 1 }
        exit failed
    }' "$BASELINE" "$scratch"
