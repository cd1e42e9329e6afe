"""fakejuju's command `juju`: what it refuses, and that it then leaves the model as it was.

What it does is in integration/, where jubilant drives it; what a charm may be, in
test_deploy_checks.py.
"""
import fcntl
import json
import os
import re
import subprocess
import sys
import time

import pytest

from juju_command import Command, make, pack, plain
from world import METADATA, TESTS

pytestmark = [pytest.mark.once, pytest.mark.xdist_group('juju command')]


LONG = 'a' * 300  # too long for the name of a file
RECORDED = TESTS / 'fakejuju_tests/recorded'


@pytest.fixture(scope='module')
def charm_file(tmp_path_factory):
    return make(tmp_path_factory.mktemp('charm') / 'tls')


@pytest.fixture(scope='module')
def juju(charm_file, tmp_path_factory):
    """A model with two units at rest."""
    juju = Command(tmp_path_factory.mktemp('juju') / 'models')
    assert juju('add-model', '--no-switch', 'test').returncode == 0
    assert juju('deploy', '-m', 'test', charm_file, '-n', '2').returncode == 0
    juju.rest()
    return juju


def test_agents_work_while_somebody_looks(juju):
    units = juju.status()['applications']['tls']['units']
    assert sorted(units) == ['tls/0', 'tls/1']
    assert [unit.get('leader') for _, unit in sorted(units.items())] == [True, None]
    before = juju.files()
    assert juju.status()['applications']['tls']['units'] == units
    assert juju.files() == before


def test_hooks_run_with_status_and_not_before(juju):
    juju('config', '-m', 'test', 'tls')
    done = juju('exec', '-m', 'test', '--format', 'json', '--unit', 'tls/leader', '--',
                'relation-ids certificates; relation-get -r certificates:0 - tls/0 | grep csr_n')
    task, = json.loads(done.stdout).values()
    assert task['unit'] == 'tls/0' and task['status'] == 'completed'
    assert task['results']['stdout'].startswith('certificates:0\ncsr_number: ')
    done = juju('exec', '-m', 'test', '--format', 'json', '--unit', 'tls/1', '--',
                'echo out; echo err >&2; relation-set -r certificates:0 x=y; exit 3')
    task, = json.loads(done.stdout).values()
    assert done.returncode == 1 and 'ERROR the following task failed' in done.stderr
    assert task['results'] == {'return-code': 3, 'stdout': 'out\n', 'stderr': 'err\n'}
    assert task['status'] == 'completed'
    juju.rest()
    done = juju('exec', '-m', 'test', '--format', 'json', '--unit', 'tls/0', '--',
                'relation-get -r certificates:0 x tls/1')   # of exec all is committed (JSRC C1)
    assert json.loads(done.stdout)['tls/0']['results']['stdout'] == 'y\n'


