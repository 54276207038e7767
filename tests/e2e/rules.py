"""The numbered rules through the real program: every vector of tests/vectors/rules/ on a coordinator and a camp made by
init, admit and join. Batches go through `put`, decisions through `conflicts resolve` (or the control socket where the
command line cannot say it), sets travel by a real sync. Each case starts on a copy of the two folders after world.json.

rules.py [WORD...]: only files whose name, or cases whose name, contains one of the words."""
import glob
import hashlib
import json
import os
import shutil
import socket
import struct
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'demo'))
import mesh  # noqa: E402

VECTORS = os.path.join(mesh.TOP, 'tests', 'vectors', 'rules')
KINDS = ['', 'assessment', 'response', 'media', 'entity', 'assignment', 'user', 'policy']
COUNTED = ('winner', 'line', 'open', 'replaced', 'settled')
LISTS = {'success': 'successful', 'conflict': 'conflicts', 'failed': 'failed'}


class Differs(Exception):
    pass


def need(truth, what, *args):
    if not truth:
        raise Differs(what % args if args else what)


class Copied(mesh.Node):
    """A node on a copy of a prepared folder: init was run on the original."""

    def __init__(self, top, model):
        self.name, self.role, self.process = model.name, model.role, None
        self.data = os.path.join(top, os.path.basename(model.data))
        self.log = self.data + '.log'
        shutil.copytree(model.data, self.data)

    def up(self):
        return self if self.process is not None else self.start()

    def ask(self, request):
        """One operation over the control socket of the running node."""
        self.up()
        text = json.dumps(request).encode()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.connect(self.cmd('paths')['socket'])
            s.sendall(struct.pack('>I', len(text)) + text)
            got = b''
            while len(got) < 4 or len(got) < 4 + struct.unpack('>I', got[:4])[0]:
                more = s.recv(1 << 20)
                need(more, 'the control socket closed')
                got += more
        return json.loads(got[4:])


def subset(want, have, path=''):
    """Every key of want with its value; null: absent; objects are looked into. The first path that differs, or None."""
    for key, value in want.items():
        at = path + key
        if value is None:
            if isinstance(have, dict) and key in have:
                return at
        elif isinstance(value, dict) and isinstance(have.get(key), dict):
            found = subset(value, have[key], at + '.')
            if found:
                return found
        elif key not in have or have[key] != value or type(have[key]) is not type(value):
            return '%s is %r, want %r' % (at, have.get(key), value)
    return None


