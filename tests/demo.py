"""The main job, for you to watch: units of the example get certificates, and use them.

Run by `tox -e demo`; `tox -e demo -- --units 6` for more units. Every step is checked: the exit
code is 0 only if all of them went as promised.
"""
import argparse
import re
import shutil
import sys
import tempfile
import time
import traceback
from contextlib import contextmanager
from itertools import permutations
from pathlib import Path

from cryptography import x509
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

sys.path.append(str(Path(__file__).parent / 'harness'))

# After the path (E402), by which they are found.
from charm_build import build  # noqa: E402
from fakejuju import Juju  # noqa: E402
from handshake import Party, impostor, shake_hands, verify  # noqa: E402
from prerequisites import missing  # noqa: E402
from world import AVAILABLE, CREATE, SIGN, TESTS  # noqa: E402

NO_FLAG = 'no flag is set'


class Broken(Exception):
    """A step did not go as promised."""


def promise(fact, what):
    if not fact:
        raise Broken(what)


def state(juju, unit):
    """What the unit says of itself, and which flags of the interface are set."""
    flags = [flag for flag in (CREATE, SIGN, AVAILABLE) if flag in juju.flags(unit)]
    return '{}; {}'.format(': '.join(juju.status(unit)),
                           'set: ' + ', '.join(flags) if flags else NO_FLAG)


def handler(run):
    """The handler in which the hook ended, as charms.reactive logs it."""
    logged = re.findall('Invoking reactive handler: (.*)',
                        '\n'.join(call.argv[-1] for call in run.calls))
    return ' in ' + logged[-1] if logged else ''


class Demo:
    def __init__(self, console, output, layer):
        self.console = console
        self.output = output
        self.layer = layer
        self.log = open(str(output / 'log.txt'), 'w')

    def say(self, text):
        self.console.print(text)

    @contextmanager
    def step(self, what):
        """Say what has begun, on a terminal in a line that moves; yields a function that adds words
        to that line.
        """
        if not self.console.is_terminal:
            self.say(what + ' ...')
            yield lambda words: None
            return
        columns = SpinnerColumn(), TextColumn('{task.description}'), TimeElapsedColumn()
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda words: bar.update(task, description='{}: {}'.format(what, words))

    def settle(self, what, juju, after_each=lambda: None):
        """Run and show hooks, one per unit in turn, until none is due; then all must be served."""
        hooks, calls, start = 0, 0, time.monotonic()
        with self.step(what) as tell:
            while any(juju.next_hook(unit) for unit in juju.units()):
                for unit in juju.units():
                    if not juju.next_hook(unit):
                        continue
                    run = juju.run(unit)
                    hooks, calls = hooks + 1, calls + len(run.calls)
                    tell('[bold]{}[/] {}'.format(unit, run.hook.name))
                    self.record(run)
                    promise(run.committed, 'the hook {} of {} failed{} ({}): {}'.format(
                        run.hook.name, unit, handler(run), state(juju, unit),
                        (run.stderr.strip() or 'without a word').splitlines()[-1]))
                    after_each()
        for unit in juju.units():
            served = juju.status(unit)[0] == 'active' and state(juju, unit).endswith(NO_FLAG)
            promise(served, '{} is not served: {}'.format(unit, state(juju, unit)))
        self.say('{}: {} hooks, {} hook-tool calls, {:.1f} s'.format(
            what, hooks, calls, time.monotonic() - start))

    def record(self, run):
        print(run.unit, run.hook.name, file=self.log)
        for call in run.calls:
            print('    ' + ' '.join(call.argv), file=self.log)
        for bag, changes in run.changes.items():
            print('    wrote', bag, sorted(changes), file=self.log)
        print(run.stderr, file=self.log)

    def party(self, juju, unit, kept=False):
        """The files of a unit; copies of certificate and CA go into the output."""
        pki = juju.unit_directory(unit) / 'charm/pki'
        copy = self.output / unit.replace('/', '-')
        copy.mkdir(exist_ok=True)
        for name in ('certificate.pem', 'ca.pem'):
            shutil.copy(str(pki / name), str(copy / name))
        return Party(unit, pki / 'key.pem', pki / 'certificate.pem', pki / 'ca.pem',
                     juju.model.address(unit))

    def show_units(self, juju):
        table = Table(title='Units', title_justify='left')
        for column in ('unit', 'address', 'status', 'certificate'):
            table.add_column(column)
        for unit in juju.units():
            party = self.party(juju, unit)
            verify(party)
            leads = ' (leader)' if unit == juju.model.leader else ''
            table.add_row(unit + leads, party.address, ': '.join(juju.status(unit)),
                          described(party.certificate))
        self.console.print(table)

    def shake(self, parties):
        """Mutual TLS between all ordered pairs; each must see the other's name."""
        table = Table(title='Mutual TLS, server in the row, client in the column',
                      title_justify='left')
        for name in [''] + [party.name for party in parties]:
            table.add_column(name)
        rows = {server.name: [server.name] for server in parties}
        for server in parties:
            for client in parties:
                if server == client:
                    rows[server.name].append('')
                    continue
                names = shake_hands(server, client)
                promise(names == (client.name, server.name),
                        '{} and {} saw {}'.format(server.name, client.name, names))
                rows[server.name].append('[green]accepted[/]')
        for row in rows.values():
            table.add_row(*row)
        self.console.print(table)

    def change_ca(self, juju):
        """Three actions of the leader; after every hook all pairs shake hands."""
        for action in ('new-ca', 'reissue', 'drop-old-ca'):
            count = 0

            def shake_all():
                nonlocal count
                for server, client in permutations(
                        [self.party(juju, unit) for unit in juju.units()], 2):
                    names = shake_hands(server, client)
                    promise(names == (client.name, server.name), 'they saw {}'.format(names))
                    count += 1

            juju.action(juju.model.leader, action)
            self.settle('the leader runs ' + action, juju, shake_all)
            self.say('    {} handshakes on the way, [green]all accepted[/]'.format(count))
            told = {juju.status(unit)[1].split(', until')[0] for unit in juju.units()}
            promise(len(told) == 1, 'the units say {}'.format(told))
            self.say('    every unit is {}'.format(*told))

    def shake_with_a_stranger(self, party, directory):
        """One with the same name and address, but a certificate of another CA, must be refused both
        ways."""
        home = directory / 'foreign'
        home.mkdir()
        stranger = impostor(party, home)
        for server, client in permutations([party, stranger]):
            try:
                shake_hands(server, client)
            except OSError as error:  # ssl.SSLError is one
                self.say('foreign CA as {}: [green]refused[/] ({})'.format(
                    'client' if client is stranger else 'server',
                    getattr(error, 'reason', None) or error))
            else:
                raise Broken('a certificate of a foreign CA was accepted')

    def run(self, units):
        start = time.monotonic()
        with self.step('building the example with charm-build'):
            charm = build(self.layer, self.output / 'charm')
        self.say('built the example with charm-build: {:.1f} s'.format(time.monotonic() - start))
        with Juju(charm, self.output / 'units', real=True) as juju:
            names = [juju.add_unit() for _ in range(units)]
            juju.elect(names[0])
            self.settle('{} units from nothing to served'.format(units), juju)
            self.show_units(juju)
            self.shake([self.party(juju, unit) for unit in juju.units()])
            self.shake_with_a_stranger(self.party(juju, names[1]), self.output)

            juju.remove_unit(names[0])
            self.settle('the leader {} removed'.format(names[0]), juju)
            promise(names[0] not in juju.units(), '{} is still there'.format(names[0]))
            newcomer = juju.add_unit()
            juju.elect(names[1])
            self.settle('{} leads, {} added'.format(names[1], newcomer), juju)

            renewed = names[-1]
            party = self.party(juju, renewed)
            before = party.certificate.read_text(), party.key.read_text()
            juju.action(renewed, 'renew')
            self.settle('{} renews with the same key'.format(renewed), juju)
            promise(party.certificate.read_text() != before[0], 'the certificate is the old one')
            promise(party.key.read_text() == before[1], 'the key is another')
            self.change_ca(juju)
            self.show_units(juju)
            self.shake([self.party(juju, unit) for unit in juju.units()])
        self.say('everything as promised, in {:.0f} s'.format(time.monotonic() - start))


