"""The promises P1 to P14 of the README, one behaviour per test, on real charms.reactive.

Each section opens with the promise. What is asserted is what stands in the bags and in unitdata,
and which flags are set, at both ends.
"""
import pytest

from world import CREATE, METADATA, SIGN, assemble, calls, certificate, logged, request


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
    assert it.request_id('tls/1') != first
    assert len(it.announced('tls/1')) == 2


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
    assert 'metadata.yaml has certificates and spare' in run.stderr


# P2 matched: no unit stores or announces a certificate that answers another request than its
# current one, however long signing takes.

def ask_and_show(it):
    """tls/1 asks `first`, and get_csr_map hands that out on the leader tls/0."""
    it.tell('tls/0', 'busy', SIGN)
    it.ask('tls/1', 'first')
    it.juju.settle()
    assert it.csr_map('tls/0') == {'tls/1': request('first')}


def serve(it):
    """Have the leader's layer answer again, and settle."""
    it.tell('tls/0', 'busy', '')
    it.juju.update_status('tls/0')
    it.juju.settle()
    assert it.unserved() == []


def test_p2_signing_may_take_many_hooks(world):
    it = world(2)
    ask_and_show(it)
    for _ in range(3):
        it.juju.update_status('tls/0')
        it.juju.settle()
    it.answer_with('tls/0', 'tls/1', 'by hand')
    it.juju.settle()
    assert it.announced('tls/1') == ['tls/1 1 by tls/0 #1', 'by hand']


def test_p2_nothing_is_published_for_a_unit_that_asked_anew(world):
    it = world(2)
    ask_and_show(it)
    for number in range(9):            # up to -11, which is less than -2 as text
        it.ask('tls/1', str(number))
    it.ask('tls/1', 'second')
    it.juju.settle()
    it.answer_with('tls/0', 'tls/1', 'too late')
    assert it.last.changes == {}
    assert 'certificate for tls/1 not published: the unit has asked anew' in logged(it.last)
    assert SIGN in it.flags('tls/0')
    serve(it)
    assert it.announced('tls/1')[1:] == ['second by tls/0 #1']


def test_p2_an_answer_to_a_request_that_only_a_cache_still_shows_is_not_taken(world):
    it = world(2)
    ask_and_show(it)
    it.ask('tls/1', 'second')          # tls/0 has not run the changed for it
    it.answer_with('tls/0', 'tls/1', 'stale')
    assert it.answer('tls/1') == certificate('stale')
    it.juju.settle(['tls/1'])
    assert it.announced('tls/1') == ['tls/1 1 by tls/0 #1']
    assert it.certificate('tls/1') == certificate('tls/1 1 by tls/0 #1')
    serve(it)
    assert it.announced('tls/1')[1:] == ['second by tls/0 #1']


def test_p2_an_answer_never_lowers_the_number(world):
    it = world(3)
    ask_and_show(it)
    it.ask('tls/1', 'second')          # seen by tls/2, which leads for a while, not by tls/0
    it.juju.depose()
    it.juju.elect('tls/2')
    it.juju.settle(['tls/2', 'tls/1'])
    assert it.is_served('tls/1')
    it.juju.depose()
    it.juju.elect('tls/0')
    it.answer_with('tls/0', 'tls/1', 'stale')
    assert it.last.changes == {}
    assert 'a newer request of the unit has been answered' in logged(it.last)
    it.juju.settle()
    assert it.announced('tls/1')[1:] == ['second by tls/2 #1']


# P3 authority: only the leader's answers count; what a peer writes into its own bag harms
# nobody but itself.

def write(it, unit, **settings):
    """Put that into the unit's own bag, as a peer gone bad would."""
    it.do(unit, 'hookenv.relation_set("certificates:0", {!r})'.format(settings))


def test_p3_a_forged_answer_is_not_believed(world):
    it = world(3)
    it.ask('tls/1', 'renewal')
    mine = it.request_id('tls/1')
    write(it, 'tls/2', **{'tls/1_signed_certificate': certificate('forged'),
                          'tls/1_csr_id': mine})
    it.juju.settle(['tls/1'])
    it.juju.settle()
    assert it.announced('tls/1')[1:] == ['renewal by tls/0 #1']
    assert it.unserved() == []


