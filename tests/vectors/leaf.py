"""Writes leaf.txt: random documents, their class by the model (order.py class_of), and the merge of a and b if disjoint.

  python3 leaf.py DIRECTORY-OF-ORDER.PY > leaf.txt        Lines: base|a|b|class|merged, documents as tests/support/text_doc.h reads them.
"""
import random
import sys

sys.path.insert(0, sys.argv[1])
import order


class Three(order.Versions):
    def __init__(self, base, a, b):
        self.change = {v: dict(action='update', doc=d) for v, d in dict(base=base, a=a, b=b).items()}

    def ancestors(self, v):
        return {'base'}

    def key(self, v):
        return 0


def text(x):
    if isinstance(x, dict):
        return '{' + ','.join('%s:%s' % (k, text(v)) for k, v in x.items()) + '}'
    if isinstance(x, list):
        return '[' + ','.join(map(text, x)) + ']'
    return 'null' if x is None else '"%s"' % x if isinstance(x, str) else repr(x)


def value(r, depth):
    if depth < 3 and r.random() < .45:
        return {k: value(r, depth + 1) for k in r.sample(KEYS, r.choice((0, 1, 1, 2, 3)))}
    return r.choice((2, 3, 'x', 'y', None, [], [2], [{'a': 2}], 2.5))


KEYS, TOP = ['a', 'ab', 'b', 'c'], ['a', 'ab', 'b', 'c', 'updatedAt', 'versionNumber', 'verificationStatus']


def document(r):
    return {k: value(r, 1) for k in r.sample(TOP, r.randint(0, 4))}


def edit(r, doc, top=True):
    """A copy of doc with a few changes at any depth."""
    out = {k: edit(r, v, False) if isinstance(v, dict) and r.random() < .6 else v for k, v in doc.items() if r.random() > .12}
    if r.random() < .45:
        out[r.choice(TOP if top else KEYS)] = value(r, 1 if top else 2)
    return out


def merged(base, a, b):
    """a with b's changed leaves laid over it; as nested maps (of disjoint changes)."""
    base, x, y = order.leaves(base), order.leaves(a), order.leaves(b)
    for p in order.changed(base, y):
        if p in y:
            x[p] = y[p]
        else:
            x.pop(p, None)
    out = {}
    for p, v in x.items():
        at = out
        for k in p[:-1]:
            at = at.setdefault(k, {})
        at[p[-1]] = v
    return out


r, left = random.Random(4), dict(same=60, disjoint=200, overlap=140)
while any(left.values()):
    base = document(r) if r.random() < .8 else {}
    a, b = (edit(r, base) if r.random() < .8 else document(r) for _ in 'ab')
    cls = Three(base, a, b).class_of('a', 'b')
    if left[cls]:
        left[cls] -= 1
        print('|'.join([text(base), text(a), text(b), cls, text(merged(base, a, b)) if cls == 'disjoint' else '']))
