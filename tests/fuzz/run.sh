#!/bin/sh
# Fuzzes what reads bytes from outside: sh tests/fuzz/run.sh [TARGET …]. FUZZ_SECONDS (60) for each; new inputs go to
# build/fuzz/corpus, the committed seeds in tests/fuzz/corpus stay few. A target is one file, tests/fuzz/fuzz_NAME.c; it is
# linked with all rooms and tests/support; tests/fuzz/dict/fuzz_NAME, if it is there, holds words for it.
#   run.sh replay [TARGET …]   runs each committed seed once, with the tests' own compiler; no clang is needed
#   run.sh seed                writes those of the seeds anew that are made by a program (seed*.c)
cd "$(dirname "$0")/../.." || exit 1
OUT=${FUZZ_DIR:-build/fuzz}
ASAN=${FUZZ_ASAN:-build/asan}
LIBS="$(pkg-config --libs libzmq lmdb libsodium jansson libzstd) -lmsgpackc -lpthread -lm"
mode=fuzz
case $1 in replay | seed) mode=$1; shift ;; esac
[ $# -gt 0 ] || set -- $(ls tests/fuzz/fuzz_*.c | sed 's|.*/\(.*\)\.c|\1|')
mkdir -p "$OUT" || exit 1

# All rooms, support and these FILES of tests/fuzz, compiled by make into BUILD; the rooms become one archive.
build() { # BUILD CC FLAGS FILES
    rooms=$(for f in $(ls crypto/*.c replication/*.c store/*.c node/*.c tests/support/*.c | grep -vx node/main.c); do echo "$1/${f%.c}.o"; done)
    more=$(for f in $4; do echo "$1/tests/fuzz/$f.o"; done)
    make -s MODE=asan B="$1" CC="$2" CFLAGS="$3" $rooms $more || { echo "FAILED: it does not build"; exit 1; }
    archive=$1/tests/fuzz/rooms.a
    rm -f "$archive"
    ar rcs "$archive" $rooms || exit 1
}

if [ "$mode" != fuzz ]; then
    CC=${CC:-gcc}
    files=replay
    [ "$mode" = replay ] && files="$files $*" || files=$(ls tests/fuzz/seed*.c | sed 's|.*/\(.*\)\.c|\1|')
    build "$ASAN" "$CC" "" "$files"
    bad=0
    for t in $files; do
        [ "$t" = replay ] && continue
        main=
        [ "$mode" = replay ] && main=$ASAN/tests/fuzz/replay.o
        "$CC" -fsanitize=address,undefined $main "$ASAN/tests/fuzz/$t.o" "$archive" $LIBS -o "$ASAN/tests/fuzz/$t" || { echo "FAILED $mode $t: does not link"; bad=1; continue; }
        if [ "$mode" = seed ]; then
            "$ASAN/tests/fuzz/$t" || bad=1
        elif [ -z "$(ls "tests/fuzz/corpus/$t" 2>/dev/null)" ]; then
            echo "FAILED replay $t: no seeds in tests/fuzz/corpus/$t"; bad=1
        elif "$ASAN/tests/fuzz/$t" "tests/fuzz/corpus/$t"/* > "$OUT/$t.replay.log" 2>&1; then
            echo "ok replay $t $(ls "tests/fuzz/corpus/$t" | wc -l) inputs"
        else
            bad=1
            echo "FAILED replay $t: $(tail -n 40 "$OUT/$t.replay.log")"
        fi
    done
    exit $bad
fi

CC=${FUZZ_CC:-clang}
SECONDS_EACH=${FUZZ_SECONDS:-60}
echo 'int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n); int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { return d && n ? 0 : 0; }' > "$OUT/probe.c"
if ! "$CC" -fsanitize=fuzzer "$OUT/probe.c" -o "$OUT/probe" 2> "$OUT/probe.log"; then
    echo "FAILED: $CC with its fuzzer runtime is not here (Debian: apt install clang libclang-rt-14-dev)"
    exit 1
fi
build "$OUT/obj" "$CC" "-fsanitize=fuzzer-no-link -Wno-string-conversion -Wno-gnu-statement-expression" "$*"

bad=0
for t in "$@"; do
    work="$OUT/corpus/$t"
    mkdir -p "$work"
    if ! "$CC" -fsanitize=fuzzer,address,undefined "$OUT/obj/tests/fuzz/$t.o" "$archive" $LIBS -o "$OUT/$t"; then
        echo "FAILED $t: does not link"; bad=1; continue
    fi
    seeds=
    [ -d "tests/fuzz/corpus/$t" ] && seeds="tests/fuzz/corpus/$t"
    dict=
    [ -f "tests/fuzz/dict/$t" ] && dict="-dict=tests/fuzz/dict/$t"
    # What a target reads: whole worlds are slow to run, a text of one record or a file of settings is short.
    case $t in
    fuzz_intake | fuzz_submit | fuzz_config | fuzz_map) max=16384 ;;
    *) max=70000 ;;
    esac
    if "$OUT/$t" -max_total_time="$SECONDS_EACH" -max_len=$max -len_control=20 -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=64 \
        $dict -print_final_stats=1 -artifact_prefix="$OUT/$t-" "$work" $seeds > "$OUT/$t.log" 2>&1; then
        echo "ok $t $(sed -n 's/^stat::number_of_executed_units: *//p' "$OUT/$t.log") executions"
    else
        bad=1
        echo "FAILED $t: $(grep -m1 -E 'not so:|ERROR:|runtime error:|Assertion' "$OUT/$t.log")"
        echo "  log $OUT/$t.log, input $(sed -n 's/.*Test unit written to //p' "$OUT/$t.log")"
    fi
done
exit $bad
