#!/bin/sh
# What the tests' own build (ASan, UBSan) does not see: reads of memory that nobody wrote (MSan over the core in the simulator;
# valgrind over the commands as they are shipped), races of the one thread that is ours, and whether two builds are one.
cd "$(dirname "$0")/../.." || exit 1
top=$(pwd) bad=0
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED $*"; bad=$((bad + 1)); }
for tool in clang valgrind; do
    command -v $tool >/dev/null || { echo "FAILED sanitizers: $tool is not installed (apt install clang libclang-rt-14-dev valgrind)"; exit 1; }
done

# --- MSan: the core and the simulator are built with it; what Debian's libraries write is made known in tests/support ---
if make -s MODE=asan B=build/msan CC=clang CFLAGS_asan="-O1 -g -w -fsanitize=memory -fno-omit-frame-pointer" \
    LDFLAGS_asan=-fsanitize=memory build/msan/sim >"$work/build.log" 2>&1; then
    if build/msan/sim --from 8 --seeds "${MSAN_SEEDS:-30}" --no-shrink >"$work/msan.log" 2>&1; then
        echo "ok MSan: ${MSAN_SEEDS:-30} simulated seeds"
    else
        fail "MSan: $(grep -m1 -E 'WARNING: MemorySanitizer|BROKEN' "$work/msan.log")"
        grep -m1 -A12 'WARNING: MemorySanitizer' "$work/msan.log"
    fi
else
    fail "MSan: it does not build: $(tail -3 "$work/build.log")"
fi

# --- valgrind: each command once, then a node that runs and is asked ---
make -s MODE=release all || fail "valgrind: the program does not build"
grind() { # NAME ARGUMENTS …
    name=$1 && shift
    if valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite --child-silent-after-fork=yes \
        --suppressions=tests/static/valgrind.supp build/release/fieldmesh --data "$work/$where" "$@" >"$work/out" 2>&1; then
        echo "ok valgrind $name"
    else
        fail "valgrind $name: $(grep -m1 -E '^==|FM_|^fieldmesh' "$work/out")"
        grep '^==' "$work/out" | head -12
    fi
}
where=hub
grind init init --name Hub --role coordinator --listen 127.0.0.1:17917
grind import import csv tests/data/dtm-nigeria-r50-sites.csv --map tests/demo/sites.map.json --where lga=Dikwa
where=camp
grind init-camp init --name Camp --role camp --listen 127.0.0.1:17918 --peer Hub@127.0.0.1:17917
grind request join --request "$work/camp.request"
where=hub
grind admit admit "$work/camp.request" --role camp --out "$work/camp.grant"
where=camp
grind join join "$work/camp.grant"
where=hub
for c in digest status verify "backup $work/copy" reindex "records --limit 5" conflicts; do
    # shellcheck disable=SC2086
    grind "${c%% *}" $c
done

# --- threads: one of ours, ZAP's, beside the net process's own; libzmq's are not built with it ---
if make -s MODE=asan B=build/tsan CFLAGS_asan="-O1 -g -w -fsanitize=thread -DFM_SANITIZED" LDFLAGS_asan=-fsanitize=thread build/tsan/tests/unit/test_net \
    >"$work/build.log" 2>&1; then
    TSAN_OPTIONS="suppressions=$top/tests/static/tsan.supp exitcode=66" build/tsan/tests/unit/test_net >"$work/tsan.log" 2>&1
    if [ $? -ne 0 ] || grep -q 'WARNING: ThreadSanitizer' "$work/tsan.log"; then
        fail "ThreadSanitizer: $(grep -m1 -E 'SUMMARY|FAILED' "$work/tsan.log")"
        grep -m1 -A16 'WARNING: ThreadSanitizer' "$work/tsan.log"
    else
        echo "ok ThreadSanitizer: the net process's tests"
    fi
else
    fail "ThreadSanitizer: it does not build: $(tail -3 "$work/build.log")"
fi

# --- two builds in two folders are the same bytes ---
mkdir "$work/other" && cp -r Makefile crypto replication store node "$work/other" && mkdir "$work/other/tests" && cp tests/proof.mk "$work/other/tests"
if make -s -C "$work/other" MODE=release all >"$work/build.log" 2>&1 && cmp "$top/build/release/fieldmesh" "$work/other/build/release/fieldmesh"; then
    echo "ok two builds in two folders give the same bytes"
    echo "figure build_reproducible 1"
else
    fail "builds: two builds in two folders differ"
    echo "figure build_reproducible 0"
fi
echo "figure sanitizer_findings $bad"
[ "$bad" -eq 0 ]
