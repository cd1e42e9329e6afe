"""The demo says in one line what did not go as promised."""
import os
import re
import shutil
import subprocess
import sys

import pytest

import prerequisites
from world import TESTS

pytestmark = pytest.mark.once


def demo(*arguments, **env):
    return subprocess.run(
        [sys.executable, str(TESTS / 'demo.py')] + list(arguments), env=dict(os.environ, **env),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)


@pytest.mark.slow
@pytest.mark.parametrize('file, right, wrong, told', [
    ('lib/pki.py', '    end = min(now() +',
     '    raise BadRequest("too short")\n    end = min(now() +',
     'tls-example/0 is not served: blocked: request refused: too short; '
     'set: create certificate signing request'),
    ('reactive/tls_example.py', '    tls.set_csr(', '    tls.ask_for(',
     'the hook certificates-relation-created of tls-example/0 failed in '
     'reactive/tls_example.py:[0-9]+:ask .waiting: for a certificate from the leader; '
     "no flag is set.: AttributeError: 'TlsPeers' object has no attribute 'ask_for'"),
    ('reactive/tls_example.py', '            tls.set_cert(', '            print(',
     'tls-example/0 is not served: waiting: for a certificate from the leader; 2 of 2 waiting; '
     'set: sign certificate signing request'),
], ids=['refused', 'hook fails', 'never served'])
def test_a_broken_layer_is_told_in_a_line(file, right, wrong, told, tmp_path):
    layer = tmp_path / 'layer'
    shutil.copytree(str(TESTS / 'example'), str(layer))
    text = (layer / file).read_text()
    assert text.count(right) == 1
    (layer / file).write_text(text.replace(right, wrong))
    done = demo('--units', '2', '--layer', str(layer), '--output', str(tmp_path / 'output'))
    lines = done.stdout.splitlines()
    steps = 'building the example with charm-build ...', '2 units from nothing to served ...'
    assert [line for line in lines if line.endswith(' ...')] == list(steps)
    assert lines[0] == steps[0] and '' not in lines
    line, = [line for line in lines if line.startswith('NOT as promised: ')]
    assert re.search(told, line), line
    assert done.returncode == 1
    assert 'Traceback' not in done.stdout + done.stderr


def test_what_is_needed_is_told_in_a_line(tmp_path):
    program = str(TESTS / 'harness/prerequisites.py')

    def told(*command):
        done = subprocess.run([sys.executable, *command], env=dict(os.environ, PATH=str(tmp_path)),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              universal_newlines=True)
        return done.returncode, done.stdout, done.stderr

    for command in ([str(TESTS / 'demo.py')], [program, '-c', 'print("runs")']):
        assert told(*command) == (
            1, '', 'the command git is needed; on Debian: apt-get install git\n')
    (tmp_path / 'git').symlink_to(shutil.which('git'))
    assert told(program, '-c', 'print("runs")') == (0, 'runs\n', '')
    assert told(program, '--also', 'openssl') == (
        1, '', 'the command openssl is needed; on Debian: apt-get install openssl\n')
    assert told(program, '--also', 'git') == (0, '', '')
    assert prerequisites.missing((3, 7)) == 'Python 3.8 or later is needed, this is 3.7'
    assert prerequisites.missing() is None
