#!/bin/sh
# Runs test programs and scripts one after the other and counts their cases. A program is a cmocka binary; a script
# prints "ok NAME" or "FAILED NAME" a case. One that dies or prints no case counts as a failure of its own.
# The last line is "N passed, N failed"; the exit code is 0 if nothing failed.
passed=0 failed=0
out=$(mktemp) && trap 'rm -f "$out"' EXIT
for test in "$@"; do
    [ -f "$test" ] || continue
    start=$(date +%s)
    case $test in
    *.sh) sh "$test" >"$out" 2>&1 ;;
    *) "$test" >"$out" 2>&1 ;;
    esac
    code=$?
    ok=$(grep -Ec '^(\[       OK \]|ok )' "$out")
    bad=$(grep -Ec '^(\[  FAILED  \] [a-z_0-9]+$|FAILED )' "$out")
    [ "$code" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
    [ "$ok" -gt 0 ] || [ "$bad" -gt 0 ] || bad=1
    printf '%-44s %4d passed %3d failed %4d s\n' "$(basename "$test")" "$ok" "$bad" $(($(date +%s) - start))
    grep '^figure ' "$out"
    [ "$bad" -eq 0 ] || { echo "--- $test (exit $code)"; grep -v '^\[\(       OK\|  RUN     \) *\]' "$out" | tail -60; echo "---"; }
    passed=$((passed + ok)) failed=$((failed + bad))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
