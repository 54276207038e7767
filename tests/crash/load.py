"""Clients of one node that is killed, and what they know: which changes it acknowledged."""
import json
import os
import select
import socket
import time

CLIENTS = 3


def pack(request):
    text = json.dumps(request).encode()
    return len(text).to_bytes(4, 'big') + text


class Gone(Exception):
    """The node went away before it answered."""


class Line:
    """One connection to control.sock, with at most one request under way."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.bytes, self.asked = b'', None
        try:
            self.socket.connect(path)
        except OSError as e:
            self.socket.close()
            raise Gone(e)

    def send(self, what, request):
        self.asked = what
        try:
            self.socket.sendall(pack(request))
        except OSError:
            pass                                           # the answer will not come: as if it had been lost

    def take(self):
        """The answer if it is whole; None: not yet. Gone at the end of the connection."""
        while True:
            if len(self.bytes) >= 4 and len(self.bytes) - 4 >= int.from_bytes(self.bytes[:4], 'big'):
                answer, self.bytes = json.loads(self.bytes[4:]), b''
                return answer
            try:
                piece = self.socket.recv(1 << 20, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return None
            except OSError as e:
                raise Gone(e)
            if not piece:
                raise Gone('end of file')
            self.bytes += piece

    def ask(self, op, **request):
        self.send(op, dict(request, op=op))
        while (answer := self.take()) is None:
            if not select.select([self.socket], [], [], 60)[0]:
                raise Exception('no answer to %s in a minute' % op)
        return answer

    def close(self):
        self.socket.close()


class Ledger:
    """What was acknowledged, and what may or may not have been stored when the node was killed."""

    def __init__(self, dice, site, user):
        self.dice, self.entity, self.user = dice, site, user
        self.notes, self.ids = {}, []                      # offlineId -> (number, notes), acknowledged; the same in order
        self.changes = 0                                   # acknowledged, of all kinds
        self.in_doubt = []                                 # requests without an answer: [(offlineId, number, notes)]
        self.newest = []                                   # offlineIds acknowledged since the last start
        self.busy = set()                                  # offlineIds with a change under way
        self.made = 0

    def batch(self):
        """Some creates, some updates of what is there, in one request; each record at most once."""
        plan, used = [], set()
        for _ in range(self.dice.choice((1, 1, 2, 5, 12, 30))):
            old = self.dice.choice(self.ids) if self.ids and self.dice.random() < 0.3 else None
            if old is None or old in used or old in self.busy:
                self.made += 1
                name, number = 'a-%d' % self.made, 1
            else:
                name, number = old, self.notes[old][0] + 1
            used.add(name)
            plan.append((name, number, '%s.%d.%s' % (name, number, self.dice.randbytes(self.dice.choice((4, 40, 400))).hex())))
        self.busy |= used
        return plan

    def request(self, plan):
        return {'op': 'submit', 'as': self.user, 'changes': [self.change(*p) for p in plan]}

    def change(self, name, number, notes):
        data = dict(entityId=self.entity, assessmentType='POPULATION', assessmentDate='2026-01-05T08:00:00.000Z', notes=notes,
                    assessmentData=dict(totalPopulation=number))
        return dict(type='assessment', action='create' if number == 1 else 'update', versionNumber=number, offlineId=name, data=data)

    def acknowledge(self, plan):
        for name, number, notes in plan:
            if name not in self.notes:
                self.ids.append(name)
            self.notes[name] = (number, notes)
            self.newest.append(name)
        self.changes += len(plan)
        self.drop(plan)

    def drop(self, plan):
        self.busy -= {name for name, _, _ in plan}

    def shows(self, record, number, notes):
        return record is not None and record['versionNumber'] == number and record['document'].get('notes') == notes


def lookup(line, names):
    return line.ask('lookup', of=[dict(type='assessment', offlineId=n) for n in names])['records']


class Crowd:
    """Clients that write without a pause, until the node is gone or the time is over."""

    def __init__(self, path, ledger, wrong):
        self.path, self.ledger, self.wrong = path, ledger, wrong
        self.lines, self.answered = [], 0

    def open(self):
        self.lines = [Line(self.path) for _ in range(CLIENTS)]

    def feed(self, line):
        plan = self.ledger.batch()
        line.send(plan, self.ledger.request(plan))

    def hear(self, line):
        """True if an answer came."""
        answer = line.take()
        if answer is None:
            return False
        plan, line.asked = line.asked, None
        results = answer.get('results')
        if results is None or any(r['status'] != 'success' for r in results):
            self.wrong.append(('refused', answer if results is None else [r for r in results if r['status'] != 'success'][:2]))
            self.ledger.drop(plan)
        else:
            self.ledger.acknowledge(plan)
        self.answered += 1
        return True

    def work(self, seconds):
        for line in self.lines:
            if line.asked is None:
                self.feed(line)
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            for line in select.select([x.socket for x in self.lines], [], [], left)[0]:
                line = next(x for x in self.lines if x.socket is line)
                if self.hear(line):
                    self.feed(line)

    def finish(self, seconds=60):
        """Every request answered, as the node lives."""
        end = time.monotonic() + seconds
        while any(x.asked is not None for x in self.lines):
            if time.monotonic() > end:
                raise Exception('requests are not answered')
            select.select([x.socket for x in self.lines if x.asked is not None], [], [], 1)
            for line in self.lines:
                if line.asked is not None:
                    self.hear(line)

    def close(self):
        """After a kill: what was answered still counts; the rest is in doubt."""
        for line in self.lines:
            try:
                while line.asked is not None and self.hear(line):
                    pass
            except Gone:
                pass
            if line.asked is not None:
                self.ledger.in_doubt.append(line.asked)
            line.close()
        self.lines = []


def socket_of(data):
    return os.path.join(data, 'control.sock')
