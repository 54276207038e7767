#!/usr/bin/env python3
"""Do the tests notice? Changes the core and the store in one place at a time (mutants.py), builds what the change touches, and
runs the tests until one fails.

  run.py [--sample N] [--round K] [--seconds S] [--list FILE …]   N mutants drawn by round K (300, PROOF_ROUND), S seconds at most
  run.py --all                                                    every one, however long it takes

A mutant that no test notices has survived: it is printed, so that a test can be written, or the line be made simpler.
Those that change nothing anybody could see stand with their reason in equal.txt and are left out.
"""
import argparse
import glob
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

from mutants import mutants

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
ROOMS = ('replication', 'store')
FLAGS = ['CFLAGS_release=-O1 -w -DFM_SANITIZED', 'LDFLAGS_release=']  # small pieces of memory, as the tests want them
# What needs sockets or minutes would not notice more; the noun's own test comes first, then these, the quick ones before.
TESTS = ('change act set doc leaf date types walk touch receipt core opened intake session_input judge rules fold fold_worlds '
         'statement store submit worlds faults_session session pull store_safety faults').split()
SIM = ['--seeds', '10', '--first', '--no-shrink']


def sh(args, cwd, seconds, env=None):
    """0: it passed; else it failed, died, or took too long."""
    try:
        return subprocess.run(args, cwd=cwd, timeout=seconds, env=env, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode
    except subprocess.TimeoutExpired:
        return 1


class Tree:
    """A private copy of the tree, built once; each mutant compiles one file and links the tests one by one."""

    def __init__(self, folder):
        self.top = folder
        for name in ('Makefile', 'crypto', 'replication', 'store', 'node', 'tests'):
            (shutil.copytree if os.path.isdir(os.path.join(TOP, name)) else shutil.copy)(os.path.join(TOP, name),
                                                                                      os.path.join(folder, name))
        self.env = dict(os.environ, PROPERTY_WORLDS='12', MAKEFLAGS='')
        self.tests = [t for t in TESTS if os.path.exists(os.path.join(folder, f'tests/unit/test_{t}.c'))]
        extra = sorted(glob.glob(os.path.join(folder, 'tests/unit/test_faults_*.c')))
        self.tests += [n for n in (re.sub(r'.*/test_(.*)\.c', r'\1', f) for f in extra) if n not in self.tests]
        programs = [f'b/tests/unit/test_{t}' for t in self.tests] + ['b/sim']
        if subprocess.run(['make', '-s', '-j2', 'B=b', *FLAGS, *programs], cwd=folder, env=self.env).returncode != 0:
            sys.exit('FAILED mutation: the tree as it is does not build')
        self.link, self.seconds = {}, {}
        for p in programs:
            text = subprocess.run(['make', '-n', '-W', 'replication/set.c', 'B=b', *FLAGS, p], cwd=folder, env=self.env,
                                  capture_output=True, text=True).stdout.strip().replace('\\\n', ' ').split('\n')
            self.link[p] = text[-1]
            start = time.monotonic()
            if self.run(p, 300) != 0:
                sys.exit(f'FAILED mutation: {p} fails without a mutant')
            self.seconds[p] = time.monotonic() - start
        quick = sorted(programs, key=lambda p: self.seconds[p])
        self.order = [p for p in quick if self.seconds[p] < 8]

    def run(self, program, seconds):
        return sh([os.path.join(self.top, program), *(SIM if program == 'b/sim' else [])], self.top, seconds, self.env)

    def compile(self, path):
        return sh(['make', '-s', 'B=b', *FLAGS, 'WERROR=', f'b/{path[:-2]}.o'], self.top, 120, self.env) == 0

    def noticed(self, mutant):
        """The test that failed; '' if none did; None if it does not compile."""
        file, obj = os.path.join(self.top, mutant.path), os.path.join(self.top, f'b/{mutant.path[:-2]}.o')
        text = open(file).read()
        shutil.copy2(obj, obj + '.whole')
        open(file, 'w').write(mutant.apply(text))
        try:
            if not self.compile(mutant.path):
                return None
            noun = os.path.basename(mutant.path)[:-2]
            own = [p for p in self.order if noun in p]
            for p in own + [p for p in self.order if p not in own]:
                if sh(['sh', '-c', self.link[p]], self.top, 120, self.env) != 0:
                    return 'link'
                if self.run(p, 10 + 10 * self.seconds[p]) != 0:
                    return os.path.basename(p)
            return ''
        finally:
            open(file, 'w').write(text)
            os.replace(obj + '.whole', obj)
            os.utime(obj)


def drawn(args):
    os.chdir(TOP)
    files = args.list or sorted(f for room in ROOMS for f in glob.glob(room + '/*.c'))
    found = [m for f in files for m in mutants(f)]
    equal = [line.split(' | ')[:2] for line in open('tests/mutation/equal.txt') if ' | ' in line and line[0] != '#']
    texts = {f: open(f).read() for f in files}

    def known(m):
        line = texts[m.path].split('\n')[m.line - 1].strip()
        return [m.path, f'{line} [{m.kind} {m.new}]'] in equal
    found = [m for m in found if not known(m)]
    if not args.all:
        random.Random(args.round).shuffle(found)
    return found, texts


def main():
    ask = argparse.ArgumentParser()
    scale = int(os.environ.get('PROOF_SCALE', '100'))
    ask.add_argument('--sample', type=int, default=max(3, 3 * scale))
    ask.add_argument('--round', type=int, default=int(os.environ.get('PROOF_ROUND', '0')))
    ask.add_argument('--all', action='store_true')
    ask.add_argument('--seconds', type=int, default=700, help='no further mutant after so long')
    ask.add_argument('--list', nargs='*')
    args = ask.parse_args()
    found, texts = drawn(args)
    want = len(found) if args.all else min(args.sample, len(found))
    end = time.monotonic() + (args.seconds if not args.all else 1e9)
    killed = survived = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Tree(folder)
        for m in found:
            if killed + survived >= want or time.monotonic() > end:
                break
            by = tree.noticed(m)
            if by is None:
                continue
            killed, survived = killed + (by != ''), survived + (by == '')
            if by == '':
                line = texts[m.path].split('\n')[m.line - 1].strip()
                print(f'survived {m.path}:{m.line} | {line} [{m.kind} {m.new}]', flush=True)
            elif sys.stderr.isatty() or os.environ.get('VERBOSE'):
                print(f'{killed + survived}/{want} {by} noticed {m.name(texts[m.path])}', file=sys.stderr, flush=True)
    score = 100.0 * killed / max(1, killed + survived)
    print(f'figure mutants {killed + survived}')
    print(f'figure mutants_possible {len(found)}')
    print(f'figure mutation_score {score:.1f}')
    print(f'ok mutation: {killed} of {killed + survived} mutants noticed' if killed > survived
          else f'FAILED mutation: only {killed} of {killed + survived} mutants noticed')
    return 0 if killed > survived else 1


if __name__ == '__main__':
    sys.exit(main())