def lasting(text):
    """Its lines, without what differs each time: seconds and names of CAs."""
    return [re.sub(r'[0-9.]+ s$|\b[0-9a-f]{8}\b', '#', line.rstrip())
            for line in text.splitlines()]


def described(file):
    """The certificate in three lines."""
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    return 'subject={}\nnotAfter={:%b %d %H:%M:%S %Y} GMT\nserial={:X}'.format(
        certificate.subject.rfc4514_string(), certificate.not_valid_after_utc,
        certificate.serial_number)


def number_of_units(text):
    number = int(text)
    if not 2 <= number <= 20:
        raise argparse.ArgumentTypeError('{} is not between 2 and 20'.format(number))
    return number


def main():
    parser = argparse.ArgumentParser(prog='tox -e demo --', description=__doc__)
    parser.add_argument('--units', type=number_of_units, default=3, metavar='N',
                        help='how many units to start with, 2 to 20 (3)')
    parser.add_argument('--output', type=Path, help='a new directory for certificates and log')
    parser.add_argument('--layer', type=Path, default=TESTS / 'example', metavar='DIRECTORY',
                        help='run another charm layer than tests/example')
    parser.add_argument('--still', type=Path, metavar='FILE', help='a Markdown file with lines of '
                        'the output in a text block: check that they are still printed')
    arguments = parser.parse_args()
    if missing():
        sys.exit(missing())
    output = arguments.output or Path(tempfile.mkdtemp(prefix='interface-tls-demo-'))
    if arguments.output:
        try:
            output.mkdir(parents=True)
        except OSError as error:
            parser.error('cannot make {}: {}'.format(output, error.strerror))
    console = Console(width=None if sys.stdout.isatty() else 110, highlight=False, record=True)
    demo = Demo(console, output, arguments.layer)
    try:
        demo.run(arguments.units)
        if arguments.still:
            still, = re.findall('^```text\n(.*?)^```$', arguments.still.read_text(),
                                re.DOTALL | re.MULTILINE)
            gone = set(lasting(still)) - set(lasting(console.export_text()))
            promise(not gone, '{} also shows {}'.format(arguments.still, sorted(gone)))
        return 0
    except Exception as error:
        traceback.print_exc(file=demo.log)
        told = str(error) if isinstance(error, Broken) else '{}: {}'.format(
            type(error).__name__, error)
        console.print('[red]NOT as promised:[/] ' + escape(' '.join(told.split())), soft_wrap=True)
        return 1
    finally:
        console.print('certificates and log: {}'.format(output), soft_wrap=True)


if __name__ == '__main__':
    sys.exit(main())
