#!/bin/bash
# Builds and boots every image under firmware/, one line each: sizes in bytes, instructions of a send and a receive where
# they can be counted, seconds, verdict. An image must end with success and say its totals. What it counts is compared
# with firmware/budgets: more than the last figure there, but for some slack, fails; more than what is asked is marked
# MISS. All output is kept in target/bare-metal/; the end of a failed image's is printed.
#
#   ci/bare-metal.sh [--install] [--update] [--only NAME]...
#
#   --install     first installs what is missing (apt)
#   --update      writes the figures of this run into firmware/budgets, and its tables into docs/embedding.md
#   --only NAME   this image alone; may be repeated
#
# Targets installed with `rustup target add` are used as they are. Where one is missing, `core` and `alloc` are built
# from Debian's sources (ci/sysroot.sh).
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
logs=$root/target/bare-metal
budgets=$root/firmware/budgets
guide=$root/docs/embedding.md
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target/firmware}
# shellcheck source=ci/bare-targets.sh
. "$root/ci/bare-targets.sh"
# Most seconds for a run, on a busy machine too; on an idle one none takes more than a few, but for the sweep of
# cortex-m3: half a minute.
patience=1200

images=(core-only kernel-x86_64 kernel-riscv64 cortex-m3 cortex-m0 embassy wasm32)
install=
update=
only=()
while [ $# -gt 0 ]; do
    case $1 in
        --install) install=yes ;;
        --update) update=yes ;;
        --only) only+=("${2:?--only needs a name}") && shift ;;
        *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2 && exit 2 ;;
    esac
    shift
done
all=("${images[@]}")
[ ${#only[@]} -eq 0 ] || images=("${only[@]}")

target_of() {
    case $1 in
        core-only | kernel-x86_64) echo x86_64-unknown-linux-gnu ;;
        kernel-riscv64) echo riscv64gc-unknown-none-elf ;;
        cortex-m3 | embassy) echo thumbv7m-none-eabi ;;
        cortex-m0) echo thumbv6m-none-eabi ;;
        wasm32) echo wasm32-unknown-unknown ;;
        *) echo "no image $1; there are: ${all[*]}" >&2 && return 1 ;;
    esac
}

machine_of() { # command and package
    case $1 in
        kernel-x86_64) echo qemu-system-x86_64 qemu-system-x86 ;;
        kernel-riscv64) echo qemu-system-riscv64 qemu-system-misc ;;
        cortex-m* | embassy) echo qemu-system-arm qemu-system-arm ;;
        wasm32) echo node nodejs ;;
    esac
}

# What a program must have said, an extended regular expression a line.
totals_of() {
    case $1 in
        *steps | *two-process) return ;;
        core-only | wasm32) echo '^exchange: 100000 questions and answers: done$' ;;
        kernel-*) echo '^4 cpus: [1-9][0-9]{6,} signals received, [1-9][0-9]{2,} groups killed, nothing left behind$' && return ;;
        cortex-m3) echo '^93 operations x 10 handlers: [1-9][0-9]{5,} interrupts, nothing lost, doubled, reordered or stuck$' ;;
        cortex-m0) echo '^([1-9][0-9]*) interrupts sent \1 messages, [0-9]+ were refused; 2000 processes killed$' ;;
        embassy) echo "^10000 messages from interrupt to task to task, in order; the worker's death ended both its tasks$" ;;
    esac
    echo '^tour: 9 messages, 3 downs$'
}

# The packages that an image lacks, one a line.
missing() {
    local command package
    has readelf && has nm || echo binutils
    read -r command package <<<"$(machine_of "$1")"
    [ -z "$command" ] || has "$command" || echo "$package"
    missing_for "$(target_of "$1")"
}

