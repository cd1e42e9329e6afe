"""`python -m fakejuju run`: what it shows of a charm, and of one that is none."""
import subprocess
import sys

import pytest

from world import METADATA, TESTS, assemble

pytestmark = pytest.mark.once


def fakejuju(*arguments):
    return subprocess.run([sys.executable, '-m', 'fakejuju', 'run']
                          + [str(each) for each in arguments], cwd=str(TESTS),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)


LONE = '''
   1 tls/0 install
   2 tls/0 certificates-relation-created
       calls 3 relation-get, is-leader, relation-list, 3 relation-set
       set create certificate signing request
       cleared create certificate signing request
       set sign certificate signing request
       cleared sign certificate signing request
       tls/0 csr, csr_id=A-1
       tls tls/0_csr_id=A-1, tls/0_signed_certificate
   3 tls/0 leader-elected
       calls 2 relation-get, is-leader
       set signed certificate available
       cleared signed certificate available
   4 tls/0 config-changed
   5 tls/0 start
   6 tls/0 certificates-relation-changed
       calls relation-get
'''


def test_the_timeline_of_a_lone_unit(charm):
    done = fakejuju(charm, '--units', '1')
    assert (done.stdout, done.stderr, done.returncode) == (LONE[1:], '', 0)


DIAGRAM = '''
sequenceDiagram
    participant u0 as tls/0
    participant app as application bag
    Note over u0: create certificate signing request<br>sign certificate signing request
    u0->>u0: csr, csr_id=A-1
    u0->>app: tls/0_csr_id=A-1, tls/0_signed_certificate
    Note over u0: signed certificate available
'''


def test_the_diagram_of_a_lone_unit(charm):
    assert fakejuju(charm, '--units', '1', '--format', 'mermaid').stdout == DIAGRAM[1:]


def test_faults_and_a_leader_that_leaves(charm):
    shown = fakejuju(charm, '--units', '2', '--fault', '3:kill=2', '--fault', '6:uncommitted',
                     '--fault', '7:fail=1', '--fault', '8:exit=3', '--remove-leader-after', '22')
    lines = shown.stdout.splitlines()
    assert shown.returncode == 0
    assert [line.split(maxsplit=1)[1] for line in lines if 'NOT COMMITTED' in line] == [
        'tls/0 certificates-relation-created  NOT COMMITTED: exit code -9',
        'tls/1 leader-settings-changed  NOT COMMITTED: the controller is away',
        'tls/0 leader-elected  NOT COMMITTED: exit code 1',
        'tls/1 leader-settings-changed  NOT COMMITTED: exit code 3']
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
    assert done.returncode == 2 and 'is not HOOK:KIND' in done.stderr
