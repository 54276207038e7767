"""A flood against one node, from a host of its own: flood.py MODE ADDRESS PORT SERVER-FOLDER OWN-FOLDER. Says "on" once it runs and,
when its input ends (or after a minute), how many attempts it made."""
import os
import random
import select
import socket
import subprocess
import sys
import time

MODE, ADDRESS, PORT, SERVER, OWN = sys.argv[1:6]
HOSTILE = os.path.join(os.path.dirname(os.path.abspath(os.environ.get('FIELDMESH', 'build/release/fieldmesh'))), 'tests', 'e2e', 'hostile')
GREETING = b'\xff' + b'\0' * 8 + b'\x7f' + b'\x03\0' + b'CURVE'.ljust(20, b'\0') + b'\0' * 32
HELD_MAX, ATTEMPTS_MAX = 300, 20000
dice, held = random.Random(3), []


def stranger(say):
    """A connection that says something and is left open until there are too many of them."""
    s = socket.socket()
    s.settimeout(0.2)
    try:
        s.connect((ADDRESS, int(PORT)))
        s.sendall(say)
    except OSError:
        s.close()
        return
    held.append(s)
    if len(held) > HELD_MAX:
        held.pop(0).close()


def member():
    """An admitted node's keys in hands that mean harm: garbage in a session, again and again."""
    mode = dice.choice(['garbage', 'garbage-after-hello', 'too-large', 'foreign', 'many-frames'])
    subprocess.run([HOSTILE, mode, PORT, SERVER, OWN, ADDRESS], capture_output=True, timeout=30)


def attempt():
    if MODE == 'connections':
        stranger(b'')
    elif MODE == 'half-open':
        stranger(GREETING[:dice.randrange(1, 64)])
    elif MODE == 'garbage':
        stranger((GREETING if dice.random() < 0.5 else b'') + dice.randbytes(dice.randrange(1, 20000)))
    else:
        member()


def main():
    attempts, end = 0, time.monotonic() + 60
    while time.monotonic() < end and attempts < ATTEMPTS_MAX:
        attempt()
        attempts += 1
        if attempts == 1:
            print('on', flush=True)
        if select.select([sys.stdin], [], [], 0)[0]:
            break
    print(attempts, flush=True)


if __name__ == '__main__':
    main()
