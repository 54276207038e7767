"""Every command once, for people and as --json; exit codes, errors, and what must not write."""
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import field
import mesh
from field import ok

MAP = os.path.join(mesh.TOP, 'tests', 'demo', 'sites.map.json')
SITES = os.path.join(mesh.TOP, 'tests', 'data', 'dtm-nigeria-r50-sites.csv')
CODES = dict(done=0, failed=1, usage=2, part=3, conflicts=4, none=5, no_node=10, not_running=11, busy=12, not_allowed=13)


def run(*argv, env=None, text=None):
    p = subprocess.run([mesh.PROGRAM, *argv], capture_output=True, text=True, input=text, timeout=120, env=dict(os.environ, **(env or {})))
    return p.returncode, p.stdout, p.stderr


def fails(name, code, word, *argv, env=None):
    """Both forms: the exit code; a stable code, a sentence and what to do."""
    human, machine = run(*argv, env=env), run(*argv, '--json', env=env)
    lines = [json.loads(x) for x in machine[1].splitlines()]
    error = lines[-1] if lines else {}
    talk = human[2]
    ok('%s: exit %d, code %s' % (name, code, word),
       human[0] == machine[0] == code and error.get('type') == 'error' and error.get('code') == word and error.get('message') and
       '  code  ' + word in talk and talk.startswith('fieldmesh: '), (human, machine))
    ok('%s: says what to do' % name, error.get('do') and '  do    ' in talk, (talk, error))


def works(name, node, *args, code=0, text=None):
    """Both forms succeed; the --json lines."""
    human = subprocess.run(node.argv(*args), capture_output=True, text=True, input=text, timeout=120)
    machine = subprocess.run(node.argv(*args, '--json'), capture_output=True, text=True, input=text, timeout=120)
    try:
        lines = [json.loads(x) for x in machine.stdout.splitlines()]
    except ValueError as e:
        lines = e
    ok(name + ': both forms', human.returncode == machine.returncode == code and isinstance(lines, list) and
       not human.stdout.startswith('{'), (human, machine))
    return lines if isinstance(lines, list) else []


def without_a_node(top):
    nowhere = os.path.join(top, 'nowhere')
    for command in ('status', 'peers', 'digest', 'devices', 'people', 'records', 'conflicts', 'verify', 'reindex', 'paths', 'stop'):
        fails(command + ' without a node', CODES['no_node'], 'not-initialised', command, '--data', nowhere)
    fails('a path that is too long', CODES['usage'], 'usage', 'init', '--name', 'X', '--role', 'camp', '--data', '/tmp/' + 'x' * 2000)
    fails('a command that is none', CODES['usage'], 'usage', 'frobnicate')
    fails('an option that is none', CODES['usage'], 'usage', 'status', '--frob')
    fails('an option that takes no value', CODES['usage'], 'usage', 'status', '--quiet=yes')
    ok('an option without its value', run('records', '--type')[0] == CODES['usage'])
    fails('run without a node', CODES['no_node'], 'not-initialised', 'run', '--data', nowhere)
    fails('init without a name', CODES['usage'], 'usage', 'init', '--role', 'camp', '--data', nowhere)
    fails('init with another role', CODES['usage'], 'usage', 'init', '--name', 'X', '--role', 'king', '--data', nowhere)
    fails('init with a host name', CODES['usage'], 'usage', 'init', '--name', 'X', '--role', 'camp', '--listen', 'localhost:1', '--data', nowhere)
    ok('what failed made no folder', not os.path.exists(nowhere))


def help_and_version():
    code, out, _ = run('help')
    names = re.findall(r'[a-z]+(?: [a-z]+)?', ','.join(x.split(None, 1)[1] if '   ' in x else x for x in out.splitlines()))
    ok('help lists the groups', code == 0 and all(x in out for x in ('First steps', 'Look', 'People', 'Data', 'Conflicts', 'Move data', 'Keep safe')), names)
    listed = [c.strip() for line in out.splitlines() if re.match(r'  (First steps|Look|People|Data|Conflicts|Move data|Keep safe) ', line)
              for c in line[15:].split(',')]
    for c in listed:
        code, out, _ = run('help', *c.split())
        again = run(*c.split(), '--help')
        ok('help %s' % c, code == 0 and out.startswith('fieldmesh ' + c) and again[0] == 0 and again[1] == out, (c, out, again))
    ok('help has all commands', len(listed) >= 25, listed)
    code, out, _ = run('help', 'store-full')
    ok('help explains an error code', code == 0 and 'exit 15' in out, out)
    code, out, _ = run('version', '--json')
    ok('version', code == 0 and json.loads(out)['version'] and json.loads(out)['format'] == 1 and run('version')[0] == 0, out)


