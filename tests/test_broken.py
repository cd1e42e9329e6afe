"""The suite notices: each variant of broken.py fails the test of the promise that it breaks."""
import inspect
import re
from collections import Counter
from importlib import import_module

import pytest

from broken import VARIANTS
from protocol import Broken
from search import Search
from world import TESTS, assemble

pytestmark = pytest.mark.slow
named = pytest.mark.parametrize('variant', VARIANTS, ids=lambda each: each.name)


@pytest.fixture
def broken_charm(variant, tmp_path):
    peers = variant.write(tmp_path / 'peers.py')
    return assemble(tmp_path / 'charm', peers)


def promise_test(name):
    modules = [import_module(path.stem) for path in TESTS.glob('test_promises_*.py')]
    test, = [vars(module)['test_' + name] for module in modules if 'test_' + name in vars(module)]
    return test


@named
def test_the_test_of_its_promise_fails(variant, broken_charm, world, tmp_path):
    test, arguments = promise_test(variant.test), dict(variant.arguments)
    if 'tmp_path' in inspect.signature(test).parameters:
        arguments['tmp_path'] = tmp_path / 'ours'
    test(world, **arguments)           # of ours: the test is sound

    def broken_world(units=0, charm=broken_charm, **knobs):
        return world(units, charm, **knobs)

    with pytest.raises(AssertionError):
        test(broken_world, **dict(arguments, **{
            name: tmp_path / 'broken' for name in arguments if name == 'tmp_path'}))


@pytest.mark.parametrize('variant', [each for each in VARIANTS if each.search],
                         ids=lambda each: each.name)
def test_the_search_names_its_promise(variant, broken_charm, tmp_path):
    budget = {(kind,): number for kind, number in Counter(variant.search).items()}
    promise = variant.breaks or re.match('p[0-9]+', variant.test).group().upper()
    with pytest.raises(Broken, match='^{}: '.format(promise)):
        Search(broken_charm, tmp_path / 'model', 2, budget, at_rest=True).run()
