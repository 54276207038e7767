#!/bin/sh
# Crash states of the store (tests/crash/replay.c): a recorded workload, cut at every call to the disk. PROOF_SCALE (percent
# of 200,000 states) and PROOF_ROUND (other worlds, other cuts). A fiftieth of it runs in the sanitizers' build; CRASH_BUILDS
# names the builds that are wanted.
cd "$(dirname "$0")/../.." || exit 1
scale=${PROOF_SCALE:-100} round=${PROOF_ROUND:-0} bad=0
LIBS=$(pkg-config --libs libzmq lmdb libsodium jansson libzstd) || { echo "FAILED crash: pkg-config misses a library (sh tests/setup.sh)"; exit 1; }
LIBS="$LIBS -lmsgpackc -lpthread -lm" total=0 total_bad=0
objects=$(ls crypto/*.c replication/*.c store/*.c node/*.c tests/support/*.c tests/crash/*.c | grep -vx node/main.c | sed 's|\.c$|.o|')
for where in /dev/shm "${TMPDIR:-/tmp}"; do
    dir=$(mktemp -d "$where/fieldmesh-crash-XXXXXX" 2>/dev/null) && break
done
[ -n "$dir" ] || { echo "FAILED crash: no folder to work in"; exit 1; }
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM HUP

play() { # BUILD FLAGS ROUND STATES: leaves what it said in $dir/out
    files=$(for o in $objects; do echo "build/$1/$o"; done)
    # shellcheck disable=SC2086
    if ! { make -s MODE="$1" $files && ${CC:-gcc} $2 $files $LIBS -o "build/$1/tests/crash/replay"; }; then
        echo "FAILED crash states, $1: it does not build"
        bad=1
        return
    fi
    "build/$1/tests/crash/replay" "$dir" "$3" "$4" >"$dir/out" 2>"$dir/err"
    code=$?
    grep -v ^figure "$dir/out"
    states=$(sed -n 's/^figure crash_states //p' "$dir/out") wrong=$(sed -n 's/^figure crash_states_bad //p' "$dir/out")
    if [ $code -eq 0 ] && [ "$wrong" = 0 ]; then
        echo "ok crash states, $1: $states of $(sed -n 's/^figure crash_commits //p' "$dir/out") commits"
    else
        echo "FAILED crash states, $1: ${wrong:-all} of ${states:-0} are bad (exit $code)"
        tail -20 "$dir/err"
        bad=1
    fi
    total=$((total + ${states:-0})) total_bad=$((total_bad + ${wrong:-1}))
}
for build in ${CRASH_BUILDS:-release asan}; do
    case $build in
    release) play release "-pie" "$round" $((2000 * scale)) ;;
    asan) play asan "-fsanitize=address,undefined" $((round + 100000)) $((40 * scale)) ;;
    esac
done
echo "figure crash_states $total"
echo "figure crash_states_bad $total_bad"
exit $bad
