#!/usr/bin/env bash
# The main job on real input, this repository, while workers crash and hang: it must
# end, and its totals must be those of `wc`: of every file that git does not ignore,
# symbolic links left out, and what is not UTF-8.
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in git wc iconv; do
    command -v "$tool" >/dev/null || { echo "wordcount: needs $tool" >&2; exit 1; }
done
git=(git -c safe.directory="$PWD" -c core.excludesFile=/dev/null) # Whoever the files belong to.
"${git[@]}" rev-parse --git-dir >/dev/null || { echo 'wordcount: needs the repository of git' >&2; exit 1; }
cargo build --release --example wordcount

files=0 words=0 bytes=0 left_out=0
while IFS= read -r -d '' file; do
    [ -f "$file" ] && [ ! -L "$file" ] || continue
    if iconv -f UTF-8 -t UTF-8 <"$file" >/dev/null 2>&1; then
        files=$((files + 1))
        words=$((words + $(LC_ALL=C.UTF-8 wc -w <"$file")))
        bytes=$((bytes + $(wc -c <"$file")))
    else
        left_out=$((left_out + 1))
    fi
done < <("${git[@]}" ls-files -z --cached --others --exclude-standard)
[ "$files" -gt 0 ] || { echo 'wordcount: git lists no files' >&2; exit 1; }

figure() { awk -v name="$1" '$1 == name { print $2; exit }' <<<"$table"; }
for crash in 0 6; do
    status=0
    table=$(cargo run --release --example wordcount -- --crash "$crash") || status=$?
    printf '%s\n' "$table"
    # It says so if it left something out.
    [ "$status" -eq "$((left_out > 0))" ] || { echo "wordcount: ended with $status" >&2; exit 1; }
    counted="$(figure files) files, $(figure words) words, $(figure bytes) bytes"
    expected="$files files, $words words, $bytes bytes"
    if [ "$counted" != "$expected" ]; then
        echo "wordcount: $counted; wc says $expected" >&2
        exit 1
    fi
done
echo "as wc says: $expected; $left_out left out"
