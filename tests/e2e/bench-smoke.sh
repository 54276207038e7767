#!/bin/sh
# make bench with few records: it runs, both nodes come to equal digests, and a contact without news stays small. How fast
# the sync is beside the reference is printed, not judged: other tests share the machine.
cd "$(dirname "$0")/../.." || exit 1
BENCH_N=2000 BENCH_RUNS=1 BENCH_ASSERT=contact exec sh tests/bench/run.sh
