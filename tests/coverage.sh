#!/bin/sh
# Line and branch coverage of the core (replication/, store/, crypto/) by the unit tests: builds them with gcov's counters
# in a folder of their own, runs those that use the core, prints each file, and what no test reached, as FILE:LINE (also in
# build/cover/coverage.txt). Asserts are for bugs and are not measured; they stand in every other build. No line is exempt.
#   FILES="replication/fold.c store/txn.c"   only these files, and no threshold
#   TESTS="tests/unit/test_fold.c"           only these tests
#   RUN=0                                    what the last run counted, again
# The last line is "ok coverage of the core …", or FAILED below LINES_MIN or BRANCHES_MIN (percent).
LINES_MIN=${LINES_MIN:-100} BRANCHES_MIN=${BRANCHES_MIN:-100}
B=${B:-build/cover}
[ -f replication/core.c ] || { echo "FAILED coverage: run it from the top of the tree"; exit 1; }
command -v "${GCOV:-gcov}" >/dev/null || { echo "FAILED coverage: gcov is not installed (apt install gcc)"; exit 1; }

# Those of node/ and of processes are slow and look at other things; what they would reach does not count.
tests=${TESTS:-$(ls tests/unit/test_*.c | grep -vE 'test_(net|link|run|control|config|identity|json|csv|compress|map)\.c')}
programs=
for t in $tests; do programs="$programs $B/${t%.c}"; done
failed=0
if [ "${RUN:-1}" != 0 ]; then
    make -s MODE=cover B="$B" $programs || { echo "FAILED coverage: the tests do not build"; exit 1; }
    find "$B" -name '*.gcda' -exec rm {} +
    for t in $programs; do
        PROPERTY_WORLDS=${PROPERTY_WORLDS:-300} "$t" >"$t.log" 2>&1 || { echo "$(basename "$t") failed: $t.log"; failed=1; }
    done
fi

python3 tests/coverage.py "$B" "$B" $FILES >"$B/summary.txt" || { echo "FAILED coverage: no figures"; exit 1; }
cat "$B/summary.txt"
[ "$failed" -eq 0 ] || { echo "FAILED coverage: a test failed"; exit 1; }
[ -z "$FILES" ] || exit 0
figure() { sed -n "s/^figure coverage_core_$1 //p" "$B/summary.txt"; }
lines=$(figure lines) branches=$(figure branches)
if awk "BEGIN { exit !($lines >= $LINES_MIN && $branches >= $BRANCHES_MIN) }"; then
    echo "ok coverage of the core: lines $lines %, branches $branches %"
else
    echo "FAILED coverage of the core: lines $lines % (at least $LINES_MIN), branches $branches % (at least $BRANCHES_MIN)"
    exit 1
fi
