#!/bin/sh
# Line and branch coverage of replication/ by the unit tests: builds them with gcov's counters (no sanitizers) in a folder
# of their own, runs those that use the core, and prints each file and the lines that no test reached.
# The last line is "ok coverage of replication/ lines: NN.N %", or FAILED below LINES_MIN (95.0). Needs gcovr.
LINES_MIN=${LINES_MIN:-95.0}
B=${B:-build/cover}
here=$(pwd)
[ -f replication/core.c ] || { echo "FAILED coverage: run it from the top of the tree"; exit 1; }
if ! command -v gcovr >/dev/null; then
    apt-get install -y gcovr >/dev/null 2>&1 || { echo "FAILED coverage: gcovr is not installed (apt install gcovr)"; exit 1; }
fi

# The programs that link the core and look at it; those of node/ and of processes are slow and would not add a line.
tests=$(grep -lE 'replication/|support/(lab|duo|rule_cases|world|random_world|memory)' tests/unit/test_*.c |
    grep -vE 'test_(net|link|run|control|config|identity|json|csv|compress|map)\.c')
[ -n "$TESTS" ] && tests=$TESTS
programs=
for t in $tests; do programs="$programs $B/${t%.c}"; done
make -s MODE=cover B="$B" $programs || { echo "FAILED coverage: the tests do not build"; exit 1; }

find "$B" -name '*.gcda' -exec rm {} +
failed=0
for t in $programs; do
    PROPERTY_WORLDS=${PROPERTY_WORLDS:-300} "$t" >"$t.log" 2>&1 || { echo "$(basename "$t") failed: $t.log"; failed=1; }
done

# Asserts and what only a broken library can bring about (no memory) are branches too: lines are what is asked for.
report="$B/coverage.txt"
gcovr --root "$here" --object-directory "$B" --filter 'replication/' --exclude-throw-branches \
    --txt "$report" --print-summary "$B/replication" "$B/tests/unit" >"$B/summary.txt" 2>"$B/gcovr.log" ||
    { cat "$B/gcovr.log"; echo "FAILED coverage: gcovr"; exit 1; }
cat "$report"
cat "$B/summary.txt"
percent=$(sed -n 's/^lines: \([0-9.]*\)%.*/\1/p' "$B/summary.txt")
[ -n "$percent" ] || { echo "FAILED coverage: no figures"; exit 1; }
[ "$failed" -eq 0 ] || { echo "FAILED coverage: a test failed"; exit 1; }
if awk "BEGIN { exit !($percent >= $LINES_MIN) }"; then
    echo "ok coverage of replication/ lines: $percent %"
else
    echo "FAILED coverage of replication/ lines: $percent % (at least $LINES_MIN)"
    exit 1
fi
