"""Fixtures, and the header line with the versions that matter."""
import os
import ssl
from importlib.metadata import distributions

import pytest
from charmhelpers import osplatform

import tox_summary
from inprocess import InProcessJuju
from prerequisites import missing

try:
    osplatform.get_platform()
except (OSError, RuntimeError):
    # charmhelpers 1.2.1 refuses to be imported on Debian and macOS, and has no switch for it.
    osplatform.get_platform = lambda: 'ubuntu'

pytest.register_assert_rewrite('world', 'wire')

from world import METADATA, TESTS, World, assemble  # noqa: E402 - its asserts are rewritten first


def pytest_configure(config):
    if missing():
        pytest.exit(missing(), returncode=1)


def pytest_report_header():
    versions = {each.metadata['Name']: each.version for each in distributions()}
    return 'charms.reactive {}, charmhelpers {}, {}'.format(
        versions['charms.reactive'], versions['charmhelpers'], ssl.OPENSSL_VERSION)


def pytest_make_parametrize_id(val):
    """No name of a test is as long as the longest arguments."""
    return '{!r:.40}'.format(val) if isinstance(val, str) and len(val) > 40 else None


def pytest_collection_modifyitems(items):
    """The longest first, or at the end one of two workers has nothing to do. The tests of the
    example in ops have no marks of ours: its directory is to be copied. Those in `integration` ask
    the units, by the command openssl.
    """
    for item in items:
        if 'ops-example' in item.path.parts:
            item.add_marker('once')
        if 'integration' in item.path.parts:
            item.add_marker('openssl')
    items.sort(key=lambda item: item.path.name != 'test_every_order.py')


def pytest_collection_finish(session):
    """Where no test may use the command openssl, it fails."""
    if not any(item.get_closest_marker('openssl') for item in session.items):
        os.environ['PATH'] = '{}:{}'.format(TESTS / 'harness/without_openssl', os.environ['PATH'])


def pytest_terminal_summary(terminalreporter):
    """What the searches covered, with -v; and a record for tox_summary.py."""
    passed = [report for report in terminalreporter.getreports('passed') if report.when == 'call']
    if terminalreporter.verbosity > 0:
        for report in passed:
            for name, value in report.user_properties:
                if name == 'search':
                    terminalreporter.line(value)
    tox_summary.record([report.nodeid for report in passed], os.environ.get('TESTS_OF'))


@pytest.fixture(scope='session')
def charm(tmp_path_factory):
    """A charm of the interface and a layer that only answers its flags."""
    return assemble(tmp_path_factory.mktemp('charm'))


@pytest.fixture(scope='session')
def crowded(tmp_path_factory):
    """The same charm with another peer relation beside ours."""
    peers = dict(METADATA['peers'], cluster={'interface': 'other'})
    return assemble(tmp_path_factory.mktemp('crowded'), metadata=dict(METADATA, peers=peers))


@pytest.fixture(scope='session')
def settled(tmp_path_factory):
    """settled(units, charm, knobs): a model of them at rest, made once, to copy from."""
    models = {}

    def model(units, charm, knobs):
        key = units, charm, tuple(sorted(knobs.items()))
        if key not in models:
            models[key] = World(charm, tmp_path_factory.mktemp('settled') / 'model',
                                InProcessJuju, **knobs)
            models[key].start(units)
        return models[key]

    yield model
    for each in models.values():
        each.juju.close()


@pytest.fixture
def world(settled, charm, tmp_path):
    """world(units, **knobs): the charm deployed and at rest; each call gives a new model."""
    worlds = []

    def deploy(units=0, charm=charm, **knobs):
        copy = settled(units, charm, knobs).copy(tmp_path / 'model-{}'.format(len(worlds)))
        worlds.append(copy)
        return copy

    yield deploy
    for each in worlds:
        each.juju.close()
