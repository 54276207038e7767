#!/bin/sh
# All 5,040 orders of the seven sets of some worlds, each into a fresh LMDB store: one digest. In memory (/dev/shm) where
# there is one: it is the store's rows that are looked at, not its disk.
cd "$(dirname "$0")/../.." || exit 1
make -s --no-print-directory -f Makefile -f tests/proof.mk MODE=release build/release/permute ||
    { echo "FAILED permutations: the program does not build"; exit 1; }
root=${TMPDIR:-/tmp}
[ -z "${TMPDIR:-}" ] && [ -w /dev/shm ] && root=/dev/shm
TMPDIR=$(mktemp -d "$root/fm-permute-XXXXXX") && export TMPDIR || exit 1
child=
trap '[ -z "$child" ] || kill "$child" 2>/dev/null; rm -rf "$TMPDIR"' EXIT
trap 'exit 1' INT TERM HUP
build/release/permute & child=$!
wait $child
code=$?
child=
exit $code