def not_joined(camp, hub, top):
    change = [dict(type='entity', action='create', versionNumber=1, data=dict(name='X', type='CAMP'))]
    file = os.path.join(top, 'change.json')
    json.dump(change, open(file, 'w'))
    result = camp.run_cmd('put', file, '--json', ok=None)
    text = json.dumps([json.loads(x) for x in result[1].splitlines()])
    ok('put at a node that is not joined: exit 13', result[0] == 13 and 'not-joined' in text, result)
    fails('import at a node that is not joined', 13, 'not-joined', 'import', 'csv', SITES, '--map', MAP, '--data', camp.data)
    fails('a grant that is no file', 1, 'not-found', 'join', os.path.join(top, 'none'), '--data', camp.data)
    fails('a grant that is nonsense', 1, 'format', 'join', file, '--data', camp.data)
    fails('admit at a node that is none of authority', 13, 'coordinator-only', 'admit', request_of(camp, top), '--role', 'camp', '--out',
          os.path.join(top, 'g'), '--data', camp.data)


def request_of(node, top):
    file = os.path.join(top, node.name + '.request')
    works('join --request', node, 'join', '--request', file)
    return file


def joining(hub, camp, top):
    grant = os.path.join(top, 'camp.grant')
    request = os.path.join(top, camp.name + '.request')
    fails('admit without --role', 2, 'usage', 'admit', request, '--data', hub.data)
    works('admit', hub, 'admit', request, '--role', 'camp', '--out', grant)
    works('join', camp, 'join', grant)
    wrong = mesh.Node(top, 'Wrong stick', 'camp')
    fails('the grant of another node', 13, 'not-trusted', 'join', grant, '--data', wrong.data)
    ok('it leaves the node as it was', wrong.status()['sets'] == 0 and not wrong.status()['joined'])
    works('the right stick', wrong, 'join', '--request', os.path.join(top, 'wrong.request'))
    works('is admitted', hub, 'admit', os.path.join(top, 'wrong.request'), '--role', 'camp', '--out', os.path.join(top, 'wrong.grant'))
    works('joins after the wrong grant', wrong, 'join', os.path.join(top, 'wrong.grant'))
    hub.run_cmd('revoke', 'Wrong stick')
    other = mesh.Node(top, 'Elsewhere', 'coordinator')
    fails('a grant of another mesh', 13, 'foreign-mesh', 'join', grant, '--data', other.data)
    fails('init where a node is', 1, 'exists', 'init', '--name', 'X', '--role', 'camp', '--data', camp.data)
    devices = works('devices', hub, 'devices')[-1]['devices']
    ok('devices names all', {d['name'] for d in devices} == {'Hub', 'Camp', 'Wrong stick'}, devices)
    fails('revoke at a camp', 13, 'coordinator-only', 'revoke', 'Hub', '--data', camp.data)
    fails('revoke of nobody', 1, 'peer-unknown', 'revoke', 'Nobody', '--data', hub.data)
    before = hub.digest()
    hub.run_cmd('revoke', 'Camp', '--dry-run')
    ok('revoke --dry-run writes nothing', hub.digest() == before)


def table(top, name, rows):
    file = os.path.join(top, name)
    with open(file, 'w', newline='') as f:
        out = csv.DictWriter(f, rows[0].keys())
        out.writeheader()
        out.writerows(rows)
    return file


