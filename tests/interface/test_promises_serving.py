"""P1, P2 and P7: who asks is served, with the answer to its own request; who uses it (P14)."""
import hashlib
from itertools import permutations

import pytest

from world import METADATA, SIGN, assemble, calls, certificate, logged, request


def run_until(juju, unit, name):
    """Run the unit's hooks up to and including the one of that name."""
    while True:
        run = juju.run(unit)
        if run.hook.name == name:
            return run


# P1 served: every unit whose charm answers the flags ends with the certificate for its own
# current request: the leader too, and a lone unit before its start hook is over.

@pytest.mark.parametrize('knobs', [
    {}, {'leader_notified': False}, {'stale_caches': False}, {'network_keys': False},
    {'version': '2.9.50'}, {'version': '4.0.1', 'content_versions': True}])
def test_p1_three_units_ask_once_and_are_signed_once(world, knobs):
    it = world(3, **knobs)
    assert it.unserved() == []
    assert it.signed() == 3
    assert sorted(it.announced('tls/0') + it.announced('tls/1') + it.announced('tls/2')) == [
        'tls/0 1 by tls/0 #1', 'tls/1 1 by tls/0 #1', 'tls/2 1 by tls/0 #1']
    assert not any('interface:tls: ' in logged(run) for run in it.juju.runs)  # all is well


@pytest.mark.parametrize('notified', [True, False])
def test_p1_a_lone_unit_is_served_before_its_start_hook_is_over(world, notified):
    it = world(leader_notified=notified)
    unit = it.juju.add_unit()
    it.juju.elect(unit)
    run_until(it.juju, unit, 'start')
    assert it.is_served(unit)
    assert it.announced(unit) == ['tls/0 1 by tls/0 #1']


def test_p1_relation_created_can_be_missed(world):
    it = world()
    unit = it.juju.add_unit()
    it.juju.elect(unit)
    it.juju.run(unit)                  # install: the scope is entered
    it.juju.restart_agent(unit)        # which takes created for done
    run_until(it.juju, unit, 'start')
    assert 'certificates-relation-created' not in [run.hook.name for run in it.juju.runs]
    assert it.is_served(unit)


def test_p1_units_wait_for_a_leader_that_comes_late(world):
    it = world()
    units = [it.juju.add_unit() for _ in range(3)]
    it.juju.settle()
    assert it.unserved() == units
    it.juju.elect('tls/1')
    it.juju.settle()
    assert it.unserved() == []


def test_p1_a_request_made_in_install_is_published_when_the_relation_exists(world):
    it = world()
    unit = it.juju.add_unit()
    it.juju.elect(unit)
    it.ask(unit, 'early', hook=True)
    assert it.last.hook.name == 'install' and calls(it.last) == []
    assert it.flags(unit) == set()
    it.juju.settle()
    assert it.announced(unit) == ['early by tls/0 #1']


def test_p1_with_two_relation_ids_the_newest_counts(world):
    it = world(2)
    first = it.request_id('tls/1')
    it.juju.add_relation_id('certificates')
    it.juju.settle()
    assert it.unserved() == []         # bags are those of the newest relation
    assert it.request_id('tls/1') == first  # the same request is published there
    assert len(it.announced('tls/1')) == 2


def test_p1_relation_ids_are_compared_as_numbers(world):
    it = world()
    it.juju.model.remove_relation('certificates:0')
    it.juju.model.relation_count = 9  # of all relations in the Juju model
    it.juju.add_relation_id('certificates')
    it.start(2)
    it.juju.add_relation_id('certificates')
    assert it.unserved() and it.juju.model.relations.keys() == {'certificates:9', 'certificates:10'}
    it.juju.settle()
    assert it.unserved() == []  # on certificates:10
    it.ask('tls/1', 'later')
    it.juju.settle()
    assert it.announced('tls/1')[-1] == 'later by tls/0 #1'
    assert it.unserved() == []


def test_p1_a_hook_of_the_older_of_two_relation_ids_tells_nothing(world):
    it = world(2)
    it.juju.add_relation_id('certificates')
    it.juju.settle()
    before = it.remembered('tls/0')
    it.write('tls/1', csr_number='7')  # in certificates:0
    run = it.juju.run('tls/0')
    assert (run.hook.kind, run.hook.relation) == ('changed', 'certificates:0')
    assert calls(run) == [] and it.remembered('tls/0') == before


