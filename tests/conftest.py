"""Fixtures, and the header line with the versions that matter."""
import subprocess
from importlib.metadata import version

import pytest
from charmhelpers import osplatform

try:
    osplatform.get_platform()
except (OSError, RuntimeError):
    # charmhelpers 1.2.1 refuses to be imported on Debian and macOS, and has no switch for it.
    osplatform.get_platform = lambda: 'ubuntu'

# They import what the lines above make importable.
from world import METADATA, World, assemble  # noqa: E402


def pytest_report_header():
    openssl = subprocess.run(['openssl', 'version'], stdout=subprocess.PIPE, check=True)
    return 'charms.reactive {}, charmhelpers {}, {}'.format(
        version('charms.reactive'), version('charmhelpers'), openssl.stdout.decode().strip())


@pytest.fixture(scope='session')
def charm(tmp_path_factory):
    """A charm of the interface and a layer that only answers its flags."""
    return assemble(tmp_path_factory.mktemp('charm'))


@pytest.fixture(scope='session')
def crowded(tmp_path_factory):
    """The same charm with another peer relation beside ours."""
    peers = dict(METADATA['peers'], cluster={'interface': 'other'})
    return assemble(tmp_path_factory.mktemp('crowded'), metadata=dict(METADATA, peers=peers))


@pytest.fixture
def world(charm, tmp_path):
    """world(units, **knobs): the charm deployed; each call gives a new model."""
    worlds = []

    def deploy(units=0, charm=charm, **knobs):
        worlds.append(World(charm, tmp_path / 'model-{}'.format(len(worlds)), **knobs))
        worlds[-1].start(units)
        return worlds[-1]

    yield deploy
    for each in worlds:
        each.juju.close()