@pytest.mark.parametrize('arguments, code, line', [
    ('', 1, 'fakejuju does not model juju '),
    ('bootstrap', 1, 'fakejuju does not model juju bootstrap'),
    ('status --format json', 2, 'No selected model'),
    ('status -m other --format json', 1, 'model fakejuju:other not found'),
    ('status -m test', 1, 'fakejuju does not model output that is not --format json'),
    ('status -m test --format json --storage', 1, 'fakejuju does not model --storage'),
    ('status -m test --format json tls', 1, 'fakejuju does not model status of tls'),
    ('status -m ../models/test --format json', 1, 'model fakejuju:../models/test not found'),
    ('destroy-model . --no-prompt', 1, 'model fakejuju:. not found'),
    ('add-model test', 1, 'failed to create new model: model "test" for admin already exists'),
    ('add-model Bad_name', 1, '"Bad_name" is not a valid name'),
    ('destroy-model other --no-prompt', 1, 'model fakejuju:other not found'),
    ('add-model ' + LONG, 1, 'fakejuju does not model a name of more than 200 characters'),
    ('status -m {} --format json'.format(LONG), 1, 'model fakejuju:{} not found'.format(LONG)),
    ('deploy -m test {charm} ' + LONG, 1,
     'fakejuju does not model a name of more than 200 characters'),
    ('deploy -m test', 2, 'no charm or bundle specified'),
    ('deploy -m test postgresql', 1, '"postgresql" is no path of a local charm'),
    ('deploy -m test ./nothing.charm other', 1, 'no charm was found at "./nothing.charm"'),
    ('deploy -m test {junk} other', 1, 'invalid charm or bundle provided at "{junk}"'),
    ('deploy -m test {empty} other', 1,
     'attempting to deploy "{empty}": archive file "metadata.yaml" not found'),
    ('deploy -m test {charm}', 1, 'cannot add application "tls": application already exists'),
    ('deploy -m test {charm} a-1', 2,
     'invalid application name "a-1", unexpected number(s) found after last hyphen'),
    ('deploy -m test {charm} a_b', 2, 'invalid application name "a_b", unexpected character _'),
    ('deploy -m test {charm} other more', 2, 'unrecognized args: ["more"]'),
    ('deploy -m test {charm} other --config x=1', 1, 'unknown option "x"'),
    ('deploy -m test {charm} other -n none', 2, '--num-units must be a positive integer'),
    ('deploy -m test {charm} other --to 0', 1, 'fakejuju does not model --to with anything but'),
    ('add-machine -m test', 1, 'fakejuju does not model add-machine without ssh:USER@HOST'),
    ('add-machine -m test ssh:ubuntu@10.0.0.1', 1,
     'fakejuju does not model add-machine beside units for which the cloud made machines'),
    ('add-unit -m test other', 1, 'application "other" not found'),
    ('remove-unit -m test --no-prompt tls/9', 1, 'removing unit tls/9 failed: unit "tls/9" not '
                                                 'found'),
    ('remove-unit -m test --no-prompt tls', 2, 'invalid unit name "tls"'),
    ('remove-unit -m test --no-prompt --no-wait tls/1', 2, '--no-wait without --force not valid'),
    ('remove-unit -m test --no-prompt --num-units 1 tls', 1,
     'fakejuju does not model --num-units'),
    ('remove-application -m test --no-prompt other', 1,
     'removing application other failed: application "other" not found'),
    ('refresh -m test tls', 1, 'fakejuju does not model refresh without --path: it has no store'),
    ('refresh -m test tls --path {junk}', 1, 'zip: not a valid zip file'),
    ('refresh -m test tls --path {renamed}', 1, 'cannot refresh "tls" to "renamed"'),
    ('config -m test tls x=1', 1, 'unknown option "x"'),
    ('run -m test --format json tls/0', 1, 'fakejuju does not model run with other arguments'),
    ('run -m test --format json tls/0 act word', 2,
     'argument "word" must be of the form key.key.key...=value'),
    ('exec -m test --format json -- true', 2, 'You must specify a target, either through --all, '),
    ('exec -m test --format json --unit tls/0', 2, 'no commands specified'),
    ('resolve -m test tls/9', 1, 'unit "tls/9" not found'),
    ('resolve -m test tls/0', 1, 'unit "tls/0" is not in an error state'),
    ('resolve -m test', 2, 'no unit specified'),
    ('resolve -m test tls', 2, 'unit name "tls" not valid'),
    ('resolve -m test --all tls/0', 2, 'specifying unit names(s) with --all not supported'),
    ('fakejuju-reboot -m test tls/9', 1, 'unit "tls/9" not found'),
])
def test_what_is_refused_changes_nothing(juju, charm_file, tmp_path, arguments, code, line):
    junk = tmp_path / 'junk.charm'
    junk.write_text('no archive')
    (tmp_path / 'empty').mkdir()
    files = {'junk': junk, 'empty': pack(tmp_path / 'empty'), 'charm': charm_file,
             'renamed': make(tmp_path / 'renamed', metadata=json.dumps(
                 dict(METADATA, name='renamed', description='x')))}
    before = juju.files()
    found = juju.of('3.6.8').refused(*arguments.format(**files).split())
    assert found[0] == code and line.format(**files) in found[1]
    assert juju.files() == before


