#!/bin/bash
# The rules of SEMANTICS.md and the tests that show them.
#
#   ci/rules.sh               fails if a rule has no test that cites it
#   ci/rules.sh --list        rule, package's test binary, test; one a line
#   ci/rules.sh --bite [RULE]...
#                             breaks each rule in a scratch copy of the core, by ci/rules/RULE.patch, and requires
#                             that a test which cites it fails; without arguments writes ci/rules/RESULTS.txt
#
# A test cites rules in its doc comment, on a line that begins `/// Rule X1:` or `/// Rules X1, X2 and X3:`.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
# Most seconds for the tests of one rule in one binary; they take a few.
patience=${PATIENCE:-90}

rules() { grep -oE '^- \*\*[OPSRKLQ][0-9]+\*\*' SEMANTICS.md | tr -d '*-' | tr -d ' '; }

# rule, binary, test
citations() {
    find flue-core/src flue-core/tests flue-core/spec flue-std/src flue-std/tests loom-tests/src loom-tests/tests \
        loom-tests/shuttle loom-tests/stall loom-tests/stress \
        -name '*.rs' 2>/dev/null | sort | while read -r file; do
        case $file in
            flue-core/src/*) binary=lib ;;
            flue-core/tests/*/*) binary=$(cut -d/ -f3 <<<"$file") ;;
            flue-core/tests/*) binary=$(basename "$file" .rs) ;;
            *) binary=$(cut -d/ -f1,2 <<<"$file" | tr / -):$(basename "$file" .rs) ;;
        esac
        awk -v binary="$binary" '
            /^ *\/\/\/ Rules? [OPSRKLQ][0-9]/ {
                line = $0; sub(/:.*/, "", line)
                while (match(line, /[OPSRKLQ][0-9]+/)) {
                    cited[substr(line, RSTART, RLENGTH)] = 1
                    line = substr(line, RSTART + RLENGTH)
                }
            }
            /^ *(\/\/\/|\/\/|#\[|#!\[|[a-z_]+! *\{|$)/ { if ($0 !~ /^ *$/) next }
            /^ *(pub )?(async )?fn [a-z0-9_]+/ {
                match($0, /fn [a-z0-9_]+/)
                for (rule in cited) print rule, binary, substr($0, RSTART + 3, RLENGTH - 3)
            }
            { split("", cited) }
        ' "$file"
    done
}

list() {
    local cited missing=0 rule
    cited=$(citations)
    for rule in $(rules); do
        if ! grep -q "^$rule " <<<"$cited"; then
            echo "rule $rule: no test cites it" >&2
            missing=$((missing + 1))
        fi
    done
    while read -r rule; do
        grep -q "\*\*$rule\*\*" SEMANTICS.md || { echo "a test cites $rule, which is no rule" >&2 && missing=$((missing + 1)); }
    done < <(cut -d' ' -f1 <<<"$cited" | sort -u)
    echo "$(rules | wc -l) rules, $(wc -l <<<"$cited") citations by tests, $missing missing"
    [ "$missing" -eq 0 ]
}

# A copy of the core alone, in which things may be broken.
scratch() {
    mkdir -p "$1"
    tar -C "$root" --exclude=target -cf - Cargo.toml flue-core | tar -C "$1" -xmf -
    [ ! -e "$root/Cargo.lock" ] || cp "$root/Cargo.lock" "$1"
    sed -i -e 's/^members = .*/members = ["flue-core", "flue-core\/spec"]/' -e '/^default-members/d' -e '/^exclude/d' "$1/Cargo.toml"
}

run_tests() { # binary, tests
    local binary=$1 target=(--test "$1")
    shift
    if [ "$binary" = lib ]; then
        target=(--lib)
    else
        set -- --exact "$@"
    fi
    timeout "$patience" cargo test --quiet -p flue-core --features std,bytes "${target[@]}" -- "$@"
}

