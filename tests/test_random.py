"""P1 to P10 in long random histories of up to eight units (protocol.py says what holds).

`tox` runs the same few histories each time; `tox -e soak` runs new ones for SOAK seconds.
"""
import os
import time

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from fakejuju.remembered import RememberedJuju
from protocol import AT_A_CALL, FAULTS, Action, Trial, possible
from world import World

MOST_UNITS = 8
KNOBS = [{}, {'leader_notified': False}, {'stale_caches': False}, {'departed_sent': False},
         {'version': '2.9.50'}, {'version': '4.0.1', 'content_versions': True}]


def machine(charm, directory):
    worlds = {}

    class History(RuleBasedStateMachine):
        """One world after another; what hooks did in earlier ones is remembered."""

        @initialize(number=st.integers(0, len(KNOBS) - 1), units=st.integers(1, 3),
                    at_rest=st.booleans())
        def start(self, number, units, at_rest):
            if number not in worlds:
                world = World(charm, directory / str(number), RememberedJuju, **KNOBS[number])
                worlds[number] = world, world.juju.save()
            world, pristine = worlds[number]
            world.juju.load(pristine)
            world.juju.runs = []
            self.trial = Trial(world)
            self.trial.story.append(str(KNOBS[number]))
            for _ in range(units):
                self.trial.do(Action('add'))
            if at_rest:
                self.trial.settle()

        def choose(self, data, kinds):
            """One of the actions of these kinds that are possible now, if any is."""
            world = self.trial.world
            actions = [each for each in possible(world) if each.kind in kinds and not (
                each.kind in ('add', 'return') and len(world.juju.units()) >= MOST_UNITS)]
            return data.draw(st.sampled_from(actions)) if actions else None

        @rule(data=st.data(), hooks=st.integers(1, 10))
        def run_hooks_of_a_unit(self, data, hooks):
            action = self.choose(data, ['hook'])
            while action and hooks and self.trial.world.juju.next_hook(action.unit):
                self.trial.do(action)
                hooks -= 1

        @rule(data=st.data(), kind=st.sampled_from(sorted(FAULTS)), at=st.integers(1, 8))
        def run_a_hook_with_a_fault(self, data, kind, at):
            action = self.choose(data, ['hook'])
            if action:
                self.trial.do(action._replace(kind=kind, at=at if kind in AT_A_CALL else None))

        @rule(data=st.data(), kinds=st.sampled_from([
            ['elect'], ['elect', 'depose'], ['renew'], ['renew', 'repeat'], ['slow', 'finish'],
            ['refuse'], ['reissue'],
            ['add', 'return'], ['remove', 'die'], ['forget'], ['restart', 'status']]))
        def let_something_happen(self, data, kinds):
            action = self.choose(data, kinds)
            if action:
                self.trial.do(action)

        @rule()
        def run_all_hooks(self):
            self.trial.run_hooks()

        def teardown(self):
            if hasattr(self, 'trial'):
                self.trial.settle()

    return History, worlds


def run(charm, directory, **how):
    history, worlds = machine(charm, directory)
    started = time.monotonic()
    try:
        run_state_machine_as_test(history, settings=settings(
            deadline=None, database=None, print_blob=False,
            suppress_health_check=list(HealthCheck), **how))
    finally:
        for world, _ in worlds.values():
            world.juju.close()
    hooks = [world.juju for world, _ in worlds.values()]
    return (sum(juju.real_runs for juju in hooks), sum(juju.reused for juju in hooks),
            time.monotonic() - started)


@pytest.mark.once
def test_random_histories(charm, tmp_path, record_property):
    # Shrinking takes minutes; the story is short enough to be read as it is.
    real, reused, seconds = run(charm, tmp_path, derandomize=True, max_examples=40,
                                stateful_step_count=40, phases=[Phase.generate])
    record_property('search', '40 random histories: {} hooks run for real, {} reused, '
                              '{:.0f} s'.format(real, reused, seconds))


@pytest.mark.soak
def test_random_histories_for_minutes(charm, tmp_path, record_property):
    end, rounds, total = time.monotonic() + int(os.environ.get('SOAK', '600')), 0, 0
    while time.monotonic() < end:
        real, reused, _ = run(charm, tmp_path / str(rounds), max_examples=40,
                              stateful_step_count=60)
        rounds, total = rounds + 1, total + real + reused
    record_property('search', '{} random histories, {} hooks'.format(40 * rounds, total))