@pytest.mark.parametrize('command, version, text', [
    ('run {} act', '3.6.8', 'unit "{}" not found'),
    ('run {} act', '4.1.0', 'linking task to unit: getting unit UUID for "{0}": unit "{0}" not '
                            'found'),
    ('exec --unit {} -- true', '3.6.8', 'unit "{}" not found'),
    ('exec --unit {} -- true', '4.1.0', 'linking task to unit: getting unit UUID for "{0}": unit '
                                        '"{0}" not found'),
    ('run tls/0 nonsense', '3.6.8', 'action "nonsense" not defined on unit "tls/0"'),
])
def test_where_no_task_can_be_the_exit_code_is_0(juju, command, version, text):
    """JSRC F15."""
    name, *arguments = command.format('tls/9').split()
    done = juju.of(version)(name, '-m', 'test', '--format', 'json', *arguments)
    assert (done.returncode, done.stdout) == (0, '')
    assert done.stderr.lstrip().split(':\n', 1)[1] == text.format('tls/9') + '\n'
    assert re.match(r'\n?Operation \d+ failed to schedule any tasks:\n', done.stderr)


def test_run_and_exec_are_those_of_juju_3(juju):
    asked = 'exec -m test --format json --unit tls/0 -- true'.split()
    assert juju.of('2.9.50').refused(*asked) == (
        1, 'fakejuju does not model run and exec of Juju 2')
    assert juju.of('5.0.0').refused('version')[1] == 'fakejuju does not model Juju 5.0.0'


def test_of_units_that_are_to_go_the_known_ones_go(tmp_path):
    juju = Command(tmp_path / 'models', inside=True)
    juju('add-model', 'test')
    juju('deploy', '-m', 'test', plain(tmp_path / 'probe'), '-n', '3')
    juju.rest()
    done = juju('remove-unit', '-m', 'test', '--no-prompt', 'probe/9', 'probe/2')
    assert (done.returncode, done.stdout) == (1, 'will remove unit probe/2\n')
    assert sorted(juju.rest()) == ['probe/0', 'probe/1']
    log = tmp_path / 'models/test/log'
    told = log.read_text() if log.exists() else ''
    done = juju('remove-unit', '-m', 'test', '--no-prompt', '--force', '--no-wait', 'probe/1')
    assert (done.returncode, done.stdout) == (0, 'will remove unit probe/1\n')
    assert sorted(juju.status()['applications']['probe']['units']) == ['probe/0']
    assert 'unit-probe-1' not in (log.read_text() if log.exists() else '')[len(told):]


def test_an_error_is_resolved_with_a_retry_and_without(tmp_path):
    """JSRC A14, F5; and a machine that reboots runs start again (B6)."""
    juju = Command(tmp_path / 'models', '4.1.0', inside=True)
    juju('add-model', 'test')
    juju('deploy', '-m', 'test', plain(
        tmp_path / 'probe', start='echo start >> ../ran',
        config_changed='echo config >> ../ran; test ! -e ../fail'))
    juju.rest()
    home = tmp_path / 'models/test/applications/probe/probe-0'
    ran = home / 'ran'
    assert ran.read_text().split() == ['config', 'start']
    for retry in (True, False):
        ran.unlink()
        assert juju('fakejuju-reboot', '-m', 'test', 'probe/0').returncode == 0
        juju.rest()
        assert ran.read_text().split() == ['start']
        (home / 'fail').touch()
        juju('config', '-m', 'test', 'probe', 'opt={}'.format(int(retry)))
        juju.status()
        units = juju.status()['applications']['probe']['units']
        assert units['probe/0']['workload-status'] == {
            'current': 'error', 'message': 'hook failed: "config-changed"'}
        if retry:
            (home / 'fail').unlink()
        tried = ran.read_text().split()
        done = juju('resolve', '-m', 'test', *(['probe/0'] if retry else ['--no-retry', '--all']))
        assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
        (home / 'fail').unlink() if not retry else None
        units = juju.rest()
        assert units['probe/0']['workload-status'] == {'current': 'active'}
        assert (ran.read_text().split()[len(tried):][:1] == ['config']) or not retry


