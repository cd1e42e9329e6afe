"""P13 and P14: refusals and reissues."""
import re

import pytest

from fakejuju import Juju
from world import CREATE, SIGN, certificate, id_of, logged, request


# P13 refusal: a refused unit learns why and may ask otherwise; its request is not offered again.

def refused(it):
    """tls/1 asked `first` and was refused; its layer does not ask anew."""
    it.tell('tls/1', 'busy', CREATE)
    it.ask_and_show()
    it.refuse()
    it.juju.settle()
    return it


@pytest.mark.parametrize('due', [Juju.update_status, Juju.config_changed])
def test_p13_the_unit_learns_why_and_keeps_its_certificate(world, due):
    it = world(2)
    assert it.refusal_seen_by('tls/1') is None
    old = it.certificate('tls/1')
    refused(it)
    assert it.answer_id('tls/1') == it.request_id('tls/1')
    assert (it.refusal('tls/1'), it.answer('tls/1')) == ('too weak', None)
    assert it.flags('tls/1') == set()  # not at once, or a layer could loop
    assert it.refusal_seen_by('tls/1') == 'too weak'
    due(it.juju, 'tls/1')
    it.juju.settle()
    assert it.flags('tls/1') == {CREATE}
    assert it.do('tls/1', 'results.append(tls.get_signed_cert())') == [old]
    assert len(it.announced('tls/1')) == 1


def test_p13_a_refusal_of_before_is_not_taken_by_a_record_that_is_behind_the_bag(world):
    it = world(2, keys='disk')
    it.juju.action('tls/0', 'refuse')
    it.juju.action('tls/1', 'renew')
    it.juju.run('tls/1')
    it.juju.settle(['tls/0'])
    it.juju.execute_command('tls/1', 'bin/renew-and-fail')
    assert it.juju.run('tls/1').exit_code == 1
    it.juju.settle(['tls/1'])
    assert it.refusal('tls/1') and it.refusal_seen_by('tls/1') is None
    it.heal()
    assert it.announced('tls/1')[-1].startswith('tls/1 3 ')


def test_p13_a_refused_request_is_not_offered_again(world):
    it = refused(world(3))
    it.juju.update_status('tls/0')
    it.juju.settle()
    assert it.flags('tls/0') == set() and it.csr_map('tls/0') == {}
    it.tell('tls/2', 'busy', SIGN)
    it.juju.elect('tls/2')
    it.juju.settle()
    assert it.flags('tls/2') == set() and it.csr_map('tls/2') == {}


def test_p13_the_same_csr_is_not_published_again_another_is_a_new_request(world):
    it = refused(world(2))
    it.juju.update_status('tls/1')
    it.juju.settle()
    it.ask('tls/1', 'first')
    assert it.last.changes == {} and it.flags('tls/1') == {CREATE}
    assert 'this very CSR was refused, make another: too weak' in logged(it.last)
    it.ask('tls/1', 'second')
    assert it.flags('tls/1') == set()
    assert it.refusal_seen_by('tls/1') is None
    it.serve()
    assert it.announced('tls/1')[1:] == ['second by tls/0 #1']
    assert it.refusal('tls/1') is None


def test_p13_a_layer_that_answers_blindly_does_not_loop(world):
    it = world(2)
    it.tell('tls/1', 'asks', 'always the same')
    it.ask('tls/1', 'always the same')
    it.juju.action('tls/0', 'refuse')
    it.juju.settle()
    number = it.request_id('tls/1')
    it.juju.update_status('tls/1')
    it.juju.settle()
    assert it.refusal('tls/1') and it.request_id('tls/1') == number
    assert it.flags('tls/1') == {CREATE}


@pytest.mark.parametrize('unit', ['tls/0', 'tls/1'])
def test_p13_a_new_csr_for_each_refusal_is_one_request_for_each_update_status(world, unit):
    it = world(3)
    it.tell('tls/0', 'refuses', unit)
    it.juju.action(unit, 'renew')
    it.juju.settle()
    for number in (2, 3, 4):
        assert it.juju.bag(unit)['csr_number'] == str(number)
        assert it.refusal(unit) == 'no' and it.flags(unit) == set()
        it.ask('tls/2', 'renewal {}'.format(number))
        it.juju.settle()
        assert it.is_served('tls/2')
        it.juju.update_status(unit)
        it.juju.settle()
    it.tell('tls/0', 'refuses', '')
    it.expect_healed()


@pytest.mark.parametrize('notified', [True, False])
@pytest.mark.parametrize('unit', ['tls/0', 'tls/1'])
def test_p13_reissue_lifts_a_refusal(world, unit, notified):
    it = world(2, leader_notified=notified)
    it.tell(unit, 'busy', SIGN + CREATE)
    it.tell('tls/0', 'busy', SIGN + CREATE)
    it.ask(unit, 'first')
    it.juju.settle()
    assert it.csr_map('tls/0') == {unit: request('first')}
    it.refuse(unit)
    it.juju.update_status('tls/0')
    it.juju.settle()
    assert it.refusal_seen_by(unit) == 'too weak'
    it.do('tls/0', 'tls.reissue({!r})'.format(unit))
    it.juju.settle()
    assert it.refusal_seen_by(unit) is None
    assert it.flags(unit) <= {SIGN} and it.refusal(unit) is None
    assert it.csr_map('tls/0') == {unit: request('first')}
    it.tell('tls/0', 'busy', '')
    for _ in range(2):                 # a leader that is not notified takes its own in the second
        it.juju.update_status('tls/0')
        it.juju.settle()
    assert it.announced(unit)[1:] == ['first by tls/0 #1']


