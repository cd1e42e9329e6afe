"""P15: whatever records and bags hold, two update-status of every unit heal it."""
import json
import re

import pytest

from world import CREATE, SIGN, at, calls, certificate, id_of, logged, request

# P15 self-stabilising: unitdata lost or of an earlier time, bags of an earlier time, a hook
# skipped or run twice: when every unit has run update-status twice all are served and at rest,
# and nothing wrong was announced on the way.


@pytest.mark.parametrize('answered', [True, False])
def test_p2_no_unit_takes_the_certificate_of_the_key_before_its_disk_was_restored(world, answered):
    it = world(2)
    old = it.juju.unitdata_text('tls/1')
    it.tell('tls/0', 'busy', '' if answered else SIGN)
    it.ask('tls/1', 'A')
    it.juju.settle()
    it.juju.set_unitdata('tls/1', old)
    it.tell('tls/0', 'busy', SIGN)
    it.ask('tls/1', 'B')
    it.heal()
    assert it.certificate('tls/1') == certificate('tls/1 1 by tls/0 #1')
    it.serve()
    assert it.announced('tls/1')[1:] == ['B by tls/0 #1']
    it.expect_healed()


def test_p15_a_unit_whose_disk_was_restored_asks_its_layer(world):
    it = world(2)
    old = it.juju.unitdata_text('tls/1')
    it.ask('tls/1', 'A')
    it.juju.settle()
    it.juju.set_unitdata('tls/1', old)
    it.tell('tls/1', 'busy', CREATE)
    it.juju.update_status('tls/1')
    it.juju.settle()
    assert it.flags('tls/1') == {CREATE}
    it.tell('tls/1', 'busy', '')
    it.expect_healed()


def test_p15_a_request_whose_unitdata_was_not_kept_is_not_outnumbered_but_asked_about(world):
    it = world(2)
    it.tell('tls/0', 'busy', SIGN)
    it.ask('tls/1', 'X')
    it.juju.settle()
    old = it.juju.unitdata_text('tls/1')
    it.tell('tls/0', 'busy', '')
    it.ask('tls/1', 'A')
    it.juju.settle()
    assert it.answer_id('tls/1') == id_of(3, request('A'))
    it.juju.set_unitdata('tls/1', old)  # X waits, and an answer has a greater number
    it.tell('tls/1', 'busy', CREATE)
    it.juju.update_status('tls/1')
    it.juju.settle()
    assert it.request_id('tls/1') == id_of(3, request('A'))
    assert it.flags('tls/1') == {CREATE}
    it.tell('tls/1', 'busy', '')
    it.expect_healed()


def test_p15_the_same_request_under_a_higher_number_is_adopted(world):
    it = world(2)
    old = it.juju.unitdata_text('tls/1')
    it.tell('tls/1', 'asks', 'tls/1 1')
    it.ask('tls/1', 'tls/1 1')         # a deterministic CSR
    it.juju.settle()
    it.juju.set_unitdata('tls/1', old)
    it.heal()
    assert it.request_id('tls/1') == id_of(2, request('tls/1 1'))
    assert it.juju.kv('tls/1')['asked'] == 1
    it.expect_healed()


def a_history(world):
    """Three units that have renewed, been reissued and changed their leader; and bags."""
    it = world(3)
    bags = [it.juju.bags()]
    it.ask('tls/1', 'renewal')
    bags.append(it.juju.bags())        # asked, and not answered
    it.juju.settle()
    bags.append(it.juju.bags())
    it.juju.elect('tls/2')
    it.juju.settle()
    it.do('tls/2', 'tls.reissue()')
    it.juju.settle()
    it.ask('tls/0', 'another')
    it.juju.settle()
    return it, bags