@pytest.mark.parametrize('name', ['lock', 'state', 'log', 'charms', 'applications'])
def test_an_application_may_have_any_name(tmp_path, name):
    """`state.new` and the like are no names of applications."""
    juju, file = Command(tmp_path / 'models', inside=True), plain(tmp_path / 'probe')
    juju('add-model', 'test')
    assert juju('deploy', '-m', 'test', file, 'other').returncode == 0
    assert juju('deploy', '-m', 'test', file, name).returncode == 0
    for _ in range(8):
        done = juju.status()['applications']
    assert {app: list(each['units']) for app, each in done.items()} == {
        'other': ['other/0'], name: [name + '/0']}
    assert {each['application-status']['current'] for each in done.values()} == {'active'}


@pytest.mark.parametrize('spoil, words', [
    (lambda file: file.chmod(0o644), 'exec: "{}": permission denied'),
    (lambda file: file.write_text('echo no interpreter'), 'fork/exec {}: exec format error'),
    (lambda file: file.write_text('#!/no/such/file'), 'fork/exec {}: no such file or directory')])
def test_what_cannot_be_executed_fails_as_a_hook_and_as_an_action(tmp_path, spoil, words):
    juju, charm = Command(tmp_path / 'models', inside=True), tmp_path / 'probe'
    plain(charm, config_changed='')
    for path in 'hooks/config-changed', 'actions/act':
        spoil(charm / path)
    juju('add-model', 'test')
    juju('deploy', '-m', 'test', pack(charm))
    for _ in range(6):
        unit = juju.status()['applications']['probe']['units']['probe/0']
    assert unit['workload-status'] == {
        'current': 'error', 'message': 'hook failed: "config-changed"'}
    home = str(tmp_path / 'models/test/applications/probe/probe-0/charm')
    assert 'hook failed: ' + words.format(home + '/hooks/config-changed') \
        in juju('debug-log', '-m', 'test').stdout
    juju('resolve', '-m', 'test', '--no-retry', 'probe/0')
    juju.rest()
    done = juju('run', '-m', 'test', '--format', 'json', 'probe/0', 'act')
    task, = json.loads(done.stdout).values()
    assert (done.returncode, task['status'], task['results']) == (0, 'failed', {})
    assert task['message'] == words.format(home + '/actions/act')


def test_an_action_without_an_executable_fails(tmp_path):
    juju, charm = Command(tmp_path / 'models', inside=True), tmp_path / 'probe'
    plain(charm)
    (charm / 'actions/act').unlink()
    (charm / 'config.yaml').write_text('options:\n')
    juju('add-model', 'test')
    assert juju('deploy', '-m', 'test', pack(charm)).returncode == 0
    juju.rest()
    done = juju('run', '-m', 'test', '--format', 'json', 'probe/0', 'act')
    task, = json.loads(done.stdout).values()
    assert (done.returncode, task['status'], task['message'], task['results']) == (
        0, 'failed', 'action not implemented on unit "probe/0"', {})
    assert json.loads(juju('config', '-m', 'test', 'probe', '--format', 'json').stdout)[
        'settings'] == {}
    assert juju.refused('config', '-m', 'test', 'probe', 'x=1')[0] == 1


@pytest.fixture(scope='module')
def probe(tmp_path_factory):
    """A model of a charm with options of each type, and actions with each kind of schema."""
    directory = tmp_path_factory.mktemp('probe')
    juju, charm = Command(directory / 'models', inside=True), directory / 'probe'
    plain(charm)
    (charm / 'config.yaml').write_text('options: {%s}' % ', '.join(
        '%s: {type: %s}' % each for each in (
            ('b', 'boolean'), ('i', 'int'), ('f', 'float'), ('s', 'string'), ('x', 'secret'))))
    (charm / 'actions.yaml').write_text(json.dumps({
        'act': {'params': {'v': {'type': 'string'}, 'n': {'type': 'integer'}}},
        'least': {'params': {'n': {'type': 'integer', 'minimum': 5}}},
        'one': {'params': {'e': {'enum': ['x', 'y']}}}, 'any': {'anyOf': []},
        'deep': {'params': {'o': {'type': 'object', 'properties': {'k': {'type': 'string'}}}}},
        'more': {'additionalProperties': {'type': 'string'}}}))
    juju('add-model', 'test')
    assert juju('deploy', '-m', 'test', pack(charm)).returncode == 0
    juju.rest()
    return juju