def test_p13_a_certificate_may_follow_a_refusal_and_the_other_way_round(world):
    it = refused(world(2))
    it.answer_with('tls/0', 'tls/1', 'after all')
    it.juju.settle()
    assert it.certificate('tls/1') == certificate('after all')
    assert it.refusal_seen_by('tls/1') is None and it.flags('tls/1') == set()
    it.refuse()
    it.juju.settle()
    assert it.certificate('tls/1') == certificate('after all')
    assert it.refusal_seen_by('tls/1') == 'too weak' and it.flags('tls/1') == set()
    it.ask('tls/1', 'first')
    assert it.last.changes == {}


def test_p13_a_refusal_belongs_to_its_relation(world):
    it = refused(world(2))
    it.juju.add_relation_id('certificates')
    it.juju.settle()                   # the same requests are published there
    assert it.refusal_seen_by('tls/1') is None and it.flags('tls/1') == set()
    assert it.csr_map('tls/0') == {'tls/0': request('tls/0 1'), 'tls/1': request('first')}


def test_p13_the_leadership_is_lost_while_the_interface_refuses(world):
    it = world(3)
    it.juju.depose()
    it.write('tls/0', csr='junk', csr_number='7')
    it.ask('tls/1', 'renewal')
    it.juju.settle()
    it.juju.elect('tls/2')
    it.tell('tls/2', 'busy', SIGN)
    run = it.juju.run('tls/2', on_call={10: it.juju.depose})
    assert run.hook.name == 'leader-elected' and run.committed and run.changes == {}
    assert 'application bag not written' in logged(run)
    assert it.flags('tls/2') == set()


def test_p13_there_is_no_view_when_the_leadership_is_lost_while_the_interface_refuses(world):
    it = world(2)
    it.juju.depose()
    it.write('tls/0', csr='junk', csr_number='7')
    it.juju.settle()
    it.juju.model.units['tls/1'].led = True  # its agent noticed nothing: no leader-elected
    it.juju.elect('tls/1')
    view = 'results.append(tls.get_requests())'
    assert it.do('tls/1', view, on_call={8: it.juju.depose}) == [{}]
    assert it.last.changes == {} and 'application bag not written' in logged(it.last)
    it.juju.elect('tls/1')
    assert it.do('tls/1', view)[0]['tls/0']['state'] == 'refused'


def test_p13_a_refusal_that_is_not_committed_is_missed(world):
    it = world(2)
    it.ask_and_show()
    it.refuse(fail_commit=True)
    it.serve()
    assert it.announced('tls/1')[1:] == ['first by tls/0 #1']


def test_p13_nothing_is_refused_for_a_unit_that_asked_anew(world):
    it = world(2)
    it.ask_and_show()
    it.ask('tls/1', 'second')
    it.juju.settle()
    it.refuse()
    assert it.last.changes == {}
    assert 'refusal for tls/1 not published: the unit has asked anew' in logged(it.last)
    it.serve()


def test_p13_what_the_interface_finds_malformed_is_refused_with_its_fault(world):
    it = world(2)
    it.tell('tls/1', 'busy', CREATE)
    it.ask('tls/1', 'sound')
    it.write('tls/1', csr='junk')
    it.juju.settle()
    assert it.refusal('tls/1').startswith('it has no PEM block CERTIFICATE REQUEST')
    assert it.answer_id('tls/1') == id_of(2, 'junk')
    it.juju.update_status('tls/1')     # that is not what it asked: the layer knows which key it has
    it.juju.settle()
    assert it.flags('tls/1') == {CREATE} and it.refusal_seen_by('tls/1') is None
    it.ask('tls/1', 'sound')
    it.juju.settle()
    assert it.announced('tls/1')[1:] == ['sound by tls/0 #1']


def test_p13_a_refusal_leaves_with_its_unit(world):
    it = refused(world(2))
    it.juju.remove_unit('tls/1')
    it.juju.settle()
    assert [key for key in it.juju.app_bag() if key.startswith('tls/1')] == []


