#!/bin/sh
# Fuzzes what reads bytes from outside: sh tests/fuzz/run.sh [TARGET …]. A target is one file, tests/fuzz/fuzz_NAME.c; it is
# linked with all rooms and tests/support; tests/fuzz/dict/fuzz_NAME, if it is there, holds words for it.
#   run.sh [gate] [TARGET …]   the gate: a fixed number of executions each (RUNS, or what is named for slow ones below) from
#                              a fixed seed, so that two runs from a clean clone try the same. PROOF_ROUND shifts the seed,
#                              PROOF_SCALE (100, percent) the number, PROOF_JOBS (1) targets run at a time.
#                              Without the word gate, FUZZ_SECONDS=N: each for so long, from a random seed
#   run.sh replay [TARGET …]   runs each committed seed once, with the tests' own compiler; no clang is needed
#   run.sh seed                writes those of the seeds anew that are made by a program (seed*.c)
# The committed seeds in tests/fuzz/corpus stay few; new inputs go to build/fuzz/corpus and are read by the next run.
cd "$(dirname "$0")/../.." || exit 1
OUT=${FUZZ_DIR:-build/fuzz}
ASAN=${FUZZ_ASAN:-build/asan}
LIBS="$(pkg-config --libs libzmq lmdb libsodium jansson libzstd) -lmsgpackc -lpthread -lm"
CC_FUZZ=${FUZZ_CC:-clang}
RUNS=2000000
mode=fuzz
case $1 in
replay | seed | one) mode=$1; shift ;;
gate) FUZZ_SECONDS=; export FUZZ_SECONDS; shift ;;
esac
[ $# -gt 0 ] || set -- $(ls tests/fuzz/fuzz_*.c | sed 's|.*/\(.*\)\.c|\1|')
mkdir -p "$OUT" || exit 1

# Executions of the gate. Less than RUNS: what runs whole worlds, stores or real cryptography for each input.
runs_of() {
    case $1 in
    fuzz_store) n=1000 ;; # a process each
    fuzz_order) n=4000 ;;
    fuzz_session | fuzz_intake) n=8000 ;;
    fuzz_ops | fuzz_submit) n=60000 ;;
    fuzz_control) n=40000 ;;
    fuzz_zap | fuzz_keyfile) n=150000 ;;
    fuzz_config | fuzz_csv | fuzz_map | fuzz_msgpack | fuzz_json) n=300000 ;;
    fuzz_request | fuzz_grant_file) n=400000 ;;
    *) n=$RUNS ;;
    esac
    n=$((n * ${PROOF_SCALE:-100} / 100))
    [ "$n" -gt 0 ] && echo "$n" || echo 1
}

# What a target reads: most forms are short, and long inputs are slow without reaching more.
length_of() {
    case $1 in
    fuzz_set | fuzz_statement | fuzz_link) echo 70000 ;;
    fuzz_intake | fuzz_submit | fuzz_session) echo 16384 ;;
    fuzz_control) echo 1024 ;; # each frame is a turn of the server
    *) echo 4096 ;;
    esac
}

objects() { # BUILD FILES: where make puts them
    dir=$1; shift
    for f; do echo "$dir/${f%.c}.o"; done
}

compile() { # BUILD CC FLAGS FILES
    make -s -j"${PROOF_JOBS:-1}" MODE=asan B="$1" CC="$2" CFLAGS="$3" $(objects "$1" $4) || { echo "FAILED: it does not build"; exit 1; }
}

ROOMS=$(ls crypto/*.c replication/*.c store/*.c node/*.c | grep -vx node/main.c)
SUPPORT=$(ls tests/support/*.c)

# The rooms, support and these FILES of tests/fuzz; rooms and support become one archive. PLAIN: the build of what the
# fuzzer need not look into (the tests' own stores and cryptography take most of the time otherwise).
build() { # BUILD CC FLAGS PLAIN PLAIN_FLAGS FILES
    compile "$1" "$2" "$3" "$ROOMS $(for f in $6; do echo "tests/fuzz/$f.c"; done)"
    compile "$4" "$2" "$5" "$SUPPORT tests/fuzz/entry.c"
    rm -f "$OUT/rooms.a"
    ar rcs "$OUT/rooms.a" $(objects "$1" $ROOMS) $(objects "$4" $SUPPORT tests/fuzz/entry.c) || exit 1
}

replay_or_seed() {
    CC=${CC:-gcc}
    files="replay $*"
    [ "$mode" = replay ] || files=$(ls tests/fuzz/seed*.c | sed 's|.*/\(.*\)\.c|\1|')
    build "$ASAN" "$CC" "" "$ASAN" "" "$files"
    bad=0
    for t in $files; do
        [ "$t" = replay ] && continue
        main=
        [ "$mode" = replay ] && main=$ASAN/tests/fuzz/replay.o
        $CC -fsanitize=address,undefined $main "$ASAN/tests/fuzz/$t.o" "$OUT/rooms.a" $LIBS -o "$ASAN/tests/fuzz/$t" ||
            { echo "FAILED $mode $t: does not link"; bad=1; continue; }
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
}

