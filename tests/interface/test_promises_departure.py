"""P8: who leaves, and who comes back."""
import json

import pytest

from world import SIGN, at, id_of, logged, request


# P8 departure: a unit that leaves takes its flags and its waiting request with it; a leaving
# leader wipes nothing; a name that comes back finds nothing of its predecessor's.

def test_p8_a_waiting_request_leaves_with_its_unit(world):
    it = world(3)
    it.ask_and_show()
    it.juju.remove_unit('tls/1')
    it.juju.settle()
    assert it.flags('tls/0') == set()
    assert it.csr_map('tls/0') == {}
    assert [key for key in it.juju.app_bag() if key.startswith('tls/1')] == []
    it.answer_with('tls/0', 'tls/1', 'late')
    assert it.last.changes == {}
    assert 'certificate for tls/1 not published: the unit has left' in logged(it.last)


@pytest.mark.parametrize('skips', [False, True])
def test_p8_of_units_that_come_and_go_nothing_is_remembered(world, skips):
    it = world(2)
    size = len(json.dumps(it.juju.kv('tls/0')['interface.tls']))
    for _ in range(6):
        unit = it.juju.add_unit()
        it.juju.settle()
        it.juju.remove_unit(unit)
        it.juju.settle([unit, 'tls/1'])
        if skips:
            assert it.juju.skip('tls/0').kind == 'departed'
        it.juju.settle()
    it.juju.update_status('tls/0')
    it.juju.settle()
    assert len(json.dumps(it.juju.kv('tls/0')['interface.tls'])) - size < 20


def test_p8_a_unit_that_was_never_answered_leaves(world):
    it = world(2)
    it.tell('tls/0', 'busy', SIGN)
    it.juju.add_unit()
    it.juju.settle()
    assert SIGN in it.flags('tls/0')
    before = it.juju.app_bag()
    it.juju.remove_unit('tls/2')
    it.juju.settle()
    assert it.flags('tls/0') == set()
    assert it.juju.app_bag() == before


@pytest.mark.parametrize('leaver', ['tls/0', 'tls/2'])
def test_p8_a_leaving_leader_wipes_nothing(world, leaver):
    it = world(3)
    it.juju.elect(leaver)
    it.juju.settle()
    before, signed = it.juju.app_bag(), it.signed()
    it.juju.remove_unit(leaver)
    it.juju.settle([leaver])
    departed = [run for run in it.juju.runs if run.hook.name == 'certificates-relation-departed']
    assert len(departed) == 2
    assert it.juju.app_bag() == before
    it.juju.elect('tls/1')
    it.juju.settle()
    assert it.unserved() == []
    assert it.signed() == signed - it.signed_by(leaver)


def test_p8_a_unit_that_is_not_listed_yet_keeps_its_answer(world):
    it = world(3)
    unit = it.juju.add_unit()
    for _ in range(6):
        it.juju.run(unit)
    it.juju.elect(unit)
    it.juju.settle([unit])
    assert set(it.juju.app_bag()) >= {'tls/1_csr_id', 'tls/2_csr_id'}
    it.juju.settle()
    assert it.unserved() == []


@pytest.mark.parametrize('departed_sent', [True, False])
def test_p8_a_name_used_again_finds_nothing_of_its_predecessor(world, departed_sent):
    it = world(2, departed_sent=departed_sent)
    it.tell('tls/0', 'busy', SIGN)
    it.juju.kill_unit('tls/1')
    it.juju.forget_unit('tls/1')
    it.juju.settle()
    assert it.juju.add_unit('tls/1') == 'tls/1'
    it.tell('tls/1', 'asks', 'the successor')
    it.juju.settle()
    assert it.certificate('tls/1') is None and it.announced('tls/1') == []
    it.serve()
    assert it.announced('tls/1') == ['the successor by tls/0 #1']


def test_p8_no_handler_is_given_a_conversation(world):
    it = world(3)
    for unit in it.juju.units():
        assert it.do(unit, 'results.append(len(tls.conversations()))') == [0]
    it.juju.remove_unit('tls/2')
    it.juju.settle()
    for unit in ('tls/0', 'tls/1'):
        assert [key for key in it.juju.kv(unit) if key.startswith('reactive.conv')] == []


def answers_of(it, unit):
    return [key for key in it.juju.app_bag() if key.startswith(unit + '_')]


