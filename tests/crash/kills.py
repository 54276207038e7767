"""Thousands of SIGKILLs of real nodes that work: core, whole process group, net, at any moment, the start included.

Each world is a process of its own with a node that clients write to without a pause, in half of the worlds with a hub that
it meets (and that is killed as well). After each start: nothing acknowledged is missing, no request is there by half, and the
node counts exactly the changes that it acknowledged (plus those of an unanswered request that is there: the checker then takes
it as acknowledged). All records are compared every CHECK_ALL kills; at the end verify is sound and two nodes are equal.

PROOF_ROUND shifts the seeds, PROOF_SCALE (percent) the number of kills."""
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'e2e'))
import field                                               # noqa: E402
import load                                                # noqa: E402
import mesh                                                # noqa: E402

SCALE = int(os.environ.get('PROOF_SCALE', '100'))
ROUND = int(os.environ.get('PROOF_ROUND', '0'))
KILLS = max(20, 5200 * SCALE // 100)
WORLDS = 4
CHECK_ALL = 250


class Fault(Exception):
    lost = 0                                               # acknowledged changes that are missing


def demand(truth, *what, lost=0):
    if not truth:
        fault = Fault(*what)
        fault.lost = lost
        raise fault


class Daemon:
    """A node's process pair, to be killed."""

    def __init__(self, node):
        self.node, self.process, self.counts = node, None, dict(core=0, group=0, start=0, net=0)

    def spawn(self):
        with open(self.node.log, 'ab') as log:
            self.process = subprocess.Popen(self.node.argv('run'), stdout=log, stderr=log, start_new_session=True)

    def line(self, seconds=60):
        """A connection to this process, once it answers."""
        end = time.monotonic() + seconds
        while True:
            try:
                return load.Line(load.socket_of(self.node.data))
            except load.Gone:
                demand(self.process.poll() is None, 'ended by itself', self.process.returncode, self.tail())
                demand(time.monotonic() < end, 'does not answer', self.tail())
                time.sleep(0.001)

    def tail(self):
        return open(self.node.log).read()[-1500:]

    def kill(self, way):
        self.counts[way] += 1
        if way in ('group', 'start'):
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.wait()

    def end(self):
        self.process.terminate()
        demand(self.process.wait(60) == 0, 'did not stop', self.tail())

    def address(self):
        """Once net listens."""
        def run():
            try:
                found = json.load(open(os.path.join(self.node.data, 'run.json')))
                return found if found['pid'] == self.process.pid else None
            except (OSError, ValueError):
                return None
        found = field.until(run, 60, 0.002)
        demand(found, 'net does not listen', self.tail())
        return found['nodes'].replace('tcp://', '')


class World:
    def __init__(self, top, number, kills):
        self.number, self.kills, self.wrong = number, kills, []
        self.dice = random.Random('%d %d' % (ROUND, number))
        top = os.path.join(top, str(number))
        os.mkdir(top)
        self.hub = Daemon(mesh.Node(top, 'Hub', 'coordinator'))
        site = field.Site(self.hub.node)
        self.ledger = load.Ledger(self.dice, site.entity, site.user)
        self.pair = number % 2 == 1
        self.prey = self.hub
        if self.pair:
            self.prey = Daemon(mesh.Node(top, 'Camp', 'camp'))
            mesh.admit(self.hub.node, [self.prey.node])
            self.hub.spawn()
            self.hub_address = self.hub.node.address = self.hub.address()
            self.prey.node.start().meet(self.hub.node)     # so that it knows the person
            self.prey.node.stop()
        self.crowd = load.Crowd(load.socket_of(self.prey.node.data), self.ledger, self.wrong)
        self.met = self.hub_kills = 0
        self.base = None                                   # changes of this node that are not the ledger's
        self.digest = None                                 # as it was when nobody wrote any more

    # --- what must hold ---

    def settle_doubts(self, line):
        """Each unanswered request is there as a whole or not at all."""
        ledger, doubts, self.ledger.in_doubt = self.ledger, self.ledger.in_doubt, []
        for plan in doubts:
            found = load.lookup(line, [name for name, _, _ in plan])
            there = [ledger.shows(r, number, notes) for r, (_, number, notes) in zip(found, plan)]
            demand(all(there) or not any(there), 'half a request is there', plan, there)
            for r, (name, number, _), now in zip(found, plan, there):
                was = ledger.notes.get(name)
                demand(now or (r is None if was is None else ledger.shows(r, *was)), 'a record is neither old nor new', name, number, r)
            (ledger.acknowledge if there[0] else ledger.drop)(plan)

    def check_newest(self, line):
        names, self.ledger.newest = self.ledger.newest[-200:], []
        gone = [(name, self.ledger.notes[name], record) for name, record in zip(names, load.lookup(line, names))
                if not self.ledger.shows(record, *self.ledger.notes[name])]
        demand(not gone, 'acknowledged, and not there', gone[:2], lost=len(gone))

    def check_counts(self, line):
        status = line.ask('status')
        if self.base is None:
            self.base = status['recorded'] - self.ledger.changes
        want = self.base + self.ledger.changes
        demand(status['recorded'] == want, 'the number of own changes', status['recorded'], want, lost=max(0, want - status['recorded']))
        for key in ('quarantined', 'void', 'unreadable', 'conflictsOpen', 'conflictsSettled', 'conflictsReplaced', 'waiting'):
            demand(status[key] == 0, key, status[key])
        return status

    def check_all(self, line):
        """Every record is what was acknowledged last, and there is no other."""
        seen, after = {}, None
        while True:
            page = line.ask('records', type='assessment', limit=1000, **({'after': after} if after else {}))['records']
            for r in page:
                name = r['document']['offlineId']
                demand(name not in seen, 'a record is there twice', name)
                seen[name] = (r['versionNumber'], r['document']['notes'])
            if len(page) < 1000:
                break
            after = page[-1]['id']
        want = self.ledger.notes
        demand(set(seen) <= set(want), 'a record that nobody knows of', list(set(seen) - set(want))[:3])
        gone = [(k, seen.get(k), want[k]) for k in want if seen.get(k) != want[k]]
        demand(not gone, 'not the records that were acknowledged', gone[:3], lost=len(gone))

    # --- a life of the node ---

    def meet(self, line):
        """In the middle of a load; how far it gets is open."""
        answer = line.ask('connect', peer='Hub@' + self.hub_address)
        demand('error' not in answer, 'connect', answer)
        self.met += 1

    def kill_net(self, line):
        pid = line.ask('status')['net']['pid']
        if pid > 0:
            os.kill(pid, signal.SIGKILL)
            self.prey.counts['net'] += 1

    def kill_hub(self):
        self.hub.kill('core')
        self.hub_kills += 1
        self.hub.spawn()
        self.hub_address = self.hub.address()

    def life(self, number):
        dice = self.dice
        self.prey.spawn()
        if dice.random() < 0.12:                           # before it is there
            time.sleep(dice.random() * 0.04)
            self.prey.kill('start')
            return
        line = self.prey.line()
        self.settle_doubts(line)
        self.check_newest(line)
        self.check_counts(line)
        if self.digest is not None:
            now, self.digest = (line.ask('digest'), self.digest)[0], self.digest
            demand(now == self.digest, 'a restart changes the digest', now, self.digest)
            self.digest = None
        if number % CHECK_ALL == CHECK_ALL - 1:
            self.check_all(line)
        if self.pair and dice.random() < 0.4:
            self.meet(line)
        self.crowd.open()
        self.crowd.work(dice.random() ** 2 * 0.06)
        if dice.random() < 0.04:
            self.kill_net(line)
            self.crowd.work(0.02)
        if self.pair and dice.random() < 0.1:
            self.kill_hub()
        if not self.pair and dice.random() < 0.1:          # nothing under way: what is there after is what was there before
            self.crowd.finish()
            self.digest = line.ask('digest')
        self.prey.kill(dice.choice(('core', 'core', 'group')))
        line.close()
        self.crowd.close()

    def last(self):
        """Restarted once more, compared as a whole, equal with the hub, sound, and the same when built again."""
        self.prey.spawn()
        line = self.prey.line()
        self.settle_doubts(line)
        self.check_newest(line)
        status = self.check_counts(line)
        self.check_all(line)
        if self.pair:
            self.prey.address()
            self.meet(line)
            hub = self.hub.line()
            level = field.until(lambda: hub.ask('digest') == line.ask('digest'), 60, 0.05)
            demand(level, 'hub and camp are not equal', hub.ask('status'), line.ask('status'))
            self.check_counts(line)
            self.check_all(hub)
            hub.close()
            self.hub.end()
        digest = line.ask('digest')
        line.close()
        self.prey.end()
        for d in {self.prey, self.hub}:
            said = d.node.cmd('verify')
            demand(said['sound'] and said['problems'] == 0, 'verify', said)
            d.node.cmd('reindex')
            demand(d.node.digest() == digest, 'the digest of a store built again')
        return status

    def run(self):
        try:
            number = 0
            while sum(self.prey.counts[k] for k in ('core', 'group', 'start')) + self.hub_kills < self.kills:
                self.life(number)
                number += 1
                demand(not self.wrong, *self.wrong[:1])
            self.last()
        finally:
            for d in (self.prey, self.hub):
                if d.process is not None and d.process.poll() is None:
                    os.killpg(d.process.pid, signal.SIGKILL)
                    d.process.wait()
        c = self.prey.counts
        return dict(kills=c['core'] + c['group'] + c['start'] + self.hub_kills, acked=self.ledger.changes, net=c['net'], met=self.met,
                    start=c['start'], group=c['group'], hub=self.hub_kills)


def world(top, number, out):
    signal.signal(signal.SIGTERM, lambda *x: sys.exit(143))
    try:
        out.put((number, World(top, number, KILLS // WORLDS).run(), None, 0))
    except Exception as e:                                 # whatever it is, it is this world's result
        out.put((number, None, '%s: %s' % (type(e).__name__, str(e)[:3000]), getattr(e, 'lost', 0)))


def main():
    top, out = tempfile.mkdtemp(prefix='fieldmesh-killed-'), multiprocessing.Queue()
    worlds = [multiprocessing.Process(target=world, args=(top, n, out)) for n in range(WORLDS)]
    try:
        for w in worlds:
            w.start()
        results = sorted((out.get() for _ in worlds), key=lambda r: r[0])
    finally:
        for w in worlds:
            w.terminate()
            w.join()
    for number, done, fault, _ in results:
        kind = 'a camp that meets its hub' if number % 2 else 'a hub alone'
        field.ok('kills: world %d, %s: %s' % (number, kind, json.dumps(done)), fault is None, fault)
    total = lambda key: sum(done[key] for _, done, _, _ in results if done)
    print('figure kills %d' % total('kills'))
    print('figure kills_net %d' % total('net'))
    print('figure kills_acked %d' % total('acked'))
    print('figure kills_acked_lost %d' % sum(lost for _, _, _, lost in results))
    if field.failed:
        print('left in', top)
    else:
        shutil.rmtree(top)
    return field.end()


if __name__ == '__main__':
    sys.exit(main())