def test_p1_a_charm_without_an_endpoint_of_it_runs(world, tmp_path):
    metadata = dict(METADATA, peers={'cluster': {'interface': 'other'}})
    it = world(charm=assemble(tmp_path / 'none', metadata=metadata))
    it.juju.elect(it.juju.add_unit())
    assert all(run.exit_code == 0 and calls(run) == [] for run in it.juju.settle())


def test_p1_a_second_endpoint_is_refused(world, tmp_path):
    peers = dict(METADATA['peers'], spare={'interface': 'tls'})
    it = world(charm=assemble(tmp_path / 'two', metadata=dict(METADATA, peers=peers)))
    run = it.juju.run(it.juju.add_unit())
    assert run.exit_code == 1
    assert 'one endpoint of it, not certificates and spare' in run.stderr


# P2 matched: no unit stores or announces a certificate that answers another request than its
# current one, however long signing takes.

def test_p2_signing_may_take_many_hooks(world):
    it = world(2)
    it.ask_and_show()
    for _ in range(3):
        it.juju.update_status('tls/0')
        it.juju.settle()
    it.answer_with('tls/0', 'tls/1', 'by hand')
    it.juju.settle()
    assert it.announced('tls/1') == ['tls/1 1 by tls/0 #1', 'by hand']


def test_p2_nothing_is_published_for_a_unit_that_asked_anew(world):
    it = world(2)
    it.ask_and_show()
    for number in range(9):            # up to 11, which is less than 2 as text
        it.ask('tls/1', str(number))
    it.ask('tls/1', 'second')
    it.juju.settle()
    it.answer_with('tls/0', 'tls/1', 'too late')
    assert it.last.changes == {}
    assert 'certificate for tls/1 not published: the unit has asked anew' in logged(it.last)
    assert SIGN in it.flags('tls/0')
    it.serve()
    assert it.announced('tls/1')[1:] == ['second by tls/0 #1']


def test_p2_an_answer_to_a_request_that_only_a_cache_still_shows_is_not_taken(world):
    it = world(2)
    it.ask_and_show()
    it.ask('tls/1', 'second')          # tls/0 has not run the changed for it
    it.answer_with('tls/0', 'tls/1', 'stale')
    assert it.answer('tls/1') == certificate('stale')
    it.juju.settle(['tls/1'])
    assert it.announced('tls/1') == ['tls/1 1 by tls/0 #1']
    assert it.certificate('tls/1') == certificate('tls/1 1 by tls/0 #1')
    it.serve()
    assert it.announced('tls/1')[1:] == ['second by tls/0 #1']


def test_p2_an_answer_never_lowers_the_number(world):
    it = world(3)
    it.ask_and_show()
    it.ask('tls/1', 'second')          # seen by tls/2, which leads for a while, not by tls/0
    it.juju.depose()
    it.juju.elect('tls/2')
    it.juju.settle(['tls/2', 'tls/1'])
    assert it.is_served('tls/1')
    it.juju.depose()
    it.juju.elect('tls/0')
    it.answer_with('tls/0', 'tls/1', 'stale')
    assert it.last.changes == {}
    assert 'another answer stands there than when' in logged(it.last)
    assert it.csr_map('tls/0') == {}   # though the request that its cache shows has no answer
    it.juju.settle()
    assert it.announced('tls/1')[1:] == ['second by tls/2 #1']


def test_p2_with_csr_signing_may_take_long_and_the_map_be_read_meanwhile(world):
    it = world(2)
    it.ask_and_show()
    for _ in range(3):
        it.juju.update_status('tls/0')
        it.juju.settle()
    assert it.csr_map('tls/0') == {'tls/1': request('first')}
    it.answer_csr('tls/0', 'tls/1', 'first', 'from elsewhere')
    it.juju.settle()
    assert it.announced('tls/1')[1:] == ['from elsewhere']


def test_p2_with_csr_nothing_is_published_for_a_unit_that_asked_anew(world):
    for anew in ('second', 'another'):
        it = world(2)
        it.ask_and_show()
        it.ask('tls/1', anew)
        it.juju.settle()
        assert it.csr_map('tls/0') == {'tls/1': request(anew)}
        it.answer_csr('tls/0', 'tls/1', 'first', 'too late')
        assert it.last.changes == {}
        assert 'certificate for tls/1 not published: the unit has asked anew' in logged(it.last)
        it.answer_csr('tls/0', 'tls/1', anew, 'in time')
        it.juju.settle()
        assert it.announced('tls/1')[1:] == ['in time']


