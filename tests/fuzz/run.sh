#!/bin/sh
# Fuzzes what reads bytes from outside: sh tests/fuzz/run.sh [TARGET …]. FUZZ_SECONDS (60) for each; new inputs go to
# build/fuzz/corpus, the committed seeds in tests/fuzz/corpus stay few. `run.sh seed` writes those seeds anew.
cd "$(dirname "$0")/../.." || exit 1
CC=${FUZZ_CC:-clang}
OUT=${FUZZ_DIR:-build/fuzz}
SECONDS_EACH=${FUZZ_SECONDS:-60}
WARN='-Wall -Wextra -Wshadow -Wstrict-prototypes -Wno-gnu-statement-expression'
FLAGS="-std=c11 -D_GNU_SOURCE -I. -include replication/banned.h $WARN -O1 -g -fno-omit-frame-pointer"
FLAGS="$FLAGS -fsanitize=address,undefined -fno-sanitize-recover=all"
CORE='types error token walk pack doc leaf set change act statement'
SUPPORT='fake_crypto text_doc'

mkdir -p "$OUT/obj" || exit 1
echo 'int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n); int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { return d && n ? 0 : 0; }' > "$OUT/probe.c"
if ! "$CC" -fsanitize=fuzzer "$OUT/probe.c" -o "$OUT/probe" 2> "$OUT/probe.log"; then
    echo "FAILED: $CC with its fuzzer runtime is not here (Debian: apt install clang libclang-rt-14-dev)"
    exit 1
fi

# The core is built once, instrumented; each target is linked to it.
build() { # SOURCE OBJECT
    [ "$2" -nt "$1" ] && [ -z "$(find replication tests/support tests/fuzz -name '*.h' -newer "$2")" ] && return 0
    "$CC" $FLAGS -fsanitize=fuzzer-no-link -c "$1" -o "$2" || { echo "FAILED: $1 does not build"; exit 1; }
}
objects=
for f in $CORE; do build "replication/$f.c" "$OUT/obj/$f.o"; objects="$objects $OUT/obj/$f.o"; done
for f in $SUPPORT; do build "tests/support/$f.c" "$OUT/obj/$f.o"; objects="$objects $OUT/obj/$f.o"; done

if [ "$1" = seed ]; then
    for t in walk leaf set change act statement; do mkdir -p "tests/fuzz/corpus/fuzz_$t"; done
    "$CC" $FLAGS -fsanitize=fuzzer-no-link tests/fuzz/seed.c $objects -lmsgpackc -o "$OUT/seed" && "$OUT/seed"
    exit
fi

bad=0
[ $# -gt 0 ] || set -- $(ls tests/fuzz/fuzz_*.c | sed 's|.*/\(.*\)\.c|\1|')
for t in "$@"; do
    work="$OUT/corpus/$t"
    mkdir -p "$work"
    build "tests/fuzz/$t.c" "$OUT/obj/$t.o"
    if ! "$CC" $FLAGS -fsanitize=fuzzer "$OUT/obj/$t.o" $objects -lmsgpackc -o "$OUT/$t"; then
        echo "FAILED $t: does not link"; bad=1; continue
    fi
    seeds=
    [ -d "tests/fuzz/corpus/$t" ] && seeds="tests/fuzz/corpus/$t"
    if "$OUT/$t" -max_total_time="$SECONDS_EACH" -max_len=70000 -len_control=20 -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=64 \
        -print_final_stats=1 -artifact_prefix="$OUT/$t-" "$work" $seeds > "$OUT/$t.log" 2>&1; then
        echo "ok $t $(sed -n 's/^stat::number_of_executed_units: *//p' "$OUT/$t.log") executions"
    else
        bad=1
        echo "FAILED $t: $(grep -m1 -E 'not so:|ERROR:|runtime error:|Assertion' "$OUT/$t.log")"
        echo "  log $OUT/$t.log, input $(sed -n 's/.*Test unit written to //p' "$OUT/$t.log")"
    fi
done
exit $bad
