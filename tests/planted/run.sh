#!/bin/sh
# Plants one bug after the other (tests/planted/*.patch) in a private copy of the tree, builds what is needed and runs the
# test its head names until it fails: a simulator that never failed on a planted bug proves nothing. Arguments: names of
# patches; without any, all. FIELDMESH_PLANTED_SECONDS: for how long the simulator may look (default 60).
cd "$(dirname "$0")/../.." || exit 1
top=$(pwd) seconds=${FIELDMESH_PLANTED_SECONDS:-60} passed=0 failed=0
copy=$(mktemp -d) && trap 'rm -rf "$copy"' EXIT
cp -r Makefile crypto replication store node tests "$copy" && cd "$copy" || exit 1
make -s --no-print-directory B="$copy/b" b="$copy/b" "$copy/b/sim" >build.log 2>&1 || { cat build.log; echo "FAILED the tree as it is does not build"; exit 1; }
cp "$copy/b/sim" sim.clean

# The bug is caught if the program fails; that it holds without the bug is seen to by make check.
look() {
    case $1 in
    sim)
        make -s --no-print-directory B="$copy/b" "$copy/b/sim" >build.log 2>&1 || return 2
        "$copy/b/sim" --first --seconds "$seconds" >out.log 2>&1 && return 1
        caught=$(sed -n 's/^BROKEN \([^ ]* seed [0-9]*\).*/sim: \1/p' out.log | head -1) ;;
    crash)
        PROOF_SCALE=2 CRASH_BUILDS=release sh tests/crash/run.sh >out.log 2>build.log && return 1
        caught=$(sed -n 's/^FAILED crash state [0-9]* (\(.*\)): .*/crash: \1/p' out.log | head -1) ;;
    *)
        make -s --no-print-directory MODE=asan B="$copy/a" "$copy/a/$1" >build.log 2>&1 || return 2
        "$copy/a/$1" >out.log 2>&1 && return 1
        caught="$1: $(sed -n 's/^\[  FAILED  \] \([a-z_0-9]*\)$/\1/p' out.log | head -1)" ;;
    esac
    [ -n "$caught" ]
}

[ $# -gt 0 ] || set -- $(cd tests/planted && ls -- *.patch | sed 's/\.patch$//')
for name in "$@"; do
    file=$top/tests/planted/$name.patch caught=
    test=$(sed -n 's/^test: //p' "$file")
    if ! patch -s -p1 <"$file"; then
        echo "FAILED planted $name: the patch does not apply any more"
        failed=$((failed + 1))
        continue
    fi
    if look "$test"; then
        echo "ok planted $name caught by $caught"
        passed=$((passed + 1))
    elif [ -s build.log ]; then
        echo "FAILED planted $name: it does not build"; head -5 build.log
        failed=$((failed + 1))
    else
        echo "FAILED planted $name: $test did not notice: $(sed -n 's/^what: //p' "$file")"
        failed=$((failed + 1))
    fi
    patch -s -p1 -R <"$file"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