ORDERS = [order for order in permutations(['ask', 'changed', 'map', 'set_cert'])
          if order.index('ask') < order.index('changed')]


@pytest.mark.parametrize('order', [ORDERS[::2], ORDERS[1::2]])
def test_p2_with_csr_in_any_order_of_requests_looks_and_answers(world, order, tmp_path):
    """Whatever happens between, the certificate for `first` is never beside `second`."""
    start = world(2)
    start.ask_and_show()
    for number, steps in enumerate(order):
        it = start.copy(tmp_path / str(number))
        with it.juju:
            for step in steps:
                if step == 'ask':
                    it.ask('tls/1', 'second')
                elif step == 'changed':
                    it.juju.run('tls/0')
                elif step == 'map':
                    it.csr_map('tls/0')
                else:
                    it.answer_csr('tls/0', 'tls/1', 'first', 'for first')
                    it.juju.settle(['tls/1'])
                    # What its cache shows is answered, and beside the id of that.
                    assert bool(it.last.changes) == (steps.index(step) < steps.index('changed'))
            assert it.certificate('tls/1') == (
                certificate('tls/1 1 by tls/0 #1')
                if steps.index('ask') < steps.index('set_cert') else certificate('for first'))
            it.serve()
            assert it.announced('tls/1')[-1] == 'second by tls/0 #1'


def test_p2_a_refusal_with_csr_does_not_make_an_old_order_the_order_for_it(world):
    it = world(2)
    it.ask_and_show()
    it.ask('tls/1', 'second')
    it.juju.settle()
    it.do('tls/0', 'tls.refuse_csr("tls/1", "no", csr={!r})'.format(request('second')))
    assert it.refusal('tls/1') == 'no'
    it.answer_with('tls/0', 'tls/1', 'for first')
    assert it.last.changes == {}
    assert 'certificate for tls/1 not published: the unit has asked anew' in logged(it.last)


def test_p2_with_csr_no_request_need_have_been_handed_out(world):
    it = world(2)
    it.tell('tls/0', 'busy', SIGN)
    it.ask('tls/1', 'first')
    it.juju.settle()
    view, = it.do('tls/0', 'results.append(tls.get_requests())')
    assert view['tls/1']['csr'] == request('first')
    it.answer_csr('tls/0', 'tls/1', 'first', 'from the view', fail_commit=True)
    it.juju.settle()
    assert len(it.announced('tls/1')) == 1
    it.answer_csr('tls/0', 'tls/1', 'first', 'from the view')  # the same call
    it.juju.settle()
    assert it.announced('tls/1')[1:] == ['from the view']
    it.answer_csr('tls/0', 'tls/1', 'first', 'better')         # it answered that
    it.juju.settle()
    assert it.announced('tls/1')[2:] == ['better']


@pytest.mark.parametrize('csr', ['', 'no block'])
def test_p2_with_csr_what_has_no_request_is_no_malformed_request_either(world, csr):
    it = world(2)
    before = it.answer('tls/1')
    it.write('tls/1', csr='junk', csr_number='9')
    it.juju.restart_agent('tls/0')     # and so reads that in the action
    it.do('tls/0', 'tls.set_cert("tls/1", pem("CERTIFICATE", "junk"), csr={!r})'.format(csr))
    assert it.answer('tls/1') == before
    assert 'certificate for tls/1 not published: ' in logged(it.last)


def test_p3_no_csr_in_a_bag_makes_its_answer_slow(world):
    """A megabyte of begin lines, which a search for whole blocks takes from each on to the end."""
    it = world(2)
    it.ask_and_show()
    it.write('tls/1', csr='-----BEGIN CERTIFICATE REQUEST-----\n' * 30000, csr_number='9')
    it.juju.restart_agent('tls/0')
    it.answer_csr('tls/0', 'tls/1', 'first', 'from elsewhere')
    assert it.last.exit_code == 0 and 'certificate for tls/1 not published: ' in logged(it.last)


@pytest.mark.parametrize('tidied', ['{}.strip()', '{}.replace("\\n", "\\r\\n")',
                                    '{}.replace("\\n", "  \\n")', '"issued for:\\n" + {}'])
def test_p2_with_csr_a_request_is_known_again_however_a_signer_lays_it_out(world, tidied):
    it = world(2)
    it.ask_and_show()
    it.do('tls/0', 'tls.set_cert("tls/1", pem("CERTIFICATE", "from elsewhere"), csr={})'.format(
        tidied.format(repr(request('first')))))
    it.juju.settle()
    assert it.announced('tls/1')[1:] == ['from elsewhere']