@pytest.mark.parametrize('setting, value', [
    *(('b=' + text, True) for text in '1 t T TRUE true True'.split()),
    *(('b=' + text, False) for text in '0 f F FALSE false False'.split()),
    ('i=+5', 5), ('i=-007', -7), ('i=9223372036854775807', 2 ** 63 - 1), ('f=1e3', 1000.0),
    ('f=.5', 0.5), ('f=-1.', -1.0), ('s=1_000', '1_000'), ('s=', '')])
def test_a_setting_is_read_as_go_reads_it(probe, setting, value):
    assert probe('config', '-m', 'test', 'probe', setting).returncode == 0
    settings = json.loads(probe('config', '-m', 'test', 'probe', '--format', 'json').stdout)
    found = settings['settings'][setting[0]]['value']
    assert (found, type(found)) == (value, type(value))


def test_on_a_cloud_that_makes_no_machines_each_unit_is_placed_on_one_that_was_added(tmp_path):
    juju, file = Command(tmp_path / 'models', inside=True), plain(tmp_path / 'probe')
    juju('add-model', 'test')
    for number in range(4):
        done = juju('add-machine', '-m', 'test', 'ssh:ubuntu@10.0.0.{}'.format(number))
        assert (done.returncode, done.stderr) == (0, 'created machine {}\n'.format(number))

    def machines():
        status = juju.status()
        return sorted(status['machines']), {name: unit['machine'] for name, unit in status[
            'applications']['probe']['units'].items()}

    def refused(units, *to):
        for command, *what in ('deploy', file, 'other'), ('add-unit', 'probe'):
            code, line = juju.refused(command, '-m', 'test', *what, '-n', units, *to)
            assert code == 1 and line.startswith('fakejuju does not model ')

    assert juju('deploy', '-m', 'test', file, '-n', '2', '--to', '2,0').returncode == 0
    juju.rest()
    assert machines() == (['0', '1', '2', '3'], {'probe/0': '2', 'probe/1': '0'})
    for units, machine in [(1, '2'), (1, '4'), (1, 'lxd:1'), (1, ''), (2, '1'), (2, '1,1'),
                           (1, '1,3')]:
        refused(units, '--to', machine)
    refused(1)
    juju('remove-unit', '-m', 'test', '--no-prompt', 'probe/0')
    juju.rest()
    assert machines() == (['0', '1', '3'], {'probe/1': '0'})
    refused(1, '--to', '2')
    assert juju('add-unit', '-m', 'test', 'probe', '--to', '3').returncode == 0
    assert machines() == (['0', '1', '3'], {'probe/1': '0', 'probe/2': '3'})


@pytest.mark.parametrize('setting, line', [
    *((text, 'option "{}" expected {}, got "{}"'.format(text[0], kind, text[2:]))
      for kind, texts in (('boolean', ['b=yes', 'b=tRUE', 'b=']),
                          ('int', ['i=1_000', 'i= 5', 'i=5.0', 'i=0x5', 'i=9223372036854775808']),
                          ('float', ['f=1_0', 'f= 5', 'f=.', 'f=1e999'])) for text in texts),
    ('f=inf', 'fakejuju does not model inf for an option of type float'),
    ('x=secret:a', 'fakejuju does not model secret:a for an option of type secret')])
def test_a_setting_that_go_does_not_read_is_refused(probe, setting, line):
    assert probe.refused('config', '-m', 'test', 'probe', setting) == (1, line)


@pytest.mark.parametrize('arguments, line', [
    ('least n=1', 'an action with minimum'), ('one e=z', 'an action with enum'),
    ('any', 'an action with anyOf'), ('deep o.k=1', 'an action with properties'),
    ('more x=1', 'an action with another schema of additionalProperties'),
    ('act v=[', "Go's words for what is wrong in parameters"),
    ('act v=2001-01-01', 'parameters that are no map of JSON'),
    ('act v=.nan', 'parameters that are no map of JSON'),
    ('act --params {list}', 'parameters that are no map of JSON'),
    ('act --params {number}', 'parameters that are no map of JSON'),
    ('act --params {junk}', "Go's words for what is wrong in parameters")])
