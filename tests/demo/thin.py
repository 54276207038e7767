"""The thin line: a coordinator, a relay, a camp as real processes; ten site rows; a conflict; a reconciliation; equal digests."""
import os
import shutil
import sys
import tempfile

import mesh

HERE = os.path.dirname(os.path.abspath(__file__))
SITES = os.path.join(mesh.TOP, 'tests', 'data', 'dtm-nigeria-r50-sites.csv')


def ok(name, truth, detail=''):
    print(('ok ' if truth else 'FAILED ') + name, detail if not truth else '')
    return truth


def main():
    top = tempfile.mkdtemp(prefix='fieldmesh-thin-')
    hub, camp, relay = (mesh.Node(top, *x) for x in (('Maiduguri hub', 'coordinator'), ('Dikwa camp', 'camp'), ('Maryam', 'relay')))
    nodes = [hub, camp, relay]
    good = True
    try:
        mesh.admit(hub, [camp, relay])
        rows = open(SITES).read().splitlines()[:11]
        table = os.path.join(top, 'ten.csv')
        open(table, 'w').write('\n'.join(rows) + '\n')
        sites = os.path.join(HERE, 'sites.map.json')
        hub.cmd('import', 'csv', table, '--map', sites, '--only', 'entity')
        user = hub.cmd('people', 'add', 'Aisha Bukar', '--role', 'assessor')['serverId']
        entities = hub.lines('records', '--type', 'entity')
        for e in entities:
            hub.cmd('people', 'assign', user, '--entity', e['id'], '--role', 'assessor')
        for n in nodes:
            n.start()
        relay.meet(hub)
        relay.meet(camp)
        camp.cmd('import', 'csv', table, '--map', sites, '--only', 'assessment', '--as', user)
        relay.meet(camp)
        relay.meet(hub)
        record = hub.lines('records', '--type', 'assessment')[0]
        edit = lambda n: [dict(type='assessment', action='update', versionNumber=2, data=dict(id=record['id'], notes=n))]
        camp.put(edit('roof gone'), user)
        hub.put(edit('roof repaired'))
        relay.meet(camp)
        relay.meet(hub)
        open_ = hub.lines('conflicts')
        good &= ok('a conflict is open at the hub', len(open_) == 1, open_)
        hub.cmd('conflicts', 'resolve', '1', '--take', 'B', '--note', 'seen by Aisha')
        relay.meet(hub)
        relay.meet(camp)
        relay.meet(hub)
        digests = [n.digest() for n in nodes]
        good &= ok('digests are equal', all(d == digests[0] for d in digests), digests)
        good &= ok('no conflict is open', all(n.status()['conflictsOpen'] == 0 for n in nodes))
        good &= ok('ten assessments everywhere', all(n.status()['assessments'] == 10 for n in nodes))
        at_hub = camp.status()
        good &= ok('the camp knows that all is at the hub', at_hub['atHub'] == at_hub['recorded'] > 0, at_hub)
    finally:
        mesh.stop_all(nodes)
        if good:
            shutil.rmtree(top)
        else:
            print('left in', top)
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
