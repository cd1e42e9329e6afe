"""`python -m fakejuju run`: what it shows of a charm, and of one that is none."""
import re
import subprocess
import sys

import pytest

from world import METADATA, TESTS, assemble

pytestmark = pytest.mark.once


def fakejuju(*arguments):
    return subprocess.run([sys.executable, '-m', 'fakejuju', 'run']
                          + [str(each) for each in arguments], cwd=str(TESTS),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)


def test_the_run_that_the_readme_shows(charm):
    command, shown = re.search(
        r'^```\n\$ python -m fakejuju run path/to/built/charm (.*)\n((?s:.*?))^```',
        (TESTS / 'README.md').read_text(), re.MULTILINE).groups()
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


def test_the_diagram_of_a_lone_unit(charm):
    assert fakejuju(charm, '--units', '1', '--format', 'mermaid').stdout == DIAGRAM[1:]


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
    charm = assemble(tmp_path / 'charm')
    (charm / 'hooks/start').write_text('#!/bin/sh\necho too bad >&2\nexit 7\n')
    done = fakejuju(charm, '--units', '1')
    assert done.returncode == 1
    assert 'ERROR start of tls/0: exit code 7' in done.stderr and 'too bad' in done.stderr


@pytest.mark.parametrize('content, line', [
    (None, 'no metadata.yaml'), ({'name': 'lonely'}, 'a charm without a peer relation')])
def test_what_is_no_charm_with_peers_is_refused(tmp_path, content, line):
    charm = assemble(tmp_path / 'charm', metadata=METADATA)
    (charm / 'metadata.yaml').unlink()
    if content:
        (charm / 'metadata.yaml').write_text(str(content))
    done = fakejuju(charm)
    assert done.returncode == 1 and done.stdout == ''
    assert done.stderr.startswith('ERROR ') and line in done.stderr


@pytest.mark.parametrize('text', ['3', '0:kill=1', '3:kill', '3:deposed=1', '3:burn=1'])
def test_a_fault_that_is_none_is_refused(charm, text):
    done = fakejuju(charm, '--fault', text)
    assert done.returncode == 2 and 'is no fault: kill=NUMBER' in done.stderr


def test_what_happens_between_hooks(charm):
    done = fakejuju(charm, '--units', '2', '--juju', '4.1', '--fault', '7:again', '--fault',
                    '3:interrupted=1', '--fault', '8:regained=1', '--after', '9:restart=tls/0',
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


def test_an_event_that_cannot_be_is_refused(charm):
    done = fakejuju(charm, '--units', '1', '--after', '1:restore=tls/0,2')
    assert done.returncode == 1 and done.stderr == 'ERROR restore tls/0 2: tls/0 has run 1 hooks\n'
