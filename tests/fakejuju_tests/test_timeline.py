"""`python -m fakejuju run`: what it shows of a charm, and of one that is none."""
import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from fakejuju.__main__ import main
from world import METADATA, TESTS, assemble

pytestmark = pytest.mark.once


def fakejuju(*arguments):
    """The command in this process, which is quick; test_end_to_end.py runs it as a process."""
    stdout, stderr, where = io.StringIO(), io.StringIO(), os.getcwd()
    os.chdir(str(TESTS))
    try:
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            code = main(['run'] + [str(each) for each in arguments])
    except SystemExit as error:  # of argparse
        code = error.code
    finally:
        os.chdir(where)
    return subprocess.CompletedProcess(arguments, code, stdout.getvalue(), stderr.getvalue())


def charm_of(directory, **files):
    """A charm that Juju takes, but for these files: text, or None where there is none."""
    assemble(directory)
    for name, text in dict({'metadata': json.dumps(dict(METADATA, description='x')),
                            'manifest': '{bases: [{name: ubuntu, channel: "22.04"}]}'},
                           **files).items():
        if text is None:
            (directory / (name + '.yaml')).unlink(missing_ok=True)
        else:
            (directory / (name + '.yaml')).write_text(text)
    return directory


@pytest.fixture(scope='module')
def charm(tmp_path_factory):
    return charm_of(tmp_path_factory.mktemp('charm') / 'tls')


def test_the_run_that_the_manual_shows(charm):
    command, shown = re.search(
        r'^```\n\$ fakejuju run path/to/built/charm (.*)\n((?s:.*?))^```',
        (TESTS / 'fakejuju/README.md').read_text(), re.MULTILINE).groups()
    done = fakejuju(charm, *command.split())
    assert (done.stdout, done.stderr, done.returncode) == (shown, '', 0)


DIAGRAM = '''
sequenceDiagram
    participant u0 as tls/0
    participant app as application bag
    Note over u0: create certificate signing request
    u0->>u0: csr, csr_number=1
    Note over u0: sign certificate signing request
    u0->>app: tls/0_csr_id=1-A, tls/0_signed_certificate
    Note over u0: signed certificate available
'''


@pytest.mark.slow
def test_the_diagram_of_a_lone_unit(charm):
    assert fakejuju(charm, '--units', '1', '--format', 'mermaid').stdout == DIAGRAM[1:]


@pytest.mark.slow
def test_faults_and_a_leader_that_leaves(charm):
    shown = fakejuju(charm, '--units', '2', '--fault', '3:kill=2', '--fault', '6:uncommitted',
                     '--fault', '7:fail=1', '--fault', '8:exit=3', '--remove-leader-after', '18')
    lines = shown.stdout.splitlines()
    assert shown.returncode == 0
    assert [line.split(maxsplit=1)[1] for line in lines if 'NOT COMMITTED' in line] == [
        'tls/0 certificates-relation-created  NOT COMMITTED: exit code -9',
        'tls/1 leader-settings-changed  NOT COMMITTED: the controller is away',
        'tls/1 leader-settings-changed  NOT COMMITTED: exit code 3']
    assert '   7 tls/0 leader-elected' in lines  # no read that fails fails a hook of ours
    assert '     tls/0, the leader, is removed' in lines
    assert any(line.endswith('tls/1 leader-elected') for line in lines)


def test_a_hook_that_fails_on_and_on_ends_it(tmp_path):
    charm = charm_of(tmp_path / 'charm')
    (charm / 'hooks/start').write_text('#!/bin/sh\necho too bad >&2\nexit 7\n')
    done = fakejuju(charm, '--units', '1')
    assert done.returncode == 1
    assert 'ERROR start of tls/0: exit code 7' in done.stderr and 'too bad' in done.stderr


