"""What the interface costs in hook-tool calls; the counts are exact, so they are asserted.

The layer `answers` makes no call, and juju-log does not count: `calls` are the interface's.
"""
import subprocess
import sys

import pytest

from world import CREATE, SIGN, TESTS, calls

LOOK = ['relation-get'] * 2 + ['relation-ids']   # own bag and application bag
LEADER = ['goal-state', 'is-leader', 'relation-list']


def tools(run):
    return [argv[0] for argv in calls(run)]


def test_a_hook_at_rest_costs_nothing(world):
    it = world(3)
    for unit in it.juju.units():
        it.juju.config_changed(unit)
        assert tools(it.juju.run(unit)) == []
        it.juju.action(unit, 'act')
        assert tools(it.juju.run(unit)) == []


def test_a_full_look_costs_four_calls_and_on_the_leader_six_and_one_for_each_peer(world):
    it = world(3)
    for unit in it.juju.units():
        it.juju.update_status(unit)
        run = it.juju.run(unit)
        assert run.hook.name == 'update-status'
        assert sorted(tools(run)) == (
            sorted(LOOK + LEADER + ['relation-get'] * 2) if unit == 'tls/0'
            else sorted(LOOK + ['is-leader']))


def test_a_full_look_at_requests_that_wait_writes_nothing(world):
    it = world(2)
    it.ask_and_show()
    it.ask('tls/1', 'second')          # N is 3, and what stands there answers 1
    it.juju.add_unit()                 # for this one nothing does
    it.juju.settle()
    assert it.answer_id('tls/1').startswith('1-') and it.answer_id('tls/2') is None
    for unit in it.juju.units():
        it.juju.update_status(unit)
        run = it.juju.run(unit)
        assert run.hook.name == 'update-status' and 'relation-set' not in tools(run)


@pytest.mark.parametrize('hook', ['leader-elected', 'upgrade-charm'])
def test_the_full_look_of_a_new_leader_and_of_new_code_costs_the_same(world, charm, hook):
    it = world(4)
    it.tell('tls/1', 'busy', SIGN)
    it.ask('tls/2', 'renewal')
    it.juju.depose()
    it.juju.settle()
    it.juju.elect('tls/1')
    run = it.juju.run('tls/1')
    assert run.hook.name == 'leader-elected'
    if hook == 'upgrade-charm':
        it.juju.settle()
        it.juju.refresh('tls/1', charm)
        run = it.juju.run('tls/1')
    assert run.hook.name == hook
    assert sorted(tools(run)) == sorted(LOOK + LEADER + ['relation-get'] * 3)


def test_install_and_joined_cost_nothing_and_so_does_changed_of_a_peer_on_a_follower(world):
    it = world(2)
    it.juju.add_unit()
    install = it.juju.run('tls/2')
    it.juju.settle(['tls/2'])
    joined, changed = it.juju.run('tls/1'), it.juju.run('tls/1')
    assert (install.hook.name, joined.hook.name, changed.hook.name) == (
        'install', 'certificates-relation-joined', 'certificates-relation-changed')
    assert tools(install) == tools(joined) == tools(changed) == []


def test_relation_created_of_a_unit_whose_layer_does_not_ask_yet(world):
    it = world(2)
    it.tell(it.juju.add_unit(), 'busy', CREATE)
    it.juju.run('tls/2')
    run = it.juju.run('tls/2')
    assert run.hook.name == 'certificates-relation-created'
    assert tools(run) == ['relation-get', 'relation-get']


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
    it.juju.run('tls/0')
    concerned, other = it.juju.run('tls/1'), it.juju.run('tls/2')
    while other.hook.remote_unit:      # of tls/1's bag
        other = it.juju.run('tls/2')
    assert concerned.hook.remote_unit == other.hook.remote_unit == ''
    assert len(it.announced('tls/1')) == 2
    # To take a new answer it reads its own bag, too: the record may be behind that.
    assert tools(concerned) == ['relation-get'] * 2
    assert tools(other) == ['relation-get']


def test_any_other_hook_of_a_leader_with_requests_that_wait(world):
    it = world(3)
    it.ask_and_show()
    it.juju.config_changed('tls/0')
    assert tools(it.juju.run('tls/0')) == ['relation-get', 'is-leader']
    it.answer_with('tls/0', 'tls/1', 'first')
    it.juju.config_changed('tls/0')
    assert tools(it.juju.run('tls/0')) == ['relation-get']  # what it wrote is there
    it.juju.config_changed('tls/0')
    assert tools(it.juju.run('tls/0')) == []


def test_departed(world):
    it = world(3)
    it.juju.remove_unit('tls/2')
    follower, leader = it.juju.run('tls/1'), it.juju.run('tls/0')
    assert {follower.hook.kind, leader.hook.kind} == {'departed'}
    assert tools(follower) == []
    assert tools(leader) == ['is-leader', 'relation-get', 'relation-set', 'relation-set']


def test_asking_costs_two_reads_and_the_write(world):
    it = world(3)
    it.ask('tls/1', 'renewal')
    assert tools(it.last) == ['relation-get'] * 2 + ['relation-set'] * 2
    it.ask('tls/1', 'renewal')         # which waits
    assert tools(it.last) == []


def test_a_refused_unit_at_rest_costs_what_a_served_one_does(world):
    it = world(3)
    it.tell('tls/1', 'asks', 'always the same')
    it.ask('tls/1', 'always the same')
    it.juju.action('tls/0', 'refuse')
    it.juju.settle()
    it.juju.config_changed('tls/1')
    assert tools(it.juju.run('tls/1')) == []
    it.ask('tls/2', 'renewal')
    it.juju.settle(['tls/0'])
    run = it.juju.run('tls/1')
    while run.hook.remote_unit:        # of tls/2's bag
        run = it.juju.run('tls/1')
    assert run.hook.kind == 'changed' and tools(run) == ['relation-get']


def test_the_view_costs_one_read_for_each_member_and_the_hook_after_it_none(world):
    it = world(3)
    it.do('tls/0', 'tls.get_requests()')
    assert sorted(tools(it.last)) == sorted(LEADER + ['relation-get'] * 4)
    it.juju.config_changed('tls/0')
    assert tools(it.juju.run('tls/0')) == []


@pytest.mark.slow
@pytest.mark.parametrize('units, most', [
    (10, 205), (20, 610), (30, 1215)])
def test_from_nothing_to_every_unit_served(world, units, most):
    it = world(units)
    assert it.unserved() == []
    total = sum(len(calls(run)) for run in it.juju.runs)
    assert total <= most, total
    assert it.signed() == units
    # No hook costs more than a full look and an answer, and that grows only with the members.
    assert max(len(calls(run)) for run in it.juju.runs) <= units + 8


@pytest.mark.once
def test_the_benchmark_has_a_column_for_each_call():
    done = subprocess.run([sys.executable, str(TESTS / 'bench.py'), '--units', '2'], check=True,
                          stdout=subprocess.PIPE, universal_newlines=True)
    row, = [row.split() for row in done.stdout.splitlines() if 'ours' in row]
    hooks, total, *tools = map(int, row[5:20:2])
    assert total == sum(tools) > 0
