"""Every system call of the scenario suite goes wrong once: the process is killed at it, or it returns an error.

  calls.py kill [SCENE…]     a SIGKILL at the N-th call of each kind that changes something, for every N
  calls.py error [SCENE…]    each call that may fail returns EIO, ENOSPC, EINTR or EMFILE, for every N
  calls.py malloc [SCENE…]   the N-th piece of memory that the program itself asks for is not there (build/nomemory.so)

Calls before main (the loader's) are left out. After the fault the state is the one before or the one after; what was
acknowledged is there; the command run again succeeds, leads to the state after and leaves no half-written file. An error is told
in our form (a stable code and what to do), never by an abort, and exit is 0 only if the work was done.
PROOF_SCALE under 100 takes every so manieth call; PROOF_ROUND shifts which."""
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import scenes                                              # noqa: E402

STEP = max(1, 100 // int(os.environ.get('PROOF_SCALE', '100')))
NO_MEMORY = os.path.join(scenes.mesh.TOP, 'build', 'nomemory.so')
KILL = 'signal=KILL'
ROUND = int(os.environ.get('PROOF_ROUND', '0'))
CHANGING = ('openat creat mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink chmod fchmod fchmodat ftruncate '
            'fallocate write writev pwrite64 pwritev sendfile copy_file_range fsync fdatasync msync flock fcntl bind listen sendto '
            'sendmsg').split()
OPENING, WRITING, READING = ('EIO', 'EMFILE', 'ENOSPC'), ('EIO', 'ENOSPC', 'EINTR'), ('EIO', 'EINTR')
ERRORS = dict(openat=OPENING, mkdir=('EIO', 'ENOSPC'), link=('EIO', 'ENOSPC'), rename=('EIO', 'ENOSPC'), renameat2=('EIO', 'ENOSPC'),
              unlink=('EIO',), rmdir=('EIO',), chmod=('EIO',), fchmod=('EIO',), ftruncate=('EIO', 'ENOSPC'), write=WRITING, writev=WRITING,
              pwrite64=WRITING, fsync=WRITING, fdatasync=WRITING, read=READING, pread64=READING, newfstatat=('EIO',), statfs=('EIO',),
              fstatfs=('EIO',), flock=READING, fcntl=READING, lseek=('EIO',), getdents64=('EIO',), socket=('EMFILE',),
              socketpair=('EMFILE',), signalfd4=('EMFILE',), accept4=('EMFILE', 'EINTR'), bind=('EIO',), listen=('EIO',), connect=('EINTR',),
              poll=('EINTR',), recvfrom=READING, recvmsg=READING, sendto=READING, sendmsg=READING, getrandom=('EINTR',), clone=('EAGAIN',),
              wait4=('EINTR',), ioctl=('EIO',), readlink=('EIO',), umask=(), getsockopt=('EIO',))
# No close: strace would not close the descriptor, which no kernel does.
ABORTED = ('Assertion', 'Sanitizer', 'stack smashing', 'terminate called', 'corrupted')


def trace(follow, *options):
    return ['strace', *(['-f'] if follow else []), '-q', '-e', 'signal=none', *options]


def calls_made(scene, top, wanted):
    """{kind: (calls before main, calls in all)} of a run without a fault, of the process that makes most."""
    out = os.path.join(top, 'calls')
    known = [w for w in wanted if subprocess.run(['strace', '-e', 'trace=' + w, 'true'], capture_output=True).returncode == 0]
    code, said, err = scene.perform(top, trace(scene.children, '-e', 'trace=ioctl,' + ','.join(known), '-o', out))
    if code != 0 or not scene.acknowledged(code, said):
        raise Exception('%s fails without a fault: %s %s' % (scene.name, said, err))
    first, before, counts = None, {}, {}
    first, base, before, counts = None, None, {}, {}
    for line in open(out):
        m = re.match(r'(\d+ +)?(\w+)\(', line)
        if not m:
            continue
        pid, name = m.group(1) or '', m.group(2)
        first = pid if first is None else first
        if base is None and line[m.start(2):].startswith('ioctl(1, TCGETS'):
            base = dict(counts.get(first, {}))                     # main looks if it talks to a terminal: before that it is the loader
        mine = counts.setdefault(pid, {})
        mine[name] = mine.get(name, 0) + 1
    if base is None:
        raise Exception('main was not found in the trace')
    made = {}
    for pid, mine in counts.items():
        for name, count in mine.items():
            # a child's first calls have numbers that the loader's calls in the parent have too: those would be hit instead
            made.setdefault(name, set()).update(range(base.get(name, 0) + 1, count + 1))
    return {name: sorted(made[name]) for name in made if name in wanted and made[name]}


class Suite:
    """One scene with its states before and after."""

    def __init__(self, cls, top):
        self.home = os.path.join(top, cls.__name__)
        self.scene = cls(self.home)
        self.scene.prepare()
        self.count, self.faults = 0, []
        work = self.copy()
        self.before = self.scene.state(work)
        shutil.rmtree(work)
        work = self.copy()
        code, said, err = self.scene.perform(work)
        if code != 0:
            raise Exception('%s: %d %s %s' % (self.scene.name, code, said, err))
        self.after = self.scene.state(work)
        shutil.rmtree(work)

    def copy(self, of=None):
        self.count += 1
        work = '%s.%d' % (self.home, self.count)
        shutil.copytree(of or self.home, work, symlinks=True, ignore=lambda d, names: [n for n in names if n.endswith('.sock')])
        return work

    def wrong(self, *what):
        self.faults.append(' '.join(str(w) for w in (self.scene.name, self.where, *what))[:1500])

    def look(self, work):
        """The state, if it can be looked at; a text that says why not."""
        try:
            return self.scene.state(work)
        except Exception as e:
            return 'cannot be looked at: %s' % e

    def between(self, work, done, killed):
        """Looks at a copy after a kill, as looking is a run as well."""
        if not killed:
            state = self.look(work)
        else:
            copy = self.copy(work)
            state = self.look(copy)
            shutil.rmtree(copy)
        if state != self.after and (done or state != self.before):
            self.wrong('acknowledged, and not there:' if done else 'between:', state)
        return state

    def carry_on(self, work):
        """The command again, and what is right then."""
        code, said, err = self.scene.perform(work)
        if code != 0:
            return self.wrong('the next run fails: exit', code, said, err[-500:])
        state = self.look(work)
        if state != self.after:
            return self.wrong('not the state after:', state)
        try:
            self.scene.proof(work)
        except Exception as e:
            self.wrong(e)
        left = [name for _, _, names in os.walk(os.path.join(work, self.scene.node)) for name in names if '.tmp-' in name]
        if left:
            self.wrong('left behind:', left)

    def form(self, code, said, err):
        """An error is said with a code that help knows and with what to do; never by an abort."""
        if any(word in err for word in ABORTED):
            return self.wrong('aborted:', err[-800:])
        if code < 0 or code > 127:
            return self.wrong('ended by signal', code, err[-500:])
        if self.scene.daemon:
            if code != 0 and not re.search(r' error .*[a-z]', err):
                self.wrong('exit', code, 'without a word', err[-500:])
            return
        errors = [e for e in said if isinstance(e, dict) and e.get('type') == 'error']
        if code not in (0, 3) and not (errors and errors[-1].get('do') and errors[-1]['code'] not in ('unknown', 'failed')):
            self.wrong('exit', code, 'without code or what to do:', said[-1:], err[-300:])

    def case(self, kind, fault, n):
        """One fault. True if it was reached."""
        self.where = '%s:%s:when=%d' % (kind, fault, n)
        work = self.copy()
        log = os.path.join(work, 'trace')
        if kind == 'malloc':
            prefix = ['env', 'LD_PRELOAD=' + NO_MEMORY, 'FAIL_AT=%d' % n, 'FAIL_SAID=' + log]
        else:
            prefix = trace(self.scene.children, '-e', 'trace=' + kind, '-e', 'inject=' + self.where, '-o', log)
        code, said, err = self.scene.perform(work, prefix)
        done = self.scene.acknowledged(code, said)
        if fault == KILL:
            reached = code == -9 or self.scene.children and code == 137
        else:
            reached = os.path.exists(log) and (kind == 'malloc' or '(INJECTED)' in open(log).read())
            self.form(code, said, err)
            if code == 0 and not done and not self.scene.daemon:
                self.wrong('exit 0, and not done:', said)
        if reached:
            state = self.between(work, done, fault == KILL)
            if fault == KILL or code != 0 or state != self.after:
                self.carry_on(work)
        elif code != 0:
            self.wrong('exit', code, said, err[-500:])
        shutil.rmtree(work)
        return reached


def sweep(args):
    """(scene, faults asked for, faults reached, what is wrong). How often a running node polls and answers differs from run to
    run: there, each kind is counted up until it is not reached any more."""
    mode, cls, top = args
    suite = Suite(cls, top)
    work = suite.copy()
    only = os.environ.get('ONLY', '').split()               # to look at some kinds of call alone
    wanted = only or dict(kill=CHANGING, error=ERRORS, malloc=())[mode]
    made = calls_made(suite.scene, work, wanted) if mode != 'malloc' else dict(malloc=[1])
    shutil.rmtree(work)
    asked, reached, open_end = 0, 0, suite.scene.daemon or mode == 'malloc'
    for kind in sorted(made):
        for fault in (['error=' + e for e in ERRORS[kind]] if mode == 'error' else [KILL if mode == 'kill' else 'error=ENOMEM']):
            for n in range(made[kind][0], 5000) if open_end else made[kind]:
                asked += 1
                if (asked + ROUND) % STEP != 0:
                    continue
                if suite.case(kind, fault, n):
                    reached += 1
                elif open_end:
                    asked -= 1
                    break
                elif kind == 'getrandom':
                    asked -= 1  # how often a random number is drawn again differs from run to run
                else:
                    suite.wrong('was not reached')
    return suite.scene.name, asked, reached, suite.faults


def main():
    mode, names = sys.argv[1], sys.argv[2:]
    if shutil.which('strace') is None:
        print('FAILED calls: strace is missing (package strace)')
        return 1
    usual = scenes.NO_MEMORY if mode == 'malloc' else scenes.SCENES
    wanted = [c for c in scenes.SCENES if c.name in names] if names else usual
    top, bad, made, reached = tempfile.mkdtemp(prefix='fieldmesh-calls-'), 0, 0, 0
    try:
        with multiprocessing.Pool(2) as pool:
            for name, calls, done, faults in pool.imap(sweep, [(mode, c, top) for c in wanted], 1):
                for f in faults[:int(os.environ.get('SHOW', '12'))]:
                    print('FAILED %s: %s' % (mode, f))
                if not faults:
                    print('ok %s at each of %d calls of %s' % (mode, done, name))
                print('# %s: %d of %d reached, %d faults' % (name, done, calls, len(faults)), flush=True)
                made, reached, bad = made + calls, reached + done, bad + len(faults)
    finally:
        shutil.rmtree(top)
    name = 'malloc_failures' if mode == 'malloc' else 'syscall_%ss' % mode
    print('figure %s %d' % (name, reached))
    print('figure %s_all %d' % (name, made))
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