@pytest.mark.parametrize('asked', [True, False])
def test_p8_a_removed_unit_of_which_no_survivor_is_told(world, asked):
    """JSRC F1: it stays in relation-list with its last bag; goal-state has dropped it."""
    it = world(3, version='4.0.1')
    if asked:
        it.tell('tls/0', 'busy', SIGN)
        it.ask('tls/1', 'waits')
        it.juju.settle()
    it.juju.remove_unit('tls/1')
    it.juju.settle()
    assert 'certificates-relation-departed' not in [
        run.hook.name for run in it.juju.runs if run.unit != 'tls/1']
    listed = 'results.append(hookenv.related_units("certificates:0"))'
    assert it.do('tls/0', listed) == [['tls/1', 'tls/2']]
    assert answers_of(it, 'tls/1')
    signed = it.signed()
    it.tell('tls/0', 'busy', '')
    it.heal()
    assert answers_of(it, 'tls/1') == []
    assert it.csr_map('tls/0') == {} and it.flags('tls/0') == set() and it.signed() == signed
    assert 'tls/1' not in it.do('tls/0', 'results.append(tls.get_requests())')[0]
    for unit in it.juju.units():       # who now corrects its list
        it.juju.restart_agent(unit)
    before = len(it.juju.runs)
    it.juju.settle()
    runs = it.juju.runs[before:]
    assert 'certificates-relation-departed' in [run.hook.name for run in runs]
    assert all(run.exit_code == 0 for run in runs)
    it.expect_healed()


def test_p8_an_answer_to_a_unit_that_nobody_was_told_of_is_not_published(world):
    it = world(3, version='4.0.1')
    it.ask_and_show()
    it.juju.remove_unit('tls/1')
    it.juju.settle()
    it.heal()
    it.answer_with('tls/0', 'tls/1', 'late')
    assert it.last.changes == {} and it.last.exit_code == 0
    assert 'certificate for tls/1 not published: the unit has left' in logged(it.last)


def test_p8_the_answer_of_a_leader_that_has_left_goes(world):
    it = world(3)
    it.juju.remove_unit('tls/0')
    it.juju.settle()
    it.juju.elect('tls/1')
    it.heal()
    assert answers_of(it, 'tls/0') == []
    it.expect_healed()


def test_p8_a_subordinate_is_deleted_by_no_goal_state(world):
    """It lists only units whose principal is the asker."""
    it = world(3, subordinate=True)
    it.tell('tls/0', 'busy', SIGN)
    it.ask('tls/1', 'waits')
    it.juju.settle()
    before = it.juju.app_bag()
    it.juju.update_status('tls/0')
    run = it.juju.run('tls/0')
    assert [call.argv[0] for call in run.calls].count('goal-state') == 1
    assert run.changes == {} and it.juju.app_bag() == before
    assert it.csr_map('tls/0') == {'tls/1': request('waits')}


def test_p8_a_goal_state_without_this_very_unit_says_nothing(world):
    """It goes by what Juju has in its database: the leader is removed by force while its hook runs
    and nobody else has the lease yet."""
    it = world(3)
    before = it.juju.app_bag()
    it.juju.update_status('tls/0')
    run = it.juju.run('tls/0', on_call={
        1: lambda: setattr(it.juju.model.unit('tls/0'), 'gone', True)})
    units, = [list(json.loads(call.stdout)['units']) for call in run.calls
              if call.argv[0] == 'goal-state']
    assert units == ['tls/1', 'tls/2']
    assert run.committed and run.changes == {} and it.juju.app_bag() == before


def test_p8_a_goal_state_that_fails_says_nothing(world, tmp_path):
    it = world(3)
    it.tell('tls/0', 'busy', SIGN)
    it.ask('tls/1', 'waits')
    it.juju.settle()
    it.juju.update_status('tls/0')
    other = it.copy(tmp_path / 'other')
    with other.juju:
        fail_at = at(other.juju.run('tls/0'), 'goal-state')
    run = it.juju.run('tls/0', fail_at=fail_at)
    assert run.committed and run.changes == {} and 'goal_state of () failed: ' in logged(run)
    assert it.csr_map('tls/0') == {'tls/1': request('waits')}