def test_p2_with_csr_a_layer_need_never_call_get_csr_map(world):
    it = world()
    for _ in range(2):
        it.tell(it.juju.add_unit(), 'busy', SIGN)
    it.juju.elect('tls/0')
    it.juju.settle()
    for unit in it.juju.units():
        it.answer_csr('tls/0', unit, unit + ' 1', 'from the view')
    it.juju.settle()
    assert [it.announced(unit) for unit in it.juju.units()] == [['from the view']] * 2


# P7 renewal: the certificate in use stays in unitdata until its successor is there; the swap is
# one step.

@pytest.mark.parametrize('text, number', [('tls/1 1', 2), ('other', 1)])
def test_p7_the_certificate_in_use_stays_until_its_successor_is_there(world, text, number):
    it = world(2)
    it.tell('tls/0', 'busy', SIGN)
    old = it.certificate('tls/1')
    it.ask('tls/1', text)              # `tls/1 1` is the very request that was answered
    it.juju.settle()
    assert it.do('tls/1', 'results.append(tls.get_signed_cert())') == [old]
    assert it.juju.kv('tls/1')['tls.server.certificate'] == old
    it.serve()
    new = it.certificate('tls/1')
    assert new == certificate(text + ' by tls/0 #{}'.format(number))
    assert it.juju.kv('tls/1')['tls.server.certificate'] == new


@pytest.mark.parametrize('notified', [True, False])
def test_p7_a_leader_takes_what_replaces_its_own_answer_in_its_next_hook(world, notified):
    it = world(2, leader_notified=notified)
    it.answer_with('tls/0', 'tls/0', 'better')
    it.juju.config_changed('tls/0')
    it.juju.settle()
    assert it.certificate('tls/0') == certificate('better')
    assert it.announced('tls/0')[1:] == ['better']


# What a unit has confirmed to be in use.

def in_use(it):
    view, = it.do('tls/0', 'results.append(tls.get_requests())')
    return {unit for unit in view if view[unit]['in_use']}


def test_p14_the_leader_knows_who_uses_the_certificate_that_stands_there(world):
    it = world(2)
    assert in_use(it) == set()
    for unit in it.juju.units():
        it.do(unit, 'tls.confirm_cert()')
    assert it.juju.bag('tls/1')['certificate_in_use'] == hashlib.sha256(
        it.certificate('tls/1').encode()).hexdigest()
    it.juju.settle()
    assert in_use(it) == {'tls/0', 'tls/1'}
    it.do('tls/1', 'tls.confirm_cert()')
    assert it.last.changes == {}       # it is confirmed already
    it.answer_with('tls/0', 'tls/1', 'better')
    assert in_use(it) == {'tls/0'}
    it.juju.settle()
    it.do('tls/1', 'tls.confirm_cert()')
    it.juju.settle()
    assert in_use(it) == {'tls/0', 'tls/1'}
    assert it.unserved() == []


def test_p14_a_confirmation_that_is_forged_is_worth_nothing_to_the_others(world):
    it = world(2)
    it.write('tls/1', certificate_in_use='A' * 64)
    it.juju.settle()
    assert in_use(it) == set() and it.unserved() == []


def test_p9_without_a_certificate_there_is_nothing_to_confirm(world):
    it = world(1)
    it.tell('tls/0', 'busy', SIGN)
    it.juju.add_unit()
    it.juju.settle()
    it.do('tls/1', 'tls.confirm_cert()')
    assert it.last.exit_code == 0 and it.last.changes == {}


def test_p4_what_was_handed_out_stays_so_while_the_units_bag_cannot_be_read(world):
    """A tool that exits with 2 is not asked again in that hook."""
    it = world(2)
    it.ask_and_show()
    maps = it.do('tls/0', '''
hookenv.relation_get(unit="tls/1", rid="certificates:0")
hookenv.cache.update({key: None for key in hookenv.cache if '"tls/1"' in key})
results.append(tls.get_csr_map())
results.append(tls.get_requests()["tls/1"]["state"])
''')
    assert maps == [{}, 'none'] and it.flags('tls/0') == {SIGN}
    it.answer_with('tls/0', 'tls/1', 'first by hand')
    it.juju.settle()
    assert it.announced('tls/1')[1:] == ['first by hand'] and it.unserved() == []
