"""Every order: all states that a small world can come to, each entered once.

The hooks are those of the real peers.py on real charms.reactive; each runs once for each input
(memoised.py). Events and faults have a budget, hooks have none. A state is what the
model and the units hold; of versions only whether they are equal counts, because Juju looks at
nothing else, and how far they are ahead of a bag that was restored.
"""
import hashlib
import marshal
import random
import time
from collections import Counter

from protocol import AT_A_CALL, FAULTS, Action, Trial, possible, since_other
from memoised import MemoisedJuju
from world import World, calls

# Follows from what happened, so it costs nothing.
FREE = ('hook', 'elect', 'forget', 'finish')


class Search:
    """From `units` new units, or from these at rest.

    budget: {kinds of actions that share it: how many of them may happen}. Where bags are restored
    there are no caches across hooks: a version comes again with other content, and an agent that
    knew it would show the old one, in a full look, too. Layers keep their keys in files, unless
    `keys` says otherwise (world.py).
    """

    def __init__(self, charm, directory, units, budget, at_rest=False, **knobs):
        knobs.setdefault('stale_caches', not any('restore_bag' in kinds for kinds in budget))
        knobs.setdefault('keys', 'disk')
        self.world = World(charm, directory, juju=MemoisedJuju, **knobs)
        self.juju = self.world.juju
        self.trial = Trial(self.world)
        for _ in range(units):
            self.world.add()
        self.juju.elect(self.juju.units()[0])
        if at_rest:
            self.trial.settle()
            self.trial.story = ['{} units at rest'.format(units)]
        self.budget = budget
        self.shares = {kind: kinds for kinds in budget for kind in kinds}
        self.seen = set()
        self.steps = self.ends = 0

    def run(self):
        """Visit everything; Broken if a promise is broken anywhere."""
        started = time.monotonic()
        path = [self.key(Counter())]
        self.seen.update(path)
        frames = [(self.save(), self.choices(self.save(), Counter()))]
        while frames:
            state, choices = frames[-1]
            for action, spent in choices:
                self.load(state)
                self.trial.do(action)
                self.steps += 1
                self.run_idle_hooks()
                key = self.key(spent)
                # Whatever costs nothing and leads back to where it came from never rests.
                self.trial.expect(key not in path, 'P10', 'it goes round')
                if key not in self.seen:
                    self.seen.add(key)
                    path.append(key)
                    frames.append((self.save(), self.choices(self.save(), spent)))
                    break
            else:
                frames.pop()
                path.pop()
        self.seconds = time.monotonic() - started

    def save(self):
        return self.juju.save(), dict(self.trial.requests), dict(self.trial.earlier), \
            dict(self.trial.inherited), list(self.trial.story)

    def load(self, state):
        juju, requests, earlier, inherited, story = state
        self.juju.load(juju)
        self.trial.requests, self.trial.earlier = dict(requests), dict(earlier)
        self.trial.inherited, self.trial.story = dict(inherited), list(story)
        self.juju.runs = []

    def choices(self, state, spent):
        """(action, what is spent after it) of all that can happen in this state."""
        quiet = True
        for action in list(possible(self.trial)):
            if action.kind == 'hook':
                quiet = False
                yield action, spent
                yield from self.faults(action, state, spent)
            else:
                cost = self.spend(action.kind, spent)
                if cost is not None:
                    yield action, cost
        if quiet:
            self.load(state)
            self.trial.settle()
            self.ends += 1

    def run_idle_hooks(self):
        """Run what is due of hooks that are no relation's, if the charm does nothing in them.

        When they run makes no difference to others, nor what others do to them: no order of
        these is worth a state.
        """
        for unit in self.juju.units():
            while True:
                hook = self.juju.next_hook(unit)
                if hook is None or hook.relation or hook.kind == 'action' \
                        or not self.juju.does_nothing(unit):
                    break
                self.trial.do(Action('hook', unit))

    def faults(self, hook, state, spent):
        for kind in FAULTS:
            cost = self.spend(kind, spent)
            if kind == 'hook' or cost is None:
                continue
            self.load(state)
            # That another unit loses the leadership makes no difference within a hook.
            if kind in ('deposed', 'overtaken') and self.juju.model.leader != hook.unit:
                continue
            if kind not in AT_A_CALL:
                yield hook._replace(kind=kind), cost
                continue
            for at in range(1, len(calls(self.juju.run(hook.unit))) + 1):
                yield hook._replace(kind=kind, at=at), cost

    def spend(self, kind, spent):
        """What is spent after this; None if there is no budget for it."""
        if kind in FREE:
            return spent
        kinds = self.shares.get(kind)
        if kinds is None or spent[kinds] == self.budget[kinds]:
            return None
        return spent + Counter([kinds])

    def key(self, spent):
        """What this state is, as far as anything can depend on it."""
        model, relation = self.juju.model, self.juju.relation()
        # What a bag or a disk may go back to, as long as there is a budget for it.
        earlier = {} if self.spend('restore_bag', spent) is None else {
            owner: bags[relation.id][owner] for owner, bags in sorted(self.trial.earlier.items())}
        versions = {owner: [bag.version] + [number for name, (_, number) in earlier.items()
                                            if name == owner]
                    for owner, bag in [*relation.units.items(), (model.app, relation.app)]}

        def seen(owner, version):
            """Of each of them: whether this is behind (-1), or how far it is ahead."""
            return [max(version - each, -1) for each in versions.get(owner, ())]

        def version(hook):
            return hook and (*hook._replace(version=0),
                             seen(hook.remote_unit or model.app, hook.version))

        def past(unit):
            ago = since_other(self.juju, unit)
            if not ago or not any(
                    self.spend(kind, spent) for kind in ('restore', 'restore_disk')):
                return None
            return self.juju.history[unit][-1 - ago], self.juju.disk_history[unit][-1 - ago]

        units = [(
            unit.name, unit.life, unit.installed, unit.started, sorted(unit.due),
            [tuple(action) for action in unit.actions], version(unit.failed),
            version(unit.queued), unit.led, unit.stopped, unit.gone, unit.config_again,
            unit.leader_settings_seen == model.leader_settings_version, sorted(unit.created),
            sorted(unit.reloaded), sorted(unit.left),
            [(id_, sorted(missed)) for id_, missed in sorted(unit.missed.items())],
            [(name, seen(name, known))
             for name, known in sorted(unit.members.get(relation.id, {}).items())],
            seen(model.app, unit.app_seen.get(relation.id, 0)),
            sorted(unit.changed_pending.items()), sorted(unit.cache.items()),
            self.juju.unitdata[unit.name], self.juju.disks[unit.name], self.juju.lives[unit.name],
            past(unit.name),
        ) for _, unit in sorted(model.units.items())]
        bags = [(name, sorted(bag.settings.items()))
                for name, bag in sorted(relation.units.items())]
        state = (units, bags, sorted(relation.app.settings.items()), sorted(relation.alive),
                 relation.dying, model.leader, model.unit_count,
                 [(owner, sorted(settings.items())) for owner, (settings, _) in earlier.items()],
                 sorted(spent.items()), sorted(self.trial.requests.items()),
                 sorted(self.trial.inherited.items()))
        # Version 0 of the format: with equal values it gives equal bytes.
        return hashlib.blake2b(marshal.dumps(state, 0), digest_size=16).digest()

    def sample_again(self, number, seed=1):
        """Run some of the remembered hooks again: their outcome has to be the remembered one."""
        ends = list(self.juju.ends())
        chosen = random.Random(seed).sample(ends, min(number, len(ends)))
        for each in chosen:
            self.juju.run_again(*each)
        return len(chosen)

    def __str__(self):
        return ('{} states, {} steps of which {} ran a hook for real and {} reused one, '
                '{} ends, {:.0f} s'.format(len(self.seen), self.steps, self.juju.real_runs,
                                           self.juju.reused, self.ends, self.seconds))
