"""fakejuju's command `juju`: what it refuses, and that it then leaves the model as it was.

What it does is in integration/, where jubilant drives it.
"""
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from world import METADATA, TESTS, assemble

pytestmark = [pytest.mark.once, pytest.mark.xdist_group('juju command')]


class Command:
    """`juju` on models in that directory."""

    def __init__(self, directory):
        self.directory = directory

    def __call__(self, *arguments):
        return subprocess.run(
            [sys.executable, str(TESTS / 'fakejuju/juju')] + [str(each) for each in arguments],
            env=dict(os.environ, FAKEJUJU=str(self.directory)), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, universal_newlines=True)

    def refused(self, *arguments):
        """The exit code, and the one line that it prints."""
        done = self(*arguments)
        assert done.stdout == ''
        line, = done.stderr.splitlines()
        assert line.startswith('ERROR ')
        return done.returncode, line[6:]

    def status(self):
        return json.loads(self('status', '-m', 'test', '--format', 'json').stdout)

    def files(self):
        """Everything that is kept, but for the state of units, which goes on."""
        return {path.relative_to(self.directory): path.read_bytes()
                for path in self.directory.rglob('*') if path.is_file()}


def pack(charm):
    return shutil.make_archive(str(charm), 'zip', str(charm))


@pytest.fixture(scope='module')
def charm_file(tmp_path_factory):
    return pack(assemble(tmp_path_factory.mktemp('charm') / 'tls'))


@pytest.fixture(scope='module')
def juju(charm_file, tmp_path_factory):
    """A model with two units at rest."""
    juju = Command(tmp_path_factory.mktemp('juju') / 'models')
    assert juju('add-model', '--no-switch', 'test').returncode == 0
    assert juju('deploy', '-m', 'test', charm_file, '-n', '2').returncode == 0
    for _ in range(50):
        units = juju.status()['applications']['tls']['units']
        if all(unit['juju-status']['current'] == 'idle' for unit in units.values()):
            return juju
    raise AssertionError(units)


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
                'relation-ids certificates; relation-get -r certificates:0 - tls/0 | grep csr_id')
    task, = json.loads(done.stdout).values()
    assert task['unit'] == 'tls/0' and task['status'] == 'completed'
    assert task['results']['stdout'].startswith('certificates:0\ncsr_id: ')
    done = juju('exec', '-m', 'test', '--format', 'json', '--unit', 'tls/1', '--',
                'echo out; echo err >&2; relation-set -r certificates:0 x=y; exit 3')
    task, = json.loads(done.stdout).values()
    assert done.returncode == 1 and 'ERROR the following task failed' in done.stderr
    assert task['results'] == {'return-code': 3, 'stdout': 'out\n', 'stderr': 'err\n'}
    done = juju('exec', '-m', 'test', '--format', 'json', '--unit', 'tls/0', '--',
                'relation-get -r certificates:0 x tls/1')   # it failed, so nothing was written
    assert 'stdout' not in json.loads(done.stdout)['tls/0']['results']


@pytest.mark.parametrize('arguments, code, line', [
    ('', 2, 'unrecognized command: juju '),
    ('bootstrap', 2, 'unrecognized command: juju bootstrap'),
    ('status --format json', 2, 'No selected model'),
    ('status -m other --format json', 1, 'model other not found'),
    ('status -m test', 1, 'fakejuju does not model output that is not --format json'),
    ('status -m test --format json --storage', 2, 'option provided but not defined: --storage'),
    ('add-model test', 1, 'failed to create new model: model "test" for admin already exists'),
    ('add-model Bad_name', 1, '"Bad_name" is not a valid name'),
    ('destroy-model other --no-prompt', 1, 'model other not found'),
    ('deploy -m test postgresql', 1, '"postgresql" is no path of a local charm'),
    ('deploy -m test ./nothing.charm other', 1, 'no charm was found at "./nothing.charm"'),
    ('deploy -m test {junk} other', 1, 'File is not a zip file'),
    ('deploy -m test {empty} other', 1, 'file "metadata.yaml" not found'),
    ('deploy -m test {lonely} other', 1, 'no peer relation, and fakejuju models no other'),
    ('deploy -m test {charm}', 1, 'cannot add application "tls": application already exists'),
    ('deploy -m test {charm} Other', 1, 'invalid application name "Other"'),
    ('deploy -m test {charm} other --config x=1', 1, 'unknown option "x"'),
    ('deploy -m test {charm} other -n none', 2, '--num-units must be a positive integer'),
    ('add-unit -m test other', 1, 'application "other" not found'),
    ('remove-unit -m test --no-prompt tls/9', 1, 'unit "tls/9" not found'),
    ('remove-unit -m test --no-prompt tls/1 tls/9', 1, 'unit "tls/9" not found'),
    ('remove-application -m test --no-prompt other', 1, 'application "other" not found'),
    ('refresh -m test tls', 1, '"tls" is a local charm: --path is needed'),
    ('refresh -m test tls --path {junk}', 1, 'File is not a zip file'),
    ('refresh -m test tls --path {renamed}', 1, 'cannot upgrade application "tls" to charm'),
    ('config -m test tls x=1', 1, 'unknown option "x"'),
    ('run -m test --format json tls/9 renew', 1, 'unit "tls/9" not found'),
    ('run -m test --format json tls/0 nonsense', 1, 'action "nonsense" not defined'),
    ('exec -m test --format json --unit tls/9 -- true', 1, 'unit "tls/9" not found'),
])
def test_what_is_refused_changes_nothing(juju, charm_file, tmp_path, arguments, code, line):
    junk = tmp_path / 'junk.charm'
    junk.write_text('no archive')
    (tmp_path / 'empty').mkdir()
    lonely = assemble(tmp_path / 'lonely')
    (lonely / 'metadata.yaml').write_text('name: lonely\n')
    renamed = assemble(tmp_path / 'renamed', metadata=dict(METADATA, name='renamed'))
    arguments = arguments.format(junk=junk, empty=pack(tmp_path / 'empty'), lonely=pack(lonely),
                                 renamed=pack(renamed), charm=charm_file).split()
    before = juju.files()
    found = juju.refused(*arguments)
    assert found[0] == code and line in found[1]
    assert juju.files() == before


def test_a_second_command_at_the_same_time_is_refused(juju):
    before = juju.files()
    with open(str(juju.directory / 'test/lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert juju.refused('remove-unit', '-m', 'test', '--no-prompt', 'tls/0') == (
            1, 'another command is at work on model test')
    assert juju.files() == before


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
