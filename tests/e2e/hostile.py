"""Peers that mean harm: each is refused with a reason in status, net stays small and alive, honest peers go on."""
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

os.environ.setdefault('ASAN_OPTIONS', 'quarantine_size_mb=8')   # what the sanitizer keeps back is not net's memory
import field  # noqa: E402
import mesh  # noqa: E402
from field import ask, ok, until  # noqa: E402

HOSTILE = os.path.join(os.path.dirname(os.path.abspath(mesh.PROGRAM)), 'tests', 'e2e', 'hostile')
MEMORY = 256 * 1024 * 1024
GREETING = b'\xff' + b'\0' * 8 + b'\x7f' + b'\x03\0' + b'CURVE'.ljust(20, b'\0') + b'\0' * 32


class World:
    def __init__(self, top):
        self.hub = mesh.Node(top, 'Hub', 'coordinator')
        self.honest, self.bad, self.camp, self.relay = (mesh.Node(top, *x) for x in (('Honest', 'camp'), ('Bad', 'camp'), ('Camp', 'camp'),
                                                                                     ('Relay', 'relay')))
        mesh.admit(self.hub, [self.honest, self.bad, self.camp, self.relay])
        self.site = field.Site(self.hub)
        self.nodes = [self.hub, self.honest, self.camp, self.relay]
        for n in self.nodes:
            n.start()
        self.port = int(self.hub.address.rsplit(':', 1)[1])
        self.other_hub, self.other_camp = mesh.Node(top, 'Other hub', 'coordinator'), mesh.Node(top, 'Other camp', 'camp')
        mesh.admit(self.other_hub, [self.other_camp])
        ask(self.honest, 'connect', peer='Hub@' + self.hub.address)
        until(lambda: field.in_step(self.honest, 'Hub'))
        self.net = ask(self.hub, 'status')['net']['pid']
        self.peak = 0

    def hostile(self, mode, own=None, seconds=40):
        argv = [HOSTILE, mode, str(self.port), self.hub.data] + ([own.data] if own else [])
        p = subprocess.run(argv, capture_output=True, text=True, timeout=seconds)
        assert p.returncode == 0, (argv, p.returncode, p.stderr[-2000:])
        return p.stdout.split()

    def refused(self, reason):
        return ask(self.hub, 'status')['refused'].get(reason, 0)

    def memory(self):
        """The most the net process has held, as the kernel saw it."""
        for line in open('/proc/%d/status' % self.net):
            if line.startswith('VmHWM:'):
                return int(line.split()[1]) * 1024
        return 0

    def goes_on(self, name):
        """The honest peer's new record is at the hub in a moment, and net is the one it was."""
        before = ask(self.hub, 'status')['versions']
        self.site.write(self.honest, 1)
        there = until(lambda: ask(self.hub, 'status')['versions'] > before, 20)
        status = ask(self.hub, 'status')
        ok('%s: an honest peer goes on' % name, there, field.peer(self.honest, 'Hub'))
        ok('%s: net stays alive and small' % name, status['net']['pid'] == self.net and status['net']['restarts'] == 0 and
           status['net']['residentBytes'] < MEMORY and self.memory() < MEMORY, (status['net'], self.memory()))

    def attack(self, name, mode, reason, own=None, let_in=True, times=1):
        before = self.refused(reason)
        said = [x for _ in range(times) for x in self.hostile(mode, own)]
        counted = until(lambda: self.refused(reason) > before, 10)
        ok('%s is refused: %s' % (name, reason), counted and said == ['open' if let_in else 'shut'] * times,
           (said, ask(self.hub, 'status')['refused']))
        self.goes_on(name)


# --- strangers and garbage ---

def connect(port):
    s = socket.create_connection(('127.0.0.1', port), 5)
    s.settimeout(15)
    return s


def ended(s):
    """The other side ends it."""
    try:
        while s.recv(65536):
            pass
        return True
    except socket.timeout:
        return False
    except OSError:
        return True
    finally:
        s.close()


def raw_garbage(w):
    dice, before, sockets = random.Random(1), w.refused('no-handshake'), []
    for i in range(20):
        s = connect(w.port)
        try:
            s.sendall((GREETING if i % 2 else b'') + dice.randbytes(1 + 997 * i))
        except OSError:
            pass
        sockets.append(s)
        time.sleep(0.02)
    gone = [ended(s) for s in sockets]
    counted = until(lambda: w.refused('no-handshake') > before, 12)
    ok('raw garbage is cut off: no-handshake', all(gone) and counted, (gone, ask(w.hub, 'status')['refused']))
    w.goes_on('raw garbage')


def half_open(w):
    before = sum(ask(w.hub, 'status')['refused'].values())
    sockets = [connect(w.port) for _ in range(200)]
    for s in sockets[::2]:
        try:
            s.sendall(GREETING[:40])
        except OSError:
            pass
    done = w.relay.cmd('sync', 'Hub@' + w.hub.address, '--wait', '--leave', '--timeout', '30')
    ok('half-open handshakes do not keep an honest peer out', done['inStep'], done)
    gone = [ended(s) for s in sockets]
    ok('half-open handshakes are cut off and counted', all(gone) and sum(ask(w.hub, 'status')['refused'].values()) > before,
       (gone.count(False), ask(w.hub, 'status')['refused']))
    w.goes_on('half-open handshakes')


