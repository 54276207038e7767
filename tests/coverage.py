#!/usr/bin/env python3
"""Reads what gcov counted for the objects of the core and prints each file's lines and branches.

    coverage.py BUILD OUT [FILE ...]

A line that no test reached, and each way of a condition that no test took (by gcov's number on that line), is listed in
OUT/coverage.txt as FILE:LINE. What stands in a header is one thing, however many files include it: taken in one of them
is taken. With FILEs only those, and no list in OUT.
"""
import collections
import glob
import json
import os
import subprocess
import sys

ROOMS = ("replication", "store", "crypto")


def counted(build):
    """({(file, line): count}, {(file, function, line, number): count}), merged over all objects."""
    lines, branches = collections.Counter(), collections.Counter()
    for note in sorted(n for room in ROOMS for n in glob.glob(f"{build}/{room}/*.gcno")):
        out = subprocess.run([os.environ.get("GCOV", "gcov"), "--json-format", "--branch-probabilities", "--stdout", note],
                             check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        for one in out.splitlines():
            for file in json.loads(one)["files"]:
                name = os.path.relpath(file["file"])
                if not name.startswith(ROOMS):
                    continue
                for line in file["lines"]:
                    lines[name, line["line_number"]] += line["count"]
                    for number, branch in enumerate(line["branches"]):
                        branches[name, line.get("function_name", ""), line["line_number"], number] += branch["count"]
    return lines, branches


def percent(reached, all_):
    return 100.0 * reached / all_ if all_ else 100.0


def main():
    build, out, only = sys.argv[1], sys.argv[2], sys.argv[3:]
    lines, branches = counted(build)
    files = sorted({key[0] for key in lines if not only or key[0] in only})
    if only and set(only) - set(files):
        sys.exit("no such file was measured: " + " ".join(sorted(set(only) - set(files))))
    left, sums = [], [0, 0, 0, 0]
    print(f"{'':32} {'lines':>12} {'branches':>12} {'left':>5}")
    for name in files:
        mine = {key: count for key, count in lines.items() if key[0] == name}
        taken = {key: count for key, count in branches.items() if key[0] == name}
        one = [sum(c > 0 for c in mine.values()), len(mine), sum(c > 0 for c in taken.values()), len(taken)]
        sums = [a + b for a, b in zip(sums, one)]
        print(f"{name:32} {one[0]:5} / {one[1]:4} {one[2]:5} / {one[3]:4} {one[3] - one[2]:5}")
        missed = collections.defaultdict(list)
        for key, count in sorted(taken.items()):
            if count == 0:
                missed[key[2]].append(str(key[3]))
        for number in sorted({key[1] for key, count in mine.items() if count == 0} | set(missed)):
            ways = "branch " + " ".join(missed[number]) + " not taken"
            left.append(f"{name}:{number}: " + (ways if lines[name, number] > 0 else "not reached"))
    if not only:
        with open(os.path.join(out, "coverage.txt"), "w", encoding="utf-8") as f:
            f.write("".join(line + "\n" for line in left))
    print("\n".join(left))
    print(f"figure coverage_core_lines {percent(sums[0], sums[1]):.2f}")
    print(f"figure coverage_core_branches {percent(sums[2], sums[3]):.2f}")
    print(f"figure coverage_core_branches_left {sums[3] - sums[2]}")


main()