def importing(hub, top):
    rows = list(csv.DictReader(open(SITES, encoding='utf-8')))[:30]
    file = table(top, 'sites.csv', rows)
    argv = ('import', 'csv', file, '--map', MAP, '--only', 'entity')
    before = hub.digest()
    hub.run_cmd(*argv, '--dry-run')
    ok('import --dry-run writes nothing', hub.digest() == before and hub.status()['entities'] == 0)
    done = hub.cmd(*argv)
    ok('import csv makes a record a row', len(done['successful']) == 30 and not done['failed'] and hub.status()['entities'] == 30, done['failed'][:2])
    before = hub.digest()
    done = works('import csv again', hub, *argv)[-1]
    ok('import csv twice changes nothing', hub.digest() == before and done.get('unchanged') == 30 and not done['successful'], done)
    rows[4]['individuals'] = str(int(rows[4]['individuals']) + 7)
    done = hub.cmd('import', 'csv', table(top, 'sites.csv', rows), *argv[3:])
    one = [json.loads(x) for x in hub.run_cmd('records', '--type', 'entity', '--json')[1].splitlines() if json.loads(x)['population'] == int(rows[4]['individuals'])]
    ok('an edited row becomes an update', len(done['successful']) == 1 and done['unchanged'] == 29 and hub.status()['entities'] == 30 and one, done)
    done = hub.cmd('import', 'csv', file, '--map', MAP, '--only', 'assessment')
    ok('import csv of assessments', len(done['successful']) == 30, done['failed'][:2])
    fails('import without a map', 2, 'usage', 'import', 'csv', file, '--data', hub.data)


def people_and_records(hub, camp, top):
    user = works('people add', hub, 'people', 'add', 'Aisha Bukar', '--role', 'assessor')[-1]['serverId']
    entities = works('records --type', hub, 'records', '--type', 'entity')
    ok('records lists one a line', len(entities) == 30, len(entities))
    works('people assign', hub, 'people', 'assign', user, '--entity', entities[0]['id'], '--role', 'assessor')
    ok('people lists them', sum(p['name'] == 'Aisha Bukar' for p in works('people', hub, 'people')) == 2)
    ok('records --limit', len(works('records --limit', hub, 'records', '--limit', '7')) == 7)
    shown = works('show', hub, 'show', entities[0]['id'])[-1]
    ok('show has document, versions, conflicts', shown['document']['id'] == entities[0]['id'] and shown['versions'] and shown['conflicts'] == [], shown)
    human = hub.run_cmd('show', entities[0]['id'])
    ok('show for people', entities[0]['name'] in human[1])
    fails('show of nothing', 1, 'not-found', 'show', '00000000-0000-4000-8000-000000000000', '--data', hub.data)
    fails('records of no type', 2, 'usage', 'records', '--type', 'spaceship', '--data', hub.data)
    part = [dict(type='entity', action='create', versionNumber=1, data=dict(name='Y', type='CAMP', isActive=True)),
            dict(type='entity', action='fly', versionNumber=1, data=dict(name='Y'))]
    done = hub.cmd('put', '-', text=json.dumps(part), ok=(3,))
    ok('put: part failed is exit 3', len(done['successful']) == 1 and len(done['failed']) == 1, done)
    lines = '\n'.join(json.dumps(c) for c in part[:1] * 3) + '\n'
    ok('put takes a change a line', len(hub.cmd('put', '-', text=lines)['successful']) == 3)
    fails('put of no file', 1, 'not-found', 'put', os.path.join(top, 'none'), '--data', hub.data)
    pages(hub)
    return user, entities


def pages(hub):
    seen, cursor, count = [], None, 0
    whole = works('pull', hub, 'pull')[-1]
    while count < 30:
        page = hub.cmd('pull', '--limit', '10', *(['--cursor', cursor] if cursor else []))
        seen += [e['id'] for e in page['assessments']]
        count, cursor = count + 1, page['cursor']
        if not page['hasMore']:
            break
    ok('pull in pages gives each once', count > 2 and len(seen) == len(set(seen)) and set(seen) == {e['id'] for e in whole['assessments']} and len(seen) == 30,
       (count, len(seen), len(whole['assessments'])))


