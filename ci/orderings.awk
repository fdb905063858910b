# Replaces each ordering in a source file by a call that a run can weaken:
#   AcqRel  ->  crate::twin::weaken(17, AcqRel)
# and lists the sites: number, file, line, ordering. Comments, imports and unit
# tests are left as they are.
#
#   awk -v file=NAME -v first=NUMBER -v sites=LIST -f orderings.awk NAME >OUT
BEGIN { number = first }
/^#\[cfg\(all\(test/ || /^#\[cfg\(test/ { in_tests = 1 }
{
    line = $0
    code = line
    comment = ""
    if (match(code, /\/\//)) {
        comment = substr(code, RSTART)
        code = substr(code, 1, RSTART - 1)
    }
    if (code ~ /^ *(pub(\([a-z]+\))? )?use /) in_use = 1
    if (in_tests || in_use) {
        print line
        if (in_use && code ~ /;/) in_use = 0
        next
    }
    out = ""
    while (match(code, /(^|[^A-Za-z0-9_:])(AcqRel|Acquire|Release|SeqCst)([^A-Za-z0-9_(]|$)/)) {
        token = substr(code, RSTART, RLENGTH)
        before = substr(code, 1, RSTART - 1)
        head = ""
        tail = ""
        if (token ~ /^[^A-Z]/) { head = substr(token, 1, 1); token = substr(token, 2) }
        if (token ~ /[^A-Za-z]$/) { tail = substr(token, length(token)); token = substr(token, 1, length(token) - 1) }
        out = out before head "crate::twin::weaken(" number ", " token ")"
        print number "\t" file "\t" FNR "\t" token >> sites
        number++
        code = tail substr(code, RSTART + RLENGTH)
    }
    out = out code
    # There is no relaxed fence.
    while (match(out, /fence\(crate::twin::weaken\([0-9]+, [A-Za-z]+\)\)/)) {
        site = substr(out, RSTART + length("fence(crate::twin::weaken("), RLENGTH - length("fence(crate::twin::weaken(") - 1)
        out = substr(out, 1, RSTART - 1) "crate::twin::weaken_fence(" site substr(out, RSTART + RLENGTH)
    }
    print out comment
}
END { print number > (sites ".next") }