def strangers(w):
    w.attack('a stranger', 'knock', 'no-grant', let_in=False, times=3)
    w.attack('a member of another mesh', 'knock', 'no-grant', own=w.other_camp, let_in=False)
    w.attack('a member with another mesh in its HELLO', 'foreign', 'foreign-mesh', own=w.bad)


def members(w):
    w.attack('a member that sends garbage', 'garbage', 'bad-message', own=w.bad)
    w.attack('a member that turns to garbage', 'garbage-after-hello', 'bad-message', own=w.bad)
    w.attack('a message of ten frames', 'many-frames', 'too-many-frames', own=w.bad)
    w.attack('messages too large', 'too-large', 'too-large', own=w.bad)
    w.attack('an endless message', 'endless', 'too-many-frames', own=w.bad)
    w.attack('a frame of 500 MB', 'huge', 'bad-frame', own=w.bad)


# --- a void set ---

def void_set(w):
    w.camp.meet(w.hub)
    w.site.write(w.camp, 3)
    w.camp.meet(w.hub)
    w.camp.stop()
    before = ask(w.hub, 'status')
    w.hostile('void', w.camp)
    after = until(lambda: (s := ask(w.hub, 'status'))['versions'] > before['versions'] and s, 20) or ask(w.hub, 'status')
    aside = [a for a in after['aside'] if a['verdict'] == 'void']
    ok('a set whose body is nonsense is void and listed with its reason', len(aside) == 1 and aside[0]['why'] and after['void'] == before['void'] + 1,
       after['aside'])
    ok('its stream goes on: the next set counts', after['sets'] == before['sets'] + 2 and after['assessments'] == before['assessments'] + 1,
       [(x['sets'], x['assessments']) for x in (before, after)])
    w.camp.start()
    w.camp.meet(w.hub)
    w.site.write(w.camp, 2)
    w.camp.meet(w.hub)
    ok('its author gets both back and goes on', w.camp.digest() == w.hub.digest() and
       ask(w.hub, 'status')['assessments'] == after['assessments'] + 2, (w.camp.digest(), w.hub.digest()))
    w.goes_on('a void set')


# --- revoked in mid-session ---

def revoked(w):
    bad = w.bad.start()
    w.nodes.append(bad)
    bad.meet(w.hub)
    ask(bad, 'connect', peer='Hub@' + w.hub.address)
    until(lambda: field.in_step(bad, 'Hub'))
    stop = threading.Event()

    def flow():
        while not stop.is_set():
            w.site.write(bad, 20, 400, 5)
    thread = threading.Thread(target=flow)
    thread.start()
    until(lambda: field.peer(w.hub, 'Bad').get('changesReceived', 0) > 20)
    w.hub.cmd('revoke', 'Bad')
    left = until(lambda: not field.peer(w.hub, 'Bad')['connected'], 10)
    stop.set()
    thread.join()
    held = ask(w.hub, 'status')
    ok('a session ends when its peer is revoked', left and not field.peer(w.hub, 'Bad')['connected'])
    ok('a revoked peer is refused: peer-revoked or no-grant', held['refused'].get('peer-revoked', 0) > 0 and
       until(lambda: field.peer(bad, 'Hub')['lastError'] in ('peer-revoked', 'refused', 'no-grant', 'lost'), 10),
       (held['refused'], field.peer(bad, 'Hub')))
    w.site.write(bad, 10)                                 # what it writes later comes by a relay that has not heard of it
    ask(bad, 'disconnect', peer='Hub')
    w.relay.meet(bad)
    w.relay.meet(w.hub)
    after = ask(w.hub, 'status')
    aside = [a for a in after['aside'] if a['verdict'] == 'quarantined']
    ok('what a revoked node wrote later is quarantined and listed', len(aside) > 0 and after['quarantined'] == len(aside) and
       after['assessments'] == held['assessments'], (after['quarantined'], aside[:3], held['assessments'], after['assessments']))
    ok('all that heard of it agree', w.relay.digest() == w.hub.digest(), (w.relay.digest(), w.hub.digest()))
    w.goes_on('a revoked peer')


PARTS = (strangers, raw_garbage, half_open, members, void_set, revoked)


def main():
    top = tempfile.mkdtemp(prefix='fieldmesh-hostile-')
    w = World(top)
    try:
        for part in [p for p in PARTS if p.__name__ in sys.argv[1:]] or PARTS:
            began = time.monotonic()
            part(w)
            print('# %s: %.1f s' % (part.__name__, time.monotonic() - began), flush=True)
    finally:
        mesh.stop_all(w.nodes)
        if field.failed:
            print('left in', top)
        else:
            shutil.rmtree(top)
    return field.end()


if __name__ == '__main__':
    sys.exit(main())