# text, data, bss: sections that are in memory and not written; written; written and not in the file.
sizes() {
    if [ "$2" = wasm32-unknown-unknown ]; then
        echo "$(wc -c <"$1") - -"
    else
        readelf -SW "$1" | tr -d '[]' | sum_sections
    fi
}
sum_sections() {
    local text=0 data=0 bss=0 number name kind address offset size entry flags rest
    while read -r number name kind address offset size entry flags rest; do
        case $number in *[!0-9]* | '') continue ;; esac
        case $flags in
            *A*) ;;
            *) continue ;;
        esac
        case $kind:$flags in
            NOBITS:*) bss=$((bss + 16#$size)) ;;
            *:*W*) data=$((data + 16#$size)) ;;
            *) text=$((text + 16#$size)) ;;
        esac
    done
    echo "$text $data $bss"
}

failures=0
report() { printf '%-22s %8s %6s %8s %5s %8s %5s  %s\n' "$@"; }
fail() { # name, why
    report "$1" - - - - - - "FAIL: $2"
    failures=$((failures + 1))
}

# Builds and runs one program of an image: label, image, binary, profile, cargo's further arguments.
boot() {
    local label=$1 image=$2 binary=$3 profile=$4 target log started status=0 verdict=ok text data bss send receive line
    shift 4
    target=$(target_of "$image")
    log=$logs/${label// /-}.log
    (
        cd "$root/firmware/$image"
        prepare "$target"
        cargo build --quiet --locked --target "$target" --profile "$profile" --bin "$binary" "$@"
    ) >"$log" 2>&1 || { fail "$label" "does not build" && tail -n 30 "$log" && return; }
    started=$SECONDS
    (
        cd "$root/firmware/$image"
        prepare "$target"
        timeout "$patience" cargo run --quiet --locked --target "$target" --profile "$profile" --bin "$binary" "$@"
    ) </dev/null >>"$log" 2>&1 || status=$?
    local file=$CARGO_TARGET_DIR/$target/$profile/$binary
    [ "$target" != wasm32-unknown-unknown ] || file=$file.wasm
    read -r text data bss <<<"$(sizes "$file" "$target")"
    sed -n "s/\r$//; s/^figure\t/$label\t/p" "$log" >>"$figures"
    [ "$binary" != two-process ] || printf '%s\ttext\t%s\n' "$label" $((text + data)) >>"$figures"
    send=$(figure_of "$label" send)
    receive=$(figure_of "$label" receive)
    while read -r line; do
        [ -z "$line" ] || tr -d '\r' <"$log" | grep -qE "$line" || verdict='FAIL: totals not said, or wrong'
    done <<<"$(totals_of "$label")"
    [ "$status" -eq 0 ] || verdict="FAIL: exit code $status"
    if [ "$image" = core-only ] && [ -n "$(nm -u "$file")" ]; then verdict='FAIL: undefined symbols'; fi
    report "$label" "$text" "$data" "$bss" "${send:--}" "${receive:--}" "$((SECONDS - started))" "$verdict"
    [ "$verdict" = ok ] && return
    failures=$((failures + 1))
    tail -n 30 "$log" | sed 's/^/    /'
}

figure_of() { awk -F '\t' -v label="$1" -v name="$2" '$1 == label && $2 == name { print $3 }' "$figures"; }

run() {
    case $1 in
        kernel-x86_64)
            boot "$1" "$1" "$1" release
            boot "$1 static" "$1" "$1" release --no-default-features
            ;;
        kernel-riscv64)
            boot "$1" "$1" "$1" release
            boot "$1 static" "$1" "$1" release --no-default-features
            boot "$1 steps" "$1" steps release --no-default-features
            ;;
        cortex-m3)
            boot "$1" "$1" "$1" release
            boot "$1 steps" "$1" steps release
            boot "$1 two-process" "$1" two-process small
            ;;
        *) boot "$1" "$1" "$1" release ;;
    esac
}

# The compiler that the counted images were built with.
compiler() { (prepare thumbv7m-none-eabi && "${RUSTC:-rustc}" --version | cut -d' ' -f1,2); }

