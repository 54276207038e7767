"""verify --repair against damage of every kind, with real processes: what the log still has is right, what it has not comes
back from a peer, and nothing is thrown away. REPAIR_DAMAGES (200); PROOF_ROUND: other damages."""
import json
import os
import random
import re
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'demo'))
import mesh

HERE = os.path.dirname(os.path.abspath(__file__))
SITES = os.path.join(mesh.TOP, 'tests', 'data', 'dtm-nigeria-r50-sites.csv')
MAP = os.path.join(HERE, '..', 'demo', 'sites.map.json')
DAMAGES = int(os.environ.get('REPAIR_DAMAGES', '200'))
PAGE = 4096
SET = re.compile(rb'\x93\xc4.\x9e', re.S)  # an array of three that begins with a header: an array of fourteen
failed = 0


def ok(name, truth, detail=''):
    global failed
    failed += not truth
    print(('ok ' if truth else 'FAILED ') + name, '' if truth else detail, flush=True)


def data_of(node):
    return os.path.join(node.data, 'store', 'data.mdb')


def flip(data, at, rng):
    data[at] ^= 1 << rng.randrange(8)


def flip_every_copy(data, at, rng):
    """One bit of a set's header, in each place where it lies."""
    head, where = bytes(data[at + 10:at + 150]), rng.randrange(140)
    for copy in [m.start() for m in re.finditer(re.escape(head), bytes(data))]:
        data[copy + where] ^= 1