@pytest.mark.parametrize('csr, csr_id', [
    ('junk', 'L-1'),
    ('\x00\x01\x02\u2028', 'L-1'),
    (request('x' * (1 << 20)), 'L-1'),
    (certificate('no request'), 'L-1'),
    (None, 'L-1'),
    (request('sound'), 'no number'),
    (request('sound'), 'L-' + '1' * 100),
    (request('sound'), 'L-' + 'ä' * (1 << 16)),
])
def test_p3_a_malformed_request_is_refused_and_the_others_are_served(world, csr, csr_id):
    it = world(3)
    answered = it.answer_id('tls/1')
    well_formed = csr_id == 'L-1'
    write(it, 'tls/1', csr=csr, csr_id=csr_id)
    it.ask('tls/2', 'good')
    before = len(it.juju.runs)
    it.juju.settle()
    assert it.answer_id('tls/1') == ('L-1' if well_formed else answered)
    assert str(it.refusal('tls/1')).startswith('it ') == well_formed
    assert it.is_served('tls/2') and it.is_served('tls/0')
    assert it.flags('tls/0') == set()
    runs = it.juju.runs[before:]
    assert any('request of tls/1 is {}: it'.format('refused' if well_formed else 'left out')
               in logged(run) for run in runs)
    assert all(len(logged(run)) < 10000 and (csr or 'None') not in logged(run) for run in runs)


@pytest.mark.parametrize('key', ['csr', 'csr_id'])
def test_p3_a_request_that_has_become_malformed_is_not_handed_out(world, key):
    it = world(2)
    ask_and_show(it)
    write(it, 'tls/1', **{key: 'junk'})
    it.juju.restart_agent('tls/0')     # which forgets what it has cached
    assert it.csr_map('tls/0') == {}


def test_p3_a_huge_number_harms_only_its_own_unit(world):
    it = world(2)
    life = it.request_id('tls/1').split('-')[0]
    write(it, 'tls/1', csr_id=life + '-' + '9' * 30)
    it.juju.settle()
    it.ask('tls/0', 'renewal')
    it.juju.settle()
    assert it.is_served('tls/0')


def test_p3_what_is_no_certificate_is_not_taken(world):
    it = world(2)
    ask_and_show(it)
    settings = {'tls/1_signed_certificate': 'junk', 'tls/1_csr_id': it.request_id('tls/1')}
    it.do('tls/0', 'hookenv.relation_set("certificates:0", {!r}, app=True)'.format(settings))
    run = it.juju.run('tls/1')
    assert run.hook.name == 'certificates-relation-changed' and run.hook.remote_unit == ''
    assert 'certificate for tls/1 not taken: it has no PEM block' in logged(run)
    assert it.certificate('tls/1') == certificate('tls/1 1 by tls/0 #1')
    assert it.announced('tls/1') == ['tls/1 1 by tls/0 #1']


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
    it.do('tls/0', '', on_call={3: it.juju.depose})  # after is-leader and the map
    assert it.last.exit_code == 0
    assert 'certificate for tls/1 not published: this unit lost' in logged(it.last)
    assert it.flags('tls/0') == set()
    it.juju.elect('tls/1')
    it.juju.settle()
    assert it.announced('tls/1')[1:] == ['renewal by tls/1 #1']


def test_p4_on_a_unit_that_no_longer_leads_nothing_is_published(world):
    it = world(2)
    ask_and_show(it)
    it.juju.elect('tls/1')
    it.tell('tls/1', 'busy', SIGN)
    it.juju.settle()
    it.answer_with('tls/0', 'tls/1', 'deposed')
    assert it.last.changes == {}
    assert 'certificate for tls/1 not published: this unit does not lead' in logged(it.last)
    assert it.csr_map('tls/0') == {}
    assert it.csr_map('tls/1') == {'tls/1': request('first')}


# P5 commit: if a hook succeeds and Juju fails to commit it, nothing is lost, though
# charms.reactive has saved its flags and unitdata.

def test_p5_a_request_is_published_again_with_its_id(world):
    it = world(2)
    it.ask('tls/1', 'renewal', fail_commit=True)
    assert it.juju.kv('tls/1')['interface.tls']['count'] == 2
    it.juju.update_status('tls/1')
    it.juju.settle()
    assert it.request_id('tls/1').endswith('-2')
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
    serve(it)
    assert it.announced('tls/1')[1:] == ['renewal by tls/0 #2']


