"""P4, P5 and P6: changes of leader, commits that fail, hooks that are killed."""
import pytest

from world import (SIGN, TESTS, World, assemble, calls, certificate, id_of, logged,
                   request)


# P4 succession: a change of leader at any moment, or a time without one, loses no request and
# has nothing signed again that was answered.

def test_p4_a_new_leader_serves_what_was_asked_while_nobody_led(world):
    it = world(3)
    it.juju.depose()
    it.ask('tls/2', 'in the gap')
    it.juju.settle()                   # everybody ran the changed for it, as a follower
    it.juju.elect('tls/1')
    it.juju.settle()
    assert it.unserved() == []
    assert it.signed() == 4


def test_p4_a_new_leader_serves_what_the_old_one_had_not_answered(world):
    it = world(3)
    it.tell('tls/0', 'busy', SIGN)
    it.ask('tls/1', 'one')
    it.ask('tls/0', 'own')
    it.juju.settle()
    assert sorted(it.csr_map('tls/0')) == ['tls/0', 'tls/1']
    it.juju.elect('tls/2')
    it.juju.settle()
    assert it.unserved() == []
    assert it.flags('tls/0') == set()
    assert it.signed() == 5


def test_p4_leadership_lost_and_won_again_around_a_single_hook(world):
    it = world(2)
    it.ask('tls/1', 'in between')
    it.juju.run('tls/0', on_call={1: it.juju.depose})
    assert it.juju.runs[-1].hook.name == 'certificates-relation-changed'
    it.juju.model.units['tls/0'].led = True  # its agent noticed nothing: no leader-elected
    it.juju.elect('tls/0')
    it.juju.settle()
    assert not it.is_served('tls/1')
    it.juju.update_status('tls/0')
    it.juju.settle()
    assert it.unserved() == []


def test_p4_leadership_lost_while_the_layer_signs(world):
    it = world(2)
    it.ask('tls/1', 'renewal')
    it.tell('tls/0', 'busy', SIGN)
    it.juju.run('tls/0')
    it.tell('tls/0', 'busy', '')
    it.do('tls/0', '', on_call={5: it.juju.depose})  # after is-leader and the map
    assert it.last.exit_code == 0 and it.last.changes == {}
    assert 'application bag not written' in logged(it.last)
    assert it.flags('tls/0') == set()
    it.juju.elect('tls/1')
    it.juju.settle()
    assert it.announced('tls/1')[1:] == ['renewal by tls/1 #1']


def test_p4_on_a_unit_that_no_longer_leads_nothing_is_published(world):
    it = world(2)
    it.ask_and_show()
    it.juju.elect('tls/1')
    it.tell('tls/1', 'busy', SIGN)
    it.juju.settle()
    it.answer_with('tls/0', 'tls/1', 'deposed')
    assert it.last.changes == {}
    assert 'certificate for tls/1 not published: this unit does not lead' in logged(it.last)
    assert it.csr_map('tls/0') == {}
    assert it.csr_map('tls/1') == {'tls/1': request('first')}


def test_p4_an_old_order_does_not_replace_what_another_leader_answered_meanwhile(world):
    it = world(3)
    it.ask_and_show()
    it.answer_with('tls/0', 'tls/1', 'lost', fail_commit=True)
    it.juju.elect('tls/2')
    it.juju.settle()
    assert it.announced('tls/1')[1:] == ['first by tls/2 #1']
    it.juju.elect('tls/0')
    it.juju.settle()
    for how in (it.answer_with, lambda *args: it.answer_csr(*args[:2], 'first', args[2])):
        how('tls/0', 'tls/1', 'old order')
        assert it.last.changes == {}
        assert 'certificate for tls/1 not published: another answer stands there than when' \
            in logged(it.last)
    assert it.answer('tls/1') == certificate('first by tls/2 #1')


def test_p4_an_answer_whose_commit_failed_can_be_given_again(world):
    it = world(2)
    it.ask_and_show()
    it.answer_with('tls/0', 'tls/1', 'lost', fail_commit=True)
    it.answer_with('tls/0', 'tls/1', 'lost too', fail_commit=True)
    it.answer_with('tls/0', 'tls/1', 'here')
    it.answer_with('tls/0', 'tls/1', 'lost again', fail_commit=True)
    it.answer_with('tls/0', 'tls/1', 'better')
    it.juju.settle()
    assert it.announced('tls/1')[-1] == 'better'


