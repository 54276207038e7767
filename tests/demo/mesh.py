"""Real fieldmesh nodes for the demo and the end-to-end tests: one data folder and one process pair a node, on loopback."""
import json
import os
import signal
import subprocess
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get('FIELDMESH', os.path.join(TOP, 'build', 'release', 'fieldmesh'))


class Failed(Exception):
    def __init__(self, argv, code, out, err):
        super().__init__('%s -> exit %d\n%s%s' % (' '.join(argv), code, out[-2000:], err[-2000:]))
        self.code, self.out, self.err = code, out, err

    def error(self):
        """The error object of --json, or {}."""
        for line in reversed(self.out.splitlines()):
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict) and value.get('type') == 'error':
                return value
        return {}


class Node:
    """A node in its own folder. cmd() runs the program as a person would."""

    def __init__(self, top, name, role, *options):
        self.name, self.role, self.process = name, role, None
        self.data = os.path.join(top, name.lower().replace(' ', '-').replace("'", ''))
        self.log = self.data + '.log'
        self.cmd('init', '--name', name, '--role', role, '--listen', '127.0.0.1:0', '--http', '127.0.0.1:0', *options)

    def argv(self, *args):
        return [PROGRAM, *args, '--data', self.data]

    def run_cmd(self, *args, text=None, ok=(0,)):
        """(exit code, stdout, stderr); Failed unless the code is in ok (None: any)."""
        argv = self.argv(*args)
        p = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=600)
        if ok is not None and p.returncode not in ok:
            raise Failed(argv, p.returncode, p.stdout, p.stderr)
        return p.returncode, p.stdout, p.stderr

    def cmd(self, *args, text=None, ok=(0,)):
        """The last line of --json output as an object."""
        out = self.run_cmd(*args, '--json', text=text, ok=ok)[1]
        lines = out.splitlines()
        return json.loads(lines[-1]) if lines else None

    def lines(self, *args, ok=(0,)):
        return [json.loads(x) for x in self.run_cmd(*args, '--json', ok=ok)[1].splitlines()]

    def put(self, changes, user=None, ok=(0, 4)):
        as_user = ['--as', user] if user else []
        return self.cmd('put', '-', *as_user, text=json.dumps(changes), ok=ok)

    # --- the running node ---
    def start(self):
        self.process = subprocess.Popen(self.argv('run'), stdout=open(self.log, 'a'), stderr=subprocess.STDOUT)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                run = self.cmd('paths')['run']
                self.address = run['nodes'].replace('tcp://', '')
                if run['pid'] == self.process.pid and self.cmd('status')['running']: # not what a killed one left
                    return self
            except (Failed, KeyError, TypeError):
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise Exception('%s did not start:\n%s' % (self.name, open(self.log).read()[-3000:]))

    def stop(self, number=signal.SIGTERM):
        if self.process is None:
            return
        self.process.send_signal(number)
        self.process.wait(60)
        self.process = None

    def meet(self, other, *options):
        """Dials the other node, syncs until both are in step, and leaves."""
        return self.cmd('sync', '%s@%s' % (other.name, other.address), '--wait', '--leave', *options)

    def status(self):
        return self.cmd('status')

    def digest(self):
        return self.cmd('digest')


def admit(coordinator, nodes, *options):
    """Request and grant files, as people carry them. The last grant goes to all: it names those who came after them."""
    with tempfile.TemporaryDirectory() as d:
        grants = []
        for i, node in enumerate(nodes):
            request = os.path.join(d, 'request%d' % i)
            grants.append(os.path.join(d, 'grant%d' % i))
            node.cmd('join', '--request', request)
            coordinator.cmd('admit', request, '--role', node.role, '--out', grants[i], *options)
        for node, grant in zip(nodes, grants):
            node.cmd('join', grant)
            if grant != grants[-1]:
                node.cmd('join', grants[-1])


def stop_all(nodes):
    for n in nodes:
        if n.process is not None:
            n.process.send_signal(signal.SIGTERM)
    for n in nodes:
        if n.process is not None:
            try:
                n.process.wait(30)
            except subprocess.TimeoutExpired:
                n.process.kill()
            n.process = None