def test_parameters_that_are_not_modelled_are_refused_by_name(probe, tmp_path, arguments, line):
    files = {}
    for name, text in ('list', '[1]'), ('number', '{1: x}'), ('junk', '{'):
        files[name] = tmp_path / name
        files[name].write_text(text)
    assert probe.refused('run', '-m', 'test', '--format', 'json', 'probe/0', *arguments.format(
        **files).split()) == (1, 'fakejuju does not model ' + line)


def test_arguments_that_are_wrong_in_another_way(probe):
    assert probe.refused('run', '-m', 'test', '--format', 'json', 'probe/0', 'act', '--params',
                         'nowhere') == (1, 'open nowhere: no such file or directory')
    assert probe.refused('debug-log', '-m', 'test', '--limit', 'x') == (
        2, 'invalid value "x" for option --limit')
    assert probe.refused('add-unit', '-m', 'test', 'probe', '-n', '\u00b2')[0] == 2
    probe('add-model', 'other')
    file = probe.directory.parent / 'probe.charm'
    probe('deploy', '-m', 'other', file, 'a')
    done = probe('remove-application', '-m', 'other', '--no-prompt', 'a', 'a')
    assert (done.returncode, done.stderr) == (0, '')
    assert probe.status('other')['applications'] == {}


# What the client of a running Juju 4.1 printed, command by command.

NOT_COMPARED = {
    'version --format json --all': 'how that client was built',
    'status r ': 'the test after this one compares what it tells of the application',
    'nonsense': 'the double does not know all of Juju\'s commands; the refusal differs',
}
NOT_MODELLED = {
    'show-task': 'tasks once they are over', 'show-unit': '', 'show-application': '',
    'show-model': '', 'show-secret': '', 'models': '', 'model-config': '', 'actions': '',
    'debug-log': 'logs of the agent itself', 'nonsense': '', 'status nosuch': 'filters',
    'run r/leader act"': 'plain output', 'run nosuch/0 act"': 'plain output',
    'exec --unit r/2 -- false': 'plain output'}


@pytest.fixture(scope='module')
def recorded(tmp_path_factory):
    """The model in which the client was recorded: r/0, which leads, and r/2."""
    directory = tmp_path_factory.mktemp('recorded')
    for name in 'probe', 'probe8':
        plain(directory / name)
    juju = Command(directory / 'models', '4.1-beta2', directory, inside=True)
    juju('add-model', 'probe')
    juju('deploy', '-m', 'probe', './probe.charm', 'r', '-n', '3')
    juju.rest('probe')
    juju('remove-unit', '-m', 'probe', '--no-prompt', 'r/1')
    juju('config', '-m', 'probe', 'r', 'opt=36')
    juju.rest('probe')
    return juju