def test_p5_an_answer_in_an_action_that_is_not_committed_is_missed(world):
    it = world(2)
    ask_and_show(it)
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
    ask_and_show(it)
    it.do('tls/0', 'tls.set_csr(pem("CERTIFICATE REQUEST", "own"))', fail_at=1)
    it.juju.update_status('tls/0')
    it.juju.run('tls/0')
    it.answer_with('tls/0', 'tls/1', 'by hand')
    assert it.answer('tls/1') == certificate('by hand')
    serve(it)
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
    serve(it)
    new = it.certificate('tls/1')
    assert new == certificate(text + ' by tls/0 #{}'.format(number))
    assert it.juju.kv('tls/1')['tls.server.certificate'] == new


# P8 departure: a unit that leaves takes its flags and its waiting request with it; a leaving
# leader wipes nothing; a name that comes back finds nothing of its predecessor's.

def test_p8_a_waiting_request_leaves_with_its_unit(world):
    it = world(3)
    ask_and_show(it)
    it.juju.remove_unit('tls/1')
    it.juju.settle()
    assert it.flags('tls/0') == set()
    assert it.csr_map('tls/0') == {}
    assert [key for key in it.juju.app_bag() if key.startswith('tls/1')] == []
    it.answer_with('tls/0', 'tls/1', 'late')
    assert it.last.changes == {}
    assert 'certificate for tls/1 not published: the unit has left' in logged(it.last)


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
    serve(it)
    assert it.announced('tls/1') == ['the successor by tls/0 #1']


def test_p8_no_handler_is_given_a_conversation(world):
    it = world(3)
    for unit in it.juju.units():
        assert it.do(unit, 'results.append(len(tls.conversations()))') == [0]
    it.juju.remove_unit('tls/2')
    it.juju.settle()
    for unit in ('tls/0', 'tls/1'):
        assert [key for key in it.juju.kv(unit) if key.startswith('reactive.conv')] == []


# P9 any hook: every method works in every hook and action, with no remote unit, an empty one,
# or another relation's in the environment; other relations are never touched.

METHODS = '''
results.append(tls.get_csr_map())
results.append(tls.get_signed_cert())
results.append(tls.get_refusal())
results.append(tls.get_requests())
tls.set_csr(pem("CERTIFICATE REQUEST", "from any hook"))
results.append(tls.get_csr_map())
'''


@pytest.mark.parametrize('unit', ['tls/0', 'tls/1'])
def test_p9_every_method_works_in_every_hook(world, crowded, unit):
    seen = set()
    for number in range(12):
        it = world(2, charm=crowded)
        it.juju.add_unit()
        it.juju.settle(['tls/2'])
        it.juju.remove_unit('tls/2') if number > 8 else it.juju.update_status(unit)
        for _ in range(number):
            if it.juju.next_hook(unit):
                it.juju.run(unit)
        if it.juju.next_hook(unit) is None:
            break
        it.do(unit, METHODS, hook=True)
        assert it.last.committed
        seen.add(it.last.hook.name)
        it.juju.settle()
        it.juju.update_status('tls/0')
        it.juju.settle()
        assert it.announced(unit)[-1].startswith('from any hook by tls/0')
        assert all(not set(it.juju.bag(each, 'cluster:1')) & {'csr', 'csr_id'}
                   for each in it.juju.units())
        assert it.juju.app_bag('cluster:1') == {}
    assert {'cluster-relation-joined', 'certificates-relation-joined',
            'certificates-relation-changed', 'update-status'} <= seen


def test_p9_a_look_never_fails_because_the_relation_is_gone(world):
    it = world(2)
    it.juju.model.remove_relation('certificates:0')
    it.juju.elect('tls/1')
    run = it.juju.run('tls/1')
    assert run.hook.name == 'leader-elected' and run.exit_code == 0
    assert [call.code for call in run.calls if call.argv[0] == 'relation-list'] == [2]
    it.juju.add_relation_id('certificates')
    it.juju.settle()
    assert it.unserved() == []


def test_p9_a_handler_that_runs_again_in_the_same_hook_is_given_what_waits_then(world):
    it = world(2)
    it.ask('tls/1', 'renewal')         # answered by the handler's first run
    it.do('tls/0', 'tls.set_csr(pem("CERTIFICATE REQUEST", "mine"))', hook=True)
    assert it.answer('tls/1') == certificate('renewal by tls/0 #1')
    assert it.answer('tls/0') == certificate('mine by tls/0 #1')


