"""Hosts of our own on this machine: a network namespace each, all joined through one router ("the air") that can lose packets,
hold them back, or part one host from another, also in one direction only."""
import os
import subprocess

DELAY = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'build', 'release', 'tests', 'net', 'delay')


def sh(*argv, text=None):
    p = subprocess.run(argv, input=text, text=True, capture_output=True)
    if p.returncode != 0:
        raise Exception('%s: %s' % (' '.join(argv), p.stderr))


class Air:
    """The router and its hosts, 10.77.NUMBER.2. close() removes them all."""

    def __init__(self, name):
        self.name, self.hosts, self.delayer = name, {}, None
        self.cut, self.loss, self.delay = set(), 0, (0, 0)
        sh('ip', 'netns', 'add', name)
        sh('ip', 'netns', 'exec', name, 'sysctl', '-qw', 'net.ipv4.ip_forward=1')
        sh('ip', '-n', name, 'link', 'set', 'lo', 'up')

    def host(self, host):
        """A new host; its address."""
        number = len(self.hosts) + 1
        space, near, far = '%s-%s' % (self.name, host), 'n%d' % number, 'f%d' % number
        self.hosts[host] = (space, '10.77.%d.2' % number)
        sh('ip', 'netns', 'add', space)
        sh('ip', '-n', space, 'link', 'set', 'lo', 'up')
        sh('ip', '-n', self.name, 'link', 'add', far, 'type', 'veth', 'peer', 'name', near, 'netns', space)
        sh('ip', '-n', self.name, 'addr', 'add', '10.77.%d.1/24' % number, 'dev', far)
        sh('ip', '-n', self.name, 'link', 'set', far, 'up')
        sh('ip', '-n', space, 'addr', 'add', '10.77.%d.2/24' % number, 'dev', near)
        sh('ip', '-n', space, 'link', 'set', near, 'up')
        sh('ip', '-n', space, 'route', 'add', 'default', 'via', '10.77.%d.1' % number)
        return self.hosts[host][1]

    def inside(self, host):
        return ['ip', 'netns', 'exec', self.hosts[host][0]]

    def weather(self, cut=None, loss=None, delay=None):
        """cut: pairs (from, to) whose packets are dropped; loss in percent; delay: (mean, jitter) in ms. None: as it was."""
        self.cut = self.cut if cut is None else set(cut)
        self.loss = self.loss if loss is None else loss
        if delay is not None and delay != self.delay:
            self.delay = delay
            self.end_delay()
            if delay != (0, 0):
                self.delayer = subprocess.Popen(['ip', 'netns', 'exec', self.name, DELAY, '7', *map(str, delay)],
                                                stdout=subprocess.PIPE, text=True)
                if self.delayer.stdout.readline() != 'ready\n':
                    raise Exception('the delayer does not start')
            # not by nftables: its word for this is a module that not every kernel has
            sh('ip', 'netns', 'exec', self.name, 'iptables', '-F', 'FORWARD')
            if self.delayer:
                sh('ip', 'netns', 'exec', self.name, 'iptables', '-A', 'FORWARD', '-j', 'NFQUEUE', '--queue-num', '7')
        rules = ['ip saddr %s ip daddr %s drop' % (self.hosts[a][1], self.hosts[b][1]) for a, b in sorted(self.cut)]
        if self.loss:
            rules.append('numgen random mod 100 < %d drop' % self.loss)
        sh('ip', 'netns', 'exec', self.name, 'nft', '-f', '-', text='table ip air\ndelete table ip air\ntable ip air { chain way { '
           'type filter hook forward priority 0; policy accept;\n%s\n}\n}\n' % '\n'.join(rules))

    def part(self, one, other, both=True):
        """The pairs that part the hosts of one side from those of the other."""
        return {(a, b) for a in one for b in other} | ({(b, a) for a in one for b in other} if both else set())

    def end_delay(self):
        if self.delayer:
            self.delayer.kill()
            self.delayer.wait()
            self.delayer = None

    def close(self):
        self.end_delay()
        for space in [s for s, _ in self.hosts.values()] + [self.name]:
            subprocess.run(['ip', 'netns', 'del', space], capture_output=True)
