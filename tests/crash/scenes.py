"""The scenario suite for faults at each system call: a folder as it is before, a command, and what must be true after it.

A scene's state() is what a person would see (counts, members, files). It is taken before, after a run without a fault, and
after each fault: there is no third value."""
import json
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'demo'))
import load                                                # noqa: E402
import mesh                                                # noqa: E402

PROGRAM = mesh.PROGRAM


def run(top, node, *args, text=None, env=None):
    """(exit code, objects of --json output, stderr) of a command on that node's folder."""
    p = subprocess.run([PROGRAM, *args, '--json', '--data', os.path.join(top, node)], input=text, capture_output=True, text=True, timeout=60,
                       env=env, cwd=top)
    return p.returncode, objects(p.stdout), p.stderr


def objects(text):
    out = []
    for line in text.splitlines():
        try:
            out.append(json.loads(line))
        except ValueError:
            out.append(line)
    return out


def last(top, node, *args):
    code, said, err = run(top, node, *args)
    if code != 0:
        raise Exception('%s: exit %d %s %s' % (' '.join(args), code, said, err))
    return said[-1]


def counts(top, node):
    s = last(top, node, 'status')
    return {k: s[k] for k in ('role', 'joined', 'records', 'entities', 'sets', 'versions', 'recorded', 'void', 'quarantined', 'unreadable',
                              'waiting', 'conflictsOpen')}


def change(i):
    return dict(type='entity', action='create', versionNumber=1, offlineId='e-%d' % i,
                data=dict(name='Site %d' % i, type='CAMP', isActive=True))


class Scene:
    """command: what the fault hits, on the folder of `node`. Its own calls only, unless it works in a child (`children`)."""
    node, text, children, daemon = 'hub', None, False, False

    def __init__(self, home):
        self.home = home                                   # the folder before; copied for each case

    def prepare(self):
        """Fills self.home."""

    def command(self, top):
        raise NotImplementedError

    def argv(self, top):
        return [PROGRAM, *self.command(top), '--json', '--data', os.path.join(top, self.node)]

    def perform(self, top, prefix=()):
        """(exit code, what it said, stderr), under strace if prefix says so."""
        p = subprocess.run([*prefix, *self.argv(top)], input=self.text, capture_output=True, text=True, timeout=60, cwd=top)
        return p.returncode, objects(p.stdout), p.stderr

    def acknowledged(self, code, said):
        """Was the work called done, whatever came after?"""
        return code == 0

    def state(self, top):
        return counts(top, self.node)

    def proof(self, top):
        """More that must be true at the end; an exception says what is not."""

    def store_is_sound(self, top):
        said = last(top, self.node, 'verify')
        if not said['sound'] or said['problems'] != 0:
            raise Exception('verify: %s' % said)


class Init(Scene):
    """A mesh is born."""
    name = 'init-hub'

    def prepare(self):
        os.mkdir(self.home)

    def command(self, top):
        return ['init', '--name', 'Hub', '--role', 'coordinator', '--listen', '127.0.0.1:0', '--http', '127.0.0.1:0']

    def state(self, top):
        """A node that is whole, or one that is not yet made."""
        return counts(top, self.node) if os.path.exists(os.path.join(top, self.node, 'fieldmesh.conf')) else 'nothing'

    def perform(self, top, prefix=()):
        code, said, err = super().perform(top, prefix)
        if not prefix and code != 0 and said and said[-1].get('code') == 'exists' and self.state(top) != 'nothing':
            return 0, said, err                            # it had been made
        return code, said, err

    def proof(self, top):
        self.store_is_sound(top)
        if len(last(top, self.node, 'devices')['devices']) != 1:
            raise Exception('one device')
        keys = os.listdir(os.path.join(top, self.node, 'keys'))
        if not {'device.seed', 'mesh', 'root.seed', 'root.tip', 'grant', 'open-counter'} <= set(keys):
            raise Exception('keys: %s' % keys)


class InitCamp(Init):
    name, node = 'init-camp', 'camp'

    def command(self, top):
        return ['init', '--name', 'Camp', '--role', 'camp', '--listen', '127.0.0.1:0', '--http', '127.0.0.1:0']

    def proof(self, top):
        last(top, self.node, 'join', '--request', os.path.join(top, 'proof.request'))