# One target, whose program is built: its line, and its figure. 1 on failure.
one() {
    t=$1
    work="$OUT/corpus/$t"
    mkdir -p "$work"
    seeds=
    [ -d "tests/fuzz/corpus/$t" ] && seeds="tests/fuzz/corpus/$t"
    limit="-runs=$(runs_of "$t") -seed=$((1 + ${PROOF_ROUND:-0}))"
    [ -z "$FUZZ_SECONDS" ] || limit="-max_total_time=$FUZZ_SECONDS"
    [ ! -f "tests/fuzz/dict/$t" ] || limit="$limit -dict=tests/fuzz/dict/$t"
    # A small quarantine: freed memory is used again while it is still in the cache, which is worth a factor of three.
    # Stores lie in memory, and are gone also when the target died.
    files=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)" fm-fuzz-XXXXXX) || return 1
    trap 'rm -rf "$files"; exit 1' INT TERM HUP
    TMPDIR="$files" ASAN_OPTIONS="quarantine_size_mb=2:malloc_context_size=6:detect_stack_use_after_return=0:${ASAN_OPTIONS:-}" \
        "$OUT/$t" $limit -max_len="$(length_of "$t")" -len_control=20 -timeout=30 -rss_limit_mb=1024 -malloc_limit_mb=64 \
        -print_final_stats=1 -verbosity=1 -artifact_prefix="$OUT/$t-" "$work" $seeds > "$OUT/$t.log" 2>&1
    rc=$?
    rm -rf "$files"
    done=$(sed -n 's/^stat::number_of_executed_units: *//p' "$OUT/$t.log")
    speed=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$OUT/$t.log")
    if [ $rc -eq 0 ]; then
        echo "ok $t $done executions, $speed a second"
    else
        echo "FAILED $t: $(grep -m1 -E 'not so:|ERROR:|runtime error:|Assertion' "$OUT/$t.log")"
        echo "  log $OUT/$t.log, input $(sed -n 's/.*Test unit written to //p' "$OUT/$t.log")"
    fi
    echo "figure $t ${done:-0}"
    return $rc
}

case $mode in
replay | seed) replay_or_seed "$@" ;;
one) one "$1"; exit $? ;;
esac

echo 'int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n); int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { return d && n ? 0 : 0; }' > "$OUT/probe.c"
if ! $CC_FUZZ -fsanitize=fuzzer "$OUT/probe.c" -o "$OUT/probe" 2> "$OUT/probe.log"; then
    echo "FAILED: $CC_FUZZ with its fuzzer runtime is not here (Debian: apt install clang libclang-rt-14-dev)"
    exit 1
fi
QUIET="-O2 -Wno-string-conversion -Wno-gnu-statement-expression"
build "$OUT/obj" "$CC_FUZZ" "-fsanitize=fuzzer-no-link $QUIET" "$OUT/plain" "$QUIET" "$*"
for t; do
    $CC_FUZZ -fsanitize=fuzzer,address,undefined "$OUT/obj/tests/fuzz/$t.o" "$OUT/rooms.a" $LIBS -o "$OUT/$t" ||
        { echo "FAILED $t: does not link"; exit 1; }
done

: > "$OUT/lines"
# In a group of their own, so that all of them end when this script is stopped.
printf '%s\n' "$@" | setsid xargs -P "${PROOF_JOBS:-1}" -n 1 sh tests/fuzz/run.sh one > "$OUT/lines" &
group=$!
trap 'kill -- -$group 2>/dev/null; exit 1' INT TERM HUP
tail -n +1 -s 0.5 -f --pid=$group "$OUT/lines"
wait $group
bad=$?
sed -n 's/^figure fuzz_[a-z_]* //p' "$OUT/lines" | awk -v full=$RUNS \
    '{ n++; sum += $1; many += $1 >= full } END { printf "figure fuzz_targets %d\nfigure fuzz_targets_2m %d\nfigure fuzz_executions %d\n", n, many, sum }'
exit $((bad != 0))