def test_p8_with_csr_a_name_that_comes_back_is_served(world):
    it = world(2)
    it.ask_and_show()
    it.juju.kill_unit('tls/1')
    it.juju.forget_unit('tls/1')
    it.juju.settle()
    assert it.juju.add_unit('tls/1') == 'tls/1'
    it.tell('tls/1', 'asks', 'the successor')
    it.juju.settle()
    it.answer_csr('tls/0', 'tls/1', 'the successor', 'by csr')
    it.juju.settle()
    assert it.announced('tls/1') == ['by csr']
    it.answer_csr('tls/0', 'tls/1', 'first', 'for its predecessor')
    assert it.last.changes == {}


def test_p8_a_name_used_again_goes_on_counting(world):
    it = world(2, departed_sent=False)
    for text in ('two', 'three'):
        it.ask('tls/1', text)
        it.juju.settle()
    assert it.answer_id('tls/1') == id_of(3, request('three'))
    it.juju.kill_unit('tls/1')
    it.juju.forget_unit('tls/1')
    it.juju.add_unit('tls/1')
    it.juju.settle()
    assert it.request_id('tls/1') == id_of(4, request('tls/1 1'))
    assert it.announced('tls/1') == ['tls/1 1 by tls/0 #2']


def test_p8_an_answer_can_be_replaced_where_juju_does_not_say_whom_it_expects(world):
    it = world(3, subordinate=True)
    it.answer_with('tls/0', 'tls/1', 'better')
    it.juju.settle()
    assert it.announced('tls/1')[1:] == ['better']


METHODS = '''
from charms.reactive import endpoint_from_name
for call in (tls.get_csr_map, tls.get_requests, tls.get_refusal, tls.get_signed_cert, tls.reissue,
             lambda: tls.set_csr(pem("CERTIFICATE REQUEST", hookenv.hook_name())),
             lambda: tls.set_cert("tls/2", pem("CERTIFICATE", "x")),
             lambda: tls.refuse_csr("tls/2", "no"),
             lambda: tls.set_cert("tls/2", pem("CERTIFICATE", "x"), csr="x")):
    try:
        results.append(call())
    except ValueError as error:
        results.append(str(error))
'''


@pytest.mark.parametrize('restarted', [True, False])
@pytest.mark.parametrize('leaver', ['tls/0', 'tls/1'])
@pytest.mark.parametrize('version', ['3.6.8', '4.0.1'])
def test_p8_no_method_fails_in_the_last_hooks_of_a_unit(world, leaver, restarted, version):
    """JSRC A1: relation-broken runs only where the agent has restarted before."""
    it = world(3, version=version)
    if restarted:
        it.juju.restart_agent(leaver)
    it.juju.remove_unit(leaver)
    seen = []
    while it.juju.next_hook(leaver):
        results = it.do(leaver, METHODS, hook=True)
        assert it.last.committed and len(results) == 9
        seen.append(it.last.hook.kind)
        if seen[-1] in ('broken', 'stop', 'remove') and restarted:
            assert results[:2] == [{}, {}] and it.flags(leaver) == set()
    assert seen[:2] == ['departed', 'departed'] and seen[-2:] == ['stop', 'remove']
    assert ('broken' in seen) == restarted
    it.juju.elect('tls/2')
    it.juju.settle()
    it.expect_healed()


def test_p8_a_unit_without_its_record_asks_nothing_when_the_relation_is_broken(world):
    it = world(3)
    it.juju.restart_agent('tls/1')
    it.juju.remove_unit('tls/1')
    while it.juju.next_hook('tls/1').kind != 'broken':
        it.juju.run('tls/1')
    it.juju.lose_unitdata('tls/1')
    run = it.juju.run('tls/1')
    assert run.hook.kind == 'broken' and run.committed and run.changes == {}
    assert it.flags('tls/1') == set() and it.juju.kv('tls/1')['interface.tls']['relation'] is None


def test_p8_keys_of_the_layer_in_the_application_bag_are_left_alone(world):
    it = world(3)
    keys = {'db/primary_host': 'x', 'tls/2_address': 'x', 'tls/1_refusal_count': 'x',
            'tls/01_csr_id': 'x', 'other/1_csr_id': 'x', 'xtls/1_refusal': 'x',
            'tls/1_csr_id ': 'x', 'csr_id': 'x'}
    it.write_app('tls/0', **keys)
    it.juju.settle()
    it.reissue()
    it.juju.settle()
    it.juju.remove_unit('tls/2')
    it.juju.settle()
    it.expect_healed()
    assert {key: value for key, value in it.juju.app_bag().items()
            if key in keys} == keys
    assert answers_of(it, 'tls/2') == ['tls/2_address']
