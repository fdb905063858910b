#!/usr/bin/env bash
# Weakens every memory ordering of flue-core by one step, one at a time, and
# requires that a loom model fails:
#
#   ci/orderings.sh [FILE]...     files below flue-core/src; without any, all,
#                                 and the outcome is written to ci/orderings.txt
#
# AcqRel becomes Acquire, then Release; Acquire and Release become Relaxed; SeqCst becomes
# AcqRel. All are built into one scratch copy, where the run chooses one; so that a mutant
# costs only the models. Those that reach it are run, those of its module first and of these
# the fastest, each for at most FLUE_LOOM_SECONDS (4) at preemption bound 2, until one fails
# or MOST (40) seconds are over.
# PART=2/5 does the second fifth. 90 of 100 are to be killed; for what survives, or is in no
# model, ci/orderings.reasons must have a reason.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
export LOOM_MAX_PREEMPTIONS=2 FLUE_LOOM_SECONDS="${FLUE_LOOM_SECONDS:-4}" RUST_BACKTRACE=0
patience=$((FLUE_LOOM_SECONDS * 5 + 20))
export most="${MOST:-40}"
wanted=$(printf '%s\n' "$@")

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
tar --exclude=target -cf - Cargo.toml Cargo.lock flue-core loom-tests | tar -C "$copy" -xmf -
sed -i -e 's/^members = .*/members = ["flue-core", "flue-core\/spec", "loom-tests"]/' -e '/^default-members/d' -e '/^exclude/d' "$copy/Cargo.toml"
next=0
while read -r file; do
    awk -v file="$file" -v first="$next" -v sites="$copy/sites" -f ci/orderings.awk "$root/flue-core/src/$file" >"$copy/out.rs"
    cp "$copy/out.rs" "$copy/flue-core/src/$file"
    next=$(cat "$copy/sites.next")
done < <(cd flue-core/src && find . -name '*.rs' | sed 's|^\./||' | grep -vE '^(sync|twin|internals)' | sort)
cat >>"$copy/flue-core/src/twin.rs" <<'RUST'

extern crate std;

/// The ordering of a site, or the weaker one that `FLUE_ORDERING=site,ordering` says.
/// The sites that are reached are written into the file that `FLUE_REACHED` names.
#[allow(dead_code, missing_docs)]
pub(crate) fn weaken(site: u32, ordering: Ordering) -> Ordering {
    use std::collections::BTreeSet;
    use std::io::Write;
    use std::sync::{Mutex, OnceLock};
    static WEAK: OnceLock<Option<(u32, Ordering)>> = OnceLock::new();
    static REACHED: OnceLock<Option<Mutex<(BTreeSet<u32>, std::fs::File)>>> = OnceLock::new();
    let reached = REACHED.get_or_init(|| {
        let file = std::fs::File::create(std::env::var_os("FLUE_REACHED")?).expect("a file");
        Some(Mutex::new((BTreeSet::new(), file)))
    });
    if let Some(reached) = reached {
        let (seen, file) = &mut *reached.lock().expect("one thread");
        if seen.insert(site) {
            std::writeln!(file, "{site}").expect("written");
        }
    }
    let weak = WEAK.get_or_init(|| {
        let said = std::env::var("FLUE_ORDERING").ok()?;
        let (site, ordering) = said.split_once(',')?;
        let ordering = match ordering {
            "Relaxed" => Ordering::Relaxed,
            "Acquire" => Ordering::Acquire,
            "Release" => Ordering::Release,
            _ => Ordering::AcqRel,
        };
        Some((site.parse().ok()?, ordering))
    });
    match weak {
        Some((weak, weaker)) if *weak == site => *weaker,
        _ => ordering,
    }
}

/// The same for a fence: one that is relaxed is none.
#[allow(dead_code, missing_docs)]
pub(crate) fn weaken_fence(site: u32, ordering: Ordering) {
    let ordering = weaken(site, ordering);
    if ordering != Ordering::Relaxed {
        crate::sync::atomic::fence(ordering);
    }
}
RUST

cd "$copy"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}/orderings"
RUSTFLAGS="--cfg loom" cargo test --release -p loom-tests --no-run 2>&1 | tee build.log |
    sed -n 's/.*Executable tests\/\([a-z]*\)\.rs (\(.*\))/\1 \2/p' >binaries
[ -s binaries ] || { cat build.log >&2 && exit 1; }