def test_p4_an_order_of_before_a_reissue_that_another_leader_made(world):
    it = world(3)
    it.ask_and_show()
    it.answer_with('tls/0', 'tls/1', 'by the old CA')
    it.juju.settle()
    it.juju.elect('tls/2')
    it.juju.settle()
    it.tell('tls/2', 'busy', SIGN)
    it.do('tls/2', 'tls.reissue()')
    it.juju.settle()
    it.juju.elect('tls/0')
    it.juju.settle()
    it.answer_with('tls/0', 'tls/1', 'by the old CA again')
    assert it.last.changes == {}
    assert 'another answer stands there' in logged(it.last)
    it.juju.elect('tls/2')
    it.tell('tls/2', 'busy', '')
    it.juju.settle()
    it.juju.elect('tls/0')
    it.juju.settle()
    it.answer_with('tls/0', 'tls/1', 'by the old CA again')
    assert it.last.changes == {}
    assert 'another answer stands there' in logged(it.last)
    assert it.announced('tls/1')[1:] == ['by the old CA', 'first by tls/2 #1']


def test_p4_leadership_lost_and_regained_inside_a_hook_that_answers(world):
    """JSRC A6: the whole application bag is sent, so that what another leader wrote goes back."""
    it = world(3)
    it.ask('tls/1', 'renewal')
    it.ask('tls/2', 'other')
    reissued = {'tls/2_csr_id': 'reissue-' + '0' * 32}

    def meanwhile():
        it.juju.elect('tls/2')
        it.juju.write_app('tls/2', **reissued)
        it.juju.elect('tls/0')
    run = it.juju.run('tls/0', on_call={5: meanwhile})
    assert run.hook.name == 'certificates-relation-changed' and run.committed
    it.juju.settle()
    it.expect_healed()


@pytest.mark.parametrize('call', range(1, 6))
def test_p4_the_lease_is_lost_unnoticed_at_any_call(world, call):
    """JSRC A11: in Juju 4 the application bag cannot be read, then."""
    it = world(3, version='4.0.1')
    it.ask('tls/1', 'renewal')
    run = it.juju.run('tls/0', on_call={call: lambda: it.juju.depose(unnoticed=True)})
    assert run.exit_code == 0 and len(calls(run)) >= call
    it.juju.elect('tls/2')
    it.juju.settle()
    it.expect_healed()
    assert it.announced('tls/1')[-1].startswith('renewal by ')


# P5 commit: if a hook succeeds and Juju fails to commit it, nothing is lost, though
# charms.reactive has saved its flags and unitdata.

def test_p5_a_request_is_published_again_with_its_id(world):
    it = world(2)
    it.ask('tls/1', 'renewal', fail_commit=True)
    assert it.juju.kv('tls/1')['interface.tls']['number'] == 2
    it.juju.update_status('tls/1')
    it.juju.settle()
    assert it.request_id('tls/1') == id_of(2, request('renewal'))
    assert it.announced('tls/1')[1:] == ['renewal by tls/0 #1']


def test_p5_an_answer_is_signed_again_not_sent_again(world):
    it = world(2)
    it.ask('tls/1', 'renewal')
    run = it.juju.run('tls/0', fail_commit=True)
    assert run.hook.name == 'certificates-relation-changed'
    it.tell('tls/0', 'busy', SIGN)
    run = it.juju.run('tls/0')
    assert run.changes == {}
    assert SIGN in it.flags('tls/0')
    it.serve()
    assert it.announced('tls/1')[1:] == ['renewal by tls/0 #2']


def test_p5_a_look_at_all_requests_forgets_no_answer_that_is_not_committed(world):
    it = world(2)
    it.ask_and_show()
    it.do('tls/0', 'tls.set_cert("tls/1", {!r}); tls.get_requests()'.format(certificate('lost')),
          fail_commit=True)
    it.tell('tls/0', 'busy', '')
    it.juju.config_changed('tls/0')
    it.juju.settle()
    assert it.announced('tls/1')[1:] == ['first by tls/0 #1']


def test_p5_an_answer_in_an_action_that_is_not_committed_is_missed(world):
    it = world(2)
    it.ask_and_show()
    it.answer_with('tls/0', 'tls/1', 'lost', fail_commit=True)  # no action is run again
    it.tell('tls/0', 'busy', '')
    it.juju.config_changed('tls/0')
    it.juju.settle()
    assert it.announced('tls/1')[1:] == ['first by tls/0 #1']


