"""P9 and P10: the interface in any hook, and at rest."""
import pytest

from world import METADATA, SIGN, assemble, calls, certificate


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


@pytest.mark.parametrize('unit', [
    'tls/0', pytest.param('tls/1', marks=pytest.mark.slow)])
def test_p9_every_method_works_in_every_hook(world, crowded, unit):
    seen = set()
    for number in range(12):
        it = world(2, charm=crowded)
        it.juju.add_unit()
        it.juju.settle(['tls/2'])
        if number > 8:
            it.juju.remove_unit('tls/2')
        for _ in range(number):
            if it.juju.next_hook(unit):
                it.juju.run(unit)
        if it.juju.next_hook(unit) is None:  # any other hook would swallow it
            it.juju.update_status(unit)
        it.do(unit, METHODS, hook=True)
        assert it.last.committed
        seen.add(it.last.hook.name)
        it.juju.settle()
        it.juju.update_status('tls/0')
        it.juju.settle()
        assert it.announced(unit)[-1].startswith('from any hook by tls/0')
        assert all(not set(it.juju.bag(each, 'cluster:1')) & {'csr', 'csr_number'}
                   for each in it.juju.units())
        assert it.juju.app_bag('cluster:1') == {}
    assert {'cluster-relation-joined', 'certificates-relation-joined',
            'certificates-relation-changed', 'update-status'} <= seen


@pytest.mark.parametrize('name', ['a', 'z'])
def test_p9_hooks_of_another_relation_tell_nothing(world, tmp_path, name):
    """Though its id is the newest of all, and no other is remembered."""
    peers = dict(METADATA['peers'], **{name: {'interface': 'other'}})
    it = world(charm=assemble(tmp_path / 'two', metadata=dict(METADATA, peers=peers)))
    it.start(2)
    assert it.juju.model.relations.keys() == {'certificates:0', name + ':1'}
    assert all(run.exit_code == 0 for run in it.juju.runs) and it.unserved() == []
    it.juju.lose_unitdata('tls/0')
    it.do('tls/1', 'hookenv.relation_set({!r}, {{"any": "thing"}})'.format(name + ':1'))
    run = it.juju.run('tls/0')
    assert run.hook.relation == name + ':1' and run.exit_code == 0
    assert it.juju.kv('tls/0')['interface.tls']['relation'] == 'certificates:0'


def test_p9_a_look_never_fails_because_the_relation_is_gone(world):
    it = world(2)
    it.juju.model.remove_relation('certificates:0')
    it.juju.elect('tls/1')
    run = it.juju.run('tls/1')
    assert run.hook.name == 'leader-elected' and run.exit_code == 0
    assert [argv[0] for argv in calls(run)] == ['relation-ids', 'is-leader']
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


def test_p9_a_flag_that_the_layer_clears_first_is_not_set_by_what_it_calls_then(world):
    it = world(2)
    clear = 'import charms.reactive as cr\ncr.clear_flag({!r})\n'.format(SIGN)
    it.ask_and_show()
    it.do('tls/0', clear + 'tls.get_csr_map(), tls.get_requests(), tls.get_refusal()')
    assert it.flags('tls/0') == set()
    it.serve()


def test_p9_a_layer_that_asks_in_each_hook_settles(world):
    it = world(2)
    for unit in it.juju.units():
        for _ in range(3):
            it.ask(unit, 'always the same')
            it.juju.config_changed(unit)
            it.juju.run(unit)
    it.juju.settle()
    assert it.unserved() == []


# P10 rest: when nothing changes, nothing happens.

@pytest.mark.parametrize('notified', [True, False])
def test_p10_at_rest_nothing_is_written_and_nothing_announced(world, notified):
    it = world(3, leader_notified=notified)
    it.juju.update_status('tls/0')     # a leader that is not notified sees here what it wrote
    it.juju.settle()
    before = [(it.juju.bag(unit), it.remembered(unit)) for unit in it.juju.units()]
    runs = []
    for due in (it.juju.update_status, it.juju.config_changed):
        for unit in it.juju.units():
            due(unit)
        runs += it.juju.settle()
    assert len(runs) == 6 and all(run.changes == {} for run in runs)
    assert [(it.juju.bag(unit), it.remembered(unit)) for unit in it.juju.units()] == before


def test_p10_a_certificate_is_announced_once_though_others_are_answered(world):
    it = world(3)
    it.ask('tls/2', 'renewal')
    it.juju.settle()
    assert len(it.announced('tls/1')) == 1
    assert it.flags('tls/1') == set()


def test_p10_a_repeated_request_changes_nothing_while_it_waits(world):
    it = world(2)
    it.ask_and_show()
    it.ask('tls/1', 'first')
    assert it.last.changes == {}
    it.serve()
    assert len(it.announced('tls/1')) == 2


def test_p10_the_first_answer_of_all_leaves_no_flag(world):
    it = world()
    unit = it.juju.add_unit()
    it.juju.elect(unit)
    while not it.answer(unit):
        it.juju.run(unit)
    assert it.flags(unit) == set()     # the bag that it was written into was empty
