"""What the interface costs, beside Juju alone and beside a textbook version of it.

Run by `tox -e bench`, or `tox -e bench -- --full`. Each row is a number of units deployed at
once, run to rest: one hook per unit in turn, the first unit leads. All is counted, nothing is
timed, so the figures are the same on each run and each machine.
"""
import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

sys.path.append(str(Path(__file__).parent / 'harness'))

# After the path (E402), by which they are found.
import conftest  # noqa: E402, F401 - charmhelpers on any system
from inprocess import InProcessJuju  # noqa: E402
from world import TESTS, World, assemble, calls  # noqa: E402

UNITS = 1, 2, 3, 10, 30
FULL = UNITS + (100,)
VERSIONS = {'Juju alone': '',  # no interface: the hooks that Juju runs anyway
            'textbook': (TESTS / 'interface/textbook_interface.py').read_text(),
            'ours': (TESTS.parent / 'peers.py').read_text()}
# The length of a request for an RSA key of 2048 bits; a certificate says a little more.
PADDING = 'x' * 680


class Count:
    def __init__(self):
        self.hooks = self.read = self.written = 0
        self.tools = Counter()
        self.own = Counter()     # unit -> hooks that it has run
        self.served = {}         # unit -> (hooks of its own, hooks of all) when it was served

    def add(self, run):
        self.hooks += 1
        self.own[run.unit] += 1
        self.tools.update(argv[0] for argv in calls(run))
        for call in run.calls:
            if call.argv[0] != 'juju-log':
                self.read += len(call.stdout.encode())
                self.written += len(call.stdin.encode())


def measure(charm, directory, units, tick):
    count, it = Count(), World(charm, directory, InProcessJuju)
    with it.juju as juju:
        names = [juju.add_unit() for _ in range(units)]
        for name in names:
            it.tell(name, 'asks', name + ' ' + PADDING)
        juju.elect(names[0])
        while any(juju.next_hook(name) for name in names):
            for name in names:
                if juju.next_hook(name):
                    count.add(juju.run(name))
                    juju.runs.clear()
                    if name not in count.served and it.announced(name):
                        count.served[name] = count.own[name], count.hooks
                    tick()
    return count


def table():
    table = Table(title='From nothing to rest, requests and certificates of about 1 kB',
                  caption='calls: of hook tools; get to goal: of these relation-get, relation-set,'
                          ' is-leader, relation-ids, relation-list, goal-state; served after: '
                          'hooks that a unit ran until then, and all units together until the '
                          'last was served')
    table.add_column('units', justify='right')
    table.add_column('version', no_wrap=True)
    for column in ('hooks', 'calls', 'get', 'set', 'leader', 'ids', 'list', 'goal',
                   'kB read', 'kB written', 'served after', 'all after'):
        table.add_column(column, justify='right')
    return table


def row(units, version, count):
    served = ['', '']
    if count.served:
        if len(count.served) != units:
            raise SystemExit('{}: only {} of {} units were served'.format(
                version, sorted(count.served), units))
        own, last = zip(*count.served.values())
        served = ['{}-{}'.format(min(own), max(own)), str(max(last))]
    tools = [count.tools[tool] for tool in ('relation-get', 'relation-set', 'is-leader',
                                            'relation-ids', 'relation-list', 'goal-state')]
    if sum(tools) != sum(count.tools.values()):
        raise SystemExit('calls without a column: {}'.format(count.tools))
    sizes = ['{:.0f}'.format(size / 1000) for size in (count.read, count.written)]
    figures = [count.hooks, sum(tools)] + tools
    return [str(units), version] + [str(figure) for figure in figures] + sizes + served


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--full', action='store_true', help='100 units, too: 8 minutes')
    parser.add_argument('--units', type=int, nargs='+', help='these numbers of units instead')
    options = parser.parse_args()
    sizes = options.units or (FULL if options.full else UNITS)
    console, result = Console(), table()
    if not console.is_terminal:
        console.width = 120
    with tempfile.TemporaryDirectory() as directory, Progress(console=console,
                                                              transient=True) as bar:
        for version, text in VERSIONS.items():
            peers = Path(directory) / (version + '.py')
            peers.write_text(text)
            assemble(Path(directory) / version, peers)
        for units in sizes:
            for version in VERSIONS:
                task = bar.add_task('{} units, {}'.format(units, version), total=None)
                home = Path(directory) / '{} {}'.format(version, units)
                count = measure(Path(directory) / version, home, units,
                                lambda: bar.advance(task))
                bar.remove_task(task)
                result.add_row(*row(units, version, count), end_section=version == 'ours')
    console.print(result)


if __name__ == '__main__':
    main()
