"""The stages of the proof, and what the figures they print are held against.

A stage is a command that prints `ok CASE` and `FAILED CASE: why` lines, and `figure KEY NUMBER` lines. PROOF_ROUND gives it other
seeds (0: those of CI, always the same), PROOF_SCALE says how much in percent of CI's amount.
"""

# name, command, in the soak too. The long ones first, so that two workers end at about the same time.
STAGES = [
    ('check', 'make --no-print-directory -s check WERROR=1', False),
    ('fuzz', 'sh tests/fuzz/run.sh gate', True),
    ('sim', 'sh tests/sim/run.sh', True),
    ('mutation', 'python3 tests/mutation/run.py', True),
    ('kills', 'sh tests/crash/kills.sh', True),
    ('calls', 'sh tests/crash/calls.sh', False),
    ('planted', 'sh tests/planted/run.sh', False),
    ('crash', 'sh tests/crash/run.sh', True),
    ('static', 'python3 tests/static/run.py', False),
    ('net', 'sh tests/net/run.sh', True),
    ('sanitizers', 'sh tests/static/sanitizers.sh', False),
    ('exhaustive', 'sh tests/exhaustive/run.sh', False),
    ('coverage', 'sh tests/coverage.sh', False),
    ('traces', 'sh tests/sim/traces.sh', True),
    ('mcdc', 'sh tests/mcdc.sh', False),
    ('count', 'python3 tests/proof/count.py', False),
]

SUM, MOST, LEAST = 'sum', 'most', 'least'


class Row:
    """One line of the table. must: short of it, CI is red. why: what to say where it falls short or is not there."""

    def __init__(self, text, key, asked, unit='', release=None, over=SUM, must=False, why=''):
        self.text, self.key, self.asked, self.unit = text, key, asked, unit
        self.release, self.over, self.must, self.why = release, over, must, why

    def short(self, figures, asked=None):
        value, asked = figures.get(self.key), self.asked if asked is None else asked
        if value is None:
            return True
        if asked is None:
            return False
        kind, limit = asked
        limit = figures.get(limit) if isinstance(limit, str) else limit
        return limit is None or (value < limit if kind == '>=' else value > limit)


def at_least(limit):
    return '>=', limit


def at_most(limit):
    return '<=', limit


ROWS = [
    Row('Line coverage, core', 'coverage_core_lines', at_least(100), '%', over=LEAST, must=True),
    Row('Branch coverage, core', 'coverage_core_branches', at_least(100), '%', over=LEAST, must=True),
    Row('MC/DC, core', 'mcdc_core', at_least(95), '%', at_least(100), over=LEAST),
    Row('Mutants of core and store tried', 'mutants', at_least(300), why='as many as fit in CI; run.py --all has no limit'),
    Row('Mutation score, core', 'mutation_score', at_least(90), '%', at_least(97), over=LEAST),
    Row('Test code : code', 'test_code_ratio', at_least(5), ': 1', over=LEAST,
        why='cases are generated rather than written: worlds, seeds, failures of every call, and a model of 250 lines'),
    Row('Distinct generated cases', 'cases', at_least(10_000_000), '', at_least(1_000_000_000)),
    Row('Assertions a function', 'assertions', at_least(2), '', over=LEAST,
        why='input and environment return errors here; asserts are for bugs alone'),
    Row('Simulated cluster-years', 'sim_years', at_least(3), '', at_least(500), must=True),
    Row('Simulated seeds', 'sim_seeds', at_least(2000), '', at_least(300_000), must=True),
    Row('Cluster-years a core-hour', 'sim_years_per_core_hour', at_least(10), '', over=LEAST),
    Row('Exhaustive small worlds', 'exhaustive_worlds', at_least(1)),
    Row('Their delivery orders, all', 'exhaustive_orders', at_least(1)),
    Row('Orders on the real store', 'permutations', at_least(5040)),
    Row('Crash states, in process', 'crash_states', at_least(200_000), '', at_least(20_000_000), must=True),
    Row('Crash states on ext4', 'block_states_ext4', at_least(300), '', at_least(10_000), why='not built yet'),
    Row('Crash states on XFS', 'block_states_xfs', at_least(300), '', at_least(10_000), why='not built yet'),
    Row('Crash states on Btrfs', 'block_states_btrfs', at_least(300), '', at_least(10_000), why='not built yet'),
    Row('SIGKILLs of the daemon', 'kills', at_least(5000), '', at_least(100_000), must=True),
    Row('Kills, one at each system call', 'syscall_kills', at_least('syscall_kills_all')),
    Row('Failures, one at each call', 'syscall_errors', at_least('syscall_errors_all')),
    Row('Failures of memory', 'malloc_failures', at_least(1)),
    Row('Failures of the store\'s calls', 'store_failures', at_least(1)),
    Row('Acknowledged changes lost', 'lost', at_most(0), must=True),
    Row('Divergences, losers missing or twice', 'sim_violations', at_most(0), must=True),
    Row('Fuzz targets with 2 million runs', 'fuzz_targets_2m', at_least(12), must=True),
    Row('Fuzz executions', 'fuzz_executions', at_least(24_000_000), '', at_least(2_400_000_000)),
    Row('net\'s peak memory under attack', 'net_rss_mb', at_most(256), 'MB', over=MOST),
    Row('Honest throughput under a flood', 'net_honest_percent', at_least(50), '%', over=LEAST,
        why='where two cores carry the flood, both nodes and another stage; make proof STAGE=net has them for itself'),
    Row('25 nodes healed, until equal', 'converge_25_seconds', None, 's of virtual time', over=MOST),
    Row('Sanitizer and valgrind findings', 'sanitizer_findings', at_most(0)),
    Row('Static findings, unexplained', 'static_findings', at_most(0)),
    Row('Builds with equal traces', 'trace_builds', at_least(4), '', over=LEAST, must=True),
    Row('Builds twice to the same bytes', 'build_reproducible', at_least(1), '', over=LEAST),
]

# Figures made of others.
SUMS = {
    'cases': ['fuzz_executions', 'crash_states', 'exhaustive_orders', 'permutations', 'store_failures', 'kills', 'syscall_kills',
              'syscall_errors', 'malloc_failures', 'sim_seeds'],
    'lost': ['kills_acked_lost', 'crash_states_bad'],
}


def add_sums(figures):
    for key, parts in SUMS.items():
        found = [figures[p] for p in parts if p in figures]
        if found:
            figures[key] = sum(found)


def number(value):
    return f'{value:,.0f}' if value == int(value) else f'{value:,.1f}'


def table(figures, release=False):
    """The lines of the table, and the musts that it falls short of."""
    lines, failed = [], []
    for row in ROWS:
        asked = row.release or row.asked if release else row.asked
        value = figures.get(row.key)
        limit = figures.get(asked[1]) if asked and isinstance(asked[1], str) else asked and asked[1]
        want = '' if asked is None else f'{asked[0]} {number(limit) if limit is not None else "all"}'
        got = 'not measured' if value is None else f'{number(value)} {row.unit}'.strip()
        short = row.short(figures, asked)
        if short and row.must:
            failed.append(row)
        state = 'SHORT' if short else 'reached' if asked else ''
        lines.append(f'{row.text:<38}{want:>17}  {got:<24}{state}{": " + row.why if short and row.why else ""}')
    return lines, failed
