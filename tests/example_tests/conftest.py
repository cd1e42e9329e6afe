"""The examples, built once for all of their tests."""
import fcntl
import os

import pytest

from charm_build import build
from deployed import deploy, tampering
from easyrsa_units import Units
from world import TESTS


@pytest.fixture(scope='session')
def built(tmp_path_factory):
    """The example, which of several processes the first to come here builds for all."""
    home = tmp_path_factory.getbasetemp()
    home = home.parent if 'PYTEST_XDIST_WORKER' in os.environ else home
    with open(str(home / 'built.lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        charm = home / 'built/tls-example'
        return charm if charm.is_dir() else build(TESTS / 'example', home / 'built')


@pytest.fixture(scope='session')
def served_units(built, tmp_path_factory):
    """Three of the example, to copy from."""
    with deploy(built, tmp_path_factory.mktemp('served') / 'units', 3) as juju:
        yield juju


@pytest.fixture
def tamper():
    """tamper(juju, unit, code): until the test ends, each hook of that unit runs this first."""
    with tampering() as tamper:
        yield tamper


@pytest.fixture(scope='session')
def easyrsa_charm(tmp_path_factory):
    charm = build(TESTS / 'example-easyrsa', tmp_path_factory.mktemp('easyrsa') / 'built')
    # A limit of a minute takes too long here.
    file = charm / 'lib/pki/command.py'
    assert 'SECONDS = 60' in file.read_text()
    file.write_text(file.read_text().replace('SECONDS = 60', 'SECONDS = 10'))
    return charm


@pytest.fixture(scope='session')
def settled_units(easyrsa_charm, tmp_path_factory):
    units = Units.deploy(easyrsa_charm, tmp_path_factory.mktemp('settled'), 3)
    yield units
    units.juju.close()


@pytest.fixture
def units(settled_units, tmp_path):
    """Three of them, at rest; no hook may fail."""
    copy = settled_units.copy(tmp_path / 'units')
    yield copy
    copy.juju.close()
    copy.expect_no_failed_hook()
