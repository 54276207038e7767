#!/bin/sh
# The same seeds with gcc and clang, without and with optimisation: each must take the very same way (invariant I20), as a
# difference is an order that the language leaves open, or undefined behaviour. Every 50th seed has real cryptography.
# Small worlds, as the slowest build sets the pace.
# PROOF_ROUND: other seeds; PROOF_SCALE: percent of them.
cd "$(dirname "$0")/../.." || exit 1
for cc in gcc clang; do
    command -v $cc >/dev/null || { echo "FAILED traces: $cc is missing (package $cc)"; exit 1; }
done
from=$((${PROOF_ROUND:-0} * 1000000 + 1)) seeds=$((60 * ${PROOF_SCALE:-100} / 100))
[ "$seeds" -ge 8 ] || seeds=8
dir=build/traces bad=0 builds=0
rm -rf "$dir/out" && mkdir -p "$dir/out" || exit 1
for build in gcc-O0 gcc-O2 clang-O0 clang-O2; do
    make -s --no-print-directory -j2 MODE=release B="$dir/$build" CC="${build%-*}" CFLAGS_release="-${build#*-} -fPIE" CFLAGS=-w \
        "$dir/$build/sim" || { echo "FAILED traces: the simulator does not build with $build"; exit 1; }
    builds=$((builds + 1))
    {
        "$dir/$build/sim" --nodes 7 --events 300 --no-shrink --traces --from "$from" --seeds "$seeds"
        for more in 106 156 206 256; do # seed % 50 is 7
            "$dir/$build/sim" --nodes 7 --events 300 --no-shrink --traces --seed $((from + more))
        done
    } >"$dir/out/$build" || { echo "FAILED traces: a seed does not hold with $build"; grep BROKEN "$dir/out/$build"; bad=1; }
    if cmp -s "$dir/out/gcc-O0" "$dir/out/$build"; then
        echo "ok traces of $build"
    else
        echo "FAILED traces: $build takes another way than gcc-O0"
        diff "$dir/out/gcc-O0" "$dir/out/$build" | head -6
        bad=1
    fi
done
echo "figure trace_builds $builds"
echo "figure trace_seeds $(wc -l <"$dir/out/gcc-O0")"
exit $bad
