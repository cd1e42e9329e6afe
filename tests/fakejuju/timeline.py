"""`fakejuju run CHARM`: deploy a built reactive charm and show what its units do.

CHARM is a directory or a charm file. Hooks are real processes, one per unit in turn, until none is
due. The timeline shows, for each hook, its calls of hook tools, the flags that charms.reactive set
and cleared, what was written into bags, the workload status if the charm changed it, and the
warnings and errors that it logged; `--format mermaid` draws flags and bags. Flags of layer:basic
that last for one hook (`config.changed`, `config.set.OPTION` and their like) are left out.

`--fault` injects a fault into a hook; HOOK is its number, counting the hooks of all units:
kill=CALL, fail=CALL and interrupted=CALL at that call of a hook tool, exit=CODE, uncommitted,
deposed (before the commit), regained=CALL (the leadership is lost and won there), again (committed,
and run once more), skipped (not run, but counted as done).

`--after` does something when that hook is over, or no hook is due any more: lose=UNIT and
restore=UNIT,HOOKS for unitdata, as it was that many of the unit's hooks ago; bags=HOOK: all bags
are as they were after that hook; restart=UNIT its agent, reboot=UNIT, remove=UNIT, elect=UNIT;
status: update-status of all units.

It exits with 1 if a hook fails three times in a row, if the charm or what is asked is refused, or
if a fault was not met: its hook did not run, or made fewer calls.
"""
import argparse
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, Dict

from .cli import FAILURES, elect, version_of_juju
from .faults import FAULTS, WITH_NUMBER, met
from .model import NotModelled
from .runner import Juju
from .tools import ToolError, failure
from .usable import Unusable, open_charm

EVENTS: Dict[str, Any] = {
    'lose': lambda juju, bags, unit: juju.lose_unitdata(unit),
    'restore': lambda juju, bags, unit, hooks: juju.restore_unitdata(unit, int(hooks)),
    'bags': lambda juju, bags, hook: juju.restore_bags(dict(enumerate(bags))[int(hook)]),
    'restart': lambda juju, bags, unit: juju.restart_agent(unit),
    'reboot': lambda juju, bags, unit: juju.reboot(unit),
    'remove': lambda juju, bags, unit: juju.remove_unit(unit),
    'elect': lambda juju, bags, unit: juju.elect(unit),
    'status': lambda juju, bags: [juju.update_status(unit) for unit in juju.units()],
}
# layer:basic sets them at the start of each hook and clears them at its end.
OF_ONE_HOOK = re.compile(r'config\.(changed$|(changed|set|default)\.)')
NETWORK = ('ingress-address', 'egress-subnets', 'private-address')


def fault(text):
    """HOOK:KIND or HOOK:KIND=NUMBER as (hook, (kind, number))."""
    match = re.match(r'([1-9][0-9]*):([a-z]+)(?:=([1-9][0-9]*))?\Z', text)
    if not match or match.group(2) not in FAULTS \
            or (match.group(3) is None) is (match.group(2) in WITH_NUMBER):
        raise argparse.ArgumentTypeError('{!r} is no fault: {}'.format(text, ', '.join(
            kind + '=NUMBER' * (kind in WITH_NUMBER) for kind in FAULTS)))
    return int(match.group(1)), (match.group(2), int(match.group(3) or 0))


def positive(text):
    if not re.match(r'[1-9][0-9]*\Z', text):
        raise argparse.ArgumentTypeError('{!r} is no positive number'.format(text))
    return int(text)


def event(text):
    """HOOK:KIND or HOOK:KIND=WORDS as (hook, kind, words)."""
    match = re.match(r'([1-9][0-9]*):([a-z]+)(?:=(.+))?\Z', text)
    words = match.group(3).split(',') if match and match.group(3) else []
    if not match or match.group(2) not in EVENTS \
            or len(words) != EVENTS[match.group(2)].__code__.co_argcount - 2:
        raise argparse.ArgumentTypeError('{!r} is no event: see above'.format(text))
    return int(match.group(1)), match.group(2), words


