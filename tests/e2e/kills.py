"""Cut links, a killed net, a killed core: nothing that was acknowledged is lost, nothing that was committed is sent again."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import field
import mesh
from field import ask, ok, until
from proxy import DOWN, UP, Proxy

CREDIT = 1024 * 1024                                      # FM_CREDIT_BYTES: DATA in flight
MESSAGE = 200 * 1024                                      # FM_MESSAGE_BYTES_MAX
TALK = 16 * 1024                                          # of one contact beside DATA: handshake, HELLO, HAVE, statements
SIZE = 3000                                               # bytes of a record's notes


class Pair:
    """A hub and a camp that meets it through a proxy."""

    def __init__(self, top):
        self.hub, self.camp = mesh.Node(top, 'Hub', 'coordinator'), mesh.Node(top, 'Camp', 'camp')
        mesh.admit(self.hub, [self.camp])
        self.site = field.Site(self.hub)
        self.hub.start()
        self.camp.start()
        self.proxy = Proxy(self.port())
        self.dial()
        until(lambda: field.in_step(self.camp, 'Hub'))
        self.settle()
        before = self.counts()
        self.fill(64)
        until(lambda: self.level() and self.counts()[0]['versions'] > before[0]['versions'])
        after = self.counts()
        self.each = (after[0]['bytesReceived'] - before[0]['bytesReceived']) / (after[0]['versions'] - before[0]['versions']) * 2

    def port(self):
        return int(self.hub.address.rsplit(':', 1)[1])

    def dial(self):
        answer = ask(self.camp, 'connect', peer='Hub@127.0.0.1:%d' % self.proxy.port)
        assert 'error' not in answer, answer

    def fill(self, count):
        """So many new records at both."""
        for node in (self.hub, self.camp):
            self.site.write(node, count, SIZE, batch=16)

    def stock(self, way, after):
        """Makes sure that there is more than so many bytes to send that way."""
        a, b = self.counts()
        written = a['recorded'] + b['recorded']
        held = (a if way == UP else b)['versions']
        self.fill(max(0, int((after + MESSAGE) / self.each) - (written - held)))

    def counts(self):
        return [ask(n, 'status') for n in (self.hub, self.camp)]

    def level(self):
        a, b = self.counts()
        return a['versions'] == b['versions'] and a['sets'] == b['sets'] and field.in_step(self.camp, 'Hub') and field.in_step(self.hub, 'Camp')

    def settle(self):
        return until(self.level, 60)

    def apart(self):
        self.proxy.cut()
        return until(lambda: not field.peer(self.hub, 'Camp')['connected'] and not field.peer(self.camp, 'Hub')['connected'], 45)

    def sums(self):
        return [ask(n, 'digest') for n in (self.hub, self.camp)]


def last_contact(pair, name):
    """Whatever is missing is sent once, and nothing else."""
    pair.apart()
    before = pair.counts()
    pair.proxy.open()
    pair.dial()
    done = pair.settle()
    after = pair.counts()
    got = [field.peer(pair.hub, 'Camp'), field.peer(pair.camp, 'Hub')]
    for side, x, y, p in zip(('hub', 'camp'), before, after, got):
        ok('%s: the %s gets what it lacks, each change once' % (name, side), done and p.get('changesReceived') == y['versions'] - x['versions'],
           (x['versions'], y['versions'], p))
    sums = pair.sums()
    ok('%s: equal digests' % name, sums[0] == sums[1] and 'state' in sums[0], sums)


# --- the link ---

def cut_points():
    """(way, bytes): in the handshake, in HELLO and HAVE, in the middle of DATA."""
    small = [1, 12, 63, 64, 65, 200, 264, 330, 420, 500, 640, 800, 1000, 1500, 2500, 5000]
    for i, n in enumerate(small):
        yield (UP, DOWN)[i % 2], n
    for i in range(32):
        yield (UP, DOWN)[i % 2], 20000 + 9973 * i % 290000


def cut_links(pair):
    pair.apart()
    pair.fill(200)
    fired, worst, lost = 0, 0, []
    for way, after in cut_points():
        pair.stock(way, after)
        before = pair.counts()
        pair.proxy.arm(way, after, lambda p, r=fired % 3 == 0: p.cut(reset=r))
        pair.dial()
        until(lambda: pair.proxy.fired.is_set() or pair.level(), 45)
        fired += pair.proxy.fired.is_set()
        pair.apart()
        now = pair.counts()
        for x, y in zip(before, now):
            gained, bytes_in = y['versions'] - x['versions'], y['bytesReceived'] - x['bytesReceived']
            if gained < 0:
                lost.append((way, after, gained))
            worst = max(worst, bytes_in - gained * pair.each) if gained <= 120 or after < 400000 else worst
    ok('the link is cut at 40 points at least', fired >= 40, fired)
    ok('a cut link takes back nothing', not lost, lost)
    ok('every byte received before a cut was kept: none is received twice', worst < MESSAGE / 2 + TALK, worst)
    last_contact(pair, 'after cut links')


def freeze(pair):
    pair.apart()
    pair.fill(150)
    pair.proxy.arm(DOWN, 150000, lambda p: p.flowing.clear() or True)
    before = pair.counts()
    pair.dial()
    froze = pair.proxy.fired.wait(30)
    time.sleep(2)
    still = field.peer(pair.camp, 'Hub')['connected']
    pair.proxy.cut()                                      # the lost rest of that piece would be no frozen link, but a broken one
    pair.proxy.flowing.set()
    pair.apart()
    after = pair.counts()
    ok('a frozen link is waited for', froze and still)
    ok('a frozen link loses nothing', all(y['versions'] >= x['versions'] for x, y in zip(before, after)))
    last_contact(pair, 'after a frozen link')


# --- the net process ---

def kill_net(node):
    pid = ask(node, 'status')['net']['pid']
    os.kill(pid, signal.SIGKILL)
    return pid


def kill_nets(pair):
    killed, lost = 0, []
    for i in range(10):
        node, way, after = (pair.hub, pair.camp)[i % 2], (UP, DOWN)[i // 2 % 2], 400 + 20000 * i
        pair.apart()
        pair.stock(way, after)
        before = pair.counts()
        pids = []
        pair.proxy.arm(way, after, lambda p: pids.append(kill_net(node)) or False)
        pair.dial()
        if not pair.proxy.fired.wait(30):
            continue
        back = until(lambda: (s := ask(node, 'status')['net'])['ready'] and s['pid'] != pids[0] and s, 20)
        killed += bool(back and back['restarts'] > 0)
        if i >= 2:                                        # the first ones come together by themselves
            pair.dial()
        pair.settle()
        lost += [(i, x['versions'], y['versions']) for x, y in zip(before, pair.counts()) if y['versions'] < x['versions']]
    ok('net is killed ten times in a sync, and started again', killed == 10, killed)
    ok('a killed net loses nothing', not lost, lost)
    last_contact(pair, 'after killed nets')


# --- the core ---

def restart(pair, node):
    node.process.kill()
    node.process.wait()
    node.start()
    pair.proxy.target = pair.port()


def kill_cores(pair):
    killed, lost, again = 0, [], []
    for i in range(8):
        node = (pair.hub, pair.camp)[i % 2]
        pair.apart()
        pair.fill(60 + 20 * i)
        passed = list(pair.proxy.passed)
        seen = before = pair.counts()
        pair.proxy.arm((UP, DOWN)[i // 2 % 2], 700 + 30000 * i, lambda p: node.process.kill() or False)
        pair.dial()
        end = time.monotonic() + 20
        while not pair.proxy.fired.is_set() and time.monotonic() < end: # what a status says is committed
            try:
                seen = pair.counts()
            except (field.Gone, OSError):
                break
        killed += pair.proxy.fired.wait(2)
        pair.proxy.cut()
        restart(pair, node)
        pair.apart()
        now = pair.counts()
        lost += [(i, x['versions'], y['versions']) for x, y in zip(seen, now) if y['versions'] < x['versions']]
        for side, way in ((0, UP), (1, DOWN)):
            gained = now[side]['versions'] - before[side]['versions']
            wire = pair.proxy.passed[way] - passed[way]
            if wire > gained * pair.each * 1.1 + CREDIT + MESSAGE + TALK:
                again.append((i, side, wire, gained))
    ok('core is killed at eight points of a sync', killed == 8, killed)
    ok('a killed core loses nothing that a status showed', not lost, lost)
    ok('on the wire is what was kept, and one window of credit at most', not again, again)
    last_contact(pair, 'after killed cores')


def put_until_killed(pair, name, seconds):
    """Changes in requests of 25 until the core is gone: which were acknowledged, and the request that was not answered."""
    sent, acknowledged = [], []

    def run():
        try:
            c = field.Control(pair.camp)
            while True:
                changes = [pair.site.assessment(400, '%s-%d-%d' % (name, len(sent), i)) for i in range(25)]
                sent.append(changes)
                results = c.ask('submit', **{'as': pair.site.user, 'changes': changes})['results']
                acknowledged.append([r['status'] == 'success' for r in results])
        except field.Gone:
            pass
    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(seconds)
    pair.camp.process.kill()
    thread.join(60)
    return sent, acknowledged


def held(pair, changes):
    found = ask(pair.camp, 'lookup', of=[dict(type='assessment', offlineId=c['offlineId']) for c in changes])['records']
    return [r is not None and r['document'].get('notes') == c['data']['notes'] for r, c in zip(found, changes)]


def kill_puts(pair):
    missing, halves, cut_off, kept = [], [], 0, 0
    for i in range(10):
        sent, acknowledged = put_until_killed(pair, 'put%d' % i, 0.05 + 0.037 * i)
        restart(pair, pair.camp)
        for n, changes in enumerate(sent):
            there = held(pair, changes)
            if n < len(acknowledged):
                kept += sum(there)
                missing += [(i, n)] if there != acknowledged[n] else []
            else:
                cut_off += 1
                halves += [(i, n, sum(there))] if any(there) != all(there) else []
    ok('core is killed in ten puts, and some were acknowledged', cut_off >= 8 and kept > 0, (cut_off, kept))
    ok('what put acknowledged is there after a kill', not missing, missing)
    ok('a put that was cut off is wholly there or not at all', not halves, halves)


def kill_command(pair):
    """The same with the command, as a person would."""
    changes = [pair.site.assessment(400, 'cmd-%d' % i) for i in range(3000)]
    import json
    p = subprocess.Popen(pair.camp.argv('put', '-', '--as', pair.site.user, '--json'), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    threading.Thread(target=lambda: (p.stdin.write(json.dumps(changes)), p.stdin.close()), daemon=True).start()
    start = ask(pair.camp, 'status')['versions']
    until(lambda: ask(pair.camp, 'status')['versions'] > start + 256, 30, 0.001)
    restart(pair, pair.camp)
    out = p.stdout.read()
    code = p.wait(60)
    results = [json.loads(x) for x in out.splitlines()]
    said = {r['offlineId'] for x in results for r in x.get('successful', [])}
    there = {c['offlineId'] for c, h in zip(changes, held(pair, changes)) if h}
    ok('a put whose node is killed ends with an error', code not in (0, 3, 4), (code, out[-500:]))
    ok('a put whose node is killed names what was stored, and that is there', 0 < len(said) < 3000 and said <= there, (len(said), len(there)))
    again = pair.camp.put(changes, pair.site.user)
    ok('putting it again adds the rest only', {r['offlineId'] for r in again['successful']} | there == {c['offlineId'] for c in changes}
       and not again['failed'] and sum(held(pair, changes)) == 3000, (len(again['successful']), again['failed'][:2], again['conflicts'][:2]))


PARTS = (cut_links, freeze, kill_nets, kill_cores, kill_puts, kill_command)


def main():
    top = tempfile.mkdtemp(prefix='fieldmesh-kills-')
    pair = Pair(top)
    try:
        for part in [p for p in PARTS if p.__name__ in sys.argv[1:]] or PARTS:
            began = time.monotonic()
            part(pair)
            print('# %s: %.1f s' % (part.__name__, time.monotonic() - began), flush=True)
        last_contact(pair, 'after all')
        mesh.stop_all([pair.hub, pair.camp])
        for node in (pair.hub, pair.camp):
            said = node.cmd('verify')
            ok('the store of the %s is sound' % node.name.lower(), said['sound'] and said['problems'] == 0, said)
    finally:
        mesh.stop_all([pair.hub, pair.camp])
        if field.failed:
            print('left in', top)
        else:
            shutil.rmtree(top)
    return field.end()


if __name__ == '__main__':
    sys.exit(main())
