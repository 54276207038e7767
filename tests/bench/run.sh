#!/bin/sh
# make bench. BENCH_N (100000) records, the median of BENCH_RUNS (3) runs; BENCH_JSON=- puts one JSON object on the last line.
# Where the system allows it, the nodes and the reference run in a network namespace of their own, so that all bytes on its
# loopback are theirs.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${BENCH_BUILD:-build/release}
mkdir -p "$B/tests/bench" && B=$(cd "$B" && pwd) || exit 1
flags="-std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra"
for p in workload reference; do
    if [ ! "$B/tests/bench/$p" -nt "tests/bench/$p.c" ]; then
        # shellcheck disable=SC2086
        ${CC:-gcc} $flags -o "$B/tests/bench/$p" "tests/bench/$p.c" -lzmq -llmdb -lmsgpackc -lsodium -ljansson -lzstd -lm || exit 1
    fi
done
FIELDMESH=${FIELDMESH:-$B/fieldmesh} BENCH_TOOLS=$B/tests/bench
export FIELDMESH BENCH_TOOLS
ns=fieldmesh-bench-$$
if [ "$(id -u)" = 0 ] && ip netns add "$ns" 2>/dev/null; then
    trap 'ip netns del "$ns"' EXIT
    trap 'exit 130' INT TERM
    if ip netns exec "$ns" ip link set lo up 2>/dev/null; then
        BENCH_NETWORK="a network namespace of their own" ip netns exec "$ns" python3 tests/bench/run.py
        exit $?
    fi
fi
if unshare --user --map-root-user --net true 2>/dev/null; then
    BENCH_NETWORK="a network namespace of their own" exec unshare --user --map-root-user --net \
        sh -c 'ip link set lo up && exec python3 tests/bench/run.py'
fi
BENCH_NETWORK="the machine's loopback, with whatever else uses it" python3 tests/bench/run.py