def test_p9_a_layer_may_ask_before_the_interface_has_looked(world):
    it = world(2)
    it.tell('tls/1', 'early.py', 'tls.set_csr(pem("CERTIFICATE REQUEST", "early"))')
    it.juju.update_status('tls/1')
    it.juju.run('tls/1', fail_commit=True)
    it.juju.settle()
    assert it.announced('tls/1')[1:] == ['early by tls/0 #1']


# P10 rest: when nothing changes, nothing happens.

@pytest.mark.parametrize('notified', [True, False])
def test_p10_at_rest_nothing_is_written_and_nothing_announced(world, notified):
    it = world(3, leader_notified=notified)
    it.juju.update_status('tls/0')     # a leader that is not notified sees here what it wrote
    it.juju.settle()
    before = [(it.juju.bag(unit), it.juju.kv(unit)) for unit in it.juju.units()]
    for unit in it.juju.units():
        it.juju.update_status(unit)
        it.juju.config_changed(unit)
    runs = it.juju.settle()
    assert len(runs) == 6 and all(run.changes == {} for run in runs)
    assert [(it.juju.bag(unit), it.juju.kv(unit)) for unit in it.juju.units()] == before


def test_p10_a_certificate_is_announced_once_though_others_are_answered(world):
    it = world(3)
    it.ask('tls/2', 'renewal')
    it.juju.settle()
    assert len(it.announced('tls/1')) == 1
    assert it.flags('tls/1') == set()


def test_p10_a_repeated_request_changes_nothing_while_it_waits(world):
    it = world(2)
    ask_and_show(it)
    it.ask('tls/1', 'first')
    assert it.last.changes == {}
    serve(it)
    assert len(it.announced('tls/1')) == 2


# P12 refusal of nonsense: bad arguments raise and publish nothing.

@pytest.mark.parametrize('argument, error', [
    ('None', 'TypeError: CSR for tls/1: expected str, not NoneType'),
    ('b"x"', 'TypeError: CSR for tls/1: expected str, not bytes'),
    ('""', 'ValueError: CSR for tls/1: it has no PEM block'),
    ('"junk"', 'ValueError: CSR for tls/1: it has no PEM block'),
    ('pem("CERTIFICATE", "x")', 'ValueError: CSR for tls/1: it has no PEM block'),
    ('pem("CERTIFICATE REQUEST", "x" * 65536)', 'ValueError: CSR for tls/1: it has 87'),
])
def test_p12_a_bad_request_raises_and_publishes_nothing(world, argument, error):
    it = world(2)
    before = it.juju.bag('tls/1'), it.juju.kv('tls/1')
    it.do('tls/1', 'tls.set_csr({})'.format(argument))
    assert error in it.last.stderr
    assert it.last.exit_code == 1 and it.last.changes == {}
    assert (it.juju.bag('tls/1'), it.juju.kv('tls/1')) == before
    assert it.unserved() == []


@pytest.mark.parametrize('unit, argument, error', [
    ('None', 'pem("CERTIFICATE", "x")', 'TypeError: unit name: expected str, not NoneType'),
    ('"tls/9"', 'pem("CERTIFICATE", "x")', "ValueError: certificate for 'tls/9': get_csr_map()"),
    ('"tls/1"', 'None', 'TypeError: certificate for tls/1: expected str, not NoneType'),
    ('"tls/1"', '"junk"', 'ValueError: certificate for tls/1: it has no PEM block'),
    ('"tls/1"', 'pem("CERTIFICATE REQUEST", "x")', 'ValueError: certificate for tls/1: it has no'),
])
def test_p12_a_bad_answer_raises_and_publishes_nothing(world, unit, argument, error):
    it = world(2)
    ask_and_show(it)
    it.do('tls/0', 'tls.set_cert({}, {})'.format(unit, argument))
    assert error in it.last.stderr
    assert it.last.exit_code == 1 and it.last.changes == {}
    serve(it)


def test_p12_a_unit_that_never_saw_the_request_cannot_answer_it(world):
    it = world(2)
    it.answer_with('tls/1', 'tls/0', 'forged')
    assert 'get_csr_map() never handed out a request' in it.last.stderr
    assert it.last.exit_code == 1


