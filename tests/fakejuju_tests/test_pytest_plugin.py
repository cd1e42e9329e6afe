"""The fixtures `juju` and `charm`, in runs of pytest of their own."""
import os
import re
import subprocess
import sys

import pytest

from test_testing import charm_of
from world import TESTS

TEST = '''
def test_it(juju, charm):
    juju.deploy(charm)
    juju.fault({!r}, exit=1)
    juju.settle()
    assert juju.status('app/0').current == {!r}
'''


@pytest.fixture
def run(tmp_path):
    """run(test, *options, **environment): the exit code and what pytest printed."""
    def pytest_of_its_own(test, *options, **environment):
        (tmp_path / 'test_it.py').write_text(test)
        done = subprocess.run(
            [sys.executable, '-m', 'pytest', '-p', 'fakejuju.plugin', '-p', 'no:cacheprovider',
             *options, 'test_it.py'],
            env=dict(os.environ, PYTHONPATH=str(TESTS), **environment), cwd=str(tmp_path),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
        return done.returncode, done.stdout

    return pytest_of_its_own


@pytest.fixture(scope='module')
def charm(tmp_path_factory):
    return str(charm_of(tmp_path_factory.mktemp('charm') / 'app'))


def test_a_charm_is_named_by_an_option_or_a_variable(run, charm):
    test = TEST.format('start', 'active')
    assert run(test, '--charm', charm)[0] == 0
    assert run(test, CHARM=charm)[0] == 0


def test_a_fault_that_no_hook_met_with_fails_the_test(run, charm):
    code, printed = run(TEST.format('update-status', 'active'), '--charm', charm)
    assert code == 1 and '1 failed' in printed and 'error' not in printed.splitlines()[-1]
    assert 'fault not met: exit=1 at update-status of any unit: no such hook ran' in printed


def test_beside_a_failure_stand_the_status_and_the_log(run, charm):
    code, printed = run(TEST.format('start', 'blocked'), '--charm', charm)
    assert code == 1 and re.search('- juju status -+\napp/0: active started\n', printed)
    assert re.search('- juju debug-log, its end -+\nunit-app-0: .* INFO .* here it is\n'
                     'unit-app-0: .* ERROR .*start hook failed: exit code 1\n', printed)
    assert 'fault' not in printed.split('short test summary')[1]


def test_hooks_are_processes_on_request(run, charm):
    test = '''
def test_it(juju, charm):
    juju.deploy(charm)
    juju.settle()
    print((juju.charm_directory('app/0') / 'frameworks').read_text())
'''
    assert 'True\n' in run(test, '--charm', charm, '-s')[1]
    assert 'False\n' in run(test, '--charm', charm, '-s', '--fakejuju-processes')[1]


def test_without_a_charm_and_without_a_layer_it_says_so(run, tmp_path):
    code, printed = run(TEST.format('start', 'active'), CHARM='')
    assert code == 1 and 'no charm: neither --charm nor CHARM names one, and there is no ' \
        'layer.yaml in {} or above it'.format(tmp_path) in printed


def test_without_charm_build_it_says_so(run, tmp_path):
    (tmp_path / 'layer.yaml').write_text('includes: [layer:basic]\n')
    printed = run(TEST.format('start', 'active'), CHARM='', CHARM_BUILD='nowhere')[1]
    assert '\nno command nowhere: install charm-tools in a virtual environment of its ' \
        'own and set CHARM_BUILD to the charm-build in it\n' in printed


@pytest.mark.slow
@pytest.mark.once
def test_the_layer_in_this_directory_is_built(run, tmp_path):
    """With its own layers and interfaces, beside it or where the variables say; offline."""
    for name, text in {
            'layer.yaml': "{includes: ['layer:basic', 'layer:mine', 'interface:any'], "
                          'exclude: [test_it.py, layers, interfaces]}',
            'metadata.yaml': '{name: app, summary: x, description: x, '
                             'peers: {peers: {interface: any}}}',
            'layers/mine/reactive/mine.py': 'from charms.reactive import when_not, set_flag\n\n\n'
                                            '@when_not("mine")\ndef it():\n    set_flag("mine")\n',
            'wheelhouse.txt': 'package-that-is-nowhere', 'layers/mine/wheelhouse.txt': 'another',
            'layers/mine/layer.yaml': "includes: ['layer:basic']",
            'interfaces/any/interface.yaml': 'name: any', 'interfaces/any/peers.py': ''}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    test = '''
def test_it(juju, charm):
    juju.deploy(charm)
    juju.settle()
    assert juju.flags('app/0') == {'mine'}
    assert (charm / 'hooks/relations/any/peers.py').exists()
'''
    assert run(test, CHARM='')[0] == 0
    (tmp_path / 'interfaces').rename(tmp_path / 'elsewhere')
    code, printed = run(test, CHARM='')
    assert code == 1 and 'Unable to locate interface:any' in printed and 'Traceback' not in printed
    assert run(test, CHARM='', CHARM_INTERFACES_DIR=str(tmp_path / 'elsewhere'))[0] == 0
