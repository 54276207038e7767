#!/bin/sh
# 25 nodes, 10,000 divergent changes, links of 256 kbit/s, in virtual time: how long until all agree, and that it is bounded.
cd "$(dirname "$0")/../.." || exit 1
make -s --no-print-directory -f Makefile -f tests/proof.mk MODE=release build/release/converge ||
    { echo "FAILED converge: it does not build"; exit 1; }
exec build/release/converge
