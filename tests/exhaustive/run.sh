#!/bin/sh
# All worlds of two camps, a coordinator and the root with up to four items about two records, in every order of delivery,
# through the real core, against the simulator's model. PROOF_SCALE: percent of the largest worlds; PROOF_ROUND: others ids.
cd "$(dirname "$0")/../.." || exit 1
make -s --no-print-directory -f Makefile -f tests/proof.mk MODE=release build/release/exhaustive ||
    { echo "FAILED exhaustive: it does not build"; exit 1; }
exec build/release/exhaustive