class Run:
    def __init__(self, top, models):
        self.node = {name: Copied(top, model) for name, model in models.items()}
        self.hub_key = models['coordinator'].key
        self.results = []
        self.pulls = []

    def end(self):
        mesh.stop_all(self.node.values())

    def at(self, batch):
        return self.node[batch.get('at', 'camp')]

    # --- looking ---
    def show(self, node, kind, record):
        code, out, _ = node.run_cmd('show', record, '--json', ok=None)
        if code != 0:
            return None
        shown = json.loads(out)
        need(shown['type'] == kind, '%s is a %s, want a %s', record, shown['type'], kind)
        return shown if any(v['state'] in COUNTED for v in shown['versions']) else None

    def version_named(self, node, kind, name, off_line):
        """ "ID@NUMBER" or "ID@NUMBER by ACTOR"; off_line: one that is neither winner nor on its line."""
        record, _, rest = name.partition('@')
        if not rest:
            return None
        number, _, by = rest.partition(' by ')
        shown = self.show(node, kind, record)
        for v in shown['versions'] if shown else []:
            if v['version'] == int(number) and v['state'] in COUNTED and (not by or v['actor'] == by) and \
               not (off_line and v['state'] in ('winner', 'line')):
                return v['id']
        return None

    # --- handing in ---
    def named(self, change):
        """With the coordinator's key where the data says "@coordinator"."""
        data = change.get('data')
        if not isinstance(data, dict) or data.get('autoSettleNode') != '@coordinator':
            return dict(change)
        return dict(change, data=dict(data, autoSettleNode=self.hub_key))

    def put(self, batch):
        node, changes = self.at(batch), []
        for change in batch['changes']:
            change = self.named(change)
            if 'baseVersionId' in change:
                name = change['baseVersionId']
                change['baseVersionId'] = self.version_named(node, change['type'], name, False)
                need(change['baseVersionId'], 'no version %s', name)
            changes.append(change)
        answer = node.cmd('put', '-', '--as', batch['as'], text=json.dumps(changes), ok=(0, 3, 4))
        lists = {k: list(answer[v]) for k, v in LISTS.items()}
        need(sum(len(x) for x in lists.values()) == len(changes), 'results %r for %d changes',
             {k: len(v) for k, v in lists.items()}, len(changes))  # rule 3
        wanted = batch.get('expect', {}).get('results') or [{'status': 'success'}] * len(changes)
        need(len(wanted) == len(changes) + len(batch.get('resolve', [])), 'the vector has %d results', len(wanted))
        for i, want in enumerate(wanted[:len(changes)]):  # each list is in input order
            if not lists[want['status']]:
                told = [x['status'] + ': ' + x['code'] + ' ' + x['message'] for x in sum(lists.values(), [])]
                raise Differs('result %d: want %s, but the rest is %r' % (i, want['status'], told))
            self.results.append(lists[want['status']].pop(0))

    def resolve(self, batch, item):
        node = self.at(batch)
        kind = item.get('type', 'assessment')
        version = self.version_named(node, kind, item.get('loser', ''), not item.get('any'))
        entry = '77' * 16
        if version:
            record = bytes.fromhex(item['loser'][:36].replace('-', ''))
            entry = hashlib.blake2b(b'fieldmesh conflict 1' + bytes([KINDS.index(kind)]) + record + bytes.fromhex(version),
                                    digest_size=16).hexdigest()
        strategy = item.get('resolutionStrategy', 'last_write_wins')
        if 'resolvedData' in item or item.get('undo') or strategy == 'manual':
            request = dict(conflict=entry, strategy=strategy, undo=bool(item.get('undo')))
            request.update({k: item[j] for k, j in (('data', 'resolvedData'), ('reason', 'reason')) if j in item})
            self.results.append(node.ask(dict(op='resolve', **{'as': batch['as']}, resolutions=[request]))['results'][0])
            return
        args = ['--merge'] if strategy == 'merge' else ['--take', 'A']
        if 'reason' in item:
            args += ['--note', item['reason']]
        if batch['as'] != 'operator':
            args += ['--as', batch['as']]
        code, out, err = node.run_cmd('conflicts', 'resolve', entry, *args, '--json', ok=None)
        last = json.loads(out.splitlines()[-1])
        if code != 0:
            need(last.get('type') == 'error', 'exit %d without an error: %s%s', code, out, err)
            last = dict(status='failed', code=last['code'], message=last.get('what', last.get('message', '')), serverId='')
        self.results.append(last)

    def sync(self):
        hub, camp = self.node['coordinator'].up(), self.node['camp'].up()
        said = camp.meet(hub)
        need(said.get('inStep'), 'not in step: %r', said)

    def batch(self, batch):
        first = len(self.results)
        if batch.get('changes'):
            self.put(batch)
        for item in batch.get('resolve', []):
            self.resolve(batch, item)
        if batch.get('sync'):
            self.sync()
        for ask in batch.get('pull', []):
            self.pull(batch, ask)
        for ask in batch.get('records', []):
            self.list_records(batch, ask)
        for ask in batch.get('lookup', []):
            self.lookup(batch, ask)
        if 'duplicates' in batch:
            have = self.at(batch).cmd('records', '--duplicates')['duplicates']
            need(have == batch['duplicates'], 'duplicates are %r', have)
        self.check(batch, first)

    # --- pull, records and lookup ---
    def pull_once(self, node, request):
        if 'entityIds' in request or not all(isinstance(request.get(k, ''), str) for k in ('cursor', 'lastSyncTimestamp')):
            return node.ask(dict(op='pull', **request))
        args = ['pull', '--json']
        for option, key in (('as', 'as'), ('cursor', 'cursor'), ('since', 'lastSyncTimestamp'), ('limit', 'limit')):
            if key in request:
                args += ['--' + option, str(request[key])]
        code, out, _ = node.run_cmd(*args, ok=None)
        last = json.loads(out.splitlines()[-1])
        return {'error': last} if code != 0 else last

    def pull(self, batch, ask):
        node, want = self.at(batch), ask['expect']
        request = {k: ask[k] for k in ('cursor', 'lastSyncTimestamp', 'entityIds', 'limit') if k in ask}
        request['as'] = ask.get('as', batch['as'])
        for key, field, name in (('cursorOf', 'cursor', 'cursor'), ('sinceOf', 'lastSyncTimestamp', 'syncTimestamp')):
            if key in ask:
                request[field] = self.pulls[ask[key]][name]
        where = 'pull %d: ' % len(self.pulls)
        answer = self.pull_once(node, request)
        self.pulls.append(answer)
        if 'error' in want or 'error' in answer:
            error = answer.get('error', {})
            need(error.get('code') == want.get('error'), where + 'error is %r, want %r', error, want.get('error'))
            need(want.get('message', '') in error.get('message', error.get('what', '')), where + 'error says %r', error)
            return
        pages, whole = 1, {k: list(answer[k]) for k in ('assessments', 'responses', 'tombstones')}
        while ask.get('pages') and answer['hasMore']:
            held = sum(len(answer[k]) for k in whole)
            need(held == request.get('limit', 1000), where + 'a page of %d with more to come', held)
            request['cursor'] = answer['cursor']
            answer = self.pull_once(node, request)
            need('error' not in answer, where + 'page %d: %r', pages, answer)
            pages += 1
            for k in whole:
                whole[k] += answer[k]
        self.pulls[-1] = answer
        for k in ('assessments', 'responses', 'tombstones', 'entities'):
            have = sorted(x['id'] for x in (answer if k == 'entities' else whole)[k])
            if k in want:
                need(have == sorted(want[k]), where + '%s are %r, want %r', k, have, want[k])
        for x in whole['assessments'] + whole['responses']:
            need(isinstance(x['mediaAttachments'], list) and len(x['versionId']) == 48, where + 'a record without additions')
        need('hasMore' not in want or answer['hasMore'] == want['hasMore'], where + 'hasMore is %r', answer['hasMore'])
        need('pages' not in want or pages == want['pages'], where + '%d pages', pages)
        held = {x['id']: x for k in whole for x in whole[k]}
        for record, fields in want.get('documents', {}).items():
            found = subset(fields, held.get(record, {}))
            need(not found, where + '%s: %s', record, found)

    def list_records(self, batch, ask):
        args = ['records', '--json']
        for key in ('type', 'entity', 'limit'):
            if key in ask:
                args += ['--' + key, str(ask[key])]
        have = [x['id'] for x in self.at(batch).lines(*args, *(['--deleted'] if ask.get('deleted') else []))]
        need(have == ask['expect'], 'records are %r, want %r', have, ask['expect'])

    def lookup(self, batch, ask):
        answer = self.at(batch).ask(dict(op='lookup', of=ask['of']))['records']
        have = [x and x['id'] for x in answer]
        need(have == ask['expect'], 'lookup gives %r, want %r', have, ask['expect'])

    # --- what must come of it ---
    def check_result(self, at, want):
        have = self.results[at]
        for key in ('status', 'code', 'serverId', 'offlineId'):
            if key in want:
                need(have.get(key, '') == want[key], "result %d: %s is %r, want %r (%s)", at, key, have.get(key), want[key],
                     have.get('message'))
        need(have.get('message', '').startswith(want.get('message', '')), 'result %d: message %r, want %r...', at,
             have.get('message'), want.get('message'))
        failed = have['status'] == 'failed'
        need(failed == (have.get('serverId', '') == ''), 'result %d: %s with serverId %r', at, have['status'],
             have.get('serverId'))  # rule 2
        need(failed == (have.get('code', '') != ''), 'result %d: %s with code %r', at, have['status'], have.get('code'))
        need(not failed or have['message'], 'result %d: failed without a reason', at)
        need(have['status'] != 'conflict' or 'conflictData' in have, 'result %d: a conflict without conflictData', at)
        if 'sameIdAs' in want:
            same = self.results[want['sameIdAs']]['serverId']
            need(have['serverId'] == same, 'result %d: serverId %s', at, have['serverId'])
        found = subset(want.get('conflictData', {}), have.get('conflictData', have.get('resolvedData', {})))
        need(not found, 'result %d: conflictData: %s', at, found)

    def check_stored(self, batch, want):
        kind = want.get('type', 'assessment')
        record = self.results[want['of']]['serverId'] if 'of' in want else want['id']
        shown = self.show(self.at(batch), kind, record)
        need((shown is not None) == want.get('shown', True), '%s: %s here', record, 'is' if shown else 'is not')
        if shown is None:
            return
        counted = [v for v in shown['versions'] if v['state'] in COUNTED]
        opened = sum(v['state'] == 'open' for v in counted)
        need(want.get('versions', len(counted)) == len(counted), '%s: %d versions', record, len(counted))
        need(want.get('open', opened) == opened, '%s: %d open conflicts', record, opened)
        need(want.get('deleted', shown['deleted']) == shown['deleted'], '%s: deleted is %r', record, shown['deleted'])
        if 'duplicates' in want:
            need(shown.get('duplicates') == want['duplicates'], '%s: duplicates %r', record, shown.get('duplicates'))
        need(want.get('flag', shown.get('flag', '')) == shown.get('flag', ''), '%s: flag %r', record, shown.get('flag'))
        for v in counted:
            if 'version' not in want and v['state'] != 'winner' or 'version' in want and v['version'] != want['version'] or \
               v['actor'] != want.get('by', v['actor']) or v['state'] != want.get('place', v['state']):
                continue
            found = subset(want.get('document', {}), v['document'])
            need(not found, '%s version %d: %s', record, v['version'], found)
            entry = next((c for c in shown['conflicts'] if c['losingVersionId'] == v['id']), {})
            at = '%s version %d: ' % (record, v['version'])
            need((v['state'] in ('open', 'replaced', 'settled')) == bool(entry), at + 'entry %r', entry)
            need(want.get('class', entry.get('class')) == entry.get('class'), at + 'class %s', entry.get('class'))
            found = subset(want.get('entry', {}), entry)
            need(not found, '%s version %d: entry: %s', record, v['version'], found)
            parent = next((p['version'] for p in counted if v['parents'] and p['id'] == v['parents'][0]), 0)
            need(want.get('parent', parent) == parent, '%s version %d: made from %d', record, v['version'], parent)
            return
        raise Differs('%s: no version like %r' % (record, {k: v for k, v in want.items() if k != 'document'}))

    def check(self, batch, first):
        expect = batch.get('expect', {})
        if 'results' in expect:
            need(len(expect['results']) == len(self.results) - first, '%d results', len(self.results) - first)
            for i, want in enumerate(expect['results']):
                self.check_result(first + i, want)
        elif batch is not self.case:
            for r in self.results[first:]:
                need(r['status'] == 'success', 'setup: %s: %s', r['status'], r.get('message'))
        for want in expect.get('stored', []):
            self.check_stored(batch, want)
        if 'conflicts' in expect:
            entries = self.at(batch).lines('conflicts')
            need(len(entries) == expect['conflicts'], '%d open conflicts, want %d', len(entries), expect['conflicts'])

    def run(self, case):
        self.case = case
        for batch in case.get('setup', []) + [case]:
            self.batch(batch)