def test_p5_leadership_lost_before_the_commit(world):
    it = world(3)
    it.ask('tls/1', 'renewal')
    run = it.juju.run('tls/0', depose_before_commit=True)
    assert run.exit_code == 0 and not run.committed
    it.juju.elect('tls/2')
    it.juju.settle()
    assert it.announced('tls/1')[1:] == ['renewal by tls/2 #1']
    assert it.flags('tls/0') == set()


def test_p5_the_leader_takes_its_own_answer_from_the_committed_bag(world):
    it = world(1)
    it.ask('tls/0', 'renewal', fail_commit=True)  # published, signed and discarded at once
    assert it.certificate('tls/0') == certificate('tls/0 1 by tls/0 #1')
    it.juju.settle()
    it.juju.update_status('tls/0')
    it.juju.settle()
    assert it.announced('tls/0') == ['tls/0 1 by tls/0 #1', 'renewal by tls/0 #2']
    assert it.is_served('tls/0')


def test_p5_every_commit_fails_once(world):
    it = world()
    for _ in range(2):
        it.juju.add_unit()
    it.juju.elect('tls/0')
    while any(it.juju.next_hook(unit) for unit in it.juju.units()):
        for unit in it.juju.units():
            if it.juju.next_hook(unit):
                it.juju.run(unit, fail_commit=True)
                it.juju.run(unit)
    assert it.unserved() == []
    assert [len(it.announced(unit)) for unit in it.juju.units()] == [1, 1]


def test_p5_sending_again_never_raises_when_the_relation_is_gone(world):
    it = world(1)
    it.ask('tls/0', 'renewal', fail_commit=True)
    it.juju.model.remove_relation('certificates:0')
    it.juju.settle()
    it.juju.update_status('tls/0')
    it.juju.settle()
    it.juju.add_relation_id('certificates')
    it.juju.settle()
    assert it.unserved() == []


def test_p5_a_cache_that_is_cleared_in_the_middle_of_a_hook_loses_nothing(world):
    """The next call looks again, and Juju shows a hook its own writes."""
    it = world(2)
    it.ask_and_show()
    it.do('tls/0', 'tls.set_cert("tls/1", pem("CERTIFICATE", "lost"))\n'
          'hookenv.cache.clear()\nresults.append(tls.get_csr_map())\n'
          'results.append(tls.get_requests()["tls/1"]["state"])', fail_commit=True)
    assert it.juju.kv('tls/0')['results'] == [{}, 'answered']
    it.tell('tls/0', 'busy', '')
    it.juju.config_changed('tls/0')
    it.juju.settle()
    assert it.announced('tls/1')[1:] == ['first by tls/0 #1']


def test_p5_a_cache_that_is_cleared_before_a_request_is_remembered(world):
    it = world(2)
    it.do('tls/1', 'tls.set_csr(pem("CERTIFICATE REQUEST", "mine"))\nhookenv.cache.clear()\n'
          'tls.get_refusal(), tls.get_requests()', fail_commit=True)
    it.expect_healed()
    assert it.announced('tls/1')[1:] == ['mine by tls/0 #1']


@pytest.mark.slow
def test_p5_handlers_in_bash_lose_nothing_when_no_commit_succeeds_at_first(tmp_path):
    it = World(assemble(tmp_path / 'charm', layer=TESTS / 'layers/bash'), tmp_path / 'model',
               real=True)
    with it.juju:
        unit = it.juju.add_unit()
        it.juju.elect(unit)
        while it.juju.next_hook(unit):
            it.juju.run(unit, fail_commit=True)
            assert it.juju.run(unit).committed
        assert it.unserved() == [] and it.flags(unit) == set()
        installed = it.juju.unit_directory(unit) / 'charm/installed'
        assert installed.read_text().rstrip() == it.certificate(unit).rstrip()


def test_p5_a_handler_sees_what_another_process_of_its_hook_has_answered(world):
    it = world(2)
    it.ask_and_show()
    it.do('tls/0', """
tls.get_requests()
mine = dict(hookenv.cache)
hookenv.cache.clear()  # as that process begins
tls.set_cert("tls/1", pem("CERTIFICATE", "first by bash"))
hookenv.cache.clear()
hookenv.cache.update(mine)
results.append(tls.get_requests()["tls/1"]["state"])
for unit in tls.get_csr_map():
    tls.set_cert(unit, pem("CERTIFICATE", "first by Python"))
""")
    assert it.juju.kv('tls/0')['results'] == ['answered']
    assert it.answer('tls/1') == certificate('first by bash')


