"""P15: random histories with every fault, then two update-status of each unit."""
from typing import NamedTuple, Tuple

from inprocess import InProcessJuju
from protocol import count
from world import AVAILABLE, CREATE, METADATA, SIGN, World, assemble, certificate, id_of, text_in

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
            if 'csr_number' in bag and '-----' in bag.get('csr', ''):  # no nonsense
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
TASKS = ('renew', 'repeat', 'slow', 'finish', 'refuse', 'reissue')
OTHERS = ('skip', 'restore', 'lose', 'snapshot', 'restore_bags', 'restart', 'reboot', 'status',
          'elect', 'depose', 'add', 'remove', 'die', 'forget', 'return', 'settle', 'nonsense',
          'forge', 'note', 'sign_noted', 'rename', 'end')


def draw(rng, most_units=4):
    """A history, as events; what is not possible when it comes is left out."""
    units = ['tls/{}'.format(number) for number in range(most_units)]
    events = [Event('add') for _ in range(rng.randint(1, 3))] + [Event('elect', 'tls/0')]
    if rng.random() < .7:
        events.append(Event('settle'))
    for _ in range(rng.randint(3, 25)):
        what, unit = rng.random(), rng.choice(units)
        if what < .35:
            events += [Event('hook', unit)] * rng.randint(1, 4)
        elif what < .6:
            events.append(Event(rng.choice(sorted(HOOK_FAULTS)), unit, (rng.randint(1, 8),)))
        elif what < .75:
            events.append(Event(rng.choice(TASKS), unit))
        else:
            kind = rng.choice(OTHERS)
            arguments = {'restore': (rng.randint(1, 12),), 'restore_bags': (
                rng.randint(0, 2), rng.choice([None, 'tls', *units])),
                'nonsense': (rng.choice(NONSENSE),), 'forge': (rng.choice(FORGED),)}.get(kind, ())
            events.append(Event(kind, unit, arguments))
    return events


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
        self.charm = self.juju.set_charm(charm)
        # The same, but for the name of its endpoint.
        self.renamed = assemble(directory / 'renamed', charm / 'hooks/relations/tls/peers.py',
                                metadata=dict(METADATA, peers={'renamed': {'interface': 'tls'}}))

    def play(self, events):
        """Violation if anything is not as P15 says."""
        self.juju.set_charm(self.charm)  # of what the last history left
        self.juju.charm = self.charm
        self.juju.load(self.pristine)
        self.juju.runs, self.snapshots, self.noted, self.ends = [], [], [], False
        self.lines = []
        for event in events:
            self.do(event)
        self.heal()

    def expect(self, kept, text, *values):
        if not kept:
            raise Violation(text.format(*values))

    def run(self, unit, kind='hook', at=1):
        juju, before = self.juju, self.juju.kv(unit)
        run = juju.run(unit, **HOOK_FAULTS[kind](juju, unit, at))
        kv = juju.kv(unit)
        self.lines.append('{} {}: {} {} -> {} {} {}'.format(
            kind, at, unit, run.hook.name, run.exit_code, run.error,
            {owner: sorted(each) for owner, each in run.changes.items()}))
        if kind not in ('kill', 'interrupted', 'disconnected'):
            self.expect(run.exit_code == 0, '{} of {} failed by itself: {}', run.hook.name, unit,
                        run.stderr[-800:])
        said, announced = kv.get('announced', []), before.get('announced', [])
        for each in said[len(announced):]:
            owned = [values['asks'] for values in (before, kv) if 'asks' in values]
            self.expect(any(each.startswith(text + ' by ') for text in owned),
                        '{} asked {} and was told {}', unit, owned, each)
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
        if kind in HOOK_FAULTS:
            if unit in juju.units() and juju.next_hook(unit):
                self.run(unit, kind, *arguments)
            return
        self.lines.append(str(tuple(event)))
        if kind in TASKS:
            if alive and agent.installed and not agent.actions:
                if kind != 'repeat' or 'asks' in juju.kv(unit):
                    juju.action(unit, kind)
        elif kind == 'skip':
            hook = unit in juju.units() and juju.next_hook(unit)
            if hook and hook.kind not in ('action', 'install'):
                juju.skip(unit)
        elif kind == 'restore' and alive:
            juju.restore_unitdata(unit, min(arguments[0], len(juju.history[unit]) - 1))
        elif kind == 'lose' and alive:
            juju.lose_unitdata(unit)
        elif kind == 'snapshot':
            self.snapshots.append(juju.bags())
        elif kind == 'restore_bags' and self.snapshots:
            juju.restore_bags(self.snapshots[arguments[0] % len(self.snapshots)], arguments[1])
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
        elif kind == 'return' and agent and agent.life == 'dead' and agent.gone:
            self.add(unit)
        elif kind == 'settle':
            self.settle()
        elif kind == 'nonsense' and unit in juju.relation().units:
            juju.write(unit, **arguments[0])
        elif kind == 'forge' and model.leader:
            juju.write_app(model.leader, **{
                '{}_{}'.format(unit, key): value for key, value in arguments[0].items()})
        elif kind == 'note':
            requests = [(each, juju.bag(each).get('csr') or '') for each in juju.units()]
            self.noted = [(each, csr, certificate(text_in(csr) + ' by somebody later'))
                          for each, csr in requests if 'BEGIN' in csr]
        elif kind == 'sign_noted' and alive:
            self.world.tell(unit, 'script.py', SIGN_NOTED.format(self.noted))
        elif kind == 'rename' and model.major < 4 and self.juju.charm == self.charm and all(
                each.life == 'alive' and each.started and not each.failed and not each.queued
                for each in model.units.values()):
            for each in juju.units():
                juju.refresh(each, self.renamed)
        elif kind == 'end':
            self.ends = True

    def add(self, name=None):
        unit = self.juju.add_unit(name)
        self.world.tell(unit, 'keys', 'new')

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
            kv, mine = juju.kv(unit), text_in(self.world.certificate(unit))
            self.expect(mine.startswith(kv['asks'] + ' by '), '{} asks {} and has {}', unit,
                        kv['asks'], mine)
            self.expect(self.world.announced(unit)[-1] == mine, '{} was not told', unit)
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
        record, number = self.juju.kv(unit)['interface.tls'], count(self.world.answer_id(unit))
        return record['outcome'] == {'taken': True} and record['number'] < number < 10 ** 15

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
