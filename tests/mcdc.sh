#!/bin/sh
# MC/DC of the core: was each condition of a decision seen to decide it alone? The unit tests, built by clang with its
# instrumentation in a folder of their own (asserts left out, as in coverage.sh). Prints each file that has conditions left.
#   FILES="replication/fold.c"   the source of these files with what lacks
MCDC_MIN=${MCDC_MIN:-99.0}
B=${B:-build/mcdc}
cd "$(dirname "$0")/.." || exit 1
for tool in clang-19 llvm-profdata-19 llvm-cov-19; do
    command -v $tool >/dev/null || { echo "FAILED mcdc: $tool is not installed (apt install clang-19 llvm-19 libclang-rt-19-dev)"; exit 1; }
done
tests=$(ls tests/unit/test_*.c | grep -vE 'test_(net|link|run|control|config|identity|json|csv|compress|map)\.c')
programs= objects=
for t in $tests; do programs="$programs $B/${t%.c}" objects="$objects -object $B/${t%.c}"; done
rooms='$(if $(filter crypto/% replication/% store/%,$<),-DNDEBUG -fprofile-instr-generate -fcoverage-mapping -fcoverage-mcdc)'
# shellcheck disable=SC2086
make -s MODE=cover B="$B" CC=clang-19 CFLAGS_cover="-O1 -w -DFM_SANITIZED $rooms" LDFLAGS_cover=-fprofile-instr-generate $programs ||
    { echo "FAILED mcdc: the tests do not build"; exit 1; }
rm -f "$B"/*.profraw
for p in $programs; do
    PROPERTY_WORLDS=${PROPERTY_WORLDS:-100} LLVM_PROFILE_FILE="$B/%m.profraw" "$p" >"$p.log" 2>&1 || echo "$p failed: $p.log"
done
llvm-profdata-19 merge -o "$B/all.profdata" "$B"/*.profraw || { echo "FAILED mcdc: no profile"; exit 1; }
if [ -n "$FILES" ]; then
    # shellcheck disable=SC2086
    llvm-cov-19 show ${objects# -object} -instr-profile "$B/all.profdata" -show-mcdc $FILES
    exit 0
fi
# shellcheck disable=SC2086
llvm-cov-19 report ${objects# -object} -instr-profile "$B/all.profdata" -show-mcdc-summary -show-branch-summary=false \
    -show-region-summary=false crypto replication store >"$B/report.txt" || { echo "FAILED mcdc: no report"; exit 1; }
awk '$NF != "100.00%" || /^TOTAL/' "$B/report.txt"
score=$(awk '/^TOTAL/ { sub("%", "", $NF); print $NF }' "$B/report.txt")
echo "figure mcdc_core $score"
if awk "BEGIN { exit !($score >= $MCDC_MIN) }"; then
    echo "ok mcdc of the core: $score %"
else
    echo "FAILED mcdc of the core: $score % (at least $MCDC_MIN)"
    exit 1
fi
