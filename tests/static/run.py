#!/usr/bin/env python3
"""Four static analysers over all rooms. What they find is mended, or explained in explained.txt: `tool file check | why`.
An explanation that nothing needs any more is a failure, too, so that the list stays true."""
import glob
import os
import re
import subprocess
import sys

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
SOURCES = sorted(f for room in ('crypto', 'replication', 'store', 'node') for f in glob.glob(room + '/*.c'))
FLAGS = ['-std=c11', '-D_GNU_SOURCE', '-I.', '-DFM_PROGRAM_VERSION="0"', '-include', 'replication/banned.h']
TIDY = ('-*,clang-analyzer-*,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling,bugprone-*,'
        '-bugprone-easily-swappable-parameters,-bugprone-implicit-widening-of-multiplication-result,-bugprone-branch-clone,'
        '-bugprone-reserved-identifier,-bugprone-sizeof-expression,-bugprone-narrowing-conversions,-clang-analyzer-valist.*,'
        '-bugprone-assignment-in-if-condition,cert-err34-c,cert-fio38-c,cert-str34-c')


def said(tool, command, pattern):
    """{(tool, file, check): first line} of what the tool says; a tool that does not run is a finding, too."""
    try:
        p = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        print(f'FAILED static: {command[0]} is not installed')
        sys.exit(1)
    found = {}
    for line in (p.stdout + p.stderr).splitlines():
        m = re.match(pattern, line)
        if m and os.path.relpath(m['file']).split('/')[0] in ('crypto', 'replication', 'store', 'node'):
            found.setdefault((tool, os.path.relpath(m['file']), m['check']), line)
    return found


def main():
    gcc = r'(?P<file>[^:]+):\d+:\d+: (?:warning|error): .*\[(?:-W|CWE-\d+\] \[-W)(?P<check>[\w-]+)\]'
    found = {}
    for f in SOURCES:
        found |= said('gcc', ['gcc', *FLAGS, '-O1', '-fanalyzer', '-fdiagnostics-format=text', '-fdiagnostics-path-format=none',
                              '-c', '-o', '/dev/null', f], gcc)
        found |= said('sparse', ['sparse', *FLAGS, '-Wno-declaration-after-statement', '-Wno-unknown-attribute', f],
                      r'(?P<file>[^:]+):\d+:\d+: (?:warning|error): (?P<check>.*)')
    found |= said('clang-tidy', ['clang-tidy', '--quiet', f'--checks={TIDY}', *SOURCES, '--', *FLAGS],
                  r'(?P<file>[^:]+):\d+:\d+: (?:warning|error): .*\[(?P<check>[\w.,-]+)\]')
    found |= said('cppcheck', ['cppcheck', '--quiet', '--enable=warning,performance,portability', '--std=c11', '-I.', '-D_GNU_SOURCE',
                               '--include=tests/static/cppcheck.h', '--template={file}:{line}: {id}: {message}', 'crypto', 'replication', 'store', 'node'],
                  r'(?P<file>[^:]+):\d+: (?P<check>\w+): .*')
    explained = {tuple(line.split(' | ')[0].split(' ', 2)) for line in open('tests/static/explained.txt')
                 if ' | ' in line and line[0] != '#'}
    for key, line in sorted(found.items()):
        if key not in explained:
            print(f'FAILED static {" ".join(key)}: {line}')
    for key in sorted(explained - set(found)):
        print(f'FAILED static {" ".join(key)}: explained, but no longer found')
    new = len(set(found) - explained)
    print(f'figure static_findings {new}')
    if new == 0 and not explained - set(found):
        print(f'ok static: gcc, clang-tidy, cppcheck and sparse over {len(SOURCES)} files, {len(explained)} findings explained')
    return new > 0 or bool(explained - set(found))


if __name__ == '__main__':
    sys.exit(main())