class Two(Scene):
    """A hub with two sites, and a camp that was made."""

    def prepare(self):
        os.mkdir(self.home)
        for cls in (Init, InitCamp):
            scene = cls(self.home)
            last(self.home, scene.node, *scene.command(self.home))
        code, said, err = run(self.home, 'hub', 'put', '-', text=json.dumps([change(1), change(2)]))
        if code != 0:
            raise Exception('put: %s %s' % (said, err))
        self.more()

    def more(self):
        pass


class Request(Two):
    name, node = 'join-request', 'camp'

    def command(self, top):
        return ['join', '--request', os.path.join(top, 'camp.request')]

    def state(self, top):
        file = os.path.join(top, 'camp.request')
        return open(file).read() if os.path.exists(file) else 'nothing'


class Admit(Two):
    name = 'admit'

    def more(self):
        last(self.home, 'camp', *Request.command(self, self.home))

    def command(self, top):
        return ['admit', os.path.join(top, 'camp.request'), '--role', 'camp', '--out', os.path.join(top, 'camp.grant')]

    def proof(self, top):
        self.store_is_sound(top)
        if [d['name'] for d in last(top, 'hub', 'devices')['devices']].count('Camp') != 1:
            raise Exception('the camp is no member, or twice')
        if last(top, 'camp', 'join', os.path.join(top, 'camp.grant'))['role'] != 'camp':
            raise Exception('the grant does not let the camp in')


class Join(Admit):
    name, node = 'join', 'camp'

    def more(self):
        super().more()
        last(self.home, 'hub', *Admit.command(self, self.home))

    def command(self, top):
        return ['join', os.path.join(top, 'camp.grant')]

    def proof(self, top):
        self.store_is_sound(top)
        if not os.path.exists(os.path.join(top, 'camp', 'keys', 'grant')):
            raise Exception('no grant is kept beside the keys')


class Put(Two):
    name = 'put'
    text = json.dumps([change(3), change(4), change(5)])

    def command(self, top):
        return ['put', '-']

    def acknowledged(self, code, said):
        return code == 0 or bool(said and isinstance(said[-1], dict) and len(said[-1].get('successful', ())) == 3)

    def proof(self, top):
        self.store_is_sound(top)


class Import(Two):
    name = 'import'

    def more(self):
        shutil.copy(os.path.join(mesh.TOP, 'tests', 'demo', 'sites.map.json'), self.home)
        lines = open(os.path.join(mesh.TOP, 'tests', 'data', 'dtm-nigeria-r50-sites.csv')).read().splitlines(True)
        with open(os.path.join(self.home, 'sites.csv'), 'w') as f:
            f.writelines(lines[:5])

    def command(self, top):
        return ['import', 'csv', os.path.join(top, 'sites.csv'), '--map', os.path.join(top, 'sites.map.json')]

    proof = Put.proof


class Backup(Two):
    name = 'backup'

    def command(self, top):
        return ['backup', os.path.join(top, 'hub.fmstore')]

    def state(self, top):
        file = os.path.join(top, 'hub.fmstore')
        return 'a file' if os.path.exists(file) else 'nothing'

    def proof(self, top):
        whole = counts(top, 'hub')
        last(top, 'hub', 'restore', os.path.join(top, 'hub.fmstore'))
        if counts(top, 'hub') != whole:
            raise Exception('the backup is not whole')
        self.store_is_sound(top)


class Restore(Two):
    name = 'restore'

    def more(self):
        last(self.home, 'hub', *Backup.command(self, self.home))
        code, said, err = run(self.home, 'hub', 'put', '-', text=json.dumps([change(7)]))
        if code != 0:
            raise Exception('put: %s %s' % (said, err))

    def command(self, top):
        return ['restore', os.path.join(top, 'hub.fmstore')]

    def proof(self, top):
        self.store_is_sound(top)
        olds = [n for n in os.listdir(os.path.join(top, 'hub')) if n.startswith('store.old')]
        if not olds:
            raise Exception('the store that was there is gone')
        left = [n for n in os.listdir(os.path.join(top, 'hub')) if n.startswith(('store.new', 'store.part'))]
        if left:
            raise Exception('left behind: %s' % left)
        code, said, err = run(top, 'hub', 'put', '-', text=Put.text)
        if code != 0:
            raise Exception('nothing can be written after: %s' % said)


