"""The suite notices: each broken variant fails the test of the promise that it breaks."""
import inspect
import random
import re
from collections import Counter
from importlib import import_module

import pytest

from broken_variants import VARIANTS
from histories import History, Violation, draw
from protocol import Broken
from search import Search
from world import TESTS, assemble

named = pytest.mark.parametrize('variant', VARIANTS, ids=lambda each: each.name)

# Which the search and the random histories have to notice in each `tox`.
QUICK = 'believes its bag: a request, though its key is lost'


@pytest.fixture
def broken_charm(variant, tmp_path):
    peers = variant.write(tmp_path / 'peers.py')
    return assemble(tmp_path / 'charm', peers)


def promise_test(name):
    modules = [import_module(path.stem)
               for path in (TESTS / 'interface').glob('test_promises_*.py')]
    test, = [vars(module)['test_' + name] for module in modules if 'test_' + name in vars(module)]
    return test


def run_test(name, charm, world, directory, arguments):
    """Run the test of that name on this charm, once for each `call` where those are several."""
    test, calls = promise_test(name), arguments.get('call')
    needs, history = inspect.signature(test).parameters, None
    directory.mkdir()
    if 'world' in needs:
        arguments = dict(arguments, world=lambda units=0, charm=charm, **knobs: world(
            units, charm, **knobs))
    if 'play' in needs:
        history = History(charm, directory / 'model')
        arguments = dict(arguments, play=history.play_from_rest)
    if 'tmp_path' in needs:
        arguments = dict(arguments, tmp_path=directory / 'test')
    try:
        for call in calls or [None]:
            test(**dict(arguments, **({'call': call} if calls else {})))
    finally:
        if history:
            history.juju.close()


@pytest.mark.slow
@named
def test_the_test_of_its_promise_fails(variant, charm, broken_charm, world, tmp_path):
    run_test(variant.test, charm, world, tmp_path / 'ours', variant.arguments)  # it is sound
    with pytest.raises(AssertionError) as caught:
        run_test(variant.test, broken_charm, world, tmp_path / 'broken', variant.arguments)
    assert 'NameError' not in str(caught.value)  # of an edit that peers.py has outgrown


@pytest.mark.parametrize('variant', [
    pytest.param(each, marks=pytest.mark.once if each.name == QUICK else pytest.mark.slow,
                 id=each.name) for each in VARIANTS if each.search])
def test_the_search_names_its_promise(variant, broken_charm, tmp_path):
    budget = {(kind,): number for kind, number in Counter(variant.search).items()}
    promise = variant.breaks or re.match('p[0-9]+', variant.test).group().upper()
    with pytest.raises(Broken, match='^{}: '.format(promise)):
        Search(broken_charm, tmp_path / 'model', 2, budget, at_rest=True).run()


@pytest.mark.once
@pytest.mark.parametrize('variant', [each for each in VARIANTS if each.name == QUICK],
                         ids=lambda each: each.name)
def test_random_histories_notice_it(broken_charm, tmp_path):
    history = History(broken_charm, tmp_path / 'model')
    try:
        with pytest.raises(Violation, match='was told'):
            for seed in range(60):
                history.play(draw(random.Random(seed)))
    finally:
        history.juju.close()