# P6 crash: a hook killed at any point, and retried, ends as if it had run once.

def test_p6_every_hook_is_killed_at_every_call(world):
    it = world()
    units = [it.juju.add_unit(), it.juju.add_unit()]
    it.juju.elect('tls/0')
    while any(it.juju.next_hook(unit) for unit in units):
        for unit in units:
            number = 1
            while it.juju.next_hook(unit):
                if it.juju.run(unit, kill_at=number).committed:
                    break
                number += 1
    assert it.unserved() == []
    assert it.signed() == 2
    assert [len(it.announced(unit)) for unit in units] == [1, 1]
    assert [it.juju.kv(unit)['asked'] for unit in units] == [1, 1]


def test_p6_every_call_of_a_hook_tool_fails_once(world):
    it = world()
    units = [it.juju.add_unit(), it.juju.add_unit()]
    it.juju.elect('tls/0')
    while any(it.juju.next_hook(unit) for unit in units):
        for unit in units:
            number = 1
            while it.juju.next_hook(unit):
                if len(calls(it.juju.run(unit, fail_at=number))) < number:
                    break
                number += 1
    for unit in units:                 # where the last hook of all could not publish
        it.juju.update_status(unit)
    it.juju.settle()
    assert it.unserved() == []
    assert it.signed() == 2
    assert [len(it.announced(unit)) for unit in units] == [1, 1]


def test_p6_what_is_being_signed_survives_a_moment_without_the_controller(world):
    it = world(2)
    it.ask_and_show()
    it.do('tls/0', 'tls.set_csr(pem("CERTIFICATE REQUEST", "own"))', fail_at=1)
    it.juju.update_status('tls/0')
    it.juju.run('tls/0')
    it.answer_with('tls/0', 'tls/1', 'by hand')
    assert it.answer('tls/1') == certificate('by hand')
    it.serve()
    assert it.announced('tls/0')[1:] == ['own by tls/0 #1']


def test_p6_every_hook_fails_once_at_its_end(world):
    it = world()
    units = [it.juju.add_unit(), it.juju.add_unit()]
    it.juju.elect('tls/0')
    while any(it.juju.next_hook(unit) for unit in units):
        for unit in units:
            if it.juju.next_hook(unit):
                it.juju.run(unit, exit=1)
                it.juju.run(unit)
    assert it.unserved() == []
    assert [len(it.announced(unit)) for unit in units] == [1, 1]


def test_p5_three_answers_in_a_hook_whose_commit_fails(world):
    it = world(2)
    it.ask_and_show()
    it.do('tls/0', 'for n in "abc":\n    tls.set_cert("tls/1", pem("CERTIFICATE", "first " + n))',
          fail_commit=True)
    it.answer_with('tls/0', 'tls/1', 'first d')
    assert it.answer('tls/1') == certificate('first d')


def test_p5_three_answers_after_one_that_was_committed(world):
    it = world(2)
    it.ask_and_show()
    it.answer_with('tls/0', 'tls/1', 'first z')
    it.do('tls/0', 'for n in "abc":\n    tls.set_cert("tls/1", pem("CERTIFICATE", "first " + n))',
          fail_commit=True)
    it.answer_with('tls/0', 'tls/1', 'first d')
    assert it.answer('tls/1') == certificate('first d')


def test_p5_two_answers_twice_in_vain(world):
    it = world(2)
    it.ask_and_show()
    it.answer_with('tls/0', 'tls/1', 'first z')
    for n in 'abc':
        it.answer_with('tls/0', 'tls/1', 'first ' + n, fail_commit=True)
    it.juju.settle()
    it.answer_with('tls/0', 'tls/1', 'first d')
    assert it.answer('tls/1') == certificate('first d')


@pytest.mark.parametrize('hooks, answers', [(22, 1), (1, 12)])
def test_p5_the_answer_that_stands_there_stays_known_however_many_are_lost(world, hooks, answers):
    it = world(2)
    it.ask_and_show()
    for number in range(hooks):
        it.do('tls/0', 'for n in range({}):\n    tls.set_cert("tls/1", pem("CERTIFICATE", '
                       '"{} {{}}".format(n)))'.format(answers, number), fail_commit=True)
    it.answer_with('tls/0', 'tls/1', 'first')
    assert it.answer('tls/1') == certificate('first')