class Reindex(Two):
    name = 'reindex'

    def command(self, top):
        return ['reindex']

    def state(self, top):
        return counts(top, 'hub'), last(top, 'hub', 'digest')

    proof = Put.proof


class Verify(Reindex):
    name, children = 'verify', True

    def command(self, top):
        return ['verify']

    def proof(self, top):
        left = [n for n in os.listdir(os.path.join(top, 'hub')) if n.startswith('verify')]
        if left:
            raise Exception('left behind: %s' % left)


class Digest(Reindex):
    """Only looks."""
    name = 'digest'

    def command(self, top):
        return ['digest']


class Run(Two):
    """A node runs, takes one request and is stopped."""
    name, daemon = 'run', True

    def command(self, top):
        return ['run']

    def argv(self, top):
        return [PROGRAM, 'run', '--data', os.path.join(top, self.node)]

    def perform(self, top, prefix=()):
        with open(os.path.join(top, 'log'), 'w') as log:
            p = subprocess.Popen([*prefix, *self.argv(top)], stdout=log, stderr=log, cwd=top)
        said = []
        try:
            self.work(top, self.line(top, p), said)
        except load.Gone:
            pass
        try:
            for _ in range(3):                             # a fault may cost the connection, not the node
                try:
                    self.line(top, p).ask('stop')
                    break
                except load.Gone:
                    if p.poll() is not None:
                        break
        finally:
            try:
                p.wait(20)
            except subprocess.TimeoutExpired:              # strace would leave what it started running
                subprocess.run(['pkill', '-KILL', '-P', str(p.pid)])
                p.kill()
                p.wait()
        return p.returncode, said, open(os.path.join(top, 'log')).read()

    def line(self, top, p):
        end = time.monotonic() + 20
        while True:
            try:
                return load.Line(load.socket_of(os.path.join(top, self.node)))
            except load.Gone:
                if p.poll() is not None or time.monotonic() > end:
                    raise
                time.sleep(0.002)

    def work(self, top, line, said):
        said.append(line.ask('submit', changes=[change(3), change(4), change(5)]))

    def acknowledged(self, code, said):
        return any(r['status'] == 'success' for answer in said for r in answer.get('results', []))

    proof = Put.proof


class Sync(Run):
    """A camp that runs, meets its hub and gives and gets records."""
    name, node = 'sync', 'camp'

    def more(self):
        for cls in (Request, Admit, Join):
            last(self.home, cls.node, *cls.command(self, self.home))
        for node, numbers in (('hub', (6, 7)), ('camp', ())):
            code, said, err = run(self.home, node, 'put', '-', text=json.dumps([change(i) for i in numbers]))
            if code != 0:
                raise Exception('put: %s %s' % (said, err))

    def perform(self, top, prefix=()):
        hub = subprocess.Popen([PROGRAM, 'run', '--data', os.path.join(top, 'hub')], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            end, file = time.monotonic() + 20, os.path.join(top, 'hub', 'run.json')
            while not os.path.exists(file) and time.monotonic() < end:
                time.sleep(0.002)
            self.address = json.load(open(file))['nodes'].replace('tcp://', '')
            return super().perform(top, prefix)
        finally:
            hub.terminate()
            hub.wait()

    def work(self, top, line, said):
        line.ask('connect', peer='Hub@' + self.address)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            peers = line.ask('peers').get('peers', [])
            if any(p['name'] == 'Hub' and p['connected'] and p['phase'] == 'in step' for p in peers):
                return said.append('in step')
            time.sleep(0.005)

    def acknowledged(self, code, said):
        return bool(said)

    def proof(self, top):
        self.store_is_sound(top)
        if last(top, 'hub', 'digest') != last(top, 'camp', 'digest'):
            raise Exception('hub and camp are not equal')


SCENES = (Init, InitCamp, Request, Admit, Join, Put, Import, Backup, Restore, Reindex, Verify, Digest, Run, Sync)
NO_MEMORY = (Init, Put, Verify, Digest, Join, Restore)
