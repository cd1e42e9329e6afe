"""P15 in random histories with every fault (histories.py says what holds); hooks in this process.

`tox` and `tox -e slow` run the same histories each time; `tox -e soak` runs new ones for SOAK
seconds.
"""
import os
import random
import time

import pytest

from histories import KNOBS, Event, History, draw


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
@pytest.mark.parametrize('first, last', [
    (0, 2 * len(KNOBS)), pytest.param(2 * len(KNOBS), 60, marks=pytest.mark.slow)])
@pytest.mark.parametrize('number', range(len(KNOBS)))
def test_p15_random_histories(charm, tmp_path, record_property, number, first, last):
    started = time.monotonic()
    histories, hooks = run(charm, tmp_path / 'model', KNOBS[number],
                           range(first + number, last, len(KNOBS)))
    record_property('search', '{} random histories, {}: {} hooks, {:.0f} s'.format(
        histories, KNOBS[number], hooks, time.monotonic() - started))


START = [Event('add'), Event('add'), Event('settle')]


@pytest.mark.parametrize('events', [
    START + [Event('repeat', 'tls/1'), Event('rename', 'tls/0'), Event('lose', 'tls/1')],
    START + [Event('elect', 'tls/0'), Event('nonsense', 'tls/1', ({'csr': ''},)),
             Event('renew', 'tls/0'), Event('usurped', 'tls/0', (2,))],
    [Event('keys', '', ('disk',)), Event('original', '', (2,)), Event('lose_disk', 'tls/0')],
])
def test_p15_histories_in_which_the_tests_themselves_once_failed(charm, tmp_path, events):
    history = History(charm, tmp_path / 'model')
    try:
        assert history.fails(events) is None
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
