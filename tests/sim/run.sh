#!/bin/sh
# The simulator's share of the proof: seeds that once failed, then new ones, each twice, in two processes.
# PROOF_ROUND k: seeds from k * 1000000 + 1 on; PROOF_SCALE: percent of 2,000 seeds.
cd "$(dirname "$0")/../.." || exit 1
from=$((${PROOF_ROUND:-0} * 1000000 + 1)) half=$((1000 * ${PROOF_SCALE:-100} / 100))
[ "$half" -gt 0 ] || half=1
make -s --no-print-directory -j2 MODE=release build/release/sim || { echo "FAILED the simulator does not build"; exit 1; }
out=$(mktemp -d) first= second=
trap 'kill $first $second 2>/dev/null; rm -rf "$out"' EXIT
trap 'exit 1' INT TERM HUP
build/release/sim --file tests/sim/regressions.txt --no-shrink || exit 1
build/release/sim --figures --from "$from" --seeds "$half" >"$out/1" & first=$!
build/release/sim --figures --from $((from + half)) --seeds "$half" >"$out/2" & second=$!
bad=0
wait $first || bad=1
wait $second || bad=1
first= second=
grep -hv '^figure ' "$out/1" "$out/2"
awk '/^figure / { sum[$2] += $3 }
     END { rate = (sum["sim_core_seconds"] > 0) ? sum["sim_years"] * 3600 / sum["sim_core_seconds"] : 0
           printf("figure sim_seeds %d\nfigure sim_years %.2f\n", sum["sim_seeds"], sum["sim_years"])
           printf("figure sim_years_per_core_hour %.0f\nfigure sim_core_seconds %.0f\n", rate, sum["sim_core_seconds"])
           printf("figure sim_violations %d\n", sum["sim_violations"]) }' "$out/1" "$out/2"
exit $bad
