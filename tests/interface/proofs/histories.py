"""P15: random histories with every fault, then two update-status of each unit."""
import shutil
from itertools import takewhile
from typing import NamedTuple, Tuple

from inprocess import InProcessJuju
from protocol import asked_in, count, own_id, plant, planted_for, request_in, view, wrongs
from world import (AVAILABLE, CREATE, METADATA, SIGN, TESTS, World, assemble, certificate, id_of,
                   text_in)

KNOBS = [{}, {'leader_notified': False}, {'stale_caches': False}, {'departed_sent': False},
         {'version': '2.9.50'}, {'version': '4.0.1'}, {'subordinate': True}]


# What a peer gone bad writes into its own bag, or a leader into the application's. (A CSR without
# a number is the original's request: of a unit with no record it is taken for one.)
NONSENSE = [{'csr_number': 'x'}, {'csr_number': '0'}, {'csr': 'junk'}, {'csr': ''},
            {'csr_number': 15 * '9'}, {'csr_number': 17 * '9'}, {'csr_number': 18 * '9'},
            {'csr_number': 19 * '9'}]
GREATEST = 15 * '9' + '-' + 64 * '0'
FORGED = [{'csr_id': GREATEST, 'signed_certificate': certificate('forged')},
          {'csr_id': '9' + GREATEST, 'refusal': 'forged'},
          {'csr_id': 'junk'}, {'csr_id': ''}, {'csr_id': GREATEST},
          {'signed_certificate': 'junk'}, {'signed_certificate': ''}]


class Violation(AssertionError):
    pass


class Event(NamedTuple):
    kind: str
    unit: str = ''
    arguments: Tuple = ()


def usurp(juju, unit):
    """Another unit leads for a moment in the middle of a hook, and answers what it finds."""
    others = [each for each in juju.units() if each != unit]
    if juju.model.leader == unit and others:
        juju.elect(others[0])
        for each in juju.units():
            bag = juju.bag(each)
            if 'csr_number' in bag and asked_in(bag):  # no nonsense
                juju.write_app(others[0], **{
                    each + '_csr_id': id_of(bag['csr_number'], bag['csr']), each + '_refusal': '',
                    each + '_signed_certificate': certificate(
                        text_in(bag['csr']) + ' by {} in between'.format(others[0]))})
        juju.elect(unit)


HOOK_FAULTS = {
    'hook': lambda juju, unit, at: {},
    'uncommitted': lambda juju, unit, at: {'fail_commit': True},
    'overtaken': lambda juju, unit, at: {'depose_before_commit': True},
    'again': lambda juju, unit, at: {'again': True},
    'kill': lambda juju, unit, at: {'kill_at': at},
    'interrupted': lambda juju, unit, at: {'interrupted_at': at},
    'disconnected': lambda juju, unit, at: {'fail_at': at},
    'deposed': lambda juju, unit, at: {'on_call': {at: juju.depose}},
    'usurped': lambda juju, unit, at: {'on_call': {at: lambda: usurp(juju, unit)}},
}
STARTS = ('keys', 'add', 'elect', 'settle', 'original')  # before anything goes wrong
TASKS = ('renew', 'repeat', 'slow', 'finish', 'refuse', 'reissue', 'exec')
OTHERS = ('skip', 'restore', 'restore_disk', 'lose', 'lose_disk', 'snapshot', 'restore_bags',
          'restart', 'reboot', 'status', 'elect', 'depose', 'add', 'remove', 'die', 'forget',
          'return', 'inherit', 'settle', 'nonsense', 'forge', 'plant', 'note', 'sign_noted',
          'rename', 'end')


def draw(rng, most_units=4):
    """A history, as events; what is not possible when it comes is left out."""
    units = ['tls/{}'.format(number) for number in range(most_units)]
    if rng.random() < .1:  # it takes no CSR in `install`
        events = [Event('keys', '', (rng.choice(['', 'disk']),)),
                  Event('original', '', (rng.randint(1, 3),))]
    else:
        events = [Event('keys', '', (rng.choice(['', 'disk', 'disk', 'early']),))]
        events += [Event('add') for _ in range(rng.randint(1, 3))] + [Event('elect', 'tls/0')]
        if rng.random() < .7:
            events.append(Event('settle'))
    for _ in range(rng.randint(3, 25)):
        what, unit = rng.random(), rng.choice(units)
        if what < .35:
            events += [Event('hook', unit)] * rng.randint(1, 4)
        elif what < .55:
            events.append(Event(rng.choice(sorted(HOOK_FAULTS)), unit, (rng.randint(1, 8),)))
        elif what < .65:
            events += meeting(rng, unit)
        elif what < .8:
            events.append(Event(rng.choice(TASKS), unit))
        else:
            kind = rng.choice(OTHERS)
            events.append(Event(kind, unit, {
                'restore': (rng.randint(1, 12),), 'restore_disk': (rng.randint(1, 12),),
                'restore_bags': (rng.randint(0, 2), rng.choice([None, 'tls', *units])),
                'nonsense': (rng.choice(NONSENSE),),
                'forge': (rng.choice(FORGED),)}.get(kind, ())))
    return events