# Every model as it is: milliseconds, binary, model, by file its name; and what it reaches.
as_it_is() { # name of the file, binary, model
    local began
    began=$(date +%s%N)
    FLUE_REACHED="reached.$3" timeout "$patience" "$2" --exact "$3" >"run.$3" 2>&1 </dev/null ||
        { cat "run.$3" >&2 && echo "$1 $3 fails as it is" >&2 && return 255; }
    echo "$((($(date +%s%N) - began) / 1000000)) $2 $3 $1"
}
export -f as_it_is
export patience=$((FLUE_LOOM_SECONDS * 5 + 20))
while read -r name binary; do
    "$binary" --list 2>/dev/null | sed -n "s|^\(.*::holds\): test$|$name $binary \1|p"
done <binaries | xargs -P "${JOBS:-2}" -L 1 bash -c 'as_it_is "$@"' as_it_is | sort -n >models
echo "$next orderings, $(wc -l <models) models, each in $(awk '{ sum += $1 } END { print sum / NR / 1000 }' models) s"

# The files of loom-tests that are about a file of the core, as loom-tests/about says.
about() {
    awk -v file="$1" 'index(file, $1) == 1 { found = 1 }
        found { $1 = ""; sub("^ ", ""); gsub(" ", "|"); print "^(" $0 ")$"; exit }' loom-tests/about
}
export -f about

one() { # number, file, line, ordering, weaker
    local name binary model began=$SECONDS reached=no
    while read -r _ _ binary model name; do
        grep -qx "$1" "reached.$model" || continue
        reached=yes
        if ! FLUE_ORDERING=$1,$5 timeout "$patience" "$binary" --exact "$model" >"run.$1.$5" 2>&1 </dev/null; then
            echo "killed   $2:$3 $4 -> $5: $name::${model%::holds} ($((SECONDS - began)) s)"
            return
        fi
        [ $((SECONDS - began)) -lt "$most" ] || break
    done < <(awk -v about="$(about "$2")" '{ print ($4 !~ about), $0 }' models | sort -k1,1n -k2,2n)
    if [ $reached = yes ]; then echo "survived $2:$3 $4 -> $5 ($((SECONDS - began)) s)"; else echo "unmodelled $2:$3 $4 -> $5"; fi
}
export -f one

while IFS=$'\t' read -r number file line ordering; do
    [ -z "$wanted" ] || grep -qxF "$file" <<<"$wanted" || continue
    case $ordering in
        AcqRel) weaker='Acquire Release' ;;
        SeqCst) weaker=AcqRel ;;
        *) weaker=Relaxed ;;
    esac
    for weak in $weaker; do printf '%s %s %s %s %s\n' "$number" "$file" "$line" "$ordering" "$weak"; done
done <sites >mutants
if [ -n "${PART:-}" ]; then
    awk -v part="${PART%/*}" -v of="${PART#*/}" 'NR % of == part - 1' mutants >part
    mv part mutants
fi
xargs -r -P "${JOBS:-2}" -L 1 bash -c 'one "$@"' one <mutants | tee results

# What survived, or is in no model, with the reason that ci/orderings.reasons gives.
while read -r outcome site mutation; do
    [ "$outcome" != killed ] || continue
    code=$(sed -n "${site##*:}p" "$root/flue-core/src/${site%%:*}")
    reason=$(awk -F '\t' -v file="${site%%:*}" -v code="$code" \
        '!/^#/ && $1 == file && ($2 == "" || index(code, $2)) { print $3; exit }' "$root/ci/orderings.reasons")
    printf '%s %s %s: %s\n' "$outcome" "$site" "${mutation% (*}" "${reason:-NO REASON}"
done <results >explained

killed=$(grep -c '^killed' results || true)
survived=$(grep -c '^survived' results || true)
unmodelled=$(grep -c '^unmodelled' results || true)
summary="$killed of $((killed + survived)) weakened orderings killed ($((killed * 100 / (killed + survived + (killed + survived == 0)))) of 100; asked: 90); $unmodelled are in no model"
echo "$summary"
if [ -z "$wanted" ] && [ -z "${PART:-}" ]; then
    { echo "$summary" && grep '^killed' results | sed 's/ ([0-9]* s)$//' | sort -k2 -V && sort -k2 -V explained; } >"$root/ci/orderings.txt"
fi
! grep 'NO REASON$' explained >&2
