#!/usr/bin/env python3
"""Runs the stages of the proof (stages.py), two at a time, and prints what each reached against what was asked.

  run.py [STAGE …]      these only; without a name all, then the whole table is judged
Logs: build/proof/STAGE.log. The last line is "N passed, N failed".
"""
import os
import re
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from stages import STAGES, add_sums, table

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
OUT = os.path.join(TOP, 'build', 'proof')
WORKERS = int(os.environ.get('PROOF_WORKERS', '2'))
STAGE_SECONDS = 2700
BUILD = ('make --no-print-directory -s -j{0} MODE=asan WERROR=1 all test-programs && '
         'make --no-print-directory -s -j{0} MODE=release WERROR=1 proof-programs')
OK = re.compile(r'^ok ')
BAD = re.compile(r'^FAILED ')
COUNTED = re.compile(r'^(\d+) passed, (\d+) failed$')
FIGURE = re.compile(r'^figure (\w+) (-?[\d.]+)')


def run_stage(name, command, env=None):
    """Passed, failed, figures, seconds; the output goes to the stage's log."""
    log = os.path.join(OUT, f'{name}.log')
    start = time.monotonic()
    with open(log, 'wb') as out:
        p = subprocess.Popen(['sh', '-c', command], cwd=TOP, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                             env=env, start_new_session=True)
        try:
            code = p.wait(STAGE_SECONDS)
        except subprocess.TimeoutExpired:
            code = 'too long'
        finally:
            try:
                os.killpg(p.pid, signal.SIGKILL)  # what it left behind
            except ProcessLookupError:
                pass
    passed = failed = 0
    figures, lines = {}, open(log, errors='replace').read().splitlines()
    for line in lines:
        passed, failed = passed + bool(OK.match(line)), failed + bool(BAD.match(line))
        m = FIGURE.match(line)
        if m:
            figures[m[1]] = float(m[2])
    counted = COUNTED.match(lines[-1]) if lines else None
    if counted:  # it counts for itself
        passed, failed = int(counted[1]), int(counted[2])
    if (code != 0 or passed == 0) and failed == 0:
        failed = 1
    return passed, failed, figures, time.monotonic() - start


def main():
    os.makedirs(OUT, exist_ok=True)
    # Once, before two stages could build the same file.
    if subprocess.run(['sh', '-c', BUILD.format(os.cpu_count())], cwd=TOP).returncode != 0:
        print('FAILED it does not build\n0 passed, 1 failed')
        return 1
    queue = [s for s in STAGES if not sys.argv[1:] or s[0] in sys.argv[1:]]
    lock, figures, total = threading.Lock(), {}, [0, 0]

    def work():
        while True:
            with lock:
                if not queue:
                    return
                name, command, _ = queue.pop(0)
            passed, failed, found, seconds = run_stage(name, command)
            with lock:
                total[0], total[1] = total[0] + passed, total[1] + failed
                figures.update(found)
                print(f'{name:<44} {passed:4d} passed {failed:3d} failed {seconds:4.0f} s', flush=True)
                if failed:
                    print(f'--- {name}: the end of build/proof/{name}.log')
                    tail = open(os.path.join(OUT, f'{name}.log'), errors='replace').read().splitlines()
                    print('\n'.join([t for t in tail if BAD.match(t)][:40] + ['…'] + tail[-60:]) + '\n---', flush=True)

    workers = [threading.Thread(target=work) for _ in range(WORKERS)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    add_sums(figures)
    lines, short = table(figures)
    if not sys.argv[1:]:
        print('\n' + '\n'.join(lines) + '\n')
        for row in short:
            print(f'FAILED {row.text}: falls short')
        total[1] += len(short)
    print(f'{total[0]} passed, {total[1]} failed')
    return 1 if total[1] else 0


if __name__ == '__main__':
    sys.exit(main())
