"""The pytest plugin: the fixtures `juju` and `charm`."""
import os
from pathlib import Path
from typing import Any

import pytest

DEPLOYMENT: Any = pytest.StashKey()
LINES = 30  # of the log, beside a test that failed


def pytest_addoption(parser):
    group = parser.getgroup('fakejuju')
    group.addoption('--charm', metavar='PATH', default=os.environ.get('CHARM'), help=(
        'a built charm, a directory or a charm file, for the fixture `charm` (or set CHARM); '
        'without it charm-build builds the layer in this directory or above it'))
    group.addoption('--fakejuju-processes', action='store_true', help=(
        'run each hook and hook tool of the fixture `juju` as a process of its own, as Juju does'))


@pytest.fixture
def juju(request, tmp_path):
    """A fresh model: see fakejuju.testing.Deployment."""
    from .testing import Deployment
    deployment = Deployment(tmp_path / 'units', request.config.getoption('fakejuju_processes'))
    request.node.stash[DEPLOYMENT] = deployment
    yield deployment
    deployment.close()


@pytest.fixture(scope='session')
def charm(request, tmp_path_factory):
    """The built charm that --charm or CHARM names, else one that charm-build makes; its path."""
    from .build import BuildFailed, build
    named = request.config.getoption('charm')
    if named:
        return Path(named).absolute()
    here = request.config.invocation_params.dir
    layers = [each for each in (here, *here.parents) if (each / 'layer.yaml').is_file()]
    if not layers:
        pytest.fail('no charm: neither --charm nor CHARM names one, and there is no layer.yaml in '
                    '{} or above it'.format(here), pytrace=False)
    try:
        return build(layers[0], tmp_path_factory.mktemp('built'))
    except BuildFailed as error:
        told = str(error)
    pytest.fail(told, pytrace=False)


@pytest.hookimpl(trylast=True)
def pytest_runtest_call(item):
    """Fail a test in which a fault was not met. (This does not run if the test has failed
    already.)"""
    deployment = item.stash.get(DEPLOYMENT, None)
    if deployment and deployment.unmet():
        pytest.fail(deployment.unmet(), pytrace=False)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Add to the report of a failed test what its units say."""
    report = (yield).get_result()
    deployment = item.stash.get(DEPLOYMENT, None)
    if call.when == 'call' and report.failed and deployment and deployment.is_deployed():
        lines = ['{}: {}'.format(unit, ' '.join(deployment.status(unit)))
                 for unit in deployment.units()]
        report.sections.append(('juju status', '\n'.join(lines)))
        log = deployment.debug_log('INFO').splitlines()
        report.sections.append(('juju debug-log, its end', '\n'.join(log[-LINES:])))