def meeting(rng, unit):
    """A tool that fails in a hook of its own, right after what makes a unit's data disagree.

    Events drawn one by one put another hook of the unit between nearly always.
    """
    what = rng.choice([['exec', 'hook'], ['restore'], ['restore_disk'], ['lose'], ['plant'],
                       ['die', 'forget', 'inherit'], ['snapshot', 'renew', 'hook', 'settle']])
    then = rng.choice([['status'], ['renew'], ['repeat']])
    return [Event(kind, unit, (rng.randint(1, 12),) if kind.startswith('restore') else ())
            for kind in what + then] + [Event('disconnected', unit, (rng.randint(1, 8),))]


# By a layer that signs elsewhere, and has the request from there.
SIGN_NOTED = '''
for unit, csr, answer in {!r}:
    tls.set_cert(unit, answer, csr=csr)
'''


class History:
    def __init__(self, charm, directory, **knobs):
        self.world = World(charm, directory, InProcessJuju, **knobs)
        self.juju = self.world.juju
        self.pristine = self.juju.save()
        self.starts = {}  # events -> what is then
        self.charm = self.juju.set_charm(charm)
        self.original = assemble(directory / 'original', TESTS / 'interface/interface_of_2015.py')
        # Ours, but for the name of its endpoint.
        self.renamed = assemble(directory / 'renamed', charm / 'hooks/relations/tls/peers.py',
                                metadata=dict(METADATA, peers={'renamed': {'interface': 'tls'}}))

    def play_from_rest(self, *events, start=(), keys='disk'):
        """Play these events on two units at rest, or after `start`; the world then."""
        rest = start or [Event('add'), Event('add'), Event('elect', 'tls/0'), Event('settle')]
        self.play([Event('keys', '', (keys,)), *rest, *events])
        return self.world

    def play(self, events):
        """Violation if anything is not as P15 says."""
        self.juju.set_charm(self.charm)  # of what the last history left
        self.juju.charm = self.charm
        self.juju.load(self.pristine)
        self.juju.runs, self.snapshots, self.noted, self.ends = [], [], [], False
        self.world.keys = ''
        self.requests = set()   # every id that a unit ever had
        self.inherited = {}     # unit -> what answered its predecessor when it came
        self.restored = set()   # owners of bags that went back to an earlier time
        self.lines = []
        start = tuple(takewhile(lambda event: event.kind in STARTS, events))
        if start in self.starts:
            self.go_on_from(start)
        else:
            for event in start:
                self.do(event)
            self.starts[start] = (self.juju.save(), self.world.keys, set(self.requests),
                                  list(self.lines))
        for event in events[len(start):]:
            self.do(event)
        self.heal()

    def go_on_from(self, start):
        """Many histories start alike: without running those hooks again."""
        state, self.world.keys, requests, lines = self.starts[start]
        self.juju.load(state)
        self.requests, self.lines = set(requests), list(lines)
        for unit in self.juju.units():
            self.steer(unit)

    def expect(self, kept, text, *values):
        if not kept:
            raise Violation(text.format(*values))

    def run(self, unit, kind='hook', at=1):
        juju, before = self.juju, view(self.world, unit)
        run = juju.run(unit, **HOOK_FAULTS[kind](juju, unit, at))
        kv = juju.kv(unit)
        self.lines.append('{} {}: {} {} -> {} {} {}'.format(
            kind, at, unit, run.hook.name, run.exit_code, run.error,
            {owner: sorted(each) for owner, each in run.changes.items()}))
        if self.has_original(unit):
            return run
        # An action may: `reissue` says that it did nothing.
        if run.hook.kind != 'exec' and (kind not in ('kill', 'interrupted', 'disconnected')
                                        or kind == 'disconnected' and run.hook.kind != 'action'):
            self.expect(run.exit_code == 0, '{} of {} failed by itself: {}', run.hook.name, unit,
                        run.stderr[-800:])
        self.requests.update([own_id(kv), request_in(juju.bag(unit))])
        for promise, text in wrongs(run, before, view(self.world, unit),
                                    self.inherited.get(unit)):
            self.expect(False, '{}: {}', promise, text)
        flags = self.world.flags(unit)
        record = kv.get('interface.tls')
        if record and run.exit_code == 0:
            self.expect(AVAILABLE not in flags, '{} is told on and on', unit)
            self.expect(SIGN not in flags or record['waiting'], '{} signs nothing', unit)
            self.expect(CREATE not in flags or not record['csr']
                        or 'refused' in (record['outcome'] or {}), '{} creates why', unit)
        return run

    def do(self, event):
        kind, unit, arguments = event
        juju, model = self.juju, self.juju.model
        agent = model.units.get(unit)
        alive = agent and agent.life == 'alive'
        bag = juju.bag(unit)
        # Without unitdata the interface adopts what the original published; the key is the layer's,
        # and is in unitdata where it is not on the disk.
        is_ours = not asked_in(bag) or 'csr_number' in bag
        has_backup = is_ours or self.world.keys
        if kind in HOOK_FAULTS:
            if unit in juju.units() and juju.next_hook(unit):
                self.run(unit, kind, *arguments)
            return
        self.lines.append(str(tuple(event)))
        if kind in TASKS:
            if alive and agent.installed and not agent.actions and not self.has_original(unit):
                if kind == 'exec':
                    juju.execute_command(unit, 'bin/renew-and-fail')
                elif kind != 'repeat' or self.world.key(unit):
                    juju.action(unit, kind)
        elif kind == 'skip':
            hook = unit in juju.units() and juju.next_hook(unit)
            if hook and hook.kind not in ('action', 'exec', 'install'):
                juju.skip(unit)
        elif kind == 'restore' and alive and has_backup:
            juju.restore_unitdata(unit, min(arguments[0], len(juju.history[unit]) - 1))
        elif kind == 'restore_disk' and alive and is_ours:
            self.world.restore_disk(unit, min(arguments[0], len(juju.history[unit]) - 1))
        elif kind == 'lose' and alive and has_backup:
            juju.lose_unitdata(unit)
        elif kind == 'lose_disk' and alive and is_ours:
            self.world.lose_disk(unit)
        elif kind == 'snapshot':
            self.snapshots.append(juju.bags())
        elif kind == 'restore_bags' and self.snapshots:
            juju.restore_bags(self.snapshots[arguments[0] % len(self.snapshots)], arguments[1])
            self.restored.update([arguments[1]] if arguments[1] else juju.relation().units)
        elif kind == 'restart' and alive:
            juju.restart_agent(unit)
        elif kind == 'reboot' and alive:
            juju.reboot(unit)
        elif kind == 'status' and alive and agent.installed:
            juju.update_status(unit)
        elif kind == 'elect' and unit in juju.units():
            juju.elect(unit)
        elif kind == 'depose':
            juju.depose()
        elif kind == 'add' and len(juju.units()) < 4:
            self.add()
        elif kind == 'remove' and alive:
            juju.remove_unit(unit)
        elif kind == 'die' and alive:
            juju.kill_unit(unit)
        elif kind == 'forget' and agent and agent.life == 'dead':
            juju.forget_unit(unit)
        elif kind in ('return', 'inherit') and agent and agent.life == 'dead' and agent.gone:
            self.add(unit, kind == 'inherit')
        elif kind == 'settle':
            self.settle()
        elif kind == 'nonsense' and unit in juju.relation().units:
            juju.write(unit, **arguments[0])
        elif kind == 'forge' and model.leader:
            juju.write_app(model.leader, **{
                '{}_{}'.format(unit, key): value for key, value in arguments[0].items()})
        elif kind == 'plant' and model.leader and planted_for(juju, unit) not in (
                None, *self.requests):
            plant(juju, unit)
        elif kind == 'note':
            requests = [(each, juju.bag(each).get('csr') or '') for each in juju.units()]
            self.noted = [(each, csr, certificate(text_in(csr) + ' by somebody later'))
                          for each, csr in requests if 'BEGIN' in csr]
        elif kind == 'sign_noted' and alive and not self.has_original(unit):
            self.world.tell(unit, 'script.py', SIGN_NOTED.format(self.noted))
        elif kind == 'rename' and model.major < 4 and self.juju.charm == self.charm and all(
                each.life == 'alive' and each.started and not each.failed and not each.queued
                and not self.has_original(each.name) for each in model.units.values()):
            for each in juju.units():
                juju.refresh(each, self.renamed)
        elif kind == 'keys' and not model.units:
            self.world.keys = arguments[0]
        elif kind == 'original' and not model.units and self.world.keys != 'early':
            self.start_with_original(*arguments)
        elif kind == 'end':
            self.ends = True

    def add(self, name=None, with_key=False):
        unit = self.world.add(name, with_key)
        self.steer(unit)
        self.inherited.pop(unit, None)
        if with_key:
            self.inherited[unit] = view(self.world, unit).answer

    def steer(self, unit):
        """Have the layer there make keys that never come twice, and nothing else."""
        shutil.rmtree(str(self.juju.unit_directory(unit)))
        self.world.tell(unit, 'keys', '' if self.world.keys else 'new')

    def start_with_original(self, units):
        """That many units of the original interface, at rest; a refresh to ours is due."""
        juju = self.juju
        juju.charm = self.original
        for _ in range(units):
            self.add()
        juju.elect('tls/0')
        juju.settle()
        for unit in juju.units():
            juju.refresh(unit, self.charm)

    def has_original(self, unit):
        return self.juju.model.unit(unit).charm == str(self.original)

    def settle(self):
        hooks = 0
        while any(self.juju.next_hook(unit) for unit in self.juju.units()):
            for unit in self.juju.units():
                if self.juju.next_hook(unit):
                    self.run(unit)
                    hooks += 1
            self.expect(hooks < 400, 'it does not settle')

    def status(self):
        for unit in self.juju.units():
            self.juju.update_status(unit)
            self.settle()

    def heal(self):
        juju, model = self.juju, self.juju.model
        self.lines.append('faults stop')
        for name in sorted(model.units):
            if model.units[name].life == 'dead' and not model.units[name].gone:
                juju.forget_unit(name)
        self.settle()
        if model.leader is None and juju.units():
            juju.elect(juju.units()[0])
            self.settle()
        for unit in juju.units():
            if {'slow', 'desk', 'refuses'} & set(juju.kv(unit)):
                juju.action(unit, 'finish')
        self.settle()
        self.lines.append('update-status twice')
        self.status()
        self.status()
        unserved = [unit for unit in self.world.unserved() if not self.outnumbered(unit)]
        self.expect(not unserved, 'not served: {}', unserved)
        for unit in juju.units():
            it = view(self.world, unit)
            key = it.key if it.is_known else it.noted
            self.expect(key is None or it.certificate.split(' by ')[0] == key,
                        '{} has the key {} and {}', unit, key, it.certificate)
            self.expect(it.told[-1:] == (it.certificate,), '{} was not told', unit)
            self.expect(not self.world.flags(unit), '{} has {}', unit, self.world.flags(unit))
        before, runs = [self.world.remembered(unit) for unit in juju.units()], len(juju.runs)
        self.status()
        self.expect(all(not run.changes for run in juju.runs[runs:]), 'it writes at rest')
        self.expect(before == [self.world.remembered(unit) for unit in juju.units()], 'no rest')
        if self.ends:
            juju.remove_relation(juju.relation().id)
            self.settle()
            self.status()

    def outnumbered(self, unit):
        """It has its certificate, and a greater id stands there, forged or of before a restore."""
        it = view(self.world, unit)
        _, answer_id, _ = it.answer
        return it.told[-1:] == (it.certificate,) and it.certificate.split(' by ')[0] == it.asked \
            and count(self.world.request_id(unit)) < count(answer_id) < 10 ** 15 \
            and (answer_id == GREATEST or answer_id not in self.requests
                 or unit in self.restored)

    def fails(self, events):
        try:
            self.play(events)
        except Violation as violation:
            return str(violation)
        return None

    def shortest(self, events):
        """Leave out what the violation does not need."""
        size = len(events) // 2
        while size:
            at = 0
            while at < len(events):
                shorter = events[:at] + events[at + size:]
                if self.fails(shorter):
                    events = shorter
                else:
                    at += size
            size //= 2
        return events
