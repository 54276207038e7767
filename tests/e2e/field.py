"""What the end-to-end tests share: nodes of tests/demo/mesh.py, their control sockets, waiting, saying how a case went."""
import base64
import json
import os
import random
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'demo'))
import mesh  # noqa: E402

failed = []
signal.signal(signal.SIGTERM, lambda *x: sys.exit(143))     # so that what was started is ended


def ok(name, truth, detail=''):
    """One line a case, as tests/run.sh counts them."""
    print(('ok ' if truth else 'FAILED ') + name + ('' if truth else '  ' + str(detail)[:2000]), flush=True)
    if not truth:
        failed.append(name)
    return bool(truth)


class Gone(Exception):
    """The node went away before it answered."""


class Control:
    """A node's control socket, as the commands use it."""

    def __init__(self, node):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(120)
        try:
            self.socket.connect(os.path.join(node.data, 'control.sock'))
        except OSError as e:
            raise Gone(e)

    def ask(self, op, **request):
        text = json.dumps(dict(request, op=op)).encode()
        try:
            self.socket.sendall(len(text).to_bytes(4, 'big') + text)
            return json.loads(self.read(int.from_bytes(self.read(4), 'big')))
        except OSError as e:
            raise Gone(e)

    def read(self, size):
        out = b''
        while len(out) < size:
            piece = self.socket.recv(size - len(out))
            if not piece:
                raise Gone('end of file')
            out += piece
        return out

    def close(self):
        self.socket.close()


def ask(node, op, **request):
    c = Control(node)
    try:
        return c.ask(op, **request)
    finally:
        c.close()


def until(truth, seconds=30, step=0.02):
    """The first true value of truth(), or its last."""
    end = time.monotonic() + seconds
    while True:
        value = truth()
        if value or time.monotonic() > end:
            return value
        time.sleep(step)


def peer(node, name):
    for p in ask(node, 'peers')['peers']:
        if p['name'] == name:
            return p
    return dict(connected=False, phase='', lastError='')


def in_step(node, name):
    p = peer(node, name)
    return p['connected'] and p['phase'] == 'in step' and p


def noise(dice, size):
    """Text that does not get smaller, so that bytes on the wire count records."""
    return base64.b64encode(dice.randbytes(size * 3 // 4)).decode()


class Site:
    """A user and an entity at a coordinator, for whom records can be written at any node that knows them."""

    def __init__(self, hub):
        self.entity = hub.put([dict(type='entity', action='create', versionNumber=1,
                                    data=dict(name='Dikwa', type='CAMP', isActive=True))])['successful'][0]['serverId']
        self.user = hub.cmd('people', 'add', 'Aisha Bukar', '--role', 'assessor')['serverId']
        hub.cmd('people', 'assign', self.user, '--entity', self.entity, '--role', 'assessor')
        self.dice, self.count = random.Random(7), 0

    def assessment(self, size=64, offline_id=None):
        self.count += 1
        return dict(type='assessment', action='create', versionNumber=1, offlineId=offline_id or 'a-%d' % self.count,
                    data=dict(entityId=self.entity, assessmentType='POPULATION', assessmentDate='2026-01-05T08:00:00.000Z',
                              notes=noise(self.dice, size), assessmentData=dict(totalPopulation=self.count)))

    def write(self, node, count, size=64, batch=32):
        """So many assessments, so many a set."""
        c = Control(node)
        while count > 0:
            changes = [self.assessment(size) for _ in range(min(batch, count))]
            results = c.ask('submit', **{'as': self.user, 'changes': changes})['results']
            bad = [r for r in results if r['status'] != 'success']
            assert not bad, bad[:3]
            count -= len(changes)
        c.close()


def end():
    return 1 if failed else 0
