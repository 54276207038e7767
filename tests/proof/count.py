#!/usr/bin/env python3
"""Counts what can only be counted: lines of tests against lines of code, assertions against functions."""
import glob
import os
import re

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
ROOMS = ('crypto', 'replication', 'store', 'node')


def lines(patterns):
    return sum(open(f, errors='replace').read().count('\n') for p in patterns for f in glob.glob(p, recursive=True))


code = lines([f'{r}/*.[ch]' for r in ROOMS])
tests = lines(['tests/**/*.[ch]', 'tests/**/*.py', 'tests/**/*.sh', 'tests/vectors/rules/*.json'])
text = ''.join(open(f).read() for r in ROOMS for f in glob.glob(f'{r}/*.c'))
functions = len(re.findall(r'^}$', text, re.M))
asserts = len(re.findall(r'\bassert\(', text))
print(f'figure test_code_ratio {tests / code:.1f}')
print(f'figure assertions {asserts / functions:.2f}')
print(f'ok counted: {code} lines of code, {tests} of tests; {functions} functions, {asserts} assertions')
