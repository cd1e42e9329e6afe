"""What the interface costs in hook-tool calls; the counts are exact, so they are asserted.

The layer `answers` makes no call, and juju-log does not count: `calls` are the interface's.
"""
import pytest

from world import SIGN, calls


def tools(run):
    return [argv[0] for argv in calls(run)]


def test_a_hook_at_rest_costs_nothing_and_update_status_one_call(world):
    it = world(3)
    for unit in it.juju.units():
        it.juju.config_changed(unit)
        assert tools(it.juju.run(unit)) == []
        it.juju.action(unit, 'act')
        assert tools(it.juju.run(unit)) == []
        it.juju.update_status(unit)
        assert tools(it.juju.run(unit)) == ['is-leader']


def test_joined_costs_nothing_and_changed_one_call_on_a_follower(world):
    it = world(2)
    it.juju.add_unit()
    it.juju.settle(['tls/2'])
    joined, changed = it.juju.run('tls/1'), it.juju.run('tls/1')
    assert (joined.hook.name, changed.hook.name) == (
        'certificates-relation-joined', 'certificates-relation-changed')
    assert tools(joined) == []
    assert tools(changed) == ['is-leader']


def test_changed_of_a_peer_on_the_leader(world):
    it = world(3)
    it.tell('tls/0', 'busy', SIGN)
    it.ask('tls/1', 'renewal')
    assert tools(it.juju.run('tls/0')) == ['is-leader', 'relation-get', 'relation-get']


def test_changed_of_a_peer_on_the_leader_and_its_answer(world):
    it = world(3)
    it.ask('tls/1', 'renewal')
    assert tools(it.juju.run('tls/0')) == ['is-leader', 'relation-get', 'relation-get',
                                           'relation-set', 'relation-set']


def test_changed_of_the_application_bag(world):
    it = world(3)
    it.ask('tls/1', 'renewal')
    it.juju.config_changed('tls/1')
    it.juju.run('tls/1')               # sees in its own bag what it published
    it.juju.run('tls/0')
    concerned, other = it.juju.run('tls/1'), it.juju.run('tls/2')
    assert concerned.hook.remote_unit == other.hook.remote_unit == ''
    assert tools(concerned) == ['relation-get'] * 2
    assert tools(other) == ['relation-get']


def test_the_first_hook_after_publishing_reads_each_bag_once_more(world):
    it = world(3)
    it.ask('tls/1', 'renewal')
    it.juju.config_changed('tls/1')
    assert tools(it.juju.run('tls/1')) == ['relation-get'] * 2  # own bag, and is it answered?
    it.juju.run('tls/0')
    it.juju.config_changed('tls/0')
    assert tools(it.juju.run('tls/0')) == ['relation-get']
    it.juju.settle()
    it.juju.config_changed('tls/0')
    assert tools(it.juju.run('tls/0')) == []


def test_the_first_look_of_a_new_leader(world):
    it = world(4)
    it.tell('tls/1', 'busy', SIGN)
    it.ask('tls/2', 'renewal')
    it.juju.depose()
    it.juju.settle()
    it.juju.elect('tls/1')
    run = it.juju.run('tls/1')
    assert run.hook.name == 'leader-elected'
    assert sorted(tools(run)) == ['is-leader'] + ['relation-get'] * 5 + ['relation-list']


def test_a_refused_unit_at_rest_costs_what_a_served_one_does(world):
    it = world(3)
    it.tell('tls/1', 'asks', 'always the same')
    it.ask('tls/1', 'always the same')
    it.juju.action('tls/0', 'refuse')
    it.juju.settle()
    it.juju.config_changed('tls/1')
    it.juju.run('tls/1')
    it.juju.config_changed('tls/1')
    assert tools(it.juju.run('tls/1')) == []
    it.ask('tls/2', 'renewal')
    it.juju.settle(['tls/0'])
    assert it.juju.next_hook('tls/1').remote_unit == ''
    assert tools(it.juju.run('tls/1')) == ['relation-get']


def test_the_view_costs_one_read_for_each_member(world):
    it = world(3)
    it.do('tls/0', 'tls.get_requests()')
    assert sorted(tools(it.last)) == ['is-leader'] + ['relation-get'] * 4 + ['relation-list']


@pytest.mark.parametrize('units, most', [
    (10, 320), pytest.param(20, 1250, marks=pytest.mark.slow),
    pytest.param(30, 2800, marks=pytest.mark.slow)])
def test_from_nothing_to_every_unit_served(world, units, most):
    it = world(units)
    assert it.unserved() == []
    total = sum(len(calls(run)) for run in it.juju.runs)
    assert total <= most
    assert it.signed() == units
    # No hook costs more than a first look, and that grows only with the number of members.
    assert max(len(calls(run)) for run in it.juju.runs) <= units + 6
