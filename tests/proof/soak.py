#!/usr/bin/env python3
"""The release run, in pieces: rounds of the proof's stages, each round with seeds that none before had, until it is stopped.

  soak.py [--hours H]   goes on where the last piece ended (tests/proof/soak.json), two stages at a time
  soak.py --totals      what all pieces reached, against the release gate
A round that was stopped half way is not counted. One that fails leaves its log in build/proof/failed/, and its seed is to go
into the repository as a regression.
"""
import json
import os
import shutil
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from run import OUT, TOP, WORKERS, run_stage
from stages import LEAST, MOST, ROWS, STAGES, add_sums, table

STATE = os.path.join(TOP, 'tests', 'proof', 'soak.json')
OVER = {row.key: row.over for row in ROWS}


def load():
    try:
        return json.load(open(STATE))
    except FileNotFoundError:
        return {'stage_seconds': 0, 'stages': {}, 'figures': {}}


def add(state, name, passed, failed, figures, seconds):
    stage = state['stages'].setdefault(name, {'rounds': 0, 'failed': 0, 'seconds': 0})
    stage['rounds'] += 1
    stage['failed'] += failed > 0
    stage['seconds'] += round(seconds)
    state['stage_seconds'] += round(seconds)
    for key, value in figures.items():
        old = state['figures'].get(key)
        pick = {MOST: max, LEAST: min}.get(OVER.get(key), lambda a, b: round(a + b, 3))
        state['figures'][key] = value if old is None else pick(old, value)
    with open(STATE + '.new', 'w') as f:
        json.dump(state, f, indent=1, sort_keys=True)
        f.write('\n')
    os.replace(STATE + '.new', STATE)


def totals(state):
    figures = dict(state['figures'])
    add_sums(figures)
    for name, stage in sorted(state['stages'].items()):
        print(f'{name:<12} {stage["rounds"]:5d} rounds, {stage["failed"]} failed, {stage["seconds"] / 3600:6.2f} h')
    print(f'{"in all":<12} {state["stage_seconds"] / 3600:.2f} h of stages\n')
    print('\n'.join(line for line in table(figures, release=True)[0] if 'not measured' not in line))


def main():
    state = load()
    if '--totals' in sys.argv:
        totals(state)
        return
    hours = float(sys.argv[sys.argv.index('--hours') + 1]) if '--hours' in sys.argv else 24 * 365
    end, lock, running = time.monotonic() + hours * 3600, threading.Lock(), {}
    os.makedirs(os.path.join(OUT, 'failed'), exist_ok=True)
    soaked = [(name, command) for name, command, soak in STAGES if soak]

    def spent(stage):
        return state['stages'].get(stage[0], {}).get('seconds', 0)

    def work():
        while time.monotonic() < end:
            with lock:  # the one that has had least time
                name, command = min((s for s in soaked if s[0] not in running), key=spent)
                round_ = running[name] = state['stages'].get(name, {}).get('rounds', 0) + 1
            env = dict(os.environ, PROOF_ROUND=str(round_))
            passed, failed, figures, seconds = run_stage(name, command, env)
            with lock:
                del running[name]
                add(state, name, passed, failed, figures, seconds)
                print(f'{time.strftime("%H:%M:%S")} {name} round {round_}: {passed} passed, {failed} failed, {seconds:.0f} s',
                      flush=True)
                if failed:
                    shutil.copy(os.path.join(OUT, f'{name}.log'), os.path.join(OUT, 'failed', f'{name}-{round_}.log'))

    workers = [threading.Thread(target=work, daemon=True) for _ in range(WORKERS)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    totals(state)


if __name__ == '__main__':
    try:
        main()
    except KeyboardInterrupt:
        print('stopped; make soak goes on from here')
