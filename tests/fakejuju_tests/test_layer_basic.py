"""The stand-in for layer:basic: what a layer and its actions call, in both ways to run hooks."""
import os
import subprocess
import sys

import pytest

from fakejuju.build import LAYERS, BuildFailed, build
from fakejuju.testing import Deployment
from world import TESTS

pytestmark = pytest.mark.once

ACTION = '''#!/usr/bin/env python3
import sys

sys.path.append('lib')

from charms.layer.basic import activate_venv

activate_venv()
'''
FILES = {
    'layer.yaml': '''
includes: ['layer:basic']
defines: {word: {type: string, default: here}}
options:
  basic: {packages: [nginx], python_packages: [six], use_venv: false, include_system_packages: true}
''',
    'metadata.yaml': '{name: app, summary: x, description: x, peers: {peers: {interface: any}}}',
    'config.yaml': '{options: {with: {type: string, default: a}, without: {type: string}}}',
    'actions.yaml': '{only-main: {}, handler: {}, older: {}}',
    'lib/charms/layer/app.py': 'def greet():\n    return "hello"\n',
    'bin/helper': '#!/bin/sh\necho helped',
    'reactive/app.py': '''
import subprocess

from charmhelpers.core import hookenv, unitdata
from charms import layer
from charms.reactive import get_flags, hook, when


@hook('install', 'update-status', 'config-changed')
def record():
    unitdata.kv().set('flags', sorted(get_flags()))
    unitdata.kv().set('options', layer.options.get('app', 'word'))
    unitdata.kv().set('older', layer.options('basic')['packages'])
    unitdata.kv().set('all', sorted(layer.options.get()))
    unitdata.kv().set('library', layer.app.greet())
    unitdata.kv().set('helper', subprocess.check_output('helper').decode())


@hook('handler', 'only-main')
def act():
    hookenv.action_set({'did': 'it'})


@when('config.changed.without')
def changed():
    unitdata.kv().set('changed', unitdata.kv().get('changed', []) + [hookenv.config('without')])
''',
    'actions/only-main': ACTION + 'from charms.reactive import main\n\nmain()\n',
    'actions/handler': ACTION + '''
import os

os.environ['JUJU_HOOK_NAME'] = os.environ['JUJU_ACTION_NAME']
from charms.reactive import main

main()
''',
    'actions/older': '''#!/usr/bin/env python3
import sys

sys.path.append('lib')
from charms.layer import basic

basic.bootstrap_charm_deps()
basic.init_config_states()
from charmhelpers.core import hookenv
from charms.reactive import get_flags

hookenv.action_set({'flags': ' '.join(sorted(get_flags()))})
'''}


@pytest.fixture(scope='module')
def layer(tmp_path_factory):
    layer = tmp_path_factory.mktemp('layer') / 'app'
    for name, text in FILES.items():
        (layer / name).parent.mkdir(parents=True, exist_ok=True)
        (layer / name).write_text(text)
        (layer / name).chmod(0o755)
    return layer


@pytest.fixture(scope='module')
def charm(layer, tmp_path_factory):
    return build(layer, tmp_path_factory.mktemp('built'))


@pytest.fixture(params=['forked', pytest.param('processes', marks=pytest.mark.slow)])
def juju(request, charm):
    with Deployment(processes=request.param == 'processes') as deployment:
        deployment.deploy(charm)
        deployment.settle()
        yield deployment


def test_options_and_libraries_of_layers(juju):
    found = juju.unitdata('app/0')
    assert (found['options'], found['older'], found['library']) == ('here', ['nginx'], 'hello')
    assert found['all'] == ['app', 'basic'] and found['helper'] == 'helped\n'


def test_flags_tell_of_the_configuration_in_each_hook(juju):
    standing = ['config.default.with', 'config.default.without', 'config.set.with']
    assert juju.unitdata('app/0')['flags'] == standing
    assert juju.flags('app/0') == set()
    juju.config({'without': 'b'})
    juju.settle()
    assert juju.unitdata('app/0')['changed'] == [None, 'b']  # all are new in `install`
    assert juju.unitdata('app/0')['flags'] == sorted([
        'config.changed', 'config.changed.without', 'config.default.with', 'config.set.with',
        'config.set.without'])
    juju.update_status()
    juju.settle()
    assert juju.unitdata('app/0')['flags'] == sorted([
        'config.default.with', 'config.set.with', 'config.set.without'])


def test_in_an_action_handlers_of_hooks_run_if_it_takes_its_own_name(juju):
    """As on layer:basic: JUJU_HOOK_NAME is empty in an action, and so no @hook handler is found."""
    assert juju.run('app/0', 'only-main').results == {}
    assert 'Reactive main running for hook \n' in juju.debug_log()
    assert juju.run('app/0', 'handler').results == {'did': 'it'}


def test_an_action_that_works_without_main(juju):
    assert juju.run('app/0', 'older').results == {
        'flags': 'config.default.with config.default.without config.set.with'}


def test_charm_build_knows_the_options_of_layer_basic(tmp_path):
    layer = tmp_path / 'app'
    layer.mkdir()
    (layer / 'metadata.yaml').write_text(FILES['metadata.yaml'])
    (layer / 'layer.yaml').write_text(
        "{includes: ['layer:basic'], options: {basic: {use_venv: perhaps}}}")
    with pytest.raises(BuildFailed, match="'perhaps' is not of type 'boolean'"):
        build(layer, tmp_path / 'built')


def fakejuju(*arguments, **environment):
    done = subprocess.run([sys.executable, '-m', 'fakejuju', *map(str, arguments)],
                          env=dict(os.environ, PYTHONPATH=str(TESTS), **environment),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    return done.returncode, done.stdout, done.stderr


def test_the_command_prints_where_the_layers_are():
    assert fakejuju('layers') == (0, '{}\n'.format(LAYERS), '')
    assert (LAYERS / 'basic/layer.yaml').exists()


def test_the_command_builds_a_layer_and_prints_where_it_is(layer, tmp_path):
    assert fakejuju('build', layer, tmp_path) == (0, '{}\n'.format(tmp_path / 'app'), '')
    assert (tmp_path / 'app/hooks/install').exists()
    code, printed, told = fakejuju('build', layer, tmp_path, CHARM_BUILD='nowhere')
    assert (code, printed) == (1, '') and told.startswith('ERROR no command nowhere: ')
