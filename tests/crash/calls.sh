#!/bin/sh
# Every system call of a scenario suite goes wrong once: the process is killed at it, then each error it may
# return; and each piece of memory that the program asks for is refused once.
cd "$(dirname "$0")/../.." || exit 1
: "${FIELDMESH:=$PWD/build/release/fieldmesh}"
[ -x "$FIELDMESH" ] || { echo "FAILED calls: no program at $FIELDMESH"; exit 1; }
export FIELDMESH
code=0
mkdir -p build
${CC:-cc} -std=gnu11 -O1 -Wall -Wextra -fPIC -shared -o build/nomemory.so tests/crash/preload/nomemory.c || { echo "FAILED calls: no compiler"; exit 1; }
python3 tests/crash/calls.py kill || code=1
python3 tests/crash/calls.py error || code=1
python3 tests/crash/calls.py malloc || code=1
exit $code