# Which of these tests of a binary fail, or do not end, each alone.
failing() { # binary, tests...
    local binary=$1 test status
    shift
    [ "$binary" != lib ] || return 0 # All of them run together.
    for test in "$@"; do
        status=0
        patience=20 run_tests "$binary" "$test" >/dev/null 2>&1 || status=$?
        case $status in
            0) ;;
            124) echo "$test, which does not end," ;;
            *) echo "$test" ;;
        esac
    done | paste -sd' '
}

bite() {
    local verdict rule binary tests failures=0 started status results cited named
    copy=$(mktemp -d)
    trap 'rm -rf "$copy"' EXIT
    scratch "$copy"
    cited=$(citations)
    cd "$copy" # Removed by the trap above.
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target/rules}
    export CARGO_PROFILE_TEST_DEBUG=0 RUST_BACKTRACE=0
    results=$copy/RESULTS.txt
    # The control: unbroken, all tests pass, and in half of what a broken one is given.
    for binary in $(awk '$2 !~ /:/ { print $2 }' <<<"$cited" | sort -u); do
        tests=$(awk -v binary="$binary" '$2 == binary { print $3 }' <<<"$cited" | sort -u)
        cargo test --quiet -p flue-core --features std,bytes --no-run \
            $([ "$binary" = lib ] && echo --lib || echo "--test $binary") >build.log 2>&1 || { cat build.log >&2 && return 1; }
        # shellcheck disable=SC2086 # One argument a test.
        patience=$((patience / 2)) run_tests "$binary" $tests >test.log 2>&1 || { cat test.log >&2 && echo "$binary fails unbroken" >&2 && return 1; }
    done
    for rule in "$@"; do
        started=$SECONDS
        verdict='DOES NOT APPLY'
        if [ -e "$root/ci/rules/$rule.patch" ] && patch -p1 -s -N -F3 -r - <"$root/ci/rules/$rule.patch" >/dev/null; then
            verdict='NOBODY NOTICED'
            # The rule's own file first, then what is quick to build.
            for binary in $(awk -v rule="$rule" '$1 == rule && $2 !~ /:/ { print $2 }' <<<"$cited" | sort -u |
                sed -e 's/^lib$/2 &/' -e 's/^fixed$/2 &/' -e 's/^memory$/3 &/' -e 's/^conformance$/4 &/' -e 's/^[a-z]*$/1 &/' | sort | cut -d' ' -f2); do
                tests=$(awk -v rule="$rule" -v binary="$binary" '$1 == rule && $2 == binary { print $3 }' <<<"$cited")
                if ! cargo test --quiet -p flue-core --features std,bytes --no-run \
                    $([ "$binary" = lib ] && echo --lib || echo "--test $binary") >build.log 2>&1; then
                    verdict='DOES NOT COMPILE'
                    break
                fi
                status=0
                # shellcheck disable=SC2086 # One argument a test.
                run_tests "$binary" $tests >test.log 2>&1 || status=$?
                [ "$status" -ne 0 ] || continue
                named=$(sed -n 's/^    \([a-z_:0-9]*\)$/\1/p' test.log | sort -u | paste -sd' ')
                # shellcheck disable=SC2086 # One argument a test.
                verdict="bites: $binary: ${named:-$(failing "$binary" $tests)}"
                break
            done
            patch -p1 -s -R -F3 -r - <"$root/ci/rules/$rule.patch" >/dev/null
        fi
        case $verdict in
            bites*) ;;
            *) failures=$((failures + 1)) ;;
        esac
        printf '%-3s %3ss  %s\n' "$rule" $((SECONDS - started)) "$verdict" | tee -a "$results"
    done
    [ "$all" = no ] || cp "$results" "$root/ci/rules/RESULTS.txt"
    [ "$failures" -eq 0 ] || { echo "$failures rules can be broken unnoticed" >&2 && return 1; }
}

case ${1:-} in
    '') list ;;
    --list) citations | sort ;;
    --bite)
        shift
        all=no
        # shellcheck disable=SC2046 # One argument a rule.
        [ $# -gt 0 ] || { all=yes && set -- $(rules); }
        bite "$@"
        ;;
    *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2 && exit 2 ;;
esac
