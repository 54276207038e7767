"""make bench: a full sync of generated records from a coordinator to an empty camp, beside what the bare libraries reach,
and a contact when nothing changed. See run.sh for how it is started."""
import json
import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'demo'))
import mesh  # noqa: E402

N = int(os.environ.get('BENCH_N', '100000'))
RUNS = int(os.environ.get('BENCH_RUNS', '3'))
TOOLS = os.environ['BENCH_TOOLS']
RATIO_ASKED, NOOP_BYTES_ASKED = 0.2, 600
ASSERT_RATIO = os.environ.get('BENCH_ASSERT', 'all') != 'contact'


# --- what the system says ---

def wire_bytes():
    """Bytes that passed the loopback interface of this network."""
    for line in open('/proc/net/dev'):
        if line.strip().startswith('lo:'):
            return int(line.split(':')[1].split()[0])
    return 0


def processes(node):
    """The node's own process and those it forked."""
    out, first = [], node.process.pid
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            stat = open('/proc/%s/stat' % pid).read().rsplit(')', 1)[1].split()
        except OSError:
            continue
        if int(pid) == first or int(stat[1]) == first or int(stat[1]) in out:
            out.append(int(pid))
    return out


def usage(node):
    """(CPU seconds, peak resident bytes without the mapped store, peak with it) of all processes of a node."""
    cpu = peak = 0
    for pid in processes(node):
        stat = open('/proc/%d/stat' % pid).read().rsplit(')', 1)[1].split()
        cpu += (int(stat[11]) + int(stat[12])) / os.sysconf('SC_CLK_TCK')
        for line in open('/proc/%d/status' % pid):
            if line.startswith('VmHWM:'):
                peak += int(line.split()[1]) * 1024
    return cpu, peak


def disk_bytes(node):
    return sum(os.stat(os.path.join(d, f)).st_blocks * 512 for d, _, files in os.walk(node.data) for f in files)


def commits(node):
    """The number of LMDB's last commit, from its two meta pages."""
    for d, _, files in os.walk(node.data):
        if 'data.mdb' in files:
            with open(os.path.join(d, 'data.mdb'), 'rb') as f:
                pages = f.read(8192)
            return max(struct.unpack_from('<Q', pages, at + 144)[0] for at in (0, 4096))
    return 0


class Capture:
    """The packets of one contact, as the loopback interface carries them; needs the right to look (None of it: open is False)."""
    OUTGOING = 4                                          # loopback shows each packet twice; this is one of them

    def __init__(self):
        self.open = False
        try:
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.socket.bind(('lo', 0))
            self.socket.setblocking(False)
            self.open = True
        except OSError:
            pass

    def packets(self):
        """(whole length, source port, TCP payload) of all TCP packets so far."""
        out = []
        while self.open:
            try:
                frame, where = self.socket.recvfrom(65536)
            except BlockingIOError:
                break
            if where[2] != self.OUTGOING or frame[12:14] != b'\x08\x00' or frame[23] != 6:
                continue
            tcp = 14 + 4 * (frame[14] & 15)
            total = 14 + struct.unpack('>H', frame[16:18])[0]
            out.append((total, frame[tcp:tcp + 2], frame[tcp + 4 * (frame[tcp + 12] >> 4):total]))
        return out

    def after_handshake(self):
        """(bytes of all packets after CURVE's READY, headers and bare acknowledgements too; messages by direction)."""
        taken, messages, ready = 0, {}, False
        for total, port, payload in self.packets():
            if ready:
                taken += total
            elif b'\x05READY' in payload:
                at = payload.index(b'\x05READY')          # a ZMTP command: flags, length, then this
                ready, rest = True, payload[at + payload[at - 1]:]
                taken, payload = len(rest), rest
            else:
                continue
            if b'\x07MESSAGE' in payload:
                messages[port] = messages.get(port, 0) + payload.count(b'\x07MESSAGE')
        return taken, sorted(messages.values())


# --- the reference ---

def pipeline(top, records, commit):
    d = os.path.join(top, 'reference')
    os.mkdir(d)
    before = wire_bytes()
    out = json.loads(subprocess.run([os.path.join(TOOLS, 'reference'), 'pipeline', records, d, str(commit)],
                                    check=True, capture_output=True, text=True).stdout)
    out['wire_bytes'] = wire_bytes() - before
    shutil.rmtree(d)
    return out