def damage(data, rng):
    """Changes the bytes of a store; says how."""
    page = 2 + rng.randrange(len(data) // PAGE - 2)
    sets = [m.start() for m in SET.finditer(bytes(data))]
    kind = rng.randrange(10)
    if kind < 3:
        for _ in range(1 + rng.randrange(8)):
            flip(data, page * PAGE + rng.randrange(PAGE), rng)
        return 'bits of page %d' % page
    if kind < 5:
        flip(data, rng.choice(sets) + rng.randrange(400), rng)
        return 'a bit of a set'
    if kind < 7:
        flip_every_copy(data, rng.choice(sets), rng)
        return 'every copy of a set'
    if kind == 7:
        data[page * PAGE:(page + 1) * PAGE] = bytes(PAGE)
        return 'page %d is zeros' % page
    if kind == 8:
        for _ in range(1 + rng.randrange(3)):
            flip(data, rng.randrange(2) * PAGE + rng.randrange(160), rng)
        return 'the first pages'
    del data[rng.randrange(len(data) // 2, len(data)):]
    return 'cut to %d bytes' % len(data)


def repair(node):
    """(exit code, what it said, where the damaged store lies)"""
    code, out, _ = node.run_cmd('verify', '--repair', '--json', ok=(0, 3, 14))
    aside = [f for f in os.listdir(node.data) if f.startswith('store.damaged-')]
    return code, json.loads(out.splitlines()[-1]), aside


def one(camp, hub, sound, want, number):
    """One damage. What was wrong; None: nothing."""
    rng = random.Random(number)
    shutil.rmtree(camp.data)
    shutil.copytree(sound, camp.data)
    data = bytearray(open(data_of(camp), 'rb').read())
    how = damage(data, rng)
    open(data_of(camp), 'wb').write(data)
    code, out, aside = repair(camp)
    if code == 14:
        return how, 'nothing could be repaired'
    if aside and open(os.path.join(camp.data, aside[0], 'data.mdb'), 'rb').read() != data:
        return how, 'what lies aside is not the damaged store'
    if camp.run_cmd('verify', ok=None)[0] != 0:
        return how, 'the repaired store is not sound'
    if code == 0:
        kind[0 if aside else 2] += 1
        return None if camp.digest() == want else (how, 'said to be whole, and is not')
    kind[1] += 1
    if camp.digest() == want and out['lost'] + out['waiting'] > 0 and out['known']:
        return how, 'said to lack something, and is whole'
    camp.start()
    try:
        camp.meet(hub)
        if camp.digest() != want:
            return how, 'not in step with the peer that has all'
    finally:
        camp.stop()
    camp.digest()  # opens it: what waited is there now
    waiting = os.path.exists(os.path.join(camp.data, 'waiting.sets'))
    return (how, 'sets still wait') if waiting else None


def own_changes_behind_a_damaged_set(camp, hub, user):
    """The hub has the set that is damaged here, and not what was written after it."""
    def edit(version):
        camp.put([dict(type='assessment', action='update', versionNumber=version, data=dict(id=first, notes='edit %d' % version))], user)
    first = sorted(r['id'] for r in camp.lines('records', '--type', 'assessment'))[0]
    number = len(camp.cmd('show', first)['versions'])
    before = open(data_of(camp), 'rb').read()
    edit(number + 1)
    new = [m for m in SET.findall(open(data_of(camp), 'rb').read())]
    after = open(data_of(camp), 'rb').read()
    heads = {after[m.start() + 10:m.start() + 150] for m in SET.finditer(after)} - {before[m.start() + 10:m.start() + 150] for m in SET.finditer(before)}
    camp.start()
    camp.meet(hub)
    camp.stop()
    edit(number + 2)
    edit(number + 3)
    want, data = camp.digest(), bytearray(open(data_of(camp), 'rb').read())
    ok('one set is new', len(heads) == 1 and len(new) > 0, len(heads))
    for head in heads:
        at = data.find(head)
        flip_every_copy(data, at - 10, random.Random(1))
    open(data_of(camp), 'wb').write(data)
    out = camp.cmd('verify', '--repair', ok=(3,))
    ok('sets behind a damaged one wait for it', out['waiting'] == 2 and out['lost'] == 1, out)
    camp.start()
    camp.meet(hub)
    camp.stop()
    camp.start()
    ok('and are there at the first start after it came', camp.digest() == want and not os.path.exists(os.path.join(camp.data, 'waiting.sets')),
       (camp.digest(), want))
    camp.meet(hub)
    ok('so the hub gets what only the damaged store had', hub.digest() == want, (hub.digest(), want))
    camp.stop()


kind = [0, 0, 0]  # repaired whole, in part, not damaged


def main(top):
    os.environ['ASAN_OPTIONS'] = 'handle_segv=0:handle_sigbus=0:exitcode=14'  # LMDB may crash in verify's child
    hub, camp = mesh.Node(top, 'Hub', 'coordinator'), mesh.Node(top, 'Camp', 'camp')
    mesh.admit(hub, [camp])
    table = os.path.join(top, 'sites.csv')
    lines = open(SITES).read().splitlines()
    for i in range(4):
        open(table, 'w').write('\n'.join(lines[:1] + lines[1 + 15 * i:16 + 15 * i]) + '\n')
        hub.cmd('import', 'csv', table, '--map', MAP)
    user = hub.cmd('people', 'add', 'Aisha', '--role', 'coordinator')['serverId']
    hub.start(), camp.start()
    try:
        camp.meet(hub)
        for i, r in enumerate(sorted(camp.lines('records', '--type', 'assessment'), key=lambda r: r['id'])[:12]):
            camp.put([dict(type='assessment', action='update', versionNumber=2, data=dict(id=r['id'], notes='edit %d' % i))], user)
        camp.meet(hub)
        camp.stop()
        own_changes_behind_a_damaged_set(camp, hub, user)
        want, sound = camp.digest(), os.path.join(top, 'sound')
        ok('hub and camp say the same', hub.digest() == want)
        ok('verify finds nothing to repair', camp.cmd('verify', '--repair').get('repaired') is None)
        for old in [f for f in os.listdir(camp.data) if f.startswith('store.damaged-')]:
            shutil.rmtree(os.path.join(camp.data, old))
        shutil.copytree(camp.data, sound)
        start, bad = 1000000 * int(os.environ.get('PROOF_ROUND', '0')), []
        for number in range(start, start + DAMAGES):
            wrong = one(camp, hub, sound, want, number)
            if wrong:
                bad.append((number,) + wrong)
        ok('%d damages: %d repaired whole, %d with a peer, %d were none' % (DAMAGES, *kind), not bad and kind[0] > 0 and kind[1] > 0, bad[:5])
        print('figure repaired_damages %d' % (kind[0] + kind[1]))
    finally:
        mesh.stop_all([hub, camp])


if __name__ == '__main__':
    top = tempfile.mkdtemp(prefix='fieldmesh-repair-')
    try:
        main(top)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    sys.exit(failed != 0)