# Compares the figures with the budgets: program, figure, last figure, what is asked. A byte is a byte; instructions and
# text may be a little more, and with another compiler than the last one's, more than that.
compare() {
    awk -F '\t' -v slack="$1" '
        function allowed(name, last) {
            if (name ~ /^bytes|^ram/) return last
            return last + (last * slack / 100 > 4 ? int(last * slack / 100) : 4)
        }
        FNR == NR { if ($0 !~ /^#/) { last[$1, $2] = $3; asked[$1, $2] = $4; counted[$1]; order[++lines] = $1 FS $2 } next }
        { now[$1, $2] = $3; ran[$1] }
        END {
            for (key in now) if (!(key in last)) {
                split(key, part, SUBSEP); printf "%-22s %-24s %6s  FAIL: not in the budgets (--update)\n", part[1], part[2], now[key]; bad++
            }
            for (at = 1; at <= lines; at++) {
                split(order[at], part, FS); key = part[1] SUBSEP part[2]
                if (!(part[1] in ran)) continue
                note = ""
                if (!(key in now)) { note = "FAIL: not counted"; bad++ }
                else if (now[key] > allowed(part[2], last[key])) { note = "FAIL: was " last[key]; bad++ }
                else if (allowed(part[2], now[key]) < last[key]) note = "less: was " last[key] " (--update)"
                if (asked[key] != "-" && now[key] > asked[key]) note = note (note ? "; " : "") "MISS: asked " asked[key]
                else if (asked[key] != "-") note = note (note ? "; " : "") "asked " asked[key]
                if (note) printf "%-22s %-24s %6s  %s\n", part[1], part[2], now[key], note
            }
            exit bad > 0
        }' "$budgets" "$figures"
}

write_budgets() {
    {
        echo "# What ci/bare-metal.sh counted last: program, figure, last figure, what is asked (- if nothing is)."
        echo "# compiler: $(compiler)"
        awk -F '\t' -v OFS='\t' '
            FNR == NR { if ($0 !~ /^#/) { asked[$1, $2] = $4; last[$1, $2] = $3; order[++lines] = $1 FS $2 } next }
            { now[$1, $2] = $3; ran[$1]; if (!(($1, $2) in last)) order[++lines] = $1 FS $2 }
            END {
                for (at = 1; at <= lines; at++) {
                    split(order[at], part, FS); key = part[1] SUBSEP part[2]
                    if (key in now) print part[1], part[2], now[key], (key in asked) ? asked[key] : "-"
                    else if (!(part[1] in ran)) print part[1], part[2], last[key], asked[key]
                }
            }' "$budgets" "$figures"
    } >"$scratch/budgets"
    cp "$scratch/budgets" "$budgets"
}

# The guide with its tables as the budgets have them.
guide_now() {
    awk -F '\t' '
        function row(name, arm, riscv) { return "| " name " | " arm " | " riscv " |" }
        FNR == NR {
            if ($0 ~ /^#/) next
            if ($1 == "cortex-m3 steps") { arm[$2] = $3; order[++lines] = $2 }
            if ($1 == "kernel-riscv64 steps") riscv[$2] = $3
            next
        }
        /^<!-- end -->$/ { inside = 0 }
        !inside
        /^<!-- (instructions|bytes) -->$/ {
            inside = 1; bytes = /bytes/
            print row(bytes ? "in static storage, bytes" : "operation", bytes ? "32 bits" : "Cortex-M3", bytes ? "64 bits" : "riscv64")
            print "|---|---|---|"
            for (at = 1; at <= lines; at++) {
                name = order[at]
                if (name !~ /^ram/ && bytes == (name ~ /^bytes: /)) { shown = name; sub(/^bytes: /, "", shown); print row(shown, arm[name], riscv[name]) }
                if (name == "ram" && bytes) print row("8 processes with 8 messages and 4 handles each, in all", arm[name], riscv[name])
                if (name ~ /^ram:/ && bytes) print row("the same without monitors, links and places for waiting senders", arm[name], riscv[name])
            }
        }' "$budgets" "$guide"
}

for image in "${images[@]}"; do target_of "$image" >/dev/null; done
mkdir -p "$logs"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
figures=$scratch/figures
: >"$figures"
if [ -n "$install" ]; then
    # shellcheck disable=SC2046 # one word for each package
    apt_install $(for image in "${images[@]}"; do missing "$image"; done | sort -u)
fi

# All sysroots at once: they share the building of nothing but the waiting for it.
lacking=()
for image in "${images[@]}"; do
    target=$(target_of "$image")
    if [ -z "$(missing "$image")" ] && ! installed "$target"; then lacking+=("$target"); fi
done
[ ${#lacking[@]} -eq 0 ] || "$root/ci/sysroot.sh" "${lacking[@]}" >/dev/null

report image text data bss send receive secs verdict
for image in "${images[@]}"; do
    packages=$(missing "$image")
    if [ -n "$packages" ]; then
        fail "$image" "lacks $(echo $packages): apt-get install them, or give --install"
    else
        run "$image"
    fi
done

if [ -s "$figures" ]; then
    if [ -n "$update" ] && [ "$failures" -eq 0 ]; then
        write_budgets
        guide_now >"$scratch/guide"
        cp "$scratch/guide" "$guide"
    fi
    slack=3
    grep -qxF "# compiler: $(compiler)" "$budgets" || slack=15
    compare "$slack" || failures=$((failures + 1))
fi
if ! guide_now | cmp -s - "$guide"; then
    echo 'docs/embedding.md: its tables are not those of firmware/budgets (--update)'
    failures=$((failures + 1))
fi
[ "$failures" -eq 0 ] || { echo "$failures failed" >&2 && exit 1; }
echo "$SECONDS s in all"
