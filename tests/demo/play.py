"""The demo: a hub, three camps and two relays on loopback, with the displacement sites of IOM DTM Nigeria, Round 50.

Only the relays move, and each meets one node at a time. --once ends by itself; --json puts one JSON object on the last line.
"""
import argparse
import csv
import json
import os
import shutil
import signal
import sys
import tempfile
import time

import mesh

HERE = os.path.dirname(os.path.abspath(__file__))
SITES = os.path.join(mesh.TOP, 'tests', 'data', 'dtm-nigeria-r50-sites.csv')
MAP = os.path.join(HERE, 'sites.map.json')
STATES = ('Borno', 'Adamawa', 'Yobe')
ALIKE, APART, CLASH = 20, 20, 20                          # edits of the two teams: the same, disjoint fields, one field


def tell(text=''):
    print(text, file=sys.stderr, flush=True)


class Story:
    def __init__(self, top):
        self.began = time.monotonic()
        self.hub = mesh.Node(top, 'Maiduguri hub', 'coordinator', '--auto-settle', 'disjoint')
        self.camps = {s: mesh.Node(top, s + ' camp', 'camp') for s in STATES}
        self.maryam, self.ibrahim = mesh.Node(top, "Maryam's laptop", 'relay'), mesh.Node(top, "Ibrahim's laptop", 'relay')
        self.nodes = [self.hub, *self.camps.values(), self.maryam, self.ibrahim]
        self.rows = list(csv.DictReader(open(SITES, encoding='utf-8')))
        self.people_in_data = sum(int(r['individuals']) for r in self.rows)
        self.expected = []                                # people's edits: what the decisions should come to

    # --- who is who ---
    def found(self):
        tell('A mesh is born at the hub. Five machines ask to join; their requests and grants travel as files.')
        mesh.admit(self.hub, self.nodes[1:])
        tell('The hub publishes the sites (credit: IOM DTM Nigeria, Round 50), its people and who works where.')
        done = self.hub.cmd('import', 'csv', SITES, '--map', MAP, '--only', 'entity')
        assert not done['failed'] and len(done['successful']) == len(self.rows), done['failed'][:3]
        self.entities = {e['id']: e for e in self.hub.lines('records', '--type', 'entity')}
        self.users = {}
        for s in STATES:
            self.users[s] = self.hub.cmd('people', 'add', 'Team ' + s, '--role', 'assessor', '--role', 'responder')['serverId']
        for team in ('A', 'B'):
            self.users[team] = self.hub.cmd('people', 'add', 'Survey team ' + team, '--role', 'assessor')['serverId']
        assign = [(self.users[e['state']], e['id'], role) for e in self.entities.values() for role in ('ASSESSOR', 'RESPONDER')]
        borno = sorted((e for e in self.entities.values() if e['state'] == 'Borno'), key=lambda e: e['id'])
        self.edited = [e['id'] for e in borno[:ALIKE + APART + CLASH + 2]]
        assign += [(self.users[t], e, 'ASSESSOR') for t in ('A', 'B') for e in self.edited]
        done = self.hub.put([dict(type='assignment', action='create', versionNumber=1, data=dict(userId=u, entityId=e, role=r, isActive=True))
                             for u, e, r in assign])
        assert not done['failed'], done['failed'][:3]
        tell('  %d sites, %d people, %d assignments' % (len(self.entities), len(self.users), len(assign)))

    def start(self):
        for n in self.nodes:
            n.start()

    # --- what the camps record ---
    def survey(self):
        largest = {e['id'] for e in sorted(self.entities.values(), key=lambda e: (-e['population'], e['id']))[:200]}
        for s, camp in self.camps.items():
            user = self.users[s]
            done = camp.cmd('import', 'csv', SITES, '--map', MAP, '--only', 'assessment', '--where', 'state=' + s, '--as', user)
            assert not done['failed'], done['failed'][:3]
            mine = [a for a in camp.lines('records', '--type', 'assessment') if a['entityId'] in largest]
            given = camp.put([dict(type='response', action='create', offlineId='tents-' + a['id'], versionNumber=1,
                                   data=dict(assessmentId=a['id'], entityId=a['entityId'], type='SHELTER', status='PLANNED',
                                             plannedDate='2026-01-05T08:00:00.000Z',
                                             items=[dict(name='tarpaulin', unit='piece', quantity=max(1, a['assessmentData']['totalHouseholds']))]))
                              for a in mine], user)
            assert not given['failed'], given['failed'][:3]
            tell('  %-14s %5d assessments, %3d responses, alone in its camp' % (camp.name, len(done['successful']), len(mine)))

    # --- two teams edit the same assessments, each in its own camp ---
    def edit(self):
        a, b = self.camps['Borno'], self.camps['Adamawa']
        records = {r['entityId']: r for r in a.lines('records', '--type', 'assessment')}
        there = {r['id'] for r in b.lines('records', '--type', 'assessment')}
        assert all(records[e]['id'] in there for e in self.edited)
        changes_a, changes_b = [], []

        def update(into, record, version, **leaves):
            into.append(dict(type='assessment', action='update', versionNumber=version, baseVersion=1,
                             data=dict(id=record['id'], assessmentData=dict(record['assessmentData'], **leaves))))

        def delete(into, record, version):
            into.append(dict(type='assessment', action='delete', versionNumber=version, baseVersion=1, data=dict(id=record['id'])))

        for i, entity in enumerate(self.edited):
            r = records[entity]
            before = r['assessmentData']['totalPopulation']
            other = 2 if i % 2 == 0 else 3                # equal and unequal version numbers
            if i < ALIKE:
                after = before + 5
                update(changes_a, r, 2, totalPopulation=after)
                update(changes_b, r, other, totalPopulation=after)
            elif i < ALIKE + APART:
                after = before + 11
                update(changes_a, r, 2, totalPopulation=after)
                update(changes_b, r, other, totalHouseholds=r['assessmentData']['totalHouseholds'] + 3)
            elif i < ALIKE + APART + CLASH:
                update(changes_a, r, 2, totalPopulation=before + 100)
                update(changes_b, r, other, totalPopulation=before + 200)
                after = before + (100, 200, 150)[i % 3]   # the coordinator takes A's, B's, or what the phone call said
            elif i == ALIKE + APART + CLASH:
                delete(changes_a, r, 3)                   # the site was closed: the deletion stands
                update(changes_b, r, 2, totalPopulation=before + 40)
                after = 0
            else:
                update(changes_a, r, 3, totalPopulation=before + 40)
                delete(changes_b, r, 2)                   # deleted by mistake: the update stands
                after = before + 40
            self.expected.append(dict(id=r['id'], before=before, after=after))
        for camp, team, changes in ((a, 'A', changes_a), (b, 'B', changes_b)):
            done = camp.put(changes, self.users[team])
            assert not done['failed'] and not done['conflicts'], (done['failed'] + done['conflicts'])[:3]
        tell('  %d records changed in both camps, none knowing of the other' % len(self.edited))

    # --- relays move ---
    def meet(self, relay, node):
        done = relay.meet(node)
        tell('  %-17s at %-15s got %6d  gave %6d changes' % (relay.name, node.name, done['got'], done['gave']))

    def tour(self, *stops):
        for relay, node in stops:
            self.meet(relay, node)

    # --- the coordinator decides ---
    def decide(self):
        wanted = {x['id']: x['after'] for x in self.expected}
        everything = self.hub.lines('conflicts', '--all')
        opened = len(everything)
        same = sum(c['class'] == 'same' and c['state'] == 'settled' for c in everything)
        by_policy = sum(bool(c.get('settledByPolicy')) for c in everything)
        waiting = self.hub.lines('conflicts')
        for c in waiting:
            want, shown = wanted[c['entityId']], c['winningVersion'].get('assessmentData', {}).get('totalPopulation', 0)
            lost = c['losingVersion'].get('assessmentData', {}).get('totalPopulation', 0)
            how = ['--take', 'A'] if want == shown else ['--take', 'B'] if want == lost else ['--set', 'assessmentData.totalPopulation=%d' % want]
            self.hub.cmd('conflicts', 'resolve', c['id'], *how, '--note', 'confirmed by phone')
        tell('  %d conflicts: %d alike, %d settled by policy, %d by hand' % (opened, same, by_policy, len(waiting)))
        self.conflicts = dict(opened=opened, same=same, settledByPolicy=by_policy, settledByHand=len(waiting))

    # --- what came of it ---
    def result(self):
        rows = []
        for n in self.nodes:
            s, d = n.status(), n.digest()
            rows.append(dict(name=n.name, role=n.role, records=s['records'], assessments=s['assessments'], responses=s['responses'],
                             recorded=s['recorded'], atHub=s['atHub'], conflictsOpen=s['conflictsOpen'], digest=dict(sets=d['sets'], state=d['state']),
                             bytesSent=s['bytesSent'], bytesReceived=s['bytesReceived']))
        at_hub = {a['id']: a['assessmentData']['totalPopulation'] for a in self.hub.lines('records', '--type', 'assessment')}
        edits = [dict(id=x['id'], before=x['before'], after=at_hub.get(x['id'], 0)) for x in self.expected]
        return dict(nodes=rows, people=sum(at_hub.values()), peopleFromData=self.people_in_data, peopleEdits=edits, conflicts=self.conflicts,
                    seconds=round(time.monotonic() - self.began, 1))

    def faults(self, r):
        """What is not as it should be: the demo is a test of itself."""
        out = []
        if len({(n['digest']['sets'], n['digest']['state']) for n in r['nodes']}) != 1:
            out.append('the digests differ')
        out += ['%s has open conflicts' % n['name'] for n in r['nodes'] if n['conflictsOpen']]
        out += ['%s: %d recorded, %d at the hub' % (n['name'], n['recorded'], n['atHub']) for n in r['nodes'] if n['atHub'] != n['recorded']]
        if r['people'] != r['peopleFromData'] + sum(e['after'] - e['before'] for e in r['peopleEdits']):
            out.append('the people do not add up')
        out += ['%s: %d people, %d expected' % (e['id'], e['after'], x['after']) for e, x in zip(r['peopleEdits'], self.expected) if e != x]
        if r['conflicts'] != dict(opened=len(self.edited), same=ALIKE, settledByPolicy=APART, settledByHand=CLASH + 2):
            out.append('conflicts: %s' % r['conflicts'])
        return out