# P13 refusal: a refused unit learns why and may ask otherwise; its request is not offered again.

def refuse(it, unit='tls/1', **how):
    it.do('tls/0', 'tls.refuse_csr({!r}, "too weak")'.format(unit), **how)


def refused(it):
    """tls/1 asked `first` and was refused; its layer does not ask anew."""
    it.tell('tls/1', 'busy', CREATE)
    ask_and_show(it)
    refuse(it)
    it.juju.settle()
    return it


def refusal_seen_by(it, unit):
    return it.do(unit, 'results.append(tls.get_refusal())')[0]


def test_p13_the_unit_learns_why_and_keeps_its_certificate(world):
    it = world(2)
    assert refusal_seen_by(it, 'tls/1') is None
    old = it.certificate('tls/1')
    refused(it)
    assert it.answer_id('tls/1') == it.request_id('tls/1')
    assert (it.refusal('tls/1'), it.answer('tls/1')) == ('too weak', None)
    assert it.flags('tls/1') == {CREATE}
    assert refusal_seen_by(it, 'tls/1') == 'too weak'
    assert it.do('tls/1', 'results.append(tls.get_signed_cert())') == [old]
    assert len(it.announced('tls/1')) == 1


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
    it.ask('tls/1', 'first')
    assert it.last.changes == {} and it.flags('tls/1') == {CREATE}
    assert 'request not published, it was refused: too weak' in logged(it.last)
    it.ask('tls/1', 'second')
    assert it.flags('tls/1') == set()
    assert refusal_seen_by(it, 'tls/1') is None
    serve(it)
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


@pytest.mark.parametrize('notified', [True, False])
@pytest.mark.parametrize('unit', ['tls/0', 'tls/1'])
def test_p13_reissue_lifts_a_refusal(world, unit, notified):
    it = world(2, leader_notified=notified)
    it.tell(unit, 'busy', SIGN + CREATE)
    it.tell('tls/0', 'busy', SIGN + CREATE)
    it.ask(unit, 'first')
    it.juju.settle()
    assert it.csr_map('tls/0') == {unit: request('first')}
    refuse(it, unit)
    it.juju.update_status('tls/0')
    it.juju.settle()
    assert refusal_seen_by(it, unit) == 'too weak'
    it.do('tls/0', 'tls.reissue({!r})'.format(unit))
    it.juju.settle()
    assert refusal_seen_by(it, unit) is None
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
    assert refusal_seen_by(it, 'tls/1') is None and it.flags('tls/1') == set()
    refuse(it)
    it.juju.settle()
    assert it.certificate('tls/1') == certificate('after all')
    assert refusal_seen_by(it, 'tls/1') == 'too weak' and it.flags('tls/1') == {CREATE}
    it.ask('tls/1', 'first')
    assert it.last.changes == {}


def test_p13_a_refusal_belongs_to_its_relation(world):
    it = refused(world(2))
    it.juju.add_relation_id('certificates')
    it.juju.settle()
    assert refusal_seen_by(it, 'tls/1') is None and it.flags('tls/1') == {CREATE}


def test_p13_the_leadership_is_lost_while_the_interface_refuses(world):
    it = world(3)
    it.juju.depose()
    write(it, 'tls/0', csr='junk', csr_id='L-1')
    it.ask('tls/1', 'renewal')
    it.juju.settle()
    it.juju.elect('tls/2')
    it.tell('tls/2', 'busy', SIGN)
    run = it.juju.run('tls/2', on_call={5: it.juju.depose})
    assert run.hook.name == 'leader-elected' and run.committed and run.changes == {}
    assert it.flags('tls/2') == set()


def test_p13_there_is_no_view_when_the_leadership_is_lost_while_the_interface_refuses(world):
    it = world(2)
    it.juju.depose()
    write(it, 'tls/0', csr='junk', csr_id='L-1')
    it.juju.settle()
    it.juju.model.units['tls/1'].led = True  # its agent noticed nothing: no leader-elected
    it.juju.elect('tls/1')
    view = 'results.append(tls.get_requests())'
    assert it.do('tls/1', view, on_call={5: it.juju.depose}) == [{}]
    assert it.last.changes == {}
    it.juju.elect('tls/1')
    assert it.do('tls/1', view)[0]['tls/0']['state'] == 'refused'


