"""P15 in random histories with every fault (histories.py says what holds); hooks in this process.

`tox` runs the same histories each time; `tox -e soak` runs new ones for SOAK seconds.
"""
import os
import random
import time

import pytest

from forked import ForkedJuju
from histories import KNOBS, Event, History, draw
from inprocess import InProcessJuju
from world import World


def run(charm, directory, knobs, seeds):
    """Numbers of histories and hooks."""
    history, histories, hooks = History(charm, directory, **knobs), 0, 0
    try:
        for seed in seeds:
            events = draw(random.Random(seed))
            if history.fails(events):
                events = history.shortest(events)
                told = history.fails(events)
                pytest.fail('\n'.join(['{}: seed {}, {}'.format(told, seed, knobs),
                                       *map(str, events), *history.lines]))
            histories, hooks = histories + 1, hooks + len(history.juju.runs)
    finally:
        history.juju.close()
    return histories, hooks


@pytest.mark.once
@pytest.mark.parametrize('number', range(len(KNOBS)))
def test_p15_random_histories(charm, tmp_path, record_property, number):
    started = time.monotonic()
    histories, hooks = run(charm, tmp_path / 'model', KNOBS[number], range(number, 60, len(KNOBS)))
    record_property('search', '{} random histories, {}: {} hooks, {:.0f} s'.format(
        histories, KNOBS[number], hooks, time.monotonic() - started))


@pytest.mark.parametrize('events', [
    [Event('repeat', 'tls/1'), Event('rename', 'tls/0'), Event('lose', 'tls/1')],
    [Event('elect', 'tls/0'), Event('nonsense', 'tls/1', ({'csr': ''},)),
     Event('renew', 'tls/0'), Event('usurped', 'tls/0', (2,))],
])
def test_p15_histories_in_which_the_tests_themselves_once_failed(charm, tmp_path, events):
    history = History(charm, tmp_path / 'model')
    try:
        start = [Event('add'), Event('add'), Event('settle')]
        assert history.fails(start + events) is None
    finally:
        history.juju.close()


@pytest.mark.soak
def test_p15_random_histories_for_minutes(charm, tmp_path, record_property):
    end, histories, hooks = time.monotonic() + int(os.environ.get('SOAK', '600')), 0, 0
    while time.monotonic() < end:
        for number, knobs in enumerate(KNOBS):
            seeds = [random.SystemRandom().getrandbits(32) for _ in range(20)]
            more = run(charm, tmp_path / '{}-{}'.format(histories, number), knobs, seeds)
            histories, hooks = histories + more[0], hooks + more[1]
    record_property('search', '{} random histories, {} hooks'.format(histories, hooks))


def test_hooks_in_this_process_do_what_forked_ones_do(charm, tmp_path):
    """The same calls with the same answers, the same bags, unitdata, flags, and exit codes."""
    told = []
    for juju in (ForkedJuju, InProcessJuju):
        world = World(charm, tmp_path / juju.__name__, juju)
        try:
            world.start(3)
            world.juju.action('tls/1', 'renew')
            world.juju.run('tls/1', kill_at=2)
            world.juju.action('tls/1', 'renew')
            world.juju.settle()
            world.juju.action('tls/0', 'refuse')
            world.juju.action('tls/2', 'renew')
            world.juju.run('tls/0')
            world.juju.settle()
            world.juju.update_status('tls/2')
            world.juju.run('tls/2', fail_commit=True)
            world.juju.settle()
            world.juju.restore_unitdata('tls/1', 12)
            world.juju.update_status('tls/1')
            world.juju.settle()
            world.juju.remove_unit('tls/0')
            world.juju.settle()
            told.append(story(world))
        finally:
            world.juju.close()
    assert told[0] == told[1]
    assert len(told[0]) > 60


def story(world):
    runs = [(run.unit, run.hook.name, run.exit_code, run.committed, run.changes, run.stdout,
             [(call.argv, call.stdin, call.code, call.stdout, call.stderr) for call in run.calls])
            for run in world.juju.runs]
    return runs + [world.juju.app_bag()] + [
        (world.juju.bag(unit), world.remembered(unit), world.juju.flags(unit))
        for unit in world.juju.units()]
