#!/bin/sh
# A mesh in one process (tests/sim): seeds that once failed, then a few new ones; tests/sim/run.sh runs thousands.
# FIELDMESH_SIM_SECONDS and FIELDMESH_SIM_FROM ask for more, and for others.
cd "$(dirname "$0")/../.." || exit 1
make -s --no-print-directory MODE=release build/release/sim || { echo "FAILED the simulator does not build"; exit 1; }
bad=0
lines=$(wc -l <tests/sim/model.c)
if grep -q '#include "replication/' tests/sim/model.[ch]; then
    echo "FAILED the model includes a header of replication/"; bad=1
elif [ "$lines" -gt 250 ]; then
    echo "FAILED the model has $lines lines: more than a person checks by reading"; bad=1
else
    echo "ok the model stands alone ($lines lines)"
fi
build/release/sim --file tests/sim/regressions.txt --no-shrink || bad=1
build/release/sim --from "${FIELDMESH_SIM_FROM:-1}" --seconds "${FIELDMESH_SIM_SECONDS:-10}" || bad=1
exit $bad
