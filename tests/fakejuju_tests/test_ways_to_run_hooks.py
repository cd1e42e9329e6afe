"""Whichever way a hook is run (as a process, forked, in the test's process, from memory), the same
happens to it.
"""
import subprocess
import sys

import pytest

from fakejuju import Juju
from forked import ForkedJuju
from inprocess import InProcessJuju
from memoised import MemoisedJuju
from world import World

pytestmark = pytest.mark.once

MOST = 128 * 1024 - 1  # bytes of an argument, without the NUL that ends it
EURO = '\u20ac'        # three bytes
FIT = ['x' * MOST, EURO * (MOST // 3)]
DO_NOT = ['x' * (MOST + 1), EURO * (MOST // 3 + 1), 'a NUL \0', '\ud800']

# What comes of starting a hook tool, and any other process, with each argument.
START = '''
import subprocess
for argument in {!r}:
    for command in 'juju-log', 'true':
        for start in subprocess.call, subprocess.check_output:
            try:
                start([command, argument])
                results.append('started')
            except (OSError, ValueError) as error:
                results.append(repr(error).replace(command, 'COMMAND'))
'''


@pytest.fixture(scope='module')
def processes(charm, tmp_path_factory):
    """A unit whose hooks are processes."""
    it = World(charm, tmp_path_factory.mktemp('processes') / 'model', Juju)
    with it.juju:
        it.start(1)
        yield it


def check_arguments(it):
    told = it.do('tls/0', START.format(FIT + DO_NOT))
    assert it.last.committed
    tool, other = ([told[at:at + 2] for at in range(first, len(told), 4)] for first in (0, 2))
    assert tool == other
    assert [each == ['started'] * 2 for each in tool] == [True] * 2 + [False] * 4
    logged = [text for _, text in it.last.log if text[0] in FIT[0] + FIT[1]]
    assert logged == [each for each in FIT for _ in range(2)]


def test_what_arguments_a_process_takes(processes):
    check_arguments(processes)


@pytest.mark.parametrize('juju', [ForkedJuju, InProcessJuju, MemoisedJuju])
def test_a_hook_tool_that_is_no_process_takes_the_same_arguments(charm, tmp_path, juju):
    it = World(charm, tmp_path / 'model', juju)
    with it.juju:
        it.start(1)
        check_arguments(it)


@pytest.mark.parametrize('length', [300, 2 * MOST])
def test_a_command_of_juju_exec_is_longer_than_any_file_name_and_argument(processes, length):
    processes.juju.execute_command('tls/0', 'cat; echo {}'.format('x' * length))
    run = processes.juju.run('tls/0')
    assert (run.exit_code, run.stdout, run.stderr) == (0, 'x' * length + '\n', '')


# Holds a lock on the database with a change that is not committed.
LOCK = '''
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute('pragma cache_size = 1')  # so that it spills into the file
connection.execute('begin exclusive')
connection.executemany('insert or replace into kv values (?, ?)', [
    (str(number), '"not committed"') for number in range(20000)])
connection.execute('delete from kv where key = "kept"')
print('locked', flush=True)
sys.stdin.read()
'''


@pytest.mark.slow
def test_a_hook_runs_while_another_process_has_its_database_locked(processes):
    """It fails there, as on any machine, and the double tells what was committed last."""
    it = processes
    it.do('tls/0', 'unitdata.kv().set("kept", "committed")')
    before = it.juju.kv('tls/0')
    process = subprocess.Popen(
        [sys.executable, '-c', LOCK, str(it.juju.state_db('tls/0'))], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, universal_newlines=True)
    with process:
        assert process.stdout.readline() == 'locked\n'
        it.juju.update_status('tls/0')
        run = it.juju.run('tls/0')
        assert run.exit_code and 'database is locked' in run.stderr
        assert it.juju.kv('tls/0') == before and before['kept'] == 'committed'
    it.juju.settle()
    assert it.unserved() == []