def bare_contact():
    """Bytes on the wire until a bare CURVE connection stands."""
    p = subprocess.Popen([os.path.join(TOOLS, 'reference'), 'contact'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    p.stdout.readline()
    before = settled_bytes()
    p.stdin.write('\n')
    p.stdin.flush()
    p.stdout.readline()
    taken = settled_bytes() - before
    p.communicate('\n')
    return taken


def settled_bytes():
    """Once nothing moves any more: delayed TCP acknowledgements belong to what they acknowledge."""
    last = wire_bytes()
    for _ in range(50):
        time.sleep(0.1)
        now = wire_bytes()
        if now == last:
            break
        last = now
    return last


# --- fieldmesh ---

def fill(node, top):
    """Entities and records through the running node, as anyone imports them. Seconds of the records' import."""
    for what in ('entities', 'records'):
        path = os.path.join(top, what + '.ndjson')
        began = time.monotonic()
        out = subprocess.run(node.argv('put', path), capture_output=True, text=True)
        if out.returncode != 0:
            raise Exception('put failed: %s%s' % (out.stdout[-1500:], out.stderr[-1500:]))
    return time.monotonic() - began


def peer_of(node, name):
    for p in node.cmd('peers')['peers']:
        if p['name'] == name:
            return p
    return {}


def contact(b, a):
    """A contact with nothing to say: one connection until it is in step."""
    before, capture = settled_bytes(), Capture()
    b.cmd('sync', '%s@%s' % (a.name, a.address))
    end = time.monotonic() + 30
    p = {}
    while p.get('phase') != 'in step' and time.monotonic() < end:
        time.sleep(0.02)
        p = peer_of(b, a.name)
    if p.get('phase') != 'in step':
        raise Exception('the contact did not come in step: %s' % p)
    taken = settled_bytes() - before
    after, messages = capture.after_handshake()
    p = peer_of(b, a.name)
    b.cmd('sync', '%s@%s' % (a.name, a.address), '--leave')
    return dict(interface=taken, sent=p['bytesSent'], received=p['bytesReceived'], rounds=p['rounds'],
                wire_bytes=after if capture.open else None, messages=messages if capture.open else None)


def quiet(b, a):
    """The median of a few. Where packets may not be looked at: all bytes less what a bare connection takes, which is a little
    less, as acknowledgements of the handshake then ride on messages."""
    bare = statistics.median(bare_contact() for _ in range(3))
    tries = [contact(b, a) for _ in range(5)]
    for t in tries:
        if t['messages'] is None:
            t.update(wire_bytes=t['interface'] - bare, messages=[t['rounds']] * 2)
    return dict(sorted(tries, key=lambda t: t['wire_bytes'])[len(tries) // 2], bare=bare)


def one_run(top, first):
    a, b = mesh.Node(top, 'Hub', 'coordinator'), mesh.Node(top, 'Camp', 'camp')
    nodes = [a, b]
    out = {}
    try:
        mesh.admit(a, [b])
        for n in nodes:
            n.start()
        import_began = commits(a)
        out['import_s'] = fill(a, os.path.dirname(top))
        out['import_commits'] = commits(a) - import_began
        out['import_cpu_s'] = usage(a)[0]
        cpu = [usage(n)[0] for n in nodes]
        wire, held = wire_bytes(), commits(b)
        began = time.monotonic()
        b.cmd('sync', '%s@%s' % (a.name, a.address), '--wait')
        out['seconds'] = time.monotonic() - began
        out['wire_bytes'] = settled_bytes() - wire
        p = peer_of(b, a.name)
        out['session_bytes'] = p['bytesSent'] + p['bytesReceived']
        out['commits'] = max(1, commits(b) - held)
        out['cpu_s'] = [usage(n)[0] - c for n, c in zip(nodes, cpu)]
        out['peak_bytes'] = [usage(n)[1] for n in nodes]
        out['disk_bytes'] = [disk_bytes(n) for n in nodes]
        if a.digest() != b.digest():
            raise Exception('the digests differ after the sync')
        if b.status()['assessments'] + b.status()['responses'] != N:
            raise Exception('records are missing at the camp: %s' % b.status())
        b.cmd('sync', '%s@%s' % (a.name, a.address), '--wait', '--leave')
        out['noop'] = quiet(b, a) if first else None
    finally:
        mesh.stop_all(nodes)
    return out


def run(top, number):
    d = os.path.join(top, 'run%d' % number)
    os.mkdir(d)
    out = one_run(d, number == 0)
    out['commit'] = max(1, round(N / out['commits']))
    out['pipeline'] = pipeline(d, os.path.join(top, 'records.ndjson'), out['commit'])
    out['ratio'] = N / out['seconds'] / out['pipeline']['records_per_s']
    shutil.rmtree(d)
    return out


# --- telling ---

def median(runs, key):
    return statistics.median(key(r) for r in runs)


def table(runs, noop):
    rows = [
        ('import through the control socket, records/s', median(runs, lambda r: N / r['import_s']), 0),
        ('  records a commit', median(runs, lambda r: N / r['import_commits']), 0),
        ('full sync, records/s', median(runs, lambda r: N / r['seconds']), 0),
        ('  records a commit', median(runs, lambda r: r['commit']), 0),
        ('  bytes on the wire a record', median(runs, lambda r: r['wire_bytes'] / N), 0),
        ('  bytes of session messages a record', median(runs, lambda r: r['session_bytes'] / N), 0),
        ('  CPU seconds, hub', median(runs, lambda r: r['cpu_s'][0]), 2),
        ('  CPU seconds, camp', median(runs, lambda r: r['cpu_s'][1]), 2),
        ('  peak memory MiB, hub (with the mapped store)', median(runs, lambda r: r['peak_bytes'][0] / 2**20), 0),
        ('  peak memory MiB, camp (with the mapped store)', median(runs, lambda r: r['peak_bytes'][1] / 2**20), 0),
        ('  disk bytes a record, hub', median(runs, lambda r: r['disk_bytes'][0] / N), 0),
        ('  disk bytes a record, camp', median(runs, lambda r: r['disk_bytes'][1] / N), 0),
        ('bare libraries at the same commit size, records/s', median(runs, lambda r: r['pipeline']['records_per_s']), 0),
        ('  bytes on the wire a record', median(runs, lambda r: r['pipeline']['wire_bytes'] / N), 0),
        ('  CPU seconds, both sides', median(runs, lambda r: sum(r['pipeline']['cpu_s'])), 2),
        ('nothing changed: bytes on the wire, all', noop['interface'], 0),
        ('  of them a bare CURVE handshake', noop['bare'], 0),
        ('  after the handshake, all packets', noop['wire_bytes'], 0),
        ('  session messages, bytes each way', '%d + %d' % (noop['sent'], noop['received']), 0),
    ]
    print('%d records, %d run%s, the nodes on %s' % (N, RUNS, '' if RUNS == 1 else 's (medians)', os.environ.get('BENCH_NETWORK', 'loopback')))
    for what, value, digits in rows:
        print('  %-52s %12s' % (what, value if isinstance(value, str) else '%.*f' % (digits, value)))


def verdicts(ratio, noop):
    """The lines that make bench is asked for; False if one fails."""
    fast = ratio >= RATIO_ASKED
    word = 'ok' if fast else 'FAILED' if ASSERT_RATIO else 'note'
    print('%s full sync is %.2f x the reference (asked >= %.1f)' % (word, ratio, RATIO_ASKED))
    small = 0 < noop['wire_bytes'] <= NOOP_BYTES_ASKED
    once = noop['rounds'] == 1 and noop['messages'] == [1, 1]
    print('%s a no-change contact takes %d bytes after the handshake (asked <= %d), %s' % (
        'ok' if small and once else 'FAILED', noop['wire_bytes'], NOOP_BYTES_ASKED,
        'one message each way' if once else '%s messages' % noop['messages']))
    return (fast or not ASSERT_RATIO) and small and once


def main():
    top = tempfile.mkdtemp(prefix='fieldmesh-bench-', dir=os.environ.get('BENCH_DIR'))
    try:
        for what in ('entities', 'records'):
            with open(os.path.join(top, what + '.ndjson'), 'w') as f:
                subprocess.run([os.path.join(TOOLS, 'workload'), what, str(N)], check=True, stdout=f)
        runs = [run(top, i) for i in range(RUNS)]
        noop = runs[0]['noop']
        ratio = median(runs, lambda r: r['ratio'])
        table(runs, noop)
        good = verdicts(ratio, noop)
        if os.environ.get('BENCH_JSON') == '-':
            print(json.dumps(dict(
                records=N, runs=RUNS, ratio=round(ratio, 4),
                full_sync=dict(records_per_s=round(median(runs, lambda r: N / r['seconds'])), wire_bytes=round(median(runs, lambda r: r['wire_bytes'])),
                               records_per_commit=round(median(runs, lambda r: r['commit']))),
                put=dict(records_per_s=round(median(runs, lambda r: N / r['import_s']))),
                pipeline=dict(records_per_s=round(median(runs, lambda r: r['pipeline']['records_per_s']))),
                noop=dict(wire_bytes=noop['wire_bytes'], session_bytes=noop['sent'] + noop['received'], rounds=noop['rounds'])),
                separators=(',', ':')))
    finally:
        shutil.rmtree(top, ignore_errors=True)
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