@pytest.mark.parametrize('unit', ['tls/0', 'tls/1', 'tls/2'])
def test_p15_unitdata_of_an_earlier_time(world, unit, tmp_path):
    it, _ = a_history(world)
    hooks = len(it.juju.history[unit]) - 1
    for hooks_ago in range(1, hooks + 1, hooks // 5):
        other = it.copy(tmp_path / str(hooks_ago))
        with other.juju:
            other.juju.restore_unitdata(unit, hooks_ago)
            other.expect_healed()


@pytest.mark.parametrize('units', [['tls/0'], ['tls/2'], ['tls/0', 'tls/1', 'tls/2']])
def test_p15_unitdata_lost(world, units):
    it, _ = a_history(world)
    for unit in units:
        it.juju.lose_unitdata(unit)
    it.expect_healed()


@pytest.mark.parametrize('owner', [None, 'tls', 'tls/0', 'tls/1'])
def test_p15_bags_of_an_earlier_time(world, owner, tmp_path):
    it, bags = a_history(world)
    for number, snapshot in enumerate(bags):
        other = it.copy(tmp_path / str(number))
        with other.juju:
            other.juju.restore_bags(snapshot, owner)
            other.expect_healed()


def test_p15_a_controller_restored_to_before_the_requests_asks_no_layer_for_a_new_key(world):
    it = world()
    for _ in range(3):
        it.tell(it.juju.add_unit(), 'busy', CREATE)
    it.juju.elect('tls/0')
    it.juju.settle()
    before = it.juju.bags()
    for unit in it.juju.units():
        it.tell(unit, 'busy', '')
        it.juju.config_changed(unit)
    it.juju.settle()
    requests = [it.request_id(unit) for unit in it.juju.units()]
    assert it.unserved() == [] and all(requests)
    it.juju.restore_bags(before)
    assert it.unserved() == it.juju.units()
    for unit in it.juju.units():
        it.juju.restart_agent(unit)
    it.expect_healed()
    assert [it.request_id(unit) for unit in it.juju.units()] == requests
    assert [it.juju.kv(unit)['asked'] for unit in it.juju.units()] == [1, 1, 1]


@pytest.mark.parametrize('resolved', [True, False])
def test_p15_the_leader_skipped_the_changed_of_a_peer(world, resolved):
    it = world(2)
    it.ask('tls/1', 'renewal')
    if resolved:
        it.juju.run('tls/0', exit=1)
        it.juju.resolve('tls/0', retry=False)
        # The failed hook had run, and its flags were kept; so drop what it remembers, too.
        it.juju.restore_unitdata('tls/0')
    else:
        assert it.juju.skip('tls/0').remote_unit == 'tls/1'
    it.juju.settle()
    assert it.unserved() == ['tls/1']
    for _ in range(2):
        it.juju.update_status('tls/0')
        it.juju.settle()
    assert it.announced('tls/1')[1:] == ['renewal by tls/0 #1']


def test_p15_a_follower_skipped_the_changed_of_the_application_bag(world):
    it = world(2)
    it.reissue()                       # and its layer answers at once
    hook = it.juju.skip('tls/1')
    assert hook.kind == 'changed' and hook.remote_unit == ''
    it.juju.settle()
    assert it.unserved() == ['tls/1']
    for _ in range(2):
        it.juju.update_status('tls/1')
        it.juju.settle()
    assert it.announced('tls/1')[1:] == ['tls/1 1 by tls/0 #2']


def test_p15_any_one_hook_is_skipped(world, tmp_path):
    it = world(2)
    it.ask('tls/1', 'renewal')
    it.juju.elect('tls/1')
    it.juju.add_unit()
    skipped = set()
    while any(it.juju.next_hook(unit) for unit in it.juju.units()):
        for unit in it.juju.units():
            hook = it.juju.next_hook(unit)
            if hook and (hook.name, unit) not in skipped and hook.name != 'install':
                skipped.add((hook.name, unit))
                other = it.copy(tmp_path / str(len(skipped)))
                with other.juju:
                    other.juju.skip(unit)
                    other.juju.settle()
                    other.expect_healed()
            if hook:
                it.juju.run(unit)
    assert {'leader-elected', 'certificates-relation-created', 'certificates-relation-changed'} \
        <= {name for name, _ in skipped}


def test_p15_every_hook_runs_again_after_its_commit(world):
    it = world()
    units = [it.juju.add_unit(), it.juju.add_unit()]
    it.juju.elect('tls/0')
    while any(it.juju.next_hook(unit) for unit in units):
        for unit in units:
            if it.juju.next_hook(unit):
                it.juju.run(unit, again=True)
                it.juju.run(unit)
    it.expect_healed()
    assert it.signed() == 2
    assert [it.juju.kv(unit)['asked'] for unit in units] == [1, 1]


@pytest.mark.parametrize('unit', ['tls/0', 'tls/1'])
def test_p15_any_call_of_a_full_look_may_fail(world, unit, tmp_path):
    it = world(3)
    it.ask('tls/2', 'waits')           # its changed is not seen
    it.juju.skip('tls/0')
    it.juju.settle()
    it.juju.update_status(unit)
    number = 0
    while True:
        number += 1
        other = it.copy(tmp_path / str(number))
        with other.juju:
            run = other.juju.run(unit, fail_at=number)
            assert run.committed
            if len(calls(run)) < number:
                break
            assert 'interface:tls: ' in logged(run) and 'connection is shut down' in run.stderr
            other.expect_healed()
            assert [len(other.announced(each)) for each in other.juju.units()] == [1, 1, 2]
    assert number > 4


def test_p15_a_bag_that_cannot_be_read_keeps_no_other_unit_waiting(world, tmp_path):
    it = world(3)
    it.ask('tls/1', 'one')
    it.ask('tls/2', 'two')
    it.juju.skip('tls/0'), it.juju.skip('tls/0')
    it.juju.update_status('tls/0')
    other = it.copy(tmp_path / 'other')
    with other.juju:
        fail_at = at(other.juju.run('tls/0'), 'relation-get', 'tls/1')
    run = it.juju.run('tls/0', fail_at=fail_at)
    assert run.committed
    assert re.search('relation_get of .*tls/1.* failed: ', logged(run))
    assert not re.search('relation_get of .*tls/2.* failed: ', logged(run))
    assert it.answer_id('tls/2') == it.request_id('tls/2')
    assert it.answer_id('tls/1') != it.request_id('tls/1')
    it.expect_healed()


def test_p15_an_is_leader_that_fails_forgets_no_request(world, tmp_path):
    it = world(2)
    it.ask('tls/1', 'renewal')
    other = it.copy(tmp_path / 'other')
    with other.juju:
        fail_at = at(other.juju.run('tls/0'), 'is-leader')
    run = it.juju.run('tls/0', fail_at=fail_at)
    assert run.committed and 'is_leader of () failed: ' in logged(run)
    assert it.flags('tls/0') == set() and it.unserved() == ['tls/1']
    it.expect_healed()
    assert it.announced('tls/1')[1:] == ['renewal by tls/0 #1']


def test_p15_an_is_leader_that_fails_forgets_nothing_that_waits(world):
    it = world(2)
    it.tell('tls/0', 'busy', SIGN)
    it.ask('tls/1', 'renewal')
    it.juju.settle()
    it.juju.config_changed('tls/0')
    run = it.juju.run('tls/0', fail_at=2)
    assert run.committed and 'is_leader of () failed: ' in logged(run)
    it.juju.config_changed('tls/0')    # in which nothing is looked for
    it.juju.settle()
    assert it.flags('tls/0') == {SIGN} and it.csr_map('tls/0') == {'tls/1': request('renewal')}


@pytest.mark.parametrize('record', ['[]', '"text"', '{"relation": "certificates:0"}',
                                    '{"relation": "certificates:0", "life": "x"}', 'null'])
def test_p15_a_record_of_another_shape_is_none(world, record):
    it = world(2)
    it.do('tls/1', 'import json; unitdata.kv().set("interface.tls", json.loads({!r}))'.format(
        record))
    it.expect_healed()


# P3: what a compromised leader has written.

FALSE = '{}-' + '0' * 64


@pytest.mark.parametrize('number', ['9' * 20, '9' * 15, '9' * 14, '3'])
def test_p3_an_id_that_a_compromised_leader_made_up_is_outnumbered(world, number):
    it = world(2)
    it.tell('tls/0', 'busy', SIGN)
    it.ask('tls/1', 'waits')
    it.juju.settle()
    it.write_app('tls/0', **{'tls/1_csr_id': FALSE.format(number),
                             'tls/1_signed_certificate': certificate('false')})
    it.juju.settle()
    assert len(it.announced('tls/1')) == 1
    it.tell('tls/0', 'busy', '')
    it.expect_healed()
    assert it.announced('tls/1')[1:] == ['waits by tls/0 #1']
    below = number == '9' * 20         # more digits than are believed
    assert it.request_id('tls/1') == id_of(2 if below else int(number) + 1, request('waits'))


def test_p3_a_served_unit_need_not_mind_an_id_that_was_made_up(world):
    it = world(2)
    it.write_app('tls/0', **{'tls/1_csr_id': FALSE.format(9)})
    it.heal()
    assert it.request_id('tls/1') == id_of(1, request('tls/1 1'))
    assert len(it.announced('tls/1')) == 1
    it.ask('tls/1', 'next')
    it.expect_healed()
    assert it.request_id('tls/1') == id_of(10, request('next'))


def test_p3_an_old_answer_that_is_put_back_is_not_taken(world):
    it = world(2)
    old = {key: value for key, value in it.juju.app_bag().items() if key.startswith('tls/1_')}
    it.ask('tls/1', 'renewal')
    it.juju.settle()
    it.write_app('tls/0', **old)
    it.juju.settle()
    assert it.announced('tls/1') == ['tls/1 1 by tls/0 #1', 'renewal by tls/0 #1']
    assert it.certificate('tls/1') == certificate('renewal by tls/0 #1')
    it.heal()
    assert it.is_served('tls/1')


@pytest.mark.parametrize('junk', ['', 'junk'])
def test_p3_the_own_id_beside_no_certificate_keeps_no_unit_unserved(world, junk):
    it = world(2)
    it.ask_and_show()
    it.write_app('tls/0', **{'tls/1_signed_certificate': junk,
                             'tls/1_csr_id': it.request_id('tls/1')})
    it.tell('tls/0', 'busy', '')
    it.juju.elect('tls/1')             # the next leader, not compromised
    it.juju.settle()
    it.heal()
    assert it.announced('tls/1')[-1].startswith('first by ')


def test_p3_a_refusal_beside_junk(world):
    it = world(2)
    it.ask_and_show()
    it.write_app('tls/0', **{'tls/1_signed_certificate': 'junk', 'tls/1_refusal': 'no',
                             'tls/1_csr_id': it.request_id('tls/1')})
    it.tell('tls/0', 'busy', '')
    it.juju.settle()
    it.heal()
    assert it.unserved() == []


def test_p10_the_greatest_number_of_its_own_is_published_once(world):
    it = world(2)
    it.write('tls/1', csr_number='9' * 17)
    it.heal()
    it.ask('tls/1', 'next')            # its number has a digit more than is believed
    it.expect_healed()
    it.juju.update_status('tls/1')
    assert len(calls(it.juju.run('tls/1'))) <= 4


@pytest.mark.parametrize('change', [
    {'number': '2'}, {'number': None}, {'number': 1.5}, {'waiting': []}, {'waiting': None},
    {'handed_out': []}, {'leads': None}, {'life': 'of a later version'}], ids=str)
@pytest.mark.parametrize('unit', ['tls/0', 'tls/1'])
def test_p15_a_record_with_values_of_another_type_is_none(world, unit, change):
    it = world(2)
    kv = it.juju.kv(unit)
    fields = set(kv['interface.tls'])
    kv['interface.tls'].update(change)
    it.juju.set_unitdata(unit, json.dumps(kv))
    it.expect_healed()
    assert set(it.juju.kv(unit)['interface.tls']) == fields