def test_who_reads_it_may_have_seen_enough(charm):
    line = '"$0" -m fakejuju run "$1" --units 1 | head -n 1'
    done = subprocess.run(
        ['bash', '-c', line, sys.executable, str(charm)], cwd=str(TESTS),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    assert (done.stdout, done.stderr) == ('   1 tls/0 install\n', '')


def test_statuses_warnings_and_errors_are_told(tmp_path):
    charm = charm_of(tmp_path / 'charm')
    for name, line in (('install', 'juju-log -l WARNING "one\ntwo"; juju-log three'),
                       ('start', 'status-set active "all well"; juju-log -l ERROR four')):
        (charm / 'hooks' / name).write_text('#!/bin/bash\n{}\n'.format(line))
    shown = fakejuju(charm, '--units', '1').stdout
    assert '   1 tls/0 install\n       WARNING one\n       WARNING two\n   2 ' in shown
    assert 'start\n       calls status-set\n       status active: all well\n       ERROR four\n' \
        in shown and 'three' not in shown


def test_a_layer_that_is_not_built_is_refused():
    done = fakejuju(TESTS / 'example')
    assert done.returncode == 1 and done.stderr == (
        'ERROR the charm at {} is not built: it has neither hooks/install nor dispatch. Run '
        'charm-build (or charmcraft pack), and name the charm that it makes\n'.format(
            TESTS / 'example'))


def metadata(**keys):
    return json.dumps(dict(METADATA, description='x', **keys))


@pytest.mark.parametrize('version, files, line', [
    ('3.6.8', {'metadata': None}, 'archive file "metadata.yaml" not found'),
    ('3.6.8', {'metadata': '{name: x}'}, 'metadata: summary: expected string, got nothing'),
    ('3.6.8', {'metadata': '{name: ['},
     "not modelled: Go's words for what is wrong in metadata.yaml"),
    ('3.6.8', {'metadata': 'text'}, 'metadata: expected map, got string("text")'),
    ('3.6.8', {'metadata': metadata(assumes=['juju >= 9.0'])},
     'not modelled: assumes: juju >= 9.0'),
    ('4.1', {'metadata': metadata(assumes=[{'any-of': ['juju >= 3']}])}, 'not modelled: assumes: '),
    ('3.6.8', {'metadata': metadata(storage={'data': {'type': 'filesystem'}})},
     'not modelled: storage, in metadata.yaml'),
    ('3.6.8', {'metadata': metadata(subordinate=True)},
     'not modelled: subordinate, in metadata.yaml'),
    ('4.1', {'manifest': None}, 'charm metadata without bases in manifest not valid'),
    ('3.6.8', {'config': ''}, 'invalid config: empty configuration'),
    ('3.6.8', {'config': 'options: [x]'}, 'not modelled: '),
    ('3.6.8', {'config': 'options: {a: {type: int, default: x}}'},
     'invalid config default: option "a" expected int, got "x"')])
def test_a_directory_is_refused_as_its_charm_file_is(tmp_path, version, files, line):
    charm = charm_of(tmp_path / 'charm', **files)
    packed = shutil.make_archive(str(tmp_path / 'packed'), 'zip', str(charm))
    for each in charm, packed:
        done = fakejuju(each, '--juju', version)
        assert (done.stdout, done.returncode) == ('', 1)
        assert done.stderr.startswith('ERROR ' + line) and done.stderr.count('\n') == 1


@pytest.mark.parametrize('arguments, code, line', [
    (['nowhere'], 1, 'ERROR no charm at nowhere: '), ([__file__], 1, 'ERROR no charm at '),
    (['.', '--juju', 'foo'], 1, 'ERROR not modelled: Juju foo'),
    (['.', '--juju', '4'], 1, 'ERROR not modelled: Juju 4'),
    (['.', '--juju', '5.0'], 1, 'ERROR not modelled: Juju 5.0'),
    (['.', '--juju', ''], 1, 'ERROR not modelled: Juju without version'),
    (['.', '--units', '0'], 2, "'0' is no positive number"),
    (['.', '--units', '-1'], 2, "'-1' is no positive number"),
    (['.', '--remove-leader-after', '0'], 2, "'0' is no positive number"),
    (['.', '--fault', '1:kill=1', '--fault', '1:again'], 2, 'a hook can have only one fault'),
])
def test_wrong_arguments_are_refused(arguments, code, line):
    done = fakejuju(*arguments)
    assert (done.stdout, done.returncode) == ('', code) and line in done.stderr.splitlines()[-1]


@pytest.mark.parametrize('arguments, line', [
    (['--after', '1:lose=a/9'], 'lose a/9: unit "a/9" not found'),
    (['--after', '1:bags=9'], 'bags 9: 9')] + [
    pytest.param(*each, marks=pytest.mark.slow) for each in (
        (['--after', '1:elect=a/9'], 'elect a/9: unit "a/9" not found'),
        (['--after', '1:restore=tls/0,2'], 'restore tls/0 2: tls/0 has run 1 hooks'),
        (['--after', '1:bags=-1'], 'bags -1: -1'))])
def test_an_event_that_cannot_be_is_refused(charm, arguments, line):
    done = fakejuju(charm, '--units', '1', *arguments)
    assert (done.returncode, done.stderr) == (1, 'ERROR {}\n'.format(line))


def test_a_fault_that_no_hook_met_with_is_told(tmp_path):
    """Of hooks there is one, with one call; and the configuration is explicitly empty."""
    charm = charm_of(tmp_path / 'charm', config='options:')
    shutil.rmtree(str(charm / 'hooks'))
    (charm / 'hooks').mkdir()
    (charm / 'hooks/install').write_text('#!/bin/sh\nis-leader\n')
    (charm / 'hooks/install').chmod(0o755)
    asked = ['99:skipped', '98:again', '3:exit=1', '2:uncommitted', '1:kill=2']
    done = fakejuju(charm, '--units', '1', '--remove-leader-after', '99', *(
        word for each in asked for word in ('--fault', each)))
    assert done.returncode == 1
    assert done.stderr.splitlines() == ['ERROR not met: ' + each for each in [
        *asked[::-1], '--remove-leader-after 99']]
    assert fakejuju(charm, '--units', '1', '--fault', '1:kill=1', '--fault', '2:exit=1', '--fault',
                    '3:skipped', '--remove-leader-after', '3').returncode == 0


@pytest.mark.parametrize('text', ['3', '0:kill=1', '3:kill', '3:deposed=1', '3:burn=1'])
def test_a_fault_that_is_none_is_refused(charm, text):
    done = fakejuju(charm, '--fault', text)
    assert done.returncode == 2 and 'is no fault: kill=NUMBER' in done.stderr


@pytest.mark.slow
def test_what_happens_between_hooks(charm):
    done = fakejuju(charm, '--units', '2', '--juju', '4.1', '--fault', '7:again', '--fault',
                    '3:interrupted=1', '--fault', '5:regained=1', '--after', '9:restart=tls/0',
                    '--after', '9:reboot=tls/1', '--after', '99:bags=9', '--after',
                    '99:remove=tls/0', '--after', '99:elect=tls/1', '--after', '99:status')
    assert (done.stderr, done.returncode) == ('', 0)
    lines = done.stdout.splitlines()
    told = [line[5:] for line in lines if re.match(' *[0-9]+ tls/', line)]
    assert told[2].endswith('relation-created  NOT COMMITTED: exit code -15')
    assert told[6].endswith('  COMMITTED: the agent died before it had noted that')
    assert 'tls/0 certificates-relation-broken' in told and told.count('tls/1 start') == 2
    assert [line.strip() for line in lines if line.startswith('     ') and line[5] != ' '] == [
        'restart tls/0', 'reboot tls/1', 'bags 9', 'remove tls/0', 'elect tls/1', 'status']


@pytest.mark.parametrize('text', ['3', '3:lose', '3:restore=tls/0', '3:status=1', '3:burn=tls/0'])
def test_an_event_that_is_none_is_refused(charm, text):
    done = fakejuju(charm, '--after', text)
    assert done.returncode == 2 and 'is no event' in done.stderr


# The other commands of this folder end in words, too.

@pytest.mark.parametrize('arguments', [[], ['--forget']])
def test_a_summary_outside_of_tox_is_refused(tmp_path, arguments):
    (tmp_path / 'None').mkdir()
    done = subprocess.run(
        [sys.executable, str(TESTS / 'harness/tox_summary.py')] + arguments, cwd=str(tmp_path),
        env={name: value for name, value in os.environ.items() if name != 'TOX_WORK_DIR'},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    assert (done.returncode, done.stdout) == (1, '') and (tmp_path / 'None').exists()
    assert done.stderr == 'TOX_WORK_DIR, the directory of tox, is not set: tox runs this\n'


@pytest.mark.parametrize('stubs, words', [
    ({}, "No such file or directory: 'unshare'"), ({'unshare': 'exit 3'}, 'debootstrap: exit 3'),
    ({'unshare': 'exit 0', 'git': 'exit 128'}, 'returned non-zero exit status 128'),
    # Within the machine it is the system's own, which finds no machine there.
    ({'unshare': 'exit 0', 'git': 'exit 0'}, 'python3 --version: exit ')])
def test_a_machine_that_cannot_be_made_is_a_row_of_the_table(tmp_path, stubs, words):
    (tmp_path / 'bin').mkdir()
    for name, line in stubs.items():
        (tmp_path / 'bin' / name).write_text('#!/bin/sh\n' + line + '\n')
        (tmp_path / 'bin' / name).chmod(0o755)
    (tmp_path / 'tmp').mkdir()
    done = subprocess.run(
        [sys.executable, '-c', 'import pathlib, sys, machines\n'
         'print(*machines.row_of("12", pathlib.Path(sys.argv[1])))', str(tmp_path / 'logs/12.log')],
        cwd=str(TESTS), env=dict(os.environ, PATH=str(tmp_path / 'bin'), TMPDIR=str(
            tmp_path / 'tmp')), stdout=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 0 and done.stdout.startswith('False [') and words in done.stdout
    assert list((tmp_path / 'tmp').iterdir()) == []
