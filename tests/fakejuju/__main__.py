"""`python -m fakejuju run CHARM`: deploy a built reactive charm and show what its units do.

CHARM is a directory or a charm file. Hooks are real processes, one per unit in turn, until none
is due. The timeline tells of each hook its calls of hook tools, the flags that charms.reactive
set and cleared, and what came into bags; `--format mermaid` draws flags and bags.
"""
import argparse
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Dict

from . import reactive
from .cli import FAILURES, elect, unpack
from .model import NotModelled
from .runner import Juju
from .tools import ToolError

# Their effect on Juju.run; those with a number happen at that call of a hook tool.
FAULTS = {
    'kill': lambda number: {'kill_at': number},
    'fail': lambda number: {'fail_at': number},
    'exit': lambda number: {'exit': number},
    'uncommitted': lambda number: {'fail_commit': True},
    'deposed': lambda number: {'depose_before_commit': True},
}
NETWORK = ('ingress-address', 'egress-subnets', 'private-address')


def fault(text):
    """HOOK:KIND or HOOK:KIND=NUMBER as (hook, arguments of Juju.run)."""
    match = re.match(r'([1-9][0-9]*):([a-z]+)(?:=([1-9][0-9]*))?\Z', text)
    if not match or match.group(2) not in FAULTS \
            or (match.group(3) is None) is (match.group(2) in ('kill', 'fail', 'exit')):
        raise argparse.ArgumentTypeError(
            '{!r} is not HOOK:KIND, KIND being kill=CALL, fail=CALL, exit=CODE, uncommitted or '
            'deposed'.format(text))
    return int(match.group(1)), FAULTS[match.group(2)](int(match.group(3) or 0))


class Names:
    """Random ids, each replaced by a letter; and long values left out."""

    def __init__(self):
        self.letters = {}

    def short(self, value):
        if value is None:
            return ' deleted'
        value = re.sub('[0-9a-f]{20,}', lambda match: self.letters.setdefault(
            match.group(), chr(ord('A') + len(self.letters) % 26)), value)
        return '' if len(value) > 40 or '\n' in value else '={}'.format(value)

    def changes(self, run):
        """[(owner of a bag, what changed in it)]."""
        result = []
        for owner, changes in run.changes.items():
            told = [key + self.short(new) for key, (_, new) in sorted(changes.items())
                    if key not in NETWORK]
            if told:
                result.append((owner, ', '.join(told)))
        return result


class Timeline:
    """A few lines for each hook."""

    def __init__(self, output):
        self.output = output
        self.names = Names()
        self.number = 0

    def begin(self, juju):
        pass

    def tell(self, text):
        print(text, file=self.output)

    def show(self, run, flags):
        self.number += 1
        about = ' ({})'.format(run.hook.remote_unit) if run.hook.remote_unit else ''
        end = '' if run.committed else '  NOT COMMITTED: ' + run.error
        self.tell('{:4} {} {}{}{}'.format(self.number, run.unit, run.hook.name, about, end))
        tools = Counter(call.argv[0] for call in run.calls if call.argv[0] != 'juju-log')
        if tools:
            self.tell('       calls ' + ', '.join(
                name if count == 1 else '{} {}'.format(count, name)
                for name, count in tools.items()))
        for what, flag in flags:
            self.tell('       {} {}'.format(what, flag))
        for owner, told in self.names.changes(run):
            self.tell('       {} {}'.format(owner, told))

    def event(self, text):
        self.tell('     ' + text)


class Mermaid(Timeline):
    """A sequence diagram: flags as notes, changes of bags as arrows."""

    def begin(self, juju):
        self.tell('sequenceDiagram')
        for unit in juju.units():
            self.tell('    participant {} as {}'.format(self.id(unit), unit))
        self.tell('    participant app as application bag')

    @staticmethod
    def id(owner):
        app, _, number = owner.partition('/')
        return 'u' + number if number else 'app'

    def show(self, run, flags):
        told = [flag for what, flag in flags if what == 'set']
        changes = self.names.changes(run)
        if not run.committed:
            told.append('not committed')
        if told:
            self.tell('    Note over {}: {}'.format(self.id(run.unit), '<br>'.join(told)))
        for owner, text in changes:
            self.tell('    {}->>{}: {}'.format(self.id(run.unit), self.id(owner), text))

    def event(self, text):
        self.tell('    %% ' + text)


FORMATS = {'timeline': Timeline, 'mermaid': Mermaid}


def show(juju, units, view, faults=(), remove_leader_after=None):
    """Run it all; the exit code."""
    faults = dict(faults)
    for _ in range(units):
        juju.add_unit()
    view.begin(juju)
    number = 0
    failures: Dict[str, int] = Counter()
    while True:
        elect(juju.model)
        busy = [unit for unit in juju.units() if juju.next_hook(unit)]
        if not busy:
            return 0
        for unit in busy:
            if not juju.next_hook(unit):
                continue
            before = set(juju.flags(unit))
            number += 1
            run = juju.run(unit, **faults.get(number, {}))
            view.show(run, reactive.flag_changes(before, run.log))
            juju.runs.clear()
            failures[unit] = 0 if run.committed else failures[unit] + 1
            if failures[unit] == FAILURES:
                print('ERROR ' + run.story(), file=sys.stderr)
                return 1
            if number == remove_leader_after and juju.model.leader:
                view.event('{}, the leader, is removed'.format(juju.model.leader))
                juju.remove_unit(juju.model.leader)


def main(arguments):
    parser = argparse.ArgumentParser(prog='python -m fakejuju', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    command = parser.add_subparsers(dest='command', required=True).add_parser('run')
    command.add_argument('charm', type=Path)
    command.add_argument('--units', type=int, default=3)
    command.add_argument('--remove-leader-after', type=int, metavar='HOOKS')
    command.add_argument('--fault', type=fault, action='append', default=[],
                         metavar='HOOK:KIND', help='the HOOK-th of all meets kill=CALL, fail=CALL, '
                                                   'exit=CODE, uncommitted or deposed')
    command.add_argument('--format', choices=sorted(FORMATS), default='timeline')
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        try:
            charm = options.charm
            if not charm.is_dir():
                charm = Path(directory) / 'charm'
                unpack(options.charm, charm)
            if not (charm / 'metadata.yaml').is_file():
                raise NotModelled('{}: no metadata.yaml, so no charm'.format(charm))
            with Juju(charm, Path(directory) / 'units', real=True) as juju:
                if not juju.endpoint:
                    raise NotModelled('a charm without a peer relation')
                return show(juju, options.units, FORMATS[options.format](sys.stdout),
                            options.fault, options.remove_leader_after)
        except (ToolError, NotModelled) as error:
            text = error if isinstance(error, ToolError) else 'not modelled: {}'.format(error)
            print('ERROR', text, file=sys.stderr)
            return 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