def table(r):
    tell()
    tell('%-18s %-12s %8s %8s %8s %9s %7s %5s  %-9s %10s %10s' % ('NODE', 'ROLE', 'RECORDS', 'ASSESSM.', 'RESPONS.', 'RECORDED', 'AT HUB', 'OPEN', 'DIGEST',
                                                               'SENT KB', 'GOT KB'))
    for n in r['nodes']:
        tell('%-18s %-12s %8d %8d %8d %9d %7d %5d  %-9s %10d %10d' % (n['name'], n['role'], n['records'], n['assessments'], n['responses'], n['recorded'], n['atHub'],
                                                                   n['conflictsOpen'], n['digest']['state'][:8], n['bytesSent'] // 1024, n['bytesReceived'] // 1024))
    tell('people  %d at the hub = %d in the data %+d by edits' % (r['people'], r['peopleFromData'], r['people'] - r['peopleFromData']))


def play(story):
    hub, maryam, ibrahim = story.hub, story.maryam, story.ibrahim
    borno, adamawa, yobe = (story.camps[s] for s in STATES)
    story.found()
    story.start()
    tell('The relays carry the sites and people out. Then the roads close.')
    story.tour((maryam, hub), (maryam, borno), (maryam, adamawa), (ibrahim, hub), (ibrahim, yobe))
    tell('Each camp surveys its own state.')
    story.survey()
    tell("Yobe's changes take three hops to the hub: Ibrahim, Adamawa camp, Maryam.")
    story.tour((ibrahim, yobe), (maryam, borno), (ibrahim, adamawa), (maryam, adamawa), (maryam, hub))
    tell('Two teams go over the same %d assessments, one at Borno, one at Adamawa.' % len(story.edited))
    story.edit()
    tell('Maryam brings both sides to the hub.')
    story.tour((maryam, borno), (maryam, adamawa), (maryam, hub))
    tell('The hub settles what can be merged by policy; a person settles the rest.')
    story.decide()
    tell('And home again.')
    story.tour((maryam, hub), (maryam, borno), (maryam, adamawa), (ibrahim, adamawa), (ibrahim, yobe))


def main():
    p = argparse.ArgumentParser(prog='demo')
    p.add_argument('--once', action='store_true', help='end by itself')
    p.add_argument('--json', action='store_true', help='one JSON object on the last line')
    options = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *x: sys.exit(143))
    top = tempfile.mkdtemp(prefix='fieldmesh-demo-')
    story, faults = Story(top), ['it did not come to its end']
    try:
        play(story)
        result = story.result()
        table(result)
        faults = story.faults(result)
        for f in faults:
            tell('WRONG: ' + f)
        if not options.once:
            tell('\nAll nodes stay up; look around, then press Ctrl-C. For example:')
            for n in story.nodes:
                tell("  %s --data '%s' status" % (mesh.PROGRAM, n.data))
            try:
                signal.pause()
            except KeyboardInterrupt:
                pass
    finally:
        mesh.stop_all(story.nodes)
        if faults:
            tell('The nodes\' folders and logs are left in ' + top)
        else:
            shutil.rmtree(top)
    if options.json:
        print(json.dumps(result, separators=(',', ':')))
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