def running(hub, camp, user, entities):
    fails('sync of a stopped node', 11, 'not-running', 'sync', '--data', camp.data)
    fails('stop of a stopped node', 11, 'not-running', 'stop', '--data', camp.data)
    hub.start()
    camp.start()
    fails('a second run on the folder', 12, 'store-busy', 'run', '--data', hub.data)
    for command in ('verify', 'reindex'):
        fails(command + ' while it runs', 12, 'store-busy', command, '--data', hub.data)
    fails('sync with nobody', 1, 'peer-unknown', 'sync', 'Nobody', '--data', camp.data)
    fails('sync with an address that is none', 2, 'usage', 'sync', 'Hub@nowhere', '--data', camp.data)
    said = camp.meet(hub)
    ok('sync --wait comes in step', said['inStep'] and said['got'] > 30, said)
    paths = works('paths', hub, 'paths')[-1]
    ok('paths has what it listens on', paths['run']['pid'] == hub.process.pid and paths['run']['nodes'].startswith('tcp://127.0.0.1:'), paths)
    status = works('status', hub, 'status')[-1]
    ok('status has its shape', all(k in status for k in ('node', 'mesh', 'role', 'records', 'assessments', 'responses', 'recorded', 'atHub', 'waiting',
                                                         'quarantined', 'void', 'conflictsOpen', 'peers', 'refused', 'notices')), status)
    ok('no command is status', run('--data', hub.data)[1].splitlines()[0] == hub.run_cmd('status')[1].splitlines()[0])
    works('peers', hub, 'peers')
    works('digest', hub, 'digest')
    made = camp.put([dict(type='assessment', action='create', versionNumber=1, offlineId='tab-1', data=dict(
        entityId=entities[0]['id'], assessmentType='POPULATION', assessmentDate='2026-01-05T08:00:00.000Z', assessmentData=dict(totalPopulation=5)))], user)
    ok('put at a camp', len(made['successful']) == 1, made)
    camp.meet(hub)
    return made['successful'][0]['serverId']


def conflicts(hub, camp, user, record):
    edit = lambda n: [dict(type='assessment', action='update', versionNumber=2, data=dict(id=record, notes=n))]
    camp.put(edit('roof gone'), user)
    hub.put(edit('roof repaired'))
    done = hub.put(edit('roof painted'), ok=(4,))
    ok('put of an old version is exit 4', len(done['conflicts']) == 1, done)
    camp.meet(hub)
    entries = works('conflicts', hub, 'conflicts')
    ok('conflicts lists them', len(entries) >= 1, entries)
    works('conflicts show', hub, 'conflicts', 'show', '1')
    fails('resolve at a camp', 13, 'coordinator-only', 'conflicts', 'resolve', '1', '--take', 'A', '--data', camp.data)
    fails('conflicts show of none', 1, 'conflict-unknown', 'conflicts', 'show', '99', '--data', hub.data)
    before = hub.digest()
    hub.run_cmd('conflicts', 'resolve', '1', '--take', 'B', '--dry-run')
    ok('resolve --dry-run writes nothing', hub.digest() == before)
    for _ in entries:
        hub.cmd('conflicts', 'resolve', '1', '--take', 'B', '--note', 'seen')
    ok('resolve settles', hub.status()['conflictsOpen'] == 0)
    camp.meet(hub)
    ok('equal digests', hub.digest() == camp.digest())


def keeping(hub, camp, top):
    file = os.path.join(top, 'hub.backup')
    hub.run_cmd('backup', file)
    hub.process.send_signal(signal.SIGTERM)
    ok('SIGTERM stops it cleanly', hub.process.wait(20) in (0, 143) and not os.path.exists(os.path.join(hub.data, 'run.json')))
    hub.process = None
    works('status of a running node', camp, 'status')
    camp.run_cmd('stop')
    ok('stop stops it', camp.process.wait(20) == 0)
    camp.process = None
    before = hub.digest()
    said = works('verify', hub, 'verify')[-1]
    ok('verify finds it sound', said['sound'] and said['problems'] == 0, said)
    works('reindex', hub, 'reindex')
    ok('reindex comes to the same digest', hub.digest() == before)
    fails('a backup that is nonsense', 14, 'damaged', 'restore', os.path.join(top, 'sites.csv'), '--data', hub.data)
    hub.run_cmd('restore', file)
    ok('a restored store has the same digest', hub.digest() == before and hub.cmd('verify')['sound'])


def main():
    top = tempfile.mkdtemp(prefix='fieldmesh-commands-')
    hub, camp = mesh.Node(top, 'Hub', 'coordinator'), mesh.Node(top, 'Camp', 'camp')
    try:
        without_a_node(top)
        help_and_version()
        not_joined(camp, hub, top)
        joining(hub, camp, top)
        importing(hub, top)
        user, entities = people_and_records(hub, camp, top)
        record = running(hub, camp, user, entities)
        conflicts(hub, camp, user, record)
        keeping(hub, camp, top)
    finally:
        mesh.stop_all([hub, camp])
        if field.failed:
            print('left in', top)
        else:
            shutil.rmtree(top)
    return field.end()


if __name__ == '__main__':
    sys.exit(main())