def prepare(top):
    """Two nodes of one mesh that both hold world.json."""
    os.mkdir(top)
    models = {'coordinator': mesh.Node(top, 'Maiduguri hub', 'coordinator'), 'camp': mesh.Node(top, 'Dikwa camp', 'camp')}
    hub, camp = models['coordinator'], models['camp']
    mesh.admit(hub, [camp])
    hub.key = hub.lines('records', '--type', 'policy')[0]['autoSettleNode']  # as init wrote it
    for batch in json.load(open(os.path.join(VECTORS, 'world.json')))['batches']:
        changes = json.loads(json.dumps(batch['changes']).replace('@coordinator', hub.key))
        answer = models[batch['at']].put(changes, None if batch['as'] == 'operator' else batch['as'])
        assert not answer['conflicts'] and not answer['failed'], answer
    hub.start()
    camp.start()
    camp.meet(hub)
    mesh.stop_all(models.values())
    assert hub.digest() == camp.digest()
    return models


def needs_clock(case):
    return any('aheadMs' in batch for batch in case.get('setup', []) + [case])


def one(job):
    top, models, name, case = job
    if needs_clock(case):
        return name, None  # the system's clock is nobody's to set here: tests/unit/test_rules.c has it
    os.mkdir(top)
    run = Run(top, models)
    why = ''
    try:
        run.run(case)
    except (Differs, mesh.Failed, KeyError, ValueError, OSError) as e:
        why = '%s: %s' % (type(e).__name__, e) if not isinstance(e, Differs) else str(e)
    finally:
        run.end()
    shutil.rmtree(top)
    return name, why


def main():
    words, bad, jobs = sys.argv[1:], 0, []
    top = tempfile.mkdtemp(prefix='fieldmesh-rules-')
    try:
        models = prepare(os.path.join(top, 'world'))
        for path in sorted(glob.glob(os.path.join(VECTORS, 'rule-*.json'))):
            vector = json.load(open(path))
            for case in vector['cases']:
                name = 'rule_%02d_%s' % (vector['rule'], case['name'])
                if not words or any(w in name or w in os.path.basename(path) for w in words):
                    jobs.append((os.path.join(top, str(len(jobs))), models, name, case))
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for name, why in pool.map(one, jobs):
                if why is None:
                    print('left to the unit runner (needs another clock):', name)
                    continue
                print('FAILED %s: %s' % (name, why) if why else 'ok ' + name)
                bad += bool(why)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    return 1 if bad or not jobs else 0


if __name__ == '__main__':
    sys.exit(main())