def test_p13_a_refusal_that_is_not_committed_is_missed(world):
    it = world(2)
    ask_and_show(it)
    refuse(it, fail_commit=True)
    serve(it)
    assert it.announced('tls/1')[1:] == ['first by tls/0 #1']


def test_p13_nothing_is_refused_for_a_unit_that_asked_anew(world):
    it = world(2)
    ask_and_show(it)
    it.ask('tls/1', 'second')
    it.juju.settle()
    refuse(it)
    assert it.last.changes == {}
    assert 'refusal for tls/1 not published: the unit has asked anew' in logged(it.last)
    serve(it)


def test_p13_what_the_interface_finds_malformed_is_refused_with_its_fault(world):
    it = world(2)
    it.tell('tls/1', 'busy', CREATE)
    it.ask('tls/1', 'sound')
    write(it, 'tls/1', csr='junk')
    it.juju.settle()
    assert refusal_seen_by(it, 'tls/1').startswith('it has no PEM block CERTIFICATE REQUEST')
    assert it.flags('tls/1') == {CREATE}


def test_p13_a_refusal_leaves_with_its_unit(world):
    it = refused(world(2))
    it.juju.remove_unit('tls/1')
    it.juju.settle()
    assert [key for key in it.juju.app_bag() if key.startswith('tls/1')] == []


@pytest.mark.parametrize('unit, reason, error', [
    ('"tls/1"', 'None', 'TypeError: refusal for tls/1: expected str, not NoneType'),
    ('"tls/1"', '" "', 'ValueError: refusal for tls/1: it is empty'),
    ('"tls/1"', '"x" * 1025', 'ValueError: refusal for tls/1: it has 1025 bytes, more than 1024'),
    ('"tls/1"', '"\\ud800"', 'ValueError: refusal for tls/1: it is not encodable as UTF-8'),
    ('"tls/9"', '"x"', "ValueError: refusal for 'tls/9': get_csr_map() never"),
    ('1', '"x"', 'TypeError: unit name: expected str, not int'),
])
def test_p13_a_bad_refusal_raises_and_publishes_nothing(world, unit, reason, error):
    it = world(2)
    ask_and_show(it)
    it.do('tls/0', 'tls.refuse_csr({}, {})'.format(unit, reason))
    assert error in it.last.stderr
    assert it.last.exit_code == 1 and it.last.changes == {}
    serve(it)


# P14 reissue: answered requests wait again; every unit keeps what it has until its successor.

def reissue(it, *units, **how):
    it.do('tls/0', 'tls.reissue({})'.format(', '.join(map(repr, units))), **how)


@pytest.mark.parametrize('notified', [True, False])
def test_p14_every_unit_keeps_its_certificate_until_its_successor_is_there(world, notified):
    it = world(3, leader_notified=notified)
    units = it.juju.units()
    old = [it.certificate(unit) for unit in units]
    it.tell('tls/0', 'busy', SIGN)
    reissue(it)
    it.juju.settle()
    assert [it.answer_id(unit) for unit in units] == [None] * 3
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
    reissue(it, 'tls/1')
    it.juju.settle()
    assert it.unserved() == []
    assert [len(it.announced(unit)) for unit in it.juju.units()] == [1, 2, 1]


def test_p14_a_change_of_leader_half_way_and_a_unit_added_meanwhile(world):
    it = world(3)
    it.tell('tls/0', 'busy', SIGN)
    reissue(it)
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
    ask_and_show(it)
    reissue(it)
    it.answer_with('tls/0', 'tls/1', 'of the old CA')
    assert it.last.changes == {}
    assert 'certificate for tls/1 not published: ' in logged(it.last)
    serve(it)
    assert it.announced('tls/1')[-1] == 'first by tls/0 #1'


def test_p14_a_reissue_that_is_not_committed_did_not_happen(world):
    it = world(2)
    it.tell('tls/0', 'busy', SIGN)
    reissue(it, fail_commit=True)
    it.juju.update_status('tls/0')
    it.juju.settle()
    assert it.unserved() == [] and it.flags('tls/0') == set()


def test_p14_the_leadership_is_lost_during_it(world):
    it = world(2)
    it.do('tls/0', 'tls.reissue()', on_call={3: it.juju.depose})
    assert it.last.exit_code == 0 and it.last.changes == {}
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
