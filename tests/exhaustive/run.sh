#!/bin/sh
# Small worlds, all of them: two camps, a coordinator and the root with up to four items about two records, in every order of
# delivery, through the real core, against the simulator's model. Then every order of seven sets into the real store, and a
# large healed mesh in virtual time. PROOF_SCALE: percent of the work; PROOF_ROUND: other ids.
cd "$(dirname "$0")/../.." || exit 1
make -s --no-print-directory -j2 MODE=release build/release/exhaustive build/release/permute \
    build/release/converge || { echo "FAILED exhaustive: the programs do not build"; exit 1; }
root=${TMPDIR:-/tmp} bad=0 child=
[ -z "${TMPDIR:-}" ] && [ -w /dev/shm ] && root=/dev/shm # it is the rows that are looked at, not the disk
TMPDIR=$(mktemp -d "$root/fm-permute-XXXXXX") && export TMPDIR || exit 1
trap '[ -z "$child" ] || kill "$child" 2>/dev/null; rm -rf "$TMPDIR"' EXIT
trap 'exit 1' INT TERM HUP
for program in exhaustive permute converge; do
    build/release/$program & child=$!
    wait $child || bad=1
    child=
done
exit $bad