def normal(text):
    """Without numbers of tasks, times, paths and machines."""
    for pattern, new in (
            (r'"timing":\{[^}]*\},', ''), (r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ ', '<time> '),
            (r'\b\d\d:\d\d:\d\d ', '<time> '), (r'("id":|id |task |operation )"?\d+"?', r'\1<n>'),
            (r'Operation \d+', 'Operation <n>'), (r'revision \d+', 'revision <n>'),
            (r'unit "(<uuid>|r/\d)" status', 'unit <unit> status'),
            ('-(genericlinux|ubuntu)-amd64', ''),
            (r'/\S*/unit-r-0/charm|/\S*/r/r-0/charm', '<charm>'),
            ('real:nosuch', 'fakejuju:nosuch'), ('"probe8?"', '"probe"')):
        text = re.sub(pattern, new, text)
    return text


def commands():
    with open(str(RECORDED / 'juju-cli.jsonl')) as file:
        return [json.loads(line) for line in file]


def test_the_client_prints_what_a_running_juju_printed(recorded):
    compared, left = 0, []
    for each in commands():
        words, _, script = each['cmd'][len('juju '):].partition(' -- ')
        # Machines are not modelled; the double takes a model's name first.
        name, *arguments = words.replace(' --to 0', '').split()
        if '-m' not in arguments and name != 'version':
            arguments = ['-m', 'probe'] + arguments
        done = recorded(name, *arguments + (['--', script] if script else []))
        if any((each['cmd'] + '"')[5:].startswith(known) for known in [*NOT_MODELLED,
                                                                       *NOT_COMPARED]):
            left.append((each['cmd'], done.returncode, done.stderr))
            continue
        found, wanted = ((code, normal(stdout), normal(stderr)) for code, stdout, stderr in (
            (done.returncode, done.stdout, done.stderr),
            (each['code'], each['stdout'], each['stderr'])))
        assert found == wanted, each['cmd']
        compared += 1
    assert compared == 31 and len(left) == len(commands()) - 31
    for command, code, stderr in left:
        if not any(command[5:].startswith(known) for known in ('version', 'status r ')):
            assert code == 1 and 'fakejuju does not model' in stderr, command


def test_status_tells_of_an_application_what_a_running_juju_tells(recorded):
    """Not compared: times, addresses, revision, machines, version of the workload, bindings."""
    recorded('config', '-m', 'probe', 'r', '--reset', 'opt')
    recorded.rest('probe')
    text, = [each['stdout'] for each in commands() if each['cmd'] == 'juju status r --format json']
    wanted, found = json.loads(text), recorded.status('probe')
    wanted, found = wanted['applications']['r'], found['applications']['r']
    assert set(wanted) - set(found) == {'version', 'endpoint-bindings'}
    for unit in wanted['units'].values():
        assert unit.pop('machine') and unit.pop('public-address')
        unit['juju-status']['version'] = '4.1-beta2'
    for each in (wanted, *wanted['units'].values()):
        for key in ('application-status', 'workload-status', 'juju-status'):
            each.get(key, {}).pop('since', None)
    for unit in found['units'].values():
        assert unit.pop('machine') and unit.pop('public-address')
    for key in set(found) - {'charm', 'charm-rev'}:
        assert found[key] == wanted[key], key


def test_a_second_command_at_the_same_time_is_refused(juju):
    before = juju.files()
    with open(str(juju.directory / 'test/lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert juju.refused('remove-unit', '-m', 'test', '--no-prompt', 'tls/0') == (
            1, 'another command is at work on model test')
    assert juju.files() == before


@pytest.mark.parametrize('command, line', [
    (True, '{}/typo.charm is no file; set CHARM'), (False, 'there is no juju on the PATH')])
def test_without_a_charm_or_a_juju_the_integration_tests_fail(tmp_path, command, line):
    path = [str(TESTS / 'fakejuju')] * command + [os.path.dirname(sys.executable)]
    done = subprocess.run(
        [sys.executable, '-m', 'pytest', str(TESTS / 'integration')], cwd=str(TESTS.parent),
        env=dict(os.environ, PATH=os.pathsep.join(path + ['/usr/bin', '/bin']),
                 CHARM=str(tmp_path / 'typo.charm')), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, universal_newlines=True)
    assert done.returncode == 1 and line.format(tmp_path) in done.stdout


def test_a_directory_that_is_not_ours_is_left_alone(tmp_path):
    (tmp_path / 'precious').write_text('x')
    juju = Command(tmp_path)
    code, line = juju.refused('add-model', 'test')
    assert code == 1 and line == '{} is no directory of fakejuju'.format(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['precious']


def test_a_command_that_is_killed_loses_no_more_than_its_hook(juju, charm_file):
    juju('add-model', 'killed')
    juju('deploy', '-m', 'killed', charm_file, '-n', '2')
    for wait in (0.2, 0.4, 0.6, 0.8, 1.0):
        process = subprocess.Popen(
            [sys.executable, str(TESTS / 'fakejuju/juju'), 'status', '-m', 'killed', '--format',
             'json'], env=dict(os.environ, FAKEJUJU=str(juju.directory)),
            stdout=subprocess.DEVNULL)
        time.sleep(wait)
        process.kill()
        process.wait()
    assert juju('destroy-model', 'killed', '--no-prompt').returncode == 0
    assert not (juju.directory / 'killed').exists()
