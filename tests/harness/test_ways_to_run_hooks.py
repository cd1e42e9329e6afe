"""The ways to run a hook, held against each other."""
import pytest

from fakejuju import Juju
from forked import ForkedJuju
from inprocess import InProcessJuju
from memoised import MemoisedJuju
from world import World, calls


@pytest.mark.once
@pytest.mark.parametrize('juju', [
    pytest.param(Juju, marks=pytest.mark.slow), ForkedJuju, InProcessJuju, MemoisedJuju])
def test_each_run_of_a_hook_has_a_context_of_its_own(charm, tmp_path, juju):
    """By JUJU_CONTEXT_ID the interface knows its first hook; without it each would be the first,
    and look at everything."""
    world = World(charm, tmp_path / 'model', juju)
    with world.juju:
        world.juju.memory = {}  # what another test remembers would not run for real here
        world.start(1)
        for kind in ('config-changed', 'config-changed', 'update-status', 'update-status'):
            world.juju.model.unit('tls/0').due.add(kind)
            assert world.juju.run('tls/0').hook.kind == kind
        world.juju.action('tls/0', 'renew')
        world.juju.execute_command('tls/0', 'bin/renew-and-fail')
        world.juju.settle()
        runs = world.juju.runs
    # A memoised hook that did not run for real had no environment.
    contexts = [run.env['JUJU_CONTEXT_ID'] for run in runs if run.env]
    assert len(contexts) >= 10 and all(contexts) and len(set(contexts)) == len(contexts)
    looks = [run for run in runs if run.hook.kind in ('config-changed', 'update-status')][1:]
    assert [bool(calls(run)) for run in looks] == [False, False, True, True]


@pytest.mark.parametrize('keys', [pytest.param('', marks=pytest.mark.slow), 'disk'])
def test_hooks_in_this_process_do_what_forked_ones_do(charm, tmp_path, keys):
    """The same calls with the same answers, the same bags, files, flags, and exit codes."""
    told = []
    for juju in (ForkedJuju, InProcessJuju):
        world = World(charm, tmp_path / juju.__name__, juju, keys)
        try:
            world.start(3)
            world.juju.action('tls/1', 'renew')
            world.juju.run('tls/1', kill_at=2)
            world.juju.action('tls/1', 'renew')
            world.juju.settle()
            world.juju.action('tls/0', 'refuse')
            world.juju.action('tls/2', 'renew')
            world.juju.run('tls/0')
            world.juju.settle()
            world.juju.update_status('tls/2')
            world.juju.run('tls/2', fail_commit=True)
            world.juju.settle()
            world.juju.execute_command('tls/2', 'bin/renew-and-fail')
            world.juju.settle()
            world.juju.restore_unitdata('tls/1', 12)
            world.juju.update_status('tls/1')
            world.juju.settle()
            world.juju.remove_unit('tls/0')
            world.juju.settle()
            told.append(story(world))
        finally:
            world.juju.close()
    assert told[0] == told[1]
    assert len(told[0]) > 60


def story(world):
    runs = [(run.unit, run.hook.name, run.exit_code, run.committed, run.changes, run.stdout,
             [(call.argv, call.stdin, call.code, call.stdout, call.stderr) for call in run.calls])
            for run in world.juju.runs]
    return runs + [world.juju.app_bag()] + [
        (world.juju.bag(unit), world.remembered(unit), world.juju.disk(unit),
         world.juju.flags(unit))
        for unit in world.juju.units()]