def flag_changes(before, after, log):
    """[('set' or 'cleared', flag)] in the order of a hook: what charms.reactive traces, and then
    what was done after it had stopped tracing, for example by functions that run at the exit.
    """
    flags, changes = set(before), []
    for _, message in log:
        for what, flag in re.findall('^tracer: (set|cleared) flag (.*)$', message, re.MULTILINE):
            if (what == 'set') is not (flag in flags):  # flags that stay are told again
                flags ^= {flag}
                changes.append((what, flag))
    changes += [('set' if flag in after else 'cleared', flag)
                for flag in sorted(flags ^ set(after))]
    return [(what, flag) for what, flag in changes if not OF_ONE_HOOK.match(flag)]


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
                owner, another, relation = owner.partition(' in ')
                result.append((owner, ', '.join(told) + another + relation))
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

    def show(self, run, flags, status):
        self.number += 1
        about = ' ({})'.format(run.hook.remote_unit) if run.hook.remote_unit else ''
        end = run.error and '  {}COMMITTED: {}'.format('' if run.committed else 'NOT ', run.error)
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
        if status and 'status-set' in tools:  # Juju sets one of its own around some hooks
            self.tell('       status ' + ': '.join(filter(None, status)))
        for level, text in run.log:
            for line in text.splitlines() if level in ('WARNING', 'ERROR') else ():
                self.tell('       {} {}'.format(level, line))

    def skipped(self, unit, hook):
        self.number += 1
        self.tell('{:4} {} {}  SKIPPED'.format(self.number, unit, hook.name))

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

    def show(self, run, flags, status):
        told = [flag for what, flag in flags if what == 'set']
        changes = self.names.changes(run)
        if not run.committed:
            told.append('not committed')
        if told:
            self.tell('    Note over {}: {}'.format(self.id(run.unit), '<br>'.join(told)))
        for owner, text in changes:
            self.tell('    {}->>{}: {}'.format(self.id(run.unit), self.id(owner), text))

    def skipped(self, unit, hook):
        self.event('{} skips {}'.format(unit, hook.name))

    def event(self, text):
        self.tell('    %% ' + text)


FORMATS = {'timeline': Timeline, 'mermaid': Mermaid}


def show(juju, units, view, faults=(), remove_leader_after=None, events=()):
    """Run the units, with faults and events, until all is over; returns the exit code."""
    faults, events = dict(faults), sorted(events, key=lambda each: each[0])
    left = dict(faults)
    for _ in range(units):
        juju.add_unit()
    view.begin(juju)
    number = 0
    bags = [juju.bags()]
    failures: Dict[str, int] = Counter()

    def let_happen():
        _, kind, words = events.pop(0)
        view.event(' '.join([kind] + words))
        try:
            EVENTS[kind](juju, bags, *words)
        except (KeyError, ValueError) as error:
            raise failure('{} {}: {}'.format(kind, ' '.join(words), error.args[0]))

    while True:
        elect(juju.model)
        busy = [unit for unit in juju.units() if juju.next_hook(unit)]
        if not busy and events:
            let_happen()
        elif not busy:
            for hook, (kind, at) in sorted(left.items()):
                print('ERROR not met: {}:{}{}'.format(hook, kind, '={}'.format(at) if at else ''),
                      file=sys.stderr)
            if number < (remove_leader_after or 0):
                print('ERROR not met: --remove-leader-after', remove_leader_after, file=sys.stderr)
                return 1
            return int(bool(left))
        for unit in busy:
            if not juju.next_hook(unit):
                continue
            before, status = set(juju.flags(unit)), juju.status(unit)
            number += 1
            kind, at = faults.get(number, ('', 0))
            if kind == 'skipped':
                view.skipped(unit, juju.skip(unit))
                del left[number]
            else:
                run = juju.run(unit, **FAULTS[kind](juju, at) if kind else {})
                view.show(run, flag_changes(before, juju.flags(unit), run.log),
                          juju.status(unit) if juju.status(unit) != status else None)
                if kind and met(run, kind, at):
                    del left[number]
                failures[unit] = 0 if run.committed else failures[unit] + 1
            juju.runs.clear()
            bags.append(juju.bags())
            if failures[unit] == FAILURES:
                print('ERROR ' + run.story(), file=sys.stderr)
                return 1
            if number == remove_leader_after and juju.model.leader:
                view.event('{}, the leader, is removed'.format(juju.model.leader))
                juju.remove_unit(juju.model.leader)
            while events and events[0][0] <= number:
                let_happen()


def add_arguments(command):
    command.add_argument('charm', type=Path)
    command.add_argument('--units', type=positive, default=3)
    command.add_argument('--remove-leader-after', type=positive, metavar='HOOKS')
    command.add_argument('--juju', default='3.6.8', metavar='VERSION')
    command.add_argument('--fault', type=fault, action='append', default=[], metavar='HOOK:KIND')
    command.add_argument('--after', type=event, action='append', default=[], metavar='HOOK:EVENT')
    command.add_argument('--format', choices=sorted(FORMATS), default='timeline')


def run(options):
    """Do what the arguments say; returns the exit code."""
    with tempfile.TemporaryDirectory() as directory:
        try:
            version = version_of_juju(options.juju or 'without version')
            charm = open_charm(options.charm, Path(directory) / 'charm', version)
            with Juju(charm, Path(directory) / 'units', real=True, version=version) as juju:
                return show(juju, options.units, FORMATS[options.format](sys.stdout),
                            options.fault, options.remove_leader_after, options.after)
        except (ToolError, Unusable) as error:
            text = str(error)
        except NotModelled as error:
            text = 'not modelled: {}'.format(error)
        print('ERROR', text, file=sys.stderr)
        return 1
