#!/bin/sh
# Each header compiles alone.
cd "$(dirname "$0")/.." || exit 1
bad=0
for h in crypto/*.h replication/*.h store/*.h node/*.h; do
    [ -f "$h" ] || continue
    printf '#include "%s"\ntypedef int fm_header_is_alone;\n' "$h" | ${CC:-gcc} $CFLAGS -fsyntax-only -x c - || { echo "headers: $h does not compile alone"; bad=1; }
done
[ $bad -eq 0 ] && echo "headers: each compiles alone"
exit $bad