@pytest.mark.parametrize('unit, reason, error', [
    ('"tls/1"', 'None', 'TypeError: refusal for tls/1: expected str, not NoneType'),
    ('"tls/1"', 'b"x"', 'TypeError: refusal for tls/1: expected str, not bytes'),
    ('"db/1"', '"x"', "ValueError: 'db/1' is not a unit of tls"),
    ('"tls/1\\n"', '"x"', "ValueError: 'tls/1\\n' is not a unit of tls"),
    ('"tls/01"', '"x"', "ValueError: 'tls/01' is not a unit of tls"),
    ('"tls"', '"x"', "ValueError: 'tls' is not a unit of tls"),
    ('1', '"x"', 'TypeError: unit name: expected str, not int'),
])
def test_p13_a_bad_refusal_raises_and_publishes_nothing(world, unit, reason, error):
    it = world(2)
    it.ask_and_show()
    it.do('tls/0', 'tls.refuse_csr({}, {})'.format(unit, reason))
    assert error in it.last.stderr
    assert it.last.exit_code == 1 and it.last.changes == {}
    it.serve()


# P14 reissue: answered requests wait again; every unit keeps what it has until its successor.

@pytest.mark.parametrize('notified', [True, False])
def test_p14_every_unit_keeps_its_certificate_until_its_successor_is_there(world, notified):
    it = world(3, leader_notified=notified)
    units = it.juju.units()
    old = [it.certificate(unit) for unit in units]
    it.tell('tls/0', 'busy', SIGN)
    it.reissue()
    it.juju.settle()
    assert all(re.match('reissue-[0-9a-f]{32}$', it.answer_id(unit)) for unit in units)
    assert [it.answer(unit) for unit in units] == [it.certificate(unit) for unit in units] == old
    assert it.flags('tls/0') == {SIGN} and it.flags('tls/1') == set()
    assert sorted(it.csr_map('tls/0')) == units
    it.tell('tls/0', 'busy', '')
    for _ in range(2):                 # a leader that is not notified takes its own in the second
        it.juju.update_status('tls/0')
        it.juju.settle()
    assert it.unserved() == []
    assert [it.announced(unit)[1:] for unit in units] == [
        ['{} 1 by tls/0 #2'.format(unit)] for unit in units]


def test_p14_one_unit_alone(world):
    it = world(3)
    it.reissue('tls/1')
    it.juju.settle()
    assert it.unserved() == []
    assert [len(it.announced(unit)) for unit in it.juju.units()] == [1, 2, 1]


def test_p14_a_change_of_leader_half_way_and_a_unit_added_meanwhile(world):
    it = world(3)
    it.tell('tls/0', 'busy', SIGN)
    it.reissue()
    assert sorted(it.csr_map('tls/0')) == ['tls/0', 'tls/1', 'tls/2']
    it.answer_with('tls/0', 'tls/1', 'by hand')
    it.juju.add_unit()
    it.juju.settle()
    it.juju.elect('tls/2')
    it.juju.settle()
    assert it.unserved() == []
    assert it.announced('tls/1')[1:] == ['by hand']
    assert it.announced('tls/0')[1:] == ['tls/0 1 by tls/2 #1']
    assert it.announced('tls/3') == ['tls/3 1 by tls/2 #1']


def test_p14_units_that_a_new_leader_has_not_met_are_reissued_too(world):
    it = world(3)
    unit = it.juju.add_unit()
    for _ in range(6):
        it.juju.run(unit)
    it.juju.elect(unit)
    it.do(unit, 'tls.reissue()')
    it.juju.settle()
    assert it.unserved() == []
    assert [len(it.announced(each)) for each in it.juju.units()] == [2, 2, 2, 1]


def test_p14_an_answer_worked_out_before_is_not_published(world):
    it = world(2)
    it.ask_and_show()
    it.reissue()
    it.answer_with('tls/0', 'tls/1', 'of the old CA')
    assert it.last.changes == {}
    assert 'certificate for tls/1 not published: ' in logged(it.last)
    it.serve()
    assert it.announced('tls/1')[-1] == 'first by tls/0 #1'


def test_p14_a_reissue_that_is_not_committed_did_not_happen(world):
    it = world(2)
    it.tell('tls/0', 'busy', SIGN)
    it.reissue(fail_commit=True)
    it.juju.update_status('tls/0')
    it.juju.settle()
    assert it.unserved() == [] and it.flags('tls/0') == set()


def test_p14_the_leadership_is_lost_during_it(world):
    it = world(2)
    it.do('tls/0', 'tls.reissue()', on_call={3: it.juju.depose})
    assert 'ValueError: reissue: this unit lost the leadership' in it.last.stderr
    assert it.last.exit_code == 1 and it.last.changes == {}
    it.juju.elect('tls/1')
    it.juju.settle()
    assert it.unserved() == []


@pytest.mark.parametrize('leader, argument, error', [
    ('tls/0', '"tls/9"', "ValueError: reissue for 'tls/9': no answer to that unit"),
    ('tls/0', '1', 'TypeError: unit name: expected str, not int'),
    ('tls/1', '', 'ValueError: reissue: this unit does not lead'),
])
def test_p14_a_bad_reissue_raises_and_publishes_nothing(world, leader, argument, error):
    it = world(2)
    it.do(leader, 'tls.reissue({})'.format(argument))
    assert error in it.last.stderr
    assert it.last.exit_code == 1 and it.last.changes == {}
    it.juju.settle()
    assert it.unserved() == []
