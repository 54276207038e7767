#!/bin/sh
# Nodes are killed under load; what they acknowledged must be there (TESTING.md, "Real kills").
cd "$(dirname "$0")/../.." || exit 1
: "${FIELDMESH:=$PWD/build/release/fieldmesh}"
[ -x "$FIELDMESH" ] || { echo "FAILED kills: no program at $FIELDMESH"; exit 1; }
export FIELDMESH
exec python3 tests/crash/kills.py
